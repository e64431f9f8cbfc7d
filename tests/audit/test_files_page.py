"""docs/audit-files.md names every field that an audit writes, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cds.audit.line import FINDING_FIELDS, PROBLEM_FIELDS
from cds.audit.measure import HL7_POPULATIONS, OUR_POPULATIONS
from cds.audit.parquet import schema
from cds.audit.strata import BANDS, DIMENSIONS, SEXES
from cds.audit.table import FINDING_COLUMNS, SUMMARY_COLUMNS
from tests.audit.population import FILES, WHEN, population, write_bundles
from tests.records import ROOT
from tests.test_cli import cds

PAGE = (ROOT / "docs" / "audit-files.md").read_text("utf-8")


def tables(title: str) -> list[list[str]]:
    """The first column of each table under a heading, without its own head."""
    _, _, rest = PAGE.partition(f"\n## {title}\n")
    section = rest.partition("\n## ")[0]
    found: list[list[str]] = []
    for line in section.splitlines():
        cell = line.split("|")[1].strip() if line.startswith("|") else ""
        if set(cell) == {"-"}:
            found.append([])
        elif found and (name := re.fullmatch(r"`([^`]+)`", cell)):
            found[-1].append(name[1])
    return found


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_bundles(folder / "in", population(5))
    (folder / "in" / "broken.json").write_text("{")
    done = cds("audit", folder / "in", "--out", folder / "out", "--csv", *WHEN)
    assert done.returncode == 1, done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def summary(audited: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((audited / "summary.json").read_text())
    return found


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("findings.ndjson", FINDING_FIELDS),
        ("findings.parquet", schema().names),
        ("findings.csv", FINDING_COLUMNS),
        ("problems.ndjson", PROBLEM_FIELDS),
        ("summary.csv", SUMMARY_COLUMNS),
    ],
)
def test_the_page_has_the_fields_of_the_file(file: str, fields: tuple[str, ...]) -> None:
    assert tables(file) == [list(fields)]


def test_the_page_has_the_types_of_parquet() -> None:
    section = PAGE.partition("\n## findings.parquet\n")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
    types = {item.name: re.sub(r"element: | not null", "", str(item.type)) for item in schema()}
    assert told == types


def test_the_page_has_the_fields_of_the_summary_and_of_its_rules(summary: dict[str, Any]) -> None:
    assert tables("summary.json") == [list(summary), list(summary["rules"][0])]
    section = PAGE.partition("\n## summary.json\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
    for name in ("inputs", "patients", "strata", "unclassified"):
        assert all(f"`{inner}`" in rows[name] for inner in summary[name]), name


def test_the_page_has_the_values_of_strata_and_populations() -> None:
    for name in (*DIMENSIONS, *SEXES, BANDS[0], BANDS[-2]):
        assert f"`{name}`" in PAGE
    assert HL7_POPULATIONS in PAGE
    assert OUR_POPULATIONS in PAGE


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_page_has_every_file(name: str) -> None:
    assert f"| `{name}`" in PAGE


def test_what_the_page_asks_duckdb_is_answered(audited: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    asked = PAGE.partition("```sql\n")[2].partition("```")[0].splitlines()
    assert len(asked) == 6
    for line in asked:
        query = re.sub(r"'(\w+\.\w+)'", lambda match: f"'{audited}/{match[1]}'", line)
        rows = duckdb.sql(query.removesuffix(";")).fetchall()
        assert rows, line
