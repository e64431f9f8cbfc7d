"""Where the time of one patient goes: parsing, reading, judging, writing, against `orjson.loads`.

Every figure is the sum over the records of the fastest of several turns; the steps are timed in
turn on the same bytes, so that a machine that slows down slows down all of them. Run as
`python benchmarks/judging.py [--corpus FOLDER] [--rounds N]`; without a corpus the records are made
from the examples.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from cds.cards.answer import response
from cds.cards.judge import Judged, Setting, judge, read_input, read_request
from cds.cards.wire import encode
from cds.chart.document import decode
from cds.chart.lazy import parse_lazily
from cds.rulebook.pack import load_rulebook, shipped_pack
from cds.values.moment import zone

ROOT = Path(__file__).parent.parent
ZONE = zone("America/New_York")
AUDITED = datetime(2026, 11, 25, 10, tzinfo=ZONE)
CALLED = datetime(2026, 6, 10, 10, tzinfo=ZONE)
# What a record of many years is made of where there is no corpus: types that no rule reads, mostly.
FILLER = ("Observation", "Claim", "Immunization", "DiagnosticReport")


def records(corpus: Path | None) -> list[bytes]:
    """Bundles of one patient each: those of the corpus, or the examples with filler."""
    if corpus is not None:
        paths = sorted(corpus.glob("*.json*"))
        return [
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            for path in paths
        ]
    found = []
    for path in sorted(ROOT.glob("fhir_examples/*/request.json")):
        request = json.loads(path.read_bytes())
        entries = [
            {"resource": item}
            for value in request.get("prefetch", {}).values()
            for item in _resources(value)
        ]
        for number in range(600):
            kind = FILLER[number % len(FILLER)]
            text = f"{kind} {number} of somebody who has been a patient for many years"
            filler = {"resourceType": kind, "id": f"f{number}", "code": {"text": text}}
            entries.append({"resource": filler})
        found.append(json.dumps({"resourceType": "Bundle", "entry": entries}).encode())
    return found


def _resources(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict) or value.get("resourceType") == "OperationOutcome":
        return []
    if value.get("resourceType") == "Bundle":
        return [item["resource"] for item in value.get("entry", [])]
    return [value]


def fastest(steps: dict[str, Callable[[bytes], object]], data: list[bytes], rounds: int) -> None:
    """Prints for each step its time per record and its ratio to the first."""
    best = {name: [float("inf")] * len(data) for name in steps}
    totals: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        spent = dict.fromkeys(steps, 0.0)
        for position, item in enumerate(data):
            for name, step in steps.items():
                begun = time.perf_counter()
                step(item)
                taken = time.perf_counter() - begun
                spent[name] += taken
                best[name][position] = min(best[name][position], taken)
        for name, taken in spent.items():
            totals[name].append(taken)
    first = next(iter(steps))
    base = sum(best[first])
    for name in steps:
        ratios = [one / two for one, two in zip(totals[name], totals[first], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        each = sum(best[name]) / len(data) * 1000
        print(
            f"  {name:32} {each:8.3f} ms a record, ratio {sum(best[name]) / base:6.2f}"
            f" (median of turns {statistics.median(ratios):.2f}, {spread})"
        )


def start_up(command: list[str]) -> None:
    """Prints how long a command takes as a whole process."""
    taken = []
    for _ in range(7):
        begun = time.perf_counter()
        subprocess.run(command, check=False, cwd=ROOT, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    shown = " ".join(command[1:4])
    print(f"  {shown:32} {statistics.median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f})")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, help="folder of Bundles, .gz is read")
    options.add_argument("--rounds", type=int, default=9)
    chosen = options.parse_args()
    begun = time.perf_counter()
    rulebook = load_rulebook(shipped_pack())
    print(f"rulebook ready in {(time.perf_counter() - begun) * 1000:.0f} ms")

    audited = Setting(rulebook, AUDITED, ZONE, "audit")
    data = records(chosen.corpus)
    print(f"{len(data)} records, {sum(map(len, data)) / 1e6:.1f} MB, as in an audit")

    def judged(item: bytes) -> list[Judged]:
        return list(judge(read_input(item, "record", audited), "record", audited))

    fastest(
        {
            "orjson.loads": orjson.loads,
            "parsed without objects": parse_lazily,
            "read": lambda item: read_input(item, "record", audited),
            "read and judged": judged,
        },
        data,
        chosen.rounds,
    )

    called = Setting(rulebook, CALLED, ZONE)
    calls = [path.read_bytes() for path in sorted(ROOT.glob("fhir_examples/*/request.json"))]
    print(f"{len(calls)} hook requests of the examples, with their cards")

    def answered(item: bytes) -> list[bytes]:
        charts = read_request(decode(item), "call", called)
        found = judge(charts, "call", called)
        return [encode(response(one.answer, rulebook).as_json()) for one in found]

    fastest(
        {
            "orjson.loads": orjson.loads,
            "decoded": decode,
            "read": lambda item: read_request(decode(item), "call", called),
            "read, judged, written": answered,
        },
        calls,
        chosen.rounds,
    )
    print("whole commands, median of seven")
    program = [sys.executable, "-m", "cds"]
    start_up([*program, "--help"])
    start_up([*program, "check", "fhir_examples/01-opioid-active", "--as-of", CALLED.isoformat()])


if __name__ == "__main__":
    main()
