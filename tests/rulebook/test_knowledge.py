"""The bibliography and `evidence/`: what lint says of an id that means nothing, and where."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cds.authoring.bench import lint_pack
from cds.rulebook.pack import shipped_pack
from cds.rulebook.site import Site
from tests.records import CONTRAST

STATEMENTS = """\
K01: {source: T1, section: one, says: Said first., rests-on: [T2]}
K02: {source: T2, says: Said second.}
K03: {source: T2, says: Unreadable., nowhere: Behind a wall.}
"""
DISPUTES = """\
D01: {about: "Which, K01 or K02?", resolved: "Neither before {old-age}.", told: On the page.,
      statements: [K01], rules: [monitor.vitamin], pages: [theme]}
"""
PAGE = """\
id: theme
title: A theme
lead: About it.
order: 1
groups: [monitor]
disputes: [D01]
sections:
  - title: One
    text: "From {old-age} on, says K01."
    table: {columns: [A, B], rows: [[K01, "1"], [K02, "{old-age}"]]}
    entries:
      - {statement: K01, strength: weak, contradicted-by: "K02 (D01)."}
      - {statement: K02, strength: weak}
      - {statement: T1, source: T1, says: A source speaks for itself., strength: weak}
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """The contrast pack with statements, a dispute and a page."""
    root = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    for path in root.glob("*/*.yaml"):
        text = path.read_text("utf-8")
        named = re.sub(r"statement: X\d+(.*?source: (T\d))", r"statement: \2\1", text)
        path.write_text(named, "utf-8")
    (root / "evidence").mkdir()
    for name, text in (("statements", STATEMENTS), ("disputes", DISPUTES), ("theme", PAGE)):
        (root / "evidence" / f"{name}.yaml").write_text(text, "utf-8")
    return root


Lint = Callable[[], tuple[int, list[str]]]


@pytest.fixture
def lint(pack: Path, capsys: pytest.CaptureFixture[str]) -> Lint:
    """`cds lint` of the pack: its exit code and lines."""

    def run() -> tuple[int, list[str]]:
        code = lint_pack(pack, Site(), "text")
        return code, capsys.readouterr().out.splitlines()

    return run


def test_a_pack_with_evidence_is_clean(lint: Lint) -> None:
    code, told = lint()
    assert (code, len(told)) == (0, 1)
    assert told[0].endswith(" scenarios: no errors")


def test_the_shipped_pack_has_evidence() -> None:
    assert (shipped_pack() / "evidence" / "statements.yaml").is_file()


