"""A run that was killed anywhere goes on with `--resume`, to the bytes of one that was not."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
from pathlib import Path

import pytest

from cds.audit.run import Options
from tests.audit.killing import KILLED, die_when_judged, run, run_and_die, steps_of
from tests.audit.population import (
    WHEN,
    content,
    population,
    write_bundles,
    write_export,
)
from tests.test_cli import cds

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

SEEDS = {"bundles": range(5), "export": range(5, 10)}
"""Ten points at which a run is killed; with CDS_FUZZ ten times as many for each kind of input."""


@pytest.fixture(scope="module", params=["bundles", "export"])
def inputs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of which several make a chunk, or an export in several parts."""
    folder = tmp_path_factory.mktemp(str(request.param))
    if request.param == "bundles":
        write_bundles(folder / "in", population(36))
    else:
        write_export(folder / "in", population(16), seed=3)
        with (folder / "in" / "2.Condition.ndjson").open("a") as file:
            file.write("no json\n")
    return folder / "in"


@pytest.fixture(scope="module")
def whole(inputs: Path) -> dict[str, bytes]:
    out = inputs.parent / "whole"
    run([str(inputs)], Options(out))
    return content(out)


def test_killed_anywhere_and_resumed_it_writes_the_same_bytes(
    inputs: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """With one worker, with two, and resumed with the other number."""
    more = int(os.environ.get("CDS_FUZZ") or 0)
    seeds = range(50) if more else SEEDS[inputs.parent.name.rstrip("0123456789")]
    steps = steps_of([str(inputs)], Options(tmp_path / "counted"))
    assert steps > 20
    for seed in seeds:
        out = tmp_path / str(seed)
        step = random.Random(seed).randrange(steps)
        assert run_and_die([str(inputs)], Options(out, 1 + seed % 2), step) == KILLED
        code = run([str(inputs)], Options(out, 2 - seed % 2, resume=True))
        assert code in (0, 1), (seed, step)
        assert content(out) == whole, (seed, step)
        assert {path.name for path in out.iterdir()} == set(whole)


def test_killed_again_and_again_it_gets_there(
    inputs: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for _ in range(30):
        if run_and_die([str(inputs)], Options(out, 2, resume=True), 40) != KILLED:
            break
    assert content(out) == whole


# -- what can be resumed ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two chunks of records, ``in``, and what a whole audit makes of it, ``whole``."""
    base = tmp_path_factory.mktemp("records")
    write_bundles(base / "in", population(20))
    return base


@pytest.fixture(scope="module")
def steps(records: Path) -> int:
    """How many steps an audit of ``records`` takes, which is ``whole`` then."""
    return steps_of([str(records / "in")], Options(records / "whole"))


@pytest.fixture(scope="module")
def half(records: Path) -> Path:
    assert die_when_judged([str(records / "in")], Options(records / "half")) == KILLED
    return records / "half"


@pytest.fixture
def halted(half: Path, tmp_path: Path) -> Path:
    """The folder of an audit of ``records`` that was killed when its first chunk was judged."""
    assert {path.name for path in half.iterdir()} == {".audit"}
    shutil.copytree(half, tmp_path / "out")
    return tmp_path / "out"


def resumed(records: Path, out: Path, *more: object) -> tuple[int, str]:
    done = cds("audit", records / "in", "--out", out, *WHEN, "--resume", *more)
    return done.returncode, done.stderr


def test_an_interrupted_audit_is_not_begun_anew_unasked(records: Path, halted: Path) -> None:
    done = cds("audit", records / "in", "--out", halted, *WHEN)
    assert done.returncode == 2
    assert "holds an audit that was interrupted" in done.stderr
    assert "--resume" in done.stderr
    assert resumed(records, halted)[0] == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--hook", "patient-view"], "--hook was 'audit' and is 'patient-view'"),
        (["--as-of", "2026-06-11T10:00:00-04:00"], "--as-of was '2026-06-10T10:00:00-04:00'"),
        (["--timezone", "Europe/Vienna"], "--timezone was 'America/New_York'"),
        (["--disable", "dq"], "rulebook"),
        (["--patient", "p01"], "--patient was '' and is 'p01'"),
        (["--every", "order"], "--every was '' and is 'order'"),
        (["fhir_examples"], "is new"),
    ],
)
def test_another_audit_than_the_interrupted_one_is_refused(
    records: Path, halted: Path, more: list[str], told: str
) -> None:
    code, err = resumed(records, halted, *more)
    assert code == 2
    assert f"the audit in {halted} was about something else" in err
    assert told in err
    assert (halted / ".audit" / "journal").exists()


def test_an_input_that_has_changed_is_named(records: Path, halted: Path) -> None:
    path = records / "in" / "p07.json"
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(before + b" ")
    code, err = resumed(records, halted)
    path.write_bytes(before)
    assert code == 2
    assert f"input {path} has changed ({len(before)} bytes then, {len(before) + 1} now" in err
    path.rename(records / "moved")
    code, err = resumed(records, halted)
    (records / "moved").rename(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert code == 2
    assert f"p08.json stands where {path} stood" in err
    assert resumed(records, halted)[0] == 0


def test_a_run_without_an_as_of_keeps_its_own(records: Path, steps: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert die_when_judged([str(records / "in")], Options(out, now=True)) == KILLED
    zone = ("--timezone", "America/New_York")
    done = cds("audit", records / "in", "--out", out, *zone, "--resume")
    assert done.returncode == 0, done.stderr
    assert content(out) == content(records / "whole")


def test_a_finished_audit_is_whole_already(tmp_path: Path) -> None:
    write_bundles(tmp_path / "in", population(3))
    first = cds("audit", tmp_path / "in", "--out", tmp_path / "out", *WHEN, "--resume")
    before = content(tmp_path / "out")
    again = cds("audit", tmp_path / "in", "--out", tmp_path / "out", *WHEN, "--resume")
    assert first.returncode == again.returncode == 0
    assert again.stdout == first.stdout
    assert "was whole already: nothing was judged again" in again.stderr
    assert content(tmp_path / "out") == before
    other = cds(
        *("audit", tmp_path / "in", "--out", tmp_path / "out", *WHEN, "--resume"),
        *("--hook", "patient-view"),
    )
    assert other.returncode == 2
    assert "is whole, and was about something else: --hook was 'audit'" in other.stderr


def test_a_whole_audit_that_was_not_cleaned_up_is_whole(
    records: Path, steps: int, tmp_path: Path
) -> None:
    for before_the_end in (1, 3, 5):
        out = tmp_path / str(before_the_end)
        step = steps - before_the_end
        assert run_and_die([str(records / "in")], Options(out), step) == KILLED
        assert (out / ".audit").exists()
        assert run([str(records / "in")], Options(out, resume=True)) == 0
        assert content(out) == content(records / "whole")
        assert not (out / ".audit").exists()


def test_of_two_audits_into_one_folder_the_second_is_refused(records: Path, halted: Path) -> None:
    with (halted / ".audit" / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.truncate()
        lock.flush()
        code, err = resumed(records, halted)
    assert code == 2
    assert f"another audit (process {os.getpid()}) writes into {halted}" in err
    assert resumed(records, halted)[0] == 0
