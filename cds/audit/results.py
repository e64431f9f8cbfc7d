"""The files of an audit, made from its journal in one pass: lines and the summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from cds.audit.outcome import Outcome
from cds.audit.suppression import suppressed
from cds.audit.tally import Tally
from cds.cards.judge import Setting
from cds.cards.wire import encode

FINDINGS, SUMMARY, PROBLEMS = "findings.ndjson", "summary.json", "problems.ndjson"
REPORT = "report.html"
DISAGREEMENTS = "disagreements.ndjson"
"""What two engines say differently; there only if they do."""
PATIENTS = "patients.ndjson"
"""What the report shows of patients with findings; no result by itself."""


def write_lines(outcomes: Iterable[Outcome], folder: Path) -> Tally:
    """Writes the files of lines into ``folder``, one outcome in memory; the sum of all counts."""
    tally = Tally()
    with ExitStack() as stack:
        findings, problems, disagreements, patients = (
            stack.enter_context((folder / name).open("wb"))
            for name in (FINDINGS, PROBLEMS, DISAGREEMENTS, PATIENTS)
        )
        for outcome in outcomes:
            findings.writelines(outcome.findings)
            problems.writelines(outcome.problems)
            disagreements.writelines(outcome.disagreements)
            patients.writelines(outcome.patients)
            tally.merge(outcome.tally)
    return tally


def write_summary(
    tally: Tally,
    setting: Setting,
    inputs: Mapping[str, int],
    folder: Path,
    suppress: int | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Writes ``summary.json`` into ``folder``; its content, decoded and as written.

    With ``suppress`` counts below that, and what they would follow from, are null.
    """
    counted = {"records": tally.inputs, **inputs}
    content = tally.summary(setting, counted)
    if suppress is not None:
        content = suppressed(content, suppress)
    text = msgspec.json.format(encode(content), indent=2) + b"\n"
    (folder / SUMMARY).write_bytes(text)
    return content, text
