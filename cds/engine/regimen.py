"""Which dosage counts among several entries of one course."""

from __future__ import annotations

from collections.abc import Iterable

from cds.chart.dosage import Regimen
from cds.chart.model import MedicationRecord, Record

_KINDS = (
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "MedicationAdministration",
)


def regimen_among(records: Iterable[Record]) -> Regimen | None:
    """The regimen that counts of several entries: a request's first, one with a dose before all."""
    found = [
        record
        for record in records
        if isinstance(record, MedicationRecord) and record.regimen is not None
    ]
    found.sort(key=lambda record: (_KINDS.index(record.source.type), record.source))
    told = [record for record in found if record.regimen and not record.regimen.missing]
    best = next(iter(told or found), None)
    return best.regimen if best is not None else None
