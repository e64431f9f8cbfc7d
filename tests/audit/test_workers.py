"""Workers may die: the rest goes on, and one poison input costs itself alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cds.audit.inputs import Record
from cds.audit.pool import JobError, Lost, Pool
from cds.audit.spill import Spill, partitions, rank
from cds.audit.work import Patients, halve_patients, lost_patients, lost_records
from tests.audit.population import WHEN, content, population, run, write_bundles, write_export
from tests.records import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def doubled(items: tuple[int, ...]) -> list[int]:
    """Doubles numbers; 13 kills its process, always."""
    if 13 in items:
        die()
    return [2 * item for item in items]


def halves(items: tuple[int, ...]) -> Sequence[tuple[int, ...]]:
    middle = len(items) // 2
    return [items[:middle], items[middle:]] if middle else []


CHUNKS = [tuple(range(start, start + 5)) for start in range(0, 40, 5)]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_results_come_in_order_and_the_poison_alone_is_lost(size: int) -> None:
    with Pool({"double": doubled}, size) as pool:
        found = list(pool.run("double", iter(CHUNKS), halves))
        assert len(found) == len(CHUNKS)
        flat: list[Any] = []
        for results in found:
            for result in results:
                flat += [result] if isinstance(result, Lost) else result
        assert flat[13] == Lost((13,))
        assert [item for item in flat if not isinstance(item, Lost)] == [
            2 * number for number in range(40) if number != 13
        ]
        assert pool.deaths > 2
        # The pool still works.
        assert list(pool.run("double", [(1,)], halves)) == [[[2]]]


def test_a_process_that_dies_once_costs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "died"

    def once(items: tuple[int, ...]) -> list[int]:
        if 7 in items and not mark.exists():
            mark.touch()
            die()
        return list(items)

    with Pool({"once": once}, 2) as pool:
        assert list(pool.run("once", CHUNKS, halves)) == [[list(chunk)] for chunk in CHUNKS]
        assert pool.deaths == 1


def test_what_is_no_fault_of_an_input_ends_the_run() -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with Pool({"full": full}, 2) as pool, pytest.raises(JobError, match="No space left"):
        list(pool.run("full", CHUNKS, halves))


def test_items_are_taken_as_they_are_needed() -> None:
    taken = 0

    def items() -> Any:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield (number,)

    def first_last(chunk: tuple[int, ...]) -> None:
        time.sleep(0.5 if 0 in chunk else 0)

    with Pool({"job": first_last}, 2) as pool:
        next(pool.run("job", items(), halves))
        # Those that wait for the first one's turn are as many as can be held.
        assert taken <= 9


def test_lost_inputs_are_named() -> None:
    found = lost_records((Record("a.json"), Record("b.json"), Record("c.ndjson", line=7)))
    told = [json.loads(line) for line in found.problems]
    assert [line["file"] for line in told] == ["a.json", "b.json", "c.ndjson"]
    assert [line["line"] for line in told] == [None, None, 7]
    assert {line["kind"] for line in told} == {"worker"}
    assert found.tally.unreadable == 3


def test_patients_of_an_export_are_halved_down_to_one(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "lines", 4)
    for number in range(50):
        spill.held[f"Patient/p{number}"].append(b"{}")
    spill.close()
    found = partitions(4, [spill.path])
    everyone = [key for part in found for key in part.patients()]
    assert everyone == sorted(everyone, key=lambda key: (rank(key), key))
    assert len(everyone) == 50
    work = [Patients("export", part, {}) for part in found]
    single: list[Patients] = []
    while work:
        item = work.pop(0)
        parts = halve_patients(item)
        work = [*parts, *work]
        single += [] if parts or not item.partition.patients() else [item]
    assert [item.partition.patients() for item in single] == [[key] for key in everyone]
    told = json.loads(lost_patients(single[0]).problems[0])
    assert told["patient"] == everyone[0].decode()


def test_the_order_of_patients_does_not_depend_on_the_number_of_partitions(tmp_path: Path) -> None:
    orders = []
    for bits in (4, 7, 11):
        spill = Spill(tmp_path / f"lines-{bits}", bits)
        for number in range(500):
            spill.held[f"Patient/p{number}"].append(b"{}")
        spill.close()
        found = partitions(bits, [spill.path])
        orders.append([key for part in found for key in part.patients()])
    assert orders[0] == orders[1] == orders[2]


# -- from outside ------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def started(*args: object, **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cds", "audit", *map(str, args), *WHEN],
        **more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def first_child(process: subprocess.Popen[bytes]) -> int:
    """A worker's id, as soon as there is one."""
    while process.poll() is None:
        found = children(process.pid)
        if found:
            return found[0]
        time.sleep(0.002)
    pytest.fail("no worker was seen before the audit ended")


needs_proc = pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(),
    reason="the system does not list the children of a process",
)


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("kind", ["bundles", "export"])
def test_a_worker_that_is_killed_changes_no_byte(tmp_path: Path, kind: str) -> None:
    write = write_bundles if kind == "bundles" else write_export
    write(tmp_path / "in", population(250))
    run(tmp_path / "in", tmp_path / "calm")
    process = started(tmp_path / "in", "--workers", 2, "--out", tmp_path / "out")
    os.kill(first_child(process), signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert content(tmp_path / "out") == content(tmp_path / "calm")


@pytest.mark.slow
@needs_proc
def test_ctrl_c_ends_cleanly_and_keeps_what_was_judged(tmp_path: Path) -> None:
    write_bundles(tmp_path / "in", population(250))
    run(tmp_path / "in", tmp_path / "calm")
    process = started(tmp_path / "in", "--workers", 2, "--out", tmp_path / "out")
    workers = [first_child(process)]
    journal = tmp_path / "out" / ".audit" / "journal"
    while journal.stat().st_size < 10_000:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().strip() == (
        f"cds: interrupted: what was judged is kept in {tmp_path / 'out'}, and the same call with"
        " --resume goes on"
    )
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    run(tmp_path / "in", "--resume", tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "calm")


@pytest.mark.slow
@needs_proc
def test_ctrl_c_before_anything_was_judged_leaves_nothing(tmp_path: Path) -> None:
    process = started("-", "--out", tmp_path / "out", stdin=subprocess.PIPE)
    while not (tmp_path / "out").exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().strip() == "cds: interrupted: nothing was written"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@needs_proc
def test_workers_end_when_their_parent_is_gone(tmp_path: Path) -> None:
    write_bundles(tmp_path / "in", population(250))
    process = started(tmp_path / "in", "--workers", 2, "--out", tmp_path / "out")
    worker = first_child(process)
    process.kill()
    process.communicate(timeout=60)
    for _ in range(500):
        if not Path(f"/proc/{worker}").exists():
            return
        time.sleep(0.02)
    pytest.fail("the worker is still there")
