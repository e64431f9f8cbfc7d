"""An audit on Spark against the same on this machine: the same bytes, what it costs, who may die.

    python benchmarks/spark.py [--patients 60] [--kills 4] [--corpus FOLDER] [--only cost|kill]

Cost: N and 2 N distinct patients, as Bundles and as an export, are audited by one worker here and
on `local[2]`; what counts is the processor time of 2 N minus that of N, so that starting costs
nothing. Bytes of shuffle and of results are those of Spark's own event log. Kill: the same on
`local-cluster[2,1,1024]`, while at a random moment the Java of an executor, a Python worker of one
or the child of such a worker is killed; the files must be those of a local run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import orjson  # noqa: E402
from audit import (  # noqa: E402
    size_of,
    sources,
    write_bundles,
    write_export,
)

from cds.audit.journal import Journal, encode  # noqa: E402
from cds.audit.outcome import Outcome  # noqa: E402
from cds.audit.results import write_lines  # noqa: E402
from cds.audit.spark.tasks import packed, unpacked  # noqa: E402
from cds.engine.needs import resource_types  # noqa: E402
from cds.rulebook.pack import load_rulebook, shipped_pack  # noqa: E402
from tests.audit.population import population  # noqa: E402
from tests.audit.population import write_bundles as write_found  # noqa: E402

WHEN = ("--as-of", "2026-06-10T12:00:00+00:00", "--timezone", "UTC")
TICKS = os.sysconf("SC_CLK_TCK")
Victim = Callable[[list[int]], "list[int]"]


# -- processes -------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    except OSError:
        return found
    return found


def descendants(pid: int) -> list[int]:
    return [item for child in children(pid) for item in (child, *descendants(child))]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def spent(pid: int) -> float:
    """Seconds of processor that a process has used; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


class Run:
    """`cds audit` in a process of its own; ``cpu`` of all its processes, as last seen."""

    def __init__(self, source: Path, out: Path, *args: str, **env: str) -> None:
        shutil.rmtree(out, ignore_errors=True)
        self.out = out
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cds", "audit", str(source), "--out", str(out), *WHEN, *args],
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._seen: dict[int, float] = {}
        self._javas: set[int] = set()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()

    def _watch(self) -> None:
        while self.process.poll() is None:
            for pid in (self.process.pid, *descendants(self.process.pid)):
                if pid not in self._javas and b"java" in command(pid).split(b"\0")[0]:
                    self._javas.add(pid)
                self._seen[pid] = max(self._seen.get(pid, 0.0), spent(pid))
            time.sleep(0.05)

    def end(self) -> Run:
        _, err = self.process.communicate()
        self.seconds = time.monotonic() - self.started
        self._watcher.join()
        self.cpu = sum(self._seen.values())
        self.java = sum(self._seen.get(pid, 0.0) for pid in self._javas)
        if self.process.returncode not in (0, 1):
            sys.exit(f"the audit failed: {err.decode()}")
        return self

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.out.iterdir())}


# -- cost ------------------------------------------------------------------------------------------


def needed_files(folder: Path) -> list[Path]:
    wanted = resource_types(load_rulebook(shipped_pack()), "audit")
    return [path for path in sorted(folder.iterdir()) if path.name.split(".")[0] in wanted]


def parse_all(paths: list[Path], *, lines: bool) -> float:
    """Seconds of processor that orjson needs for the files, or for their lines."""
    taken = 0.0
    for path in paths:
        data = path.read_bytes()
        texts = data.splitlines() if lines else [data]
        started = time.process_time()
        for text in texts:
            orjson.loads(text)
        taken += time.process_time() - started
    return taken


