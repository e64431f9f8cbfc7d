"""How fast an audit is, relative to parsing its bytes with orjson in the same run.

    python benchmarks/audit.py [--patients 100] [--runs 3] [--memory 4] [--corpus FOLDER]

Bundles and an NDJSON export of N and of 2 N distinct patients are audited; what counts is the time
of 2 N minus the time of N over the bytes that were added, so that starting costs nothing. Memory is
the largest resident set of the audit and its workers at 1, 4 and 16 times an export.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cds.audit.run import Options, audit  # noqa: E402
from cds.cards.judge import Setting  # noqa: E402
from cds.engine.needs import resource_types  # noqa: E402
from cds.rulebook.pack import load_rulebook, shipped_pack  # noqa: E402

SETTING = Setting(
    load_rulebook(shipped_pack()), datetime(2026, 6, 1, 12, tzinfo=UTC), ZoneInfo("UTC"), "audit"
)


# -- populations -----------------------------------------------------------------------------------


def sources(corpus: Path) -> list[bytes]:
    """Bundles to copy: the corpus if it is there, else generated records of about 200 kB."""
    found = sorted((corpus / "synthea-bundles").glob("*.json.gz"))
    if found:
        return [gzip.decompress(path.read_bytes()) for path in found]
    return [json.dumps(generated(number)).encode() for number in range(20)]


def generated(number: int) -> dict[str, Any]:
    """A made-up record: what rules read, in six times as much that they do not."""
    name = f"00000000-0000-4000-8000-{number:012}"
    subject = {"subject": {"reference": f"Patient/{name}"}}
    coding = {"system": "http://snomed.info/sct", "code": "38341003", "display": "Hypertension"}
    kinds = ["Condition", "Procedure", *["Claim"] * 6, "DiagnosticReport", "Immunization"]
    resources: list[dict[str, Any]] = [{"resourceType": "Patient", "id": name}]
    for position in range(300):
        kind = kinds[position % len(kinds)]
        resources.append(
            {
                "resourceType": kind,
                "id": f"{name}-{position}",
                "status": "completed",
                "code": {"coding": [coding]},
                "performedDateTime": f"20{position % 25:02}-03-01T10:00:00Z",
                "text": {"status": "generated", "div": "<div>" + "text " * 60 + "</div>"},
                **subject,
            }
        )
    entries = [{"resource": item} for item in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def copies(bundles: list[bytes], first: int, count: int) -> Iterator[bytes]:
    """Distinct patients: each copy of a Bundle has its own ids, of the same length."""
    ids = [_patient_id(data) for data in bundles]
    for number in range(first, first + count):
        which = number % len(bundles)
        old = ids[which].encode()
        yield bundles[which].replace(old, f"{number:08x}".encode() + old[8:])


def _patient_id(data: bytes) -> str:
    entries = orjson.loads(data)["entry"]
    people = [item["resource"] for item in entries if item["resource"]["resourceType"] == "Patient"]
    return str(people[0]["id"])


def write_bundles(folder: Path, bundles: list[bytes], first: int, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(copies(bundles, first, count), first):
        (folder / f"{number:06}.json").write_bytes(data)


def write_export(folder: Path, bundles: list[bytes], count: int) -> None:
    """The same patients as an export: a plain file a type."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in copies(bundles, 0, count):
        lines: dict[str, list[bytes]] = {}
        for item in orjson.loads(data)["entry"]:
            found = item["resource"]
            line = orjson.dumps(found).replace(b'"urn:uuid:', b'"Patient/')
            lines.setdefault(found["resourceType"], []).append(line + b"\n")
        for kind, new in lines.items():
            with (folder / f"{kind}.000.ndjson").open("ab") as file:
                file.writelines(new)


