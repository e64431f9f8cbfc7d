"""Audits on Spark: the same files as on one machine, whatever happens to its processes."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cds import cli
from cds.audit.hands import Local
from cds.audit.inputs import Record
from cds.audit.memory import memory_of
from cds.audit.outcome import Outcome
from cds.audit.pool import Pool
from cds.audit.spark import session, tasks
from cds.audit.spark.edition import Edition, MismatchError
from cds.audit.spark.failure import why_failed
from cds.audit.spark.session import Target, spark_context
from cds.rulebook.pack import shipped_pack
from cds.rulebook.site import Site
from tests.audit.population import (
    FILES,
    LDN,
    WHEN,
    by_reference,
    ndjson,
    population,
    write_bundles,
    write_export,
)
from tests.records import Json, person, setting
from tests.test_cli import cds

OF_PATIENTS = {"findings.ndjson", "findings.parquet", "problems.ndjson"}
pytestmark = pytest.mark.filterwarnings("ignore")

on_spark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("pyspark") is None or not (os.environ.get("JAVA_HOME") or shutil.which("java")),
        reason="PySpark or Java is not installed: `make system` installs them",
    ),
]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A context of two workers, for all tests here."""
    with spark_context(Target("local[2]", shipped_pack(), Site())) as context:
        yield context


