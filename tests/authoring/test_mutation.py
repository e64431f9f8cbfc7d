"""`cds test --mutate`: small changes of a pack, and the scenarios that should notice them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from cds.authoring.mutation.book import Book
from cds.authoring.mutation.edit import Page
from cds.authoring.mutation.mutant import Mutant
from cds.authoring.scenario import Runner, read_suite
from cds.rulebook.pack import RulebookError, load_rulebook, shipped_pack
from cds.rulebook.sentence import parse_test
from cds.rulebook.site import Site
from cds.rulebook.syntax import spoken
from tests.authoring.packs import changed, copied, run_tests
from tests.records import CONTRAST
from tests.test_cli import cds

FIGURE = re.compile(r"mutants: (\d+) killed of (\d+) \((\d+\.\d) %\)")
VITAMIN = "monitor/vitamin.yaml"


def figure(text: str) -> tuple[int, int]:
    match = FIGURE.fullmatch(text.splitlines()[-1])
    assert match is not None, text
    return int(match[1]), int(match[2])


@pytest.fixture(scope="module")
def whole() -> CompletedProcess[str]:
    return run_tests(CONTRAST, "--mutate")


def test_survivors_are_listed_and_counted(whole: CompletedProcess[str]) -> None:
    killed, total = figure(whole.stdout)
    listed = [line for line in whole.stdout.splitlines() if ": survived: " in line]
    assert 0 < killed < total
    assert len(listed) == total - killed
    assert whole.returncode == 1
    assert not whole.stderr


def test_a_survivor_has_its_letter_and_what_was_changed(whole: CompletedProcess[str]) -> None:
    lines = whole.stdout.splitlines()
    limit = "card.levels, critical: creatinine.value is more than creatinine-very-high"
    assert (
        f"contrast/low-kidney-function.yaml:29:18: survived: contrast.low-kidney-function: {limit}:"
        " creatinine.value is more than creatinine-very-high ->"
        " creatinine.value is at least creatinine-very-high"
    ) in lines
    # Boundaries with a scenario on either side do not survive.
    dead = ("creatinine.value is more than creatinine-high", "result-days: 365 days -> 364 days")
    assert not [line for line in lines for change in dead if line.endswith(change)]


def test_what_a_scenario_less_lets_through(tmp_path: Path) -> None:
    """The day before the birthday is what tells `at least` from `more than`."""
    root = copied(tmp_path)
    changed(
        root / "monitor" / "vitamin.scenarios.yaml",
        "    given: [patient: {born: 1961-06-10}, metformin active]",
        "    given: [patient: {born: 1950-06-10}, metformin active]",
    )
    changed(
        root / "monitor" / "vitamin.scenarios.yaml",
        "    given: [patient: {born: 1961}, metformin active]\n    expect: none\n    unknown: [monitor.vitamin]",
        "    given: [metformin active]\n    expect: none",
    )
    done = run_tests(root, "--mutate", "--format", "json", root / "definitions" / "patient.yaml")
    assert done.returncode == 1
    survivors = [json.loads(line) for line in done.stdout.splitlines()]
    assert [
        (item["line"], item["column"], item["before"], item["after"]) for item in survivors
    ] == [
        (5, 12, "65", "66"),
        (11, 12, "it.age is at least old-age", "(unknown as no)"),
        (11, 12, "it.age is at least old-age", "it.age is more than old-age"),
    ]
    assert figure(done.stderr)[1] - figure(done.stderr)[0] == 3


def test_the_result_does_not_depend_on_the_processes(whole: CompletedProcess[str]) -> None:
    from cds.authoring.measure import Measuring, measure_pack

    # In this very process, one after the other.
    with pytest.MonkeyPatch.context() as patch:
        out: list[str] = []
        patch.setattr("sys.stdout.write", out.append)
        assert measure_pack(CONTRAST, None, Site(), Measuring(mutate=True, workers=1)) == 1
    assert "".join(out) == whole.stdout


def test_a_path_limits_the_mutants(tmp_path: Path) -> None:
    root = copied(tmp_path)
    rule = run_tests(root, "--mutate", root / VITAMIN)
    beside = run_tests(root, "--mutate", root / VITAMIN.replace(".yaml", ".scenarios.yaml"))
    assert rule.stdout == beside.stdout
    assert {line.partition(":")[0] for line in rule.stdout.splitlines()} == {VITAMIN, "mutants"}


# -- the pack on the disk ------------------------------------------------------------------------


def written(page: Page, mutant: Mutant) -> str:
    return yaml.safe_dump(mutant.edit.on(page.node).plain(), sort_keys=False, width=10_000)


def fails_on_disk(root: Path) -> bool | None:
    """Whether a scenario of the pack fails; None where lint refuses the pack."""
    try:
        load_rulebook(root)
    except RulebookError:
        return None
    runner = Runner(read_suite(root), Site())
    return any(not outcome.passed for outcome in runner.run_all())


def test_a_mutant_on_the_disk_is_as_dead_as_in_memory(
    tmp_path: Path, whole: CompletedProcess[str]
) -> None:
    book = Book(CONTRAST)
    mutants = random.Random(5).sample(book.mutants(), 24)
    pages = {**book.rules, **book.definitions, **book.valuesets, "precedence.yaml": book.precedence}
    root = copied(tmp_path)
    differing, compared = [], 0
    for mutant in mutants:
        path = root / mutant.place.file
        before = path.read_text("utf-8")
        path.write_text(written(pages[mutant.place.file], mutant), "utf-8")
        survived = f": survived: {mutant.owner}: {mutant.clause}: {mutant.change}\n" in whole.stdout
        failed = fails_on_disk(root)
        compared += failed is not None
        if failed is survived:
            differing.append(mutant.key)
        path.write_text(before, "utf-8")
        _forget_rulebooks()
    assert differing == []
    assert compared >= 20
    assert fails_on_disk(root) is False


def _forget_rulebooks() -> None:
    from cds.authoring import scenario

    scenario._rulebook.cache_clear()
    scenario._whole.cache_clear()


# -- arguments -----------------------------------------------------------------------------------

AUDIT = "\n".join(
    [
        "mutants:",
        "  - in: monitor.vitamin",
        "    clause: hooks",
        '    change: "audit -> (dropped)"',
        "    because: nobody audits it",
        "",
    ]
)


def argued(tmp_path: Path, text: str) -> Path:
    root = copied(tmp_path)
    (root / "equivalent-mutants.yaml").write_text(text, "utf-8")
    return root


def test_an_argued_survivor_is_counted_apart(tmp_path: Path) -> None:
    root = argued(tmp_path, AUDIT)
    plain = copied(tmp_path / "plain")
    bare = run_tests(plain, "--mutate", plain / VITAMIN)
    done = run_tests(root, "--mutate", root / VITAMIN)
    assert figure(done.stdout) == figure(bare.stdout)
    gone = set(bare.stdout.splitlines()) - set(done.stdout.splitlines())
    assert gone == {
        "monitor/vitamin.yaml:7:23: survived: monitor.vitamin: hooks: audit -> (dropped)"
    }
    assert "argued: 1 more survive for a reason that is written down" in done.stdout
    assert cds("lint", root).returncode == 0


def test_an_argument_about_nothing_is_refused(tmp_path: Path) -> None:
    root = argued(tmp_path, AUDIT.replace("audit ->", "order-sign ->"))
    said = "equivalent-mutants.yaml:2:5: monitor.vitamin: hooks: order-sign -> (dropped)"
    done = cds("lint", root)
    assert done.returncode == 1
    assert f"{said}: there is no such mutant (mutant)" in done.stdout
    tried = run_tests(root, "--mutate", root / VITAMIN, "--fail-under", 1)
    assert tried.returncode == 1
    assert "there is no such mutant" in tried.stderr


def test_an_argument_about_a_dead_mutant_is_refused(tmp_path: Path) -> None:
    root = argued(tmp_path, AUDIT.replace("audit ->", "patient-view ->"))
    done = run_tests(root, "--mutate", root / VITAMIN, "--fail-under", 1)
    assert done.returncode == 1
    assert "a scenario fails on it, so it needs no argument" in " ".join(done.stderr.split())
    (root / "equivalent-mutants.yaml").unlink()
    assert run_tests(root, "--mutate", root / VITAMIN, "--fail-under", 1).returncode == 0


def test_an_argument_without_a_reason_is_refused(tmp_path: Path) -> None:
    root = argued(tmp_path, AUDIT.replace("    because: nobody audits it\n", ""))
    done = cds("lint", root)
    assert done.returncode == 1
    assert "equivalent-mutants.yaml:2:5: 'because' is missing" in done.stdout


# -- laws ----------------------------------------------------------------------------------------


def sentences(root: Path) -> Iterator[tuple[Mutant, str]]:
    for mutant in Book(root).mutants():
        node = mutant.edit.new
        if node is not None and isinstance(node.value, str) and ": " in mutant.clause:
            yield mutant, node.value


@pytest.mark.parametrize("root", [CONTRAST, shipped_pack()], ids=["contrast", "shipped"])
def test_a_changed_sentence_reads_as_it_is_spoken(root: Path) -> None:
    """What is judged in memory is what an author would write: nothing is lost in the words."""
    found = 0
    for _, text in sentences(root):
        if text.startswith(("not ", "could be ", "unsure ")) or " is " in text:
            assert spoken(parse_test(text)).strip("()") == text.strip("()")
            found += 1
    assert found > 20


@pytest.mark.parametrize("root", [CONTRAST, shipped_pack()], ids=["contrast", "shipped"])
def test_every_mutant_is_another_pack_that_can_be_read(root: Path) -> None:
    book = Book(root)
    every = 1 if root == CONTRAST else 10
    seen: dict[tuple[Any, ...], Mutant] = {}
    for number, mutant in enumerate(book.mutants()):
        if number % every == 0 and mutant.place.file not in book.valuesets:
            book.variant(mutant, Site())
        assert mutant.before != mutant.after
        key = (*mutant.key, mutant.place)
        assert key not in seen, key
        seen[key] = mutant