THEME, STATED, DISPUTED = (
    "evidence/theme.yaml",
    "evidence/statements.yaml",
    "evidence/disputes.yaml",
)
# One mistake each: file, what stands there, what is written instead, the place and words of the error.
MISTAKES = [
    ("sources.yaml", "T1: Invented text for tests, radiology chapter", "T1: {cite: A, kind: trial, confidence: high, read: full}", "sources.yaml:1:40: 'high' is no confidence; accepted: good, fair, low"),
    ("sources.yaml", "T1: Invented text for tests, radiology chapter", "T1: {cite: A, kind: trial, confidence: good}", "sources.yaml:1:5: 'read' is missing"),
    ("sources.yaml", "T1: Invented text for tests, radiology chapter", "T1: {cite: A, kind: trial, confidence: good, read: full, works: [{title: A, doi: https://doi.org/10.1000/1}]}", "sources.yaml:1:82: 'https://doi.org/10.1000/1' is no doi; accepted: 10.NNNN/…"),
    ("sources.yaml", "T1: Invented text for tests, radiology chapter", "T1: {cite: A, kind: trial, confidence: good, read: full, works: [{title: A, year: 19, pmc: '123'}]}", "sources.yaml:1:83: '19' is no year"),
    ("sources.yaml", "T1: Invented text for tests, radiology chapter", "T1: {cites: A}", "sources.yaml:1:6: 'cites' is no key of a source"),
    (STATED, "source: T2, says: Said second.", "source: T9, says: Said second.", "evidence/statements.yaml:2:6: 'T9' is no source; accepted: T1, T2"),
    (STATED, "rests-on: [T2]", "rests-on: [T8]", "evidence/statements.yaml:1:6: 'T8' is no source"),
    (STATED, "K03: {source: T2, says: Unreadable., nowhere: Behind a wall.}", "K03: {source: T2, says: Forgotten.}", "evidence/statements.yaml:3:6: 'K03' surfaces nowhere"),
    (STATED, "source: T2, says: Said second.", "source: T2, says: Said second., nowhere: Not at all.", "evidence/statements.yaml:2:6: 'K02' is to surface nowhere"),
    (DISPUTED, "rules: [monitor.vitamin], pages: [theme]", "rules: [monitor.vitamine]", "evidence/disputes.yaml:1:6: 'monitor.vitamine' is no rule"),
    (DISPUTED, "pages: [theme]", "pages: [themes]", "evidence/disputes.yaml:1:6: 'themes' is no page; accepted: theme"),
    (DISPUTED, "statements: [K01]", "statements: [K11]", "evidence/disputes.yaml:1:6: 'K11' is no statement or source"),
    (DISPUTED, "{old-age}", "{older-age}", "evidence/disputes.yaml:1:6: 'older-age' is no parameter"),
    (THEME, "statement: K02, strength", "statement: K12, source: T1, says: No., strength", "evidence/theme.yaml:1:1: 'K12' is no statement or source"),
    (THEME, "statement: K02, strength", "statement: K02, source: T1, strength", "evidence/theme.yaml:1:1: 'K02' does not stand in 'T1'; accepted: source: T2"),
    (THEME, "K02 (D01)", "K02 (D31)", "evidence/theme.yaml:1:1: 'D31' is no statement, source or dispute"),
    (THEME, "says K01", "says K21", "evidence/theme.yaml:1:1: 'K21' is no statement, source or dispute"),
    (THEME, '[K01, "1"]', "[K01]", "evidence/theme.yaml:10:37: a row of 1 cells; accepted: 2 cells"),
    (THEME, "order: 1", "order: first", "evidence/theme.yaml:4:8: 'first' is no number"),
    (THEME, "disputes: [D01]", "disputes: [D02]", "evidence/theme.yaml:1:1: 'D02' is no dispute"),
    ("monitor/vitamin.yaml", "statement: T2, source: T2", "statement: K03, source: T2", "monitor/vitamin.yaml:1:1: 'K03' is to stand on no card; accepted: Behind a wall."),
    ("monitor/vitamin.yaml", "statement: T2, source: T2", "statement: K02, source: T1", "monitor/vitamin.yaml:1:1: 'K02' does not stand in 'T1'"),
    ("monitor/vitamin.yaml", "  indicator: info", "  indicator: info\n  links: [{label: More, page: themes.html}]", "monitor/vitamin.yaml:1:1: 'themes' is no page; accepted: theme"),
    ("monitor/vitamin.yaml", "owner: test", "owner: test\nhistory: [{version: 1.0.0, date: 2026-01-01}]", "monitor/vitamin.yaml:5:11: 'says' is missing"),
    ("pack.yaml", "canonical:", "attributes: {sexes: [vitamin]}\ncanonical:", "pack.yaml:6:21: 'sexes' is no source attribute"),
    ("pack.yaml", "canonical:", "attributes: {sex: [vitamins]}\ncanonical:", "pack.yaml:6:13: 'vitamins' is no value set"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "error"), MISTAKES, ids=[each[3] for each in MISTAKES]
)
def test_a_mistake_is_told_where_it_stands(
    pack: Path, lint: Lint, name: str, old: str, new: str, error: str
) -> None:
    path = pack / name
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")
    code, lines = lint()
    assert code == 1
    assert [line for line in lines if line.startswith(error)], "\n".join(lines)
