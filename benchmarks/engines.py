"""Both engines on the same charts, side by side: time a patient, and the child's memory.

    python benchmarks/engines.py [--patients N] [--charts N]

Charts are those that the tests make by chance, read once; what is timed is judging alone. The
second engine's time is divided: what this process does (the shared words and values, the rows), and
how long it waits for the child. Then --patients patients go through one child that is never
replaced, and its memory is printed along the way.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from random import Random
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from cds.chart.model import Chart
from cds.engine.frame import Hook
from cds.second.comparison import differing
from cds.second.engine import DurableEngine
from cds.second.supervisor import Limits, Supervisor
from cds.second.wiring import Job, Reply, wire
from tests.records import AS_OF, rulebook
from tests.second.durable import HOOKS
from tests.second.generated import chart


class Watched(Supervisor):
    """A supervisor that sums up how long it waited, and how many rows it gave."""

    waited = 0.0
    rows = 0
    rounds = 0

    def judge(self, job: Job) -> Reply:
        started = perf_counter()
        try:
            return super().judge(job)
        finally:
            self.waited += perf_counter() - started
            self.rows += len(job.rows)
            self.rounds += 1

    def memory(self) -> float:
        return self._child.memory() / 2**20 if self._child is not None else 0.0


def watched() -> tuple[DurableEngine, Watched]:
    engine = DurableEngine(rulebook())
    limits = Limits(patients=10**9, memory=2**40)
    supervisor = Watched(wire(engine.plan.productions, engine.plan.outputs), limits)
    engine.supervisor = supervisor
    return engine, supervisor


def side_by_side(charts: list[tuple[Chart, Hook]]) -> None:
    engine, supervisor = watched()
    engine.review(*charts[0], AS_OF)
    supervisor.waited = supervisor.rows = supervisor.rounds = 0
    first, second, disagreeing = [], [], 0
    for each, hook in charts:
        started = perf_counter()
        ours = engine.evaluator.review(each, hook, AS_OF)
        between = perf_counter()
        theirs = engine.review(each, hook, AS_OF)
        second.append(perf_counter() - between)
        first.append(between - started)
        disagreeing += any(True for _ in differing(ours, theirs))
    print(
        f"{len(charts)} charts, {len(rulebook().rules)} rules, {len(engine.plan.productions)} "
        f"productions; {disagreeing} disagreements"
    )
    for name, times in (("reference", first), ("durable", second)):
        middle, mean = statistics.median(times) * 1e3, statistics.mean(times) * 1e3
        last = sorted(times)[len(times) * 99 // 100] * 1e3
        print(f"{name:10} median {middle:7.3f} ms   mean {mean:7.3f} ms   p99 {last:7.3f} ms")
    count = len(charts)
    print(
        f"durable / reference {sum(second) / sum(first):.1f}; of it in the child "
        f"{supervisor.waited / sum(second):.0%}; a patient: {supervisor.rows / count:.1f} rows, "
        f"{supervisor.rounds / count:.2f} rounds"
    )
    engine.close()


def memory(charts: list[tuple[Chart, Hook]], patients: int) -> None:
    engine, supervisor = watched()
    started = perf_counter()
    for number in range(patients):
        engine.review(*charts[number % len(charts)], AS_OF)
        if (number + 1) % max(1, patients // 8) == 0 or number == 99:
            print(f"{number + 1:7} patients: child {supervisor.memory():6.1f} MiB")
    seconds = perf_counter() - started
    print(f"{patients} patients in {seconds:.1f} s, {supervisor.started} child")
    engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--charts", type=int, default=500)
    options = parser.parse_args()
    chance = Random(1)
    charts = [(chart(chance), Hook(chance.choice(HOOKS))) for _ in range(options.charts)]
    side_by_side(charts)
    memory(charts, options.patients)


if __name__ == "__main__":
    main()
