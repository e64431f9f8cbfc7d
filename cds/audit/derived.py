"""The files that are made from the others once these are whole: tables, reports, measures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from cds.audit.measure import write_measures
from cds.audit.parquet import write_parquet
from cds.audit.results import DISAGREEMENTS, FINDINGS, PATIENTS, PROBLEMS
from cds.cards.judge import Setting

OF_PATIENTS = (FINDINGS, PROBLEMS, PATIENTS, DISAGREEMENTS)
"""Files with lines about single patients."""


class Wanted(msgspec.Struct, frozen=True):
    """What was judged by, and what the user asks of the derived files; ``csv``: tables too."""

    setting: Setting
    csv: bool = False


def derive(scratch: Path, summary: Mapping[str, Any], wanted: Wanted) -> None:
    """Writes the derived files into ``scratch``, under their own names.

    There stand ``findings.ndjson``, ``problems.ndjson`` and ``patients.ndjson``, whole; ``summary``
    is the content of ``summary.json``. Whatever a function here leaves in ``scratch`` is a result
    and gets its place; one that fails raises OSError. Each reads its source line by line: there may
    be more findings than fit into memory. Where counts are suppressed, nothing is left that tells
    of single patients.
    """
    rulebook = wanted.setting.rulebook
    told_alone = summary["suppressed"] is not None
    write_measures(scratch, summary, rulebook, subjects=not told_alone)
    if wanted.csv:
        _write_tables(scratch, summary, findings=not told_alone)
    # Imported late: an audit begins without what draws its report.
    from cds.audit.html.write import write_report

    write_report(scratch, summary, wanted.setting)
    if told_alone:
        for name in OF_PATIENTS:
            (scratch / name).unlink(missing_ok=True)
        return
    write_parquet(scratch)


def _write_tables(scratch: Path, summary: Mapping[str, Any], *, findings: bool) -> None:
    from cds.audit.table import write_findings_table, write_summary_table

    write_summary_table(scratch, summary)
    if findings:
        write_findings_table(scratch)