def size_of(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


# -- measuring -------------------------------------------------------------------------------------


def run_audit(folder: Path, workers: int) -> float:
    out = Path(tempfile.mkdtemp(prefix="audit-out-"))
    started = time.perf_counter()
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        audit([str(folder)], SETTING, Options(out, workers))
    taken = time.perf_counter() - started
    shutil.rmtree(out)
    return taken


def parse_files(paths: list[Path]) -> float:
    """Seconds that orjson needs for the bytes of the files, in memory."""
    texts = [path.read_bytes() for path in paths]
    started = time.perf_counter()
    for text in texts:
        orjson.loads(text)
    return time.perf_counter() - started


def parse_lines(paths: list[Path]) -> float:
    """The same, line by line, for one file after the other."""
    taken = 0.0
    for path in paths:
        lines = path.read_bytes().splitlines()
        started = time.perf_counter()
        for line in lines:
            orjson.loads(line)
        taken += time.perf_counter() - started
    return taken


def repeated(runs: int, measure: Callable[[], tuple[float, ...]]) -> list[list[float]]:
    """The values of several runs, by column, after one that does not count."""
    measure()
    return [list(column) for column in zip(*(measure() for _ in range(runs)), strict=True)]


def told(values: list[float], unit: str = "") -> str:
    return f"{statistics.median(values):.3f}{unit} ({min(values):.3f}-{max(values):.3f})"


def measure_bundles(base: Path, bundles: list[bytes], patients: int, runs: int) -> None:
    write_bundles(base / "n", bundles, 0, patients)
    write_bundles(base / "added", bundles, patients, patients)
    shutil.copytree(base / "n", base / "2n")
    shutil.copytree(base / "added", base / "2n", dirs_exist_ok=True)
    added = sorted((base / "added").iterdir())
    print(f"Bundles: N = {patients} patients, {size_of(added) / 1e6:.1f} MB added by 2 N")

    def once() -> tuple[float, ...]:
        parse = parse_files(added)
        one, two = run_audit(base / "n", 1), run_audit(base / "2n", 1)
        both = run_audit(base / "2n", 2)
        both_n = run_audit(base / "n", 2)
        return parse, one, two, (two - one) / parse, two / both, (two - one) / (both - both_n)

    parse, one, two, ratio, gain, gain_added = repeated(runs, once)
    print(f"  orjson.loads of the added bytes      {told(parse, ' s')}")
    print(f"  audit of N, of 2 N, one worker       {told(one, ' s')}, {told(two, ' s')}")
    print(f"  added time / orjson                  {told(ratio)}")
    print(f"  two workers: throughput of 2 N       {told(gain, ' x')}")
    print(f"  two workers: throughput of what is added  {told(gain_added, ' x')}")


def measure_export(base: Path, bundles: list[bytes], patients: int, runs: int) -> None:
    write_export(base / "n", bundles, patients)
    write_export(base / "2n", bundles, 2 * patients)
    wanted = resource_types(SETTING.rulebook, "audit")
    every = sorted((base / "n").iterdir())
    read = [path for path in every if path.name.split(".")[0] in wanted]
    sizes = f"{size_of(every) / 1e6:.1f} MB, {size_of(read) / 1e6:.1f} MB of it in files read"
    print(f"Export: N = {patients} patients, {sizes}")

    def once() -> tuple[float, ...]:
        parse_all, parse_read = parse_lines(every), parse_lines(read)
        one, two = run_audit(base / "n", 1), run_audit(base / "2n", 1)
        both = run_audit(base / "2n", 2)
        taken = two - one
        return one, two, taken / parse_all, taken / parse_read, two / both

    one, two, of_all, of_read, gain = repeated(runs, once)
    print(f"  audit of N, of 2 N, one worker       {told(one, ' s')}, {told(two, ' s')}")
    print(f"  added time / orjson of all files     {told(of_all)}")
    print(f"  added time / orjson of files read    {told(of_read)}")
    print(f"  two workers: throughput of 2 N       {told(gain, ' x')}")


def peak(folder: str, link: Any) -> None:
    """In a process of its own: the largest resident set of an audit and of its worker, in MiB."""
    run_audit(Path(folder), 1)
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    link.send((own_peak() / 1024, worker / 1024))


def own_peak() -> int:
    """KiB; where the kernel tells, without what the process that started this one had used."""
    status = Path("/proc/self/status")
    if status.exists():
        found = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(found[0].split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure_memory(base: Path, bundles: list[bytes], patients: int) -> None:
    context = multiprocessing.get_context("spawn")
    for times in (1, 4, 16):
        folder = base / f"x{times}"
        write_export(folder, bundles, patients * times)
        ours, theirs = context.Pipe()
        process = context.Process(target=peak, args=(str(folder), theirs))
        process.start()
        parent, worker = ours.recv()
        process.join()
        size = size_of(list(folder.iterdir())) / 1e6
        print(f"  x{times:<2} {size:7.1f} MB  parent {parent:6.1f} MiB  worker {worker:6.1f} MiB")
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patients", type=int, default=100, help="N")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", type=int, default=4, help="patients of the smallest export")
    parser.add_argument("--corpus", type=Path, default=ROOT.parent / "shared" / "corpus")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = f"Python {platform.python_version()}, orjson {orjson.__version__}"
    print(f"{platform.machine()}, {cores} cores, {versions}; median (range) of {args.runs} runs")
    bundles = sources(args.corpus)
    with tempfile.TemporaryDirectory(prefix="audit-bench-") as folder:
        base = Path(folder)
        measure_bundles(base / "bundles", bundles, args.patients, args.runs)
        shutil.rmtree(base / "bundles")
        measure_export(base / "export", bundles, args.patients, args.runs)
        shutil.rmtree(base / "export")
        print("Memory of an export, one worker, at 1, 4 and 16 times the patients")
        measure_memory(base / "memory", bundles, args.memory)


if __name__ == "__main__":
    main()