def of_log(folder: Path) -> dict[str, float]:
    """Bytes of shuffle written and of results, and seconds of tasks, from Spark's event log."""
    found = dict.fromkeys(("shuffle", "results", "tasks", "seconds"), 0.0)
    for path in folder.rglob("events*"):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event.get("Event") != "SparkListenerTaskEnd":
                continue
            told = event.get("Task Metrics") or {}
            found["tasks"] += 1
            found["seconds"] += told.get("Executor Run Time", 0) / 1000
            found["results"] += told.get("Result Size", 0)
            found["shuffle"] += told.get("Shuffle Write Metrics", {}).get(
                "Shuffle Bytes Written", 0
            )
    return found


def logging_to(folder: Path) -> list[str]:
    names = {"enabled": "true", "compress": "false", "dir": folder.as_uri()}
    settings = (f"spark.eventLog.{name}={value}" for name, value in names.items())
    return [word for setting in settings for word in ("--spark-conf", setting)]


def measure_cost(base: Path, bundles: list[bytes], patients: int, kinds: list[str]) -> None:
    for kind in kinds:
        write = write_bundles if kind == "bundles" else None
        folders = [base / f"{kind}-{times}" for times in (1, 2)]
        for times, folder in enumerate(folders, 1):
            if write is not None:
                write(folder, bundles, 0, patients * times)
            else:
                write_export(folder, bundles, patients * times)
        every = sorted(folders[0].iterdir())
        read = every if write is not None else needed_files(folders[0])
        parse = parse_all(read, lines=write is None)
        print(
            f"{kind}: N = {patients} patients, {size_of(every) / patients / 1e3:.0f} kB a patient"
        )
        print(f"  of it in files that are read     {size_of(read) / size_of(every):.3f}")
        local = [Run(folder, base / "local", "--workers", "1").end() for folder in folders]
        expected = local[-1].files()
        log = base / "log"
        there, logs = [], []
        for folder in folders:
            shutil.rmtree(log, ignore_errors=True)
            log.mkdir()
            there.append(Run(folder, base / "spark", "--on", "local[2]", *logging_to(log)).end())
            logs.append(of_log(log))
        added = size_of(read)
        ours = local[1].cpu - local[0].cpu
        theirs = there[1].cpu - there[0].cpu
        print(f"  the same bytes as a local run    {there[1].files() == expected}")
        print(f"  orjson.loads of the bytes read   {parse / added * 1e9:.2f} s a GB")
        print(f"  local, one worker: cpu added     {ours / added * 1e9:.1f} s a GB read")
        print(f"  the same / orjson.loads          {ours / parse:.2f}")
        java = there[1].java - there[0].java
        print(f"  local[2]: cpu added              {theirs / added * 1e9:.1f} s a GB read")
        print(
            f"  the same / local                 {theirs / ours:.2f}, {java / ours:.2f} of it Java"
        )
        first = there[0]
        print(f"  local[2]: cpu of N               {first.cpu:.0f} s in {first.seconds:.0f} s")
        for name in ("shuffle", "results"):
            grown = logs[1][name] - logs[0][name]
            print(f"  {name} bytes added / bytes read  {grown / added:.4f}")
        findings = len(expected["findings.ndjson"])
        print(
            f"  findings.ndjson                  {findings / patients / 2 / 1e3:.2f} kB a patient"
        )


def measure_driver(base: Path) -> None:
    """What the driver does with outcomes: unpacks, writes the journal, makes the files of lines."""
    write_found(base / "found", population(99))
    found = Run(base / "found", base / "local", "--workers", "1").end().files()
    lines = found["findings.ndjson"].splitlines(keepends=True)
    outcome = Outcome(findings=lines)
    small, folder = packed(outcome), base / "driver"
    folder.mkdir()
    print(f"driver: {len(encode(outcome)) / len(lines):.0f} bytes a finding")
    print(f"  packed / not packed              {len(small) / len(encode(outcome)):.3f}")
    with Journal(folder / "journal", Outcome) as journal:
        steps: dict[str, Callable[[], object]] = {
            "pack (executor)": lambda: packed(outcome),
            "unpack": lambda: unpacked(small),
            "journal": lambda: journal.append(outcome),
            "findings.ndjson": lambda: write_lines([outcome], folder),
        }
        for name, step in steps.items():
            started = time.process_time()
            for _ in range(50):
                step()
            seconds = (time.process_time() - started) / 50
            print(f"  {name:<32} {seconds / len(lines) * 1e6:.1f} s a million findings")