def started(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    """The exit code of `cds` in this process, where the context is."""
    monkeypatch.setattr(sys, "argv", ["cds", *map(str, args)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def local_files(source: Path, code: int = 0) -> dict[str, bytes]:
    """What a run on this machine writes."""
    out = source.with_name(f"{source.name}-local")
    done = cds("audit", source, "--out", out, "--workers", 1, *WHEN)
    assert done.returncode == code, done.stderr
    found = files(out)
    assert found["findings.ndjson"]
    return found


# -- the same files --------------------------------------------------------------------------------


def medication(name: str, text: str, *, version: int = 1, of: str = "") -> Json:
    found: Json = {
        "resourceType": "Medication",
        "id": name,
        "meta": {"versionId": str(version)},
        "code": {"text": text},
    }
    if of:
        found["ingredient"] = [{"itemReference": {"reference": f"Medication/{of}"}}]
    return found


def write_odd_export(folder: Path) -> None:
    """Parts in any order, shared Medications, and lines that are wrong in several ways."""
    people = population(40)
    for number in range(100, 130):
        name = f"q{number}"
        kind = ("m1", "m2", "nested", "gone")[number % 4]
        people[name] = [person(name), by_reference(f"{name}-o", name, kind)]
    write_export(folder, people, seed=3)
    old, new = medication("m1", "something else"), medication("m1", LDN, version=2)
    inner = medication("inner", LDN)
    nested = {**medication("nested", "", of="inner"), "code": {}}
    unasked = medication("unasked", LDN)
    (folder / "0.Medication.ndjson").write_text(ndjson([new, nested, unasked]))
    rest = ndjson([old, medication("m2", "oxycodone 5 MG Oral Tablet"), inner])
    (folder / "1.Medication.ndjson.gz").write_bytes(gzip.compress(rest.encode()))
    wrong = {"resourceType": "Observation", "id": "w", "subject": {"reference": "Group/g"}}
    with (folder / "2.Condition.ndjson").open("w") as file:
        file.write(ndjson([{**people["p01"][-1], "id": "more"}]))
        file.write('{"resourceType": "Condition", "id": \n\n')
        file.write(ndjson([wrong, {"resourceType": "Condition", "id": "nobody"}]))
    damaged = gzip.compress(ndjson([person("lost")] * 50).encode())[:60]
    (folder / "3.Procedure.ndjson.gz").write_bytes(damaged)


@pytest.mark.usefixtures("spark")
class TestOnSpark:
    pytestmark = on_spark

    def test_bundles(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_bundles(tmp_path / "in", population(40))
        (tmp_path / "in" / "p07.json").write_text("{")
        # From a name that is not absolute: it means the same in an executor.
        monkeypatch.chdir(tmp_path)
        args = ("audit", "in", "--out", "out", "--csv", *WHEN, "--on", "local[2]")
        assert started(monkeypatch, *args) == 1
        done = cds("audit", "in", "--out", "local", "--csv", "--workers", 1, *WHEN)
        assert done.returncode == 1
        assert files(tmp_path / "out") == files(tmp_path / "local")
        assert set(files(tmp_path / "out")) == FILES | {"findings.csv", "summary.csv"}

    def test_counts_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_bundles(tmp_path / "in", population(24))
        args = ("audit", tmp_path / "in", "--suppress", 5, "--csv", *WHEN)
        assert started(monkeypatch, *args, "--out", tmp_path / "out", "--on", "local[2]") == 0
        assert cds(*args, "--out", tmp_path / "local", "--workers", 1).returncode == 0
        found = files(tmp_path / "out")
        assert found == files(tmp_path / "local")
        assert set(found) == FILES - OF_PATIENTS | {"summary.csv"}

    def test_an_export(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        source = tmp_path / "in"
        write_odd_export(source)
        expected = local_files(source, code=1)
        # The Medications arrived: of those that are named only by reference there are findings.
        lines = [json.loads(line) for line in expected["findings.ndjson"].splitlines()]
        assert {line["patient"][-1] for line in lines if line["patient"].startswith("q")} >= set(
            "0246"
        )
        args = ("audit", source, "--out", tmp_path / "out", *WHEN, "--on", "local[2]")
        assert started(monkeypatch, *args) == 1
        assert files(tmp_path / "out") == expected

    @pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
    @pytest.mark.parametrize("whom", ["worker", "child"])
    def test_a_process_that_is_killed_changes_no_byte(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whom: str
    ) -> None:
        write = write_bundles if whom == "child" else write_export
        write(tmp_path / "in", population(120))
        expected = local_files(tmp_path / "in")
        killed: list[int] = []
        killer = threading.Thread(target=kill_one, args=(whom, killed))
        killer.start()
        args = ("audit", tmp_path / "in", "--out", tmp_path / "out", *WHEN, "--on", "local[2]")
        assert started(monkeypatch, *args) == 0
        killer.join()
        assert killed
        assert files(tmp_path / "out") == expected


def kill_one(whom: str, killed: list[int]) -> None:
    """Kills the first child of a Python worker here that is seen at work, or that worker."""
    for _ in range(5000):
        for child in filter(busy, judges()):
            pid = child if whom == "child" else parent(child)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.002)


def judges() -> list[int]:
    """The processes that judge: children of the workers of the daemon that Spark starts."""
    daemons = [pid for pid in descendants(os.getpid()) if b"pyspark.daemon" in command(pid)]
    first = [pid for pid in daemons if parent(pid) not in daemons]
    return [child for pid in first for worker in children(pid) for child in children(worker)]


def busy(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    return [item for child in children(pid) for item in (child, *descendants(child))]


def children(pid: int) -> list[int]:
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    except OSError:
        return found
    return found


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


# -- what an executor does, without Spark ----------------------------------------------------------


class Sent:
    """Stands for what Spark broadcasts."""

    def __init__(self, edition: Edition) -> None:
        self.value = edition


def edition_here() -> Edition:
    return Edition.of(setting(), shipped_pack(), Site())


def judged(parcel: tasks.Parcel, *chunks: tuple[Record, ...]) -> list[Any]:
    found = tasks.judge_chunks(parcel, chunks)
    return [tasks.unpacked(item) if isinstance(item, bytes) else item for item in found]


def test_a_record_that_kills_its_process_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "poison", "b"):
        (tmp_path / name).write_text("{}")

    def judge(records: tuple[Record, ...]) -> Outcome:
        if any(record.name.endswith("poison") for record in records):
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(findings=[record.name.encode() for record in records])

    with Pool({"records": judge}, 1) as pool:
        parcel = tasks.Parcel("poison", Sent(edition_here()))
        monkeypatch.setitem(tasks._hands, "poison", Local(pool, memory_of(1)))
        records = [Record(str(tmp_path / name)) for name in ("a", "poison", "b")]
        (found,) = judged(parcel, tuple(records))
    assert [Path(line.decode()).name for line in found.findings] == ["a", "b"]
    (problem,) = map(json.loads, found.problems)
    assert problem["kind"] == "worker"
    assert problem["file"].endswith("poison")


def test_an_executor_that_does_not_see_the_inputs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pool({}, 1) as pool:
        monkeypatch.setitem(tasks._hands, "blind", Local(pool, memory_of(1)))
        parcel = tasks.Parcel("blind", Sent(edition_here()))
        (found,) = judged(parcel, (Record("/not/here/a.json"),))
    assert "does not see the folder /not/here; accepted: inputs in a file system" in found.why


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": "0.0.1"}, r"the executors have cds \S+, the driver has 0\.0\.1; accepted"),
        ({"code": "other"}, "is not the driver's, though it says the same version"),
        ({"rulebook": "sha256:0"}, "an executor makes rulebook sha256:.* the driver has sha256:0;"),
        ({"pack": {"pack.yaml": b"id: x"}}, "the rules cannot be read on an executor"),
    ],
)
def test_an_executor_that_would_judge_otherwise_refuses(change: dict[str, Any], told: str) -> None:
    other = edition_here()
    values = {name: getattr(other, name) for name in other.__struct_fields__}
    with pytest.raises(MismatchError, match=told):
        Edition(**{**values, **change}).opened()


def test_what_travels_makes_the_same_setting() -> None:
    here = setting()
    there = Edition.of(here, shipped_pack(), Site()).opened()
    assert there.rulebook.digest == here.rulebook.digest
    assert (there.as_of, there.zone, there.hook) == (here.as_of, here.zone, here.hook)


# -- what is missing, what failed ------------------------------------------------------------------


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: object
) -> str:
    """What is told of a call that cannot be used."""
    assert started(monkeypatch, "audit", "in", "--out", "out", *WHEN, *args) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "Traceback" not in err
    return err


def test_without_pyspark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    told = refused(monkeypatch, capsys, "--on", "local[2]")
    assert "pip install 'cds-rules-engine[spark]'" in told


JAVA = "#!/bin/sh\necho 'openjdk version \"{}\" 2020-01-01' >&2\n"


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (
            None,
            "--on needs Java, which is not there; accepted: a Java runtime, version 17 or later",
        ),
        ("1.8.0_292", "is Java 8; accepted: a Java runtime, version 17 or later"),
        ("11.0.11", "is Java 11; accepted"),
    ],
)
def test_without_java(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str | None,
    told: str,
) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: object())
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if version is not None:
        java = tmp_path / "java"
        java.write_text(JAVA.format(version))
        java.chmod(0o755)
    assert told in refused(monkeypatch, capsys, "--on", "local[2]")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--on", "hadoop"), "--on: 'hadoop' is no cluster; accepted: local[N], "),
        (("--on", "yarn", "--workers", 2), "--workers: are processes of this machine"),
        (("--on", "yarn", "--spark-conf", "memory"), "accepted: spark.NAME=VALUE"),
        (("--spark-conf", "spark.a=b"), "--spark-conf: there is no cluster to set it for"),
    ],
)
def test_calls_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[object, ...],
    told: str,
) -> None:
    assert told in refused(monkeypatch, capsys, *args)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("...\nModuleNotFoundError: No module named 'cds'\n", "the executors' Python has no 'cds'"),
        ("OSError: [Errno 28] No space left on device", "an executor's disk is full"),
        ("java.lang.OutOfMemoryError: Java heap space", "Java ran out of memory"),
        ("ExecutorLostFailure (executor 3 exited)", "executors, or their Python processes, died"),
        ("ValueError: the name of patient p1", "Spark gave up (ValueError)"),
        ("the name of patient p1", "Spark gave up (RuntimeError)"),
    ],
)
def test_why_spark_failed(text: str, told: str) -> None:
    found = why_failed(RuntimeError(text))
    assert found.startswith(told)
    assert "p1" not in found
