"""`cds new`: what it writes lints and tests clean, says what is left, and overwrites nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cds.authoring.formatter import format_text
from cds.authoring.lint import find_problems
from cds.authoring.source import read_source
from cds.rulebook.pack import load_rulebook, read_pack, shipped_pack
from cds.rulebook.site import Site
from cds.values.problem import Severity
from tests.records import CONTRAST
from tests.test_cli import cds


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONTRAST, tmp_path / "pack"))


def files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for path in sorted(root.rglob("*.yaml"))
    }


def problems(root: Path, severity: Severity) -> list[str]:
    return [each.render() for each in find_problems(root, Site())[2] if each.severity is severity]


def test_a_rule(pack: Path) -> None:
    before = files(pack)
    done = cds("new", "contrast.repeat-dose", "--rules", pack)
    assert done.returncode == 0, done.stderr
    rule, scenarios = (pack / "contrast" / f"repeat-dose{end}.yaml" for end in ("", ".scenarios"))
    told = done.stdout.splitlines()
    assert told[:3] == [
        f"written: {rule}",
        f"written: {scenarios}",
        f"changed: {pack}/precedence.yaml",
    ]
    assert [line[:3] for line in told[3:]] == ["1. ", "2. ", "3. "]
    assert rule.read_text("utf-8").startswith("id: contrast.repeat-dose\n")
    after = files(pack)
    assert set(after) - set(before) == {f"contrast/{rule.name}", f"contrast/{scenarios.name}"}
    assert [name for name in before if before[name] != after[name]] == ["precedence.yaml"]
    # Nothing is wrong with it, and all that is left is what lint says.
    assert problems(pack, Severity.ERROR) == []
    left = problems(pack, Severity.WARNING)
    assert left
    assert all(text.startswith("contrast/repeat-dose.yaml:") and "(todo)" in text for text in left)
    assert len(left) == after["contrast/repeat-dose.yaml"].count("TODO")
    assert cds("test", pack, "--engine", "reference").returncode == 0


def test_it_judges_nobody_until_it_is_no_draft(pack: Path) -> None:
    cds("new", "contrast.repeat-dose", "--rules", pack)
    assert "contrast.repeat-dose" not in {rule.id for rule in load_rulebook(pack).rules}
    path = pack / "contrast" / "repeat-dose.yaml"
    path.write_text(path.read_text("utf-8").replace("status: draft\n", ""), "utf-8")
    assert "contrast.repeat-dose" in {rule.id for rule in load_rulebook(pack).rules}
    assert cds("lint", pack).returncode == 1
    assert cds("test", pack, "--engine", "reference").returncode == 1


def test_comments_and_order_of_the_others_stay(pack: Path) -> None:
    path = pack / "precedence.yaml"
    path.write_text(
        path.read_text("utf-8").replace("  vitamin:\n", "  # of older people\n  vitamin:\n"),
        "utf-8",
    )
    before = path.read_text("utf-8")
    cds("new", "contrast.repeat-dose", "--rules", pack)
    after = path.read_text("utf-8")
    assert read_source(after).comments() == read_source(before).comments()
    added = "  repeat-dose:\n    by: scan\n    order: [contrast.repeat-dose]\n"
    assert after == format_text(before, "").after.replace(
        "\nsuppressions:", f"{added}\nsuppressions:"
    )


def test_a_problem_that_is_there(pack: Path) -> None:
    done = cds("new", "contrast.repeat-dose", "--rules", pack, "--problem", "scan")
    assert done.returncode == 0
    order = load_rulebook(pack).precedence.problems["scan"]
    assert order.rules[-1] == "contrast.repeat-dose"
    assert len(order.rules) == 4
    rule = read_pack(pack, Site(), [], switched_off=True)
    assert rule is not None
    made = rule.rule("contrast.repeat-dose")
    assert made is not None
    assert (made.problem, made.per) == ("scan", ("scan",))
    assert problems(pack, Severity.ERROR) == []


def test_a_rule_that_waits_in_the_order(pack: Path) -> None:
    path = pack / "precedence.yaml"
    text = path.read_text("utf-8").replace("[monitor.vitamin]", "[monitor.vitamin, monitor.iron]")
    path.write_text(text, "utf-8")
    done = cds("new", "monitor.iron", "--rules", pack)
    assert done.returncode == 0
    assert "precedence.yaml" not in done.stdout
    assert path.read_text("utf-8") == text
    assert problems(pack, Severity.ERROR) == []
    done = cds("new", "monitor.zinc", "--rules", pack, "--problem", "scan")
    assert done.returncode == 0


def test_an_order_that_cannot_be_changed_is_a_step(pack: Path) -> None:
    path = pack / "precedence.yaml"
    text = path.read_text("utf-8").replace("  vitamin:\n", "  vitamin: &x\n")
    path.write_text(text, "utf-8")
    done = cds("new", "contrast.repeat-dose", "--rules", pack)
    assert done.returncode == 0
    assert path.read_text("utf-8") == text
    assert (
        f"Add the rule to {path}: problems: {{repeat-dose: {{by: scan, order: [contrast.repeat-dose]}}}}"
        in done.stdout
    )


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("monitor.vitamin", "'monitor.vitamin' stands in {pack}/monitor/vitamin.yaml already"),
        ("vitamin", "'vitamin' is no rule id; accepted: group.name, lower case"),
        ("Monitor.Iron", "'Monitor.Iron' is no rule id"),
        ("monitor/iron", "'monitor/iron' is no rule id"),
        ("../x.y", "'../x.y' is no rule id"),
        ("definitions.iron", "'definitions.iron' is no rule id"),
        ("monitor.iron.", "'monitor.iron.' is no rule id"),
    ],
)
def test_an_id_that_cannot_be(pack: Path, rule: str, told: str) -> None:
    before = files(pack)
    done = cds("new", rule, "--rules", pack)
    assert done.returncode == 2
    assert told.format(pack=pack) in done.stderr
    assert "accepted: " in done.stderr
    assert files(pack) == before


def test_a_file_of_another_rule_is_not_overwritten(pack: Path) -> None:
    (pack / "monitor" / "iron.scenarios.yaml").write_text("rule: x\n", "utf-8")
    done = cds("new", "monitor.iron", "--rules", pack)
    assert done.returncode == 2
    assert "iron.scenarios.yaml is there already" in done.stderr
    assert not (pack / "monitor" / "iron.yaml").exists()


def test_no_pack_is_there(tmp_path: Path) -> None:
    done = cds("new", "monitor.iron", "--rules", tmp_path)
    assert done.returncode == 2
    assert "pack.yaml: the file is missing" in done.stderr
    assert cds("new").returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_draft_of_the_shipped_pack(tmp_path: Path) -> None:
    pack = Path(shutil.copytree(shipped_pack(), tmp_path / "rules"))
    done = cds("new", "monitor.sleep", cwd=pack / "monitor")
    assert done.returncode == 0
    assert problems(pack, Severity.ERROR) == []
    assert cds("test", pack / "monitor" / "sleep.yaml", "--engine", "reference").returncode == 0


# -- a pack of one's own --------------------------------------------------------------------------


def test_a_pack_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "St. Mary's"
    done = cds("new", "--pack", folder)
    assert done.returncode == 0, done.stderr
    assert load_rulebook(folder).pack.id == "st-mary-s"
    lint = cds("lint", folder, "--strict")
    assert (lint.returncode, lint.stdout) == (0, "1 rules, 3 scenarios: no errors\n")
    assert "3 passed, 0 failed" in cds("test", folder).stdout
    assert cds("fmt", folder, "--check").returncode == 0
    assert cds("new", "ward.visit", "--rules", folder).returncode == 0
    assert problems(folder, Severity.ERROR) == []
    assert "4 passed, 0 failed" in cds("test", folder, "--engine", "reference").stdout


def test_a_pack_and_its_first_rule_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    assert cds("new", "ward.visit", "--pack", folder).returncode == 0
    assert (folder / "ward" / "visit.yaml").is_file()
    assert problems(folder, Severity.ERROR) == []


def test_a_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = cds("new", "--pack", tmp_path)
    assert done.returncode == 2
    assert "is not empty; accepted: a new or an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    done = cds("new", "--pack", tmp_path / "x", "--rules", tmp_path)
    assert done.returncode == 2
    assert "accepted: one of them" in done.stderr