# -- who may die -----------------------------------------------------------------------------------


def javas(every: list[int]) -> list[int]:
    return [pid for pid in every if b"CoarseGrainedExecutorBackend" in command(pid)]


def pythons(every: list[int]) -> list[int]:
    daemons = [pid for java in javas(every) for pid in children(java)]
    return [worker for pid in daemons for worker in children(pid)]


def judges(every: list[int]) -> list[int]:
    return [child for pid in pythons(every) for child in children(pid)]


VICTIMS: dict[str, Victim] = {
    "the Java of an executor": javas,
    "a Python worker": pythons,
    "the child of a Python worker": judges,
}


def measure_kills(base: Path, bundles: list[bytes], patients: int, kills: int, seed: int) -> int:
    """Audits with somebody killed; how many did not give the bytes of a local run."""
    home = spark_home(base)
    chance = random.Random(seed)
    write_bundles(base / "b", bundles, 0, patients)
    write_export(base / "e", bundles, patients)
    wrong = 0
    for folder in (base / "b", base / "e"):
        expected = Run(folder, base / "local", "--workers", "1").end().files()
        on = ("--on", "local-cluster[2,1,1024]")
        calm = Run(folder, base / "calm", *on, SPARK_HOME=str(home)).end()
        kind = "Bundles" if folder.name == "b" else "export"
        same = calm.files() == expected
        wrong += not same
        print(f"{kind}, nobody killed: {same}, {calm.seconds:.0f} s", flush=True)
        for number in range(kills):
            name, victims = list(VICTIMS.items())[number % len(VICTIMS)]
            run = Run(folder, base / "out", *on, SPARK_HOME=str(home))
            told = kill(run, victims, chance)
            same = run.end().files() == expected
            wrong += not same
            print(f"{kind}, {name} killed {told}: {same}, {run.seconds:.0f} s", flush=True)
    return wrong


def kill(run: Run, victims: Victim, chance: random.Random) -> str:
    """Kills one of them a random while after judging began; when it was."""
    while run.process.poll() is None and not judges(descendants(run.process.pid)):
        time.sleep(0.02)
    wait = chance.uniform(0, 8)
    time.sleep(wait)
    found = victims(descendants(run.process.pid))
    if not found or run.process.poll() is not None:
        return "(it was over)"
    os.kill(chance.choice(found), signal.SIGKILL)
    return f"{wait:.1f} s after the first judge"


def spark_home(base: Path) -> Path:
    """PySpark's own Spark under another name: its workers write beside its jars."""
    import pyspark

    home = base / "home"
    home.mkdir()
    for name in ("bin", "jars", "python"):
        (home / name).symlink_to(Path(pyspark.__path__[0], name))
    return home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patients", type=int, default=60, help="N")
    parser.add_argument("--kills", type=int, default=3, help="for Bundles, and for an export")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kinds", default="bundles,export", help="whose cost")
    parser.add_argument("--only", choices=("cost", "kill"))
    parser.add_argument("--corpus", type=Path, default=ROOT.parent / "shared" / "corpus")
    args = parser.parse_args()
    try:
        import pyspark
    except ImportError:
        print("PySpark is not installed: nothing is measured")
        return
    print(f"PySpark {pyspark.__version__}, {len(os.sched_getaffinity(0))} cores")
    bundles = sources(args.corpus)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="spark-bench-") as name:
        base = Path(name)
        if args.only != "kill":
            measure_cost(base, bundles, args.patients, args.kinds.split(","))
            measure_driver(base)
        if args.only != "cost":
            wrong = measure_kills(base, bundles, args.patients, args.kills, args.seed)
    sys.exit(f"{wrong} runs gave other bytes" if wrong else 0)


if __name__ == "__main__":
    main()
