"""Tables for spreadsheets: ``findings.csv``, a row a finding; ``summary.csv``, by rule and stratum.

RFC 4180 (commas, CRLF, quotes where they are needed) in UTF-8 without a mark. A cell that a
spreadsheet would take for a formula begins with an apostrophe: nothing of a record is run.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cds.audit.findings import FIELDS, FindingLine, read_findings
from cds.audit.strata import VERDICTS, judged

FINDINGS_TABLE, SUMMARY_TABLE = "findings.csv", "summary.csv"
FINDING_COLUMNS = tuple(name for name in FIELDS if name != "trace")
"""A trace is a tree: it stands in the other files of findings."""
SUMMARY_COLUMNS = ("rule", "version", "dimension", "value", "judged", *VERDICTS, "note")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide ones


def write_findings_table(folder: Path) -> None:
    """Writes ``findings.csv``; lists are joined by a semicolon. Raises OSError."""
    rows = ([_flat(finding, name) for name in FINDING_COLUMNS] for finding in read_findings(folder))
    _write(folder / FINDINGS_TABLE, FINDING_COLUMNS, rows)


def write_summary_table(folder: Path, summary: Mapping[str, Any]) -> None:
    """Writes ``summary.csv``: each rule over all, then by stratum. Raises OSError."""
    _write(folder / SUMMARY_TABLE, SUMMARY_COLUMNS, _summary_rows(summary))


def _summary_rows(summary: Mapping[str, Any]) -> Iterator[list[object]]:
    for rule in summary["rules"]:
        rows = [("all", "all", judged(summary), rule)]
        for name, values in rule["by"].items():
            strata = summary["strata"][name]
            rows += [(name, value, strata[value], counts) for value, counts in values.items()]
        for name, value, count, counts in rows:
            cells = [count, *(counts[verdict] for verdict in VERDICTS)]
            note = "suppressed" if None in cells else ""
            yield [rule["rule"], rule["version"], name, value, *cells, note]


def _flat(finding: FindingLine, name: str) -> object:
    """One cell: lists become text."""
    if name == "facts":
        return "; ".join(
            f"{fact['name']}: {fact['is']}{'' if fact['certain'] else ' (uncertain)'}"
            for fact in finding.facts
        )
    value = finding.field(name)
    return "; ".join(value) if isinstance(value, list) else value


def _write(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([_safe(cell) for cell in row] for row in rows)


def _safe(cell: object) -> object:
    """The cell, which no spreadsheet runs; None is an empty cell."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell
