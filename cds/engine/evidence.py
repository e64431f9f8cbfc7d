"""Which line of a pack's evidence table an entry falls under, and how surely its drug is known."""

from __future__ import annotations

from collections.abc import Mapping

from cds.chart.model import MedicationRecord
from cds.rulebook.model import EvidenceRow
from cds.terminology.concept import Certainty

_CERTAINTIES = (Certainty.CODE, Certainty.NAME, Certainty.TEXT, Certainty.SHAPE, Certainty.CONFLICT)


def first_row(
    rows: tuple[EvidenceRow, ...], attributes: Mapping[str, str], record: MedicationRecord | None
) -> EvidenceRow | None:
    """The first line of a table that is about this entry; None when no line is."""
    for row in rows:
        if row_matches(row, attributes, record):
            return row
    return None


def row_matches(
    row: EvidenceRow, attributes: Mapping[str, str], record: MedicationRecord | None
) -> bool:
    """Whether a line of a table is about this entry."""
    for name, words in row.conditions:
        if attributes.get(name, "absent") not in words:
            return False
    if not row.concepts:
        return True
    return record is not None and any(
        record.classification.match(concept) for concept in row.concepts
    )


def certainty_of(record: MedicationRecord) -> str:
    """The best certainty with which the drug is known, "unknown" when nothing matched."""
    found = [match.certainty for match in record.classification.matches]
    return min(found, key=_CERTAINTIES.index).value if found else "unknown"


def cap_attributes(record: MedicationRecord) -> Mapping[str, str]:
    """What the lines of a pack's caps ask of an entry."""
    return {**record.attributes, "certainty": certainty_of(record), "status": record.status}
