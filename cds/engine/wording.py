"""Which wordings of the pack stand in a fact's texts, and in tasks that are about it."""

from __future__ import annotations

from cds.chart.model import ConditionRecord, MedicationRecord, OperationRecord, Record
from cds.engine.fact import Fact
from cds.engine.record import words
from cds.engine.sheet import Sheet
from cds.engine.value import Value
from cds.terminology.concept import CodeableConcept

# FHIR task statuses of tasks that nobody will do.
_DEAD = ("cancelled", "rejected", "entered-in-error", "failed", "draft")


def says(sheet: Sheet, fact: Fact) -> Value:
    """Wordings of the pack in the fact's texts, and in tasks that are about it."""
    return words(*_wordings(sheet, fact))


def _wordings(sheet: Sheet, fact: Fact) -> set[str]:
    found: set[str] = set()
    texts = [text for record in fact.records for text in _texts(record)]
    if fact.kind == "medication":
        texts += _elsewhere(sheet, fact)
    for text in texts:
        read = sheet.rulebook.terminology.classify(CodeableConcept((), text), "wording")
        found |= {match.valueset for match in read.matches}
    return found


def _elsewhere(sheet: Sheet, fact: Fact) -> list[str]:
    """Texts of living tasks about the fact, and notes on operations that name its drug."""
    sources = {str(source) for source in fact.sources}
    found = []
    for task in sheet.chart.tasks:
        if task.status in _DEAD or _is_later(task, sheet):
            continue
        if sources & set(task.links) or any(_names(sheet, fact, text) for text in task.texts):
            found += list(task.texts)
    for operation in sheet.chart.operations:
        for record in operation.records:
            if not _is_later(record, sheet):
                found += [note for note in record.notes if _names(sheet, fact, note)]
    return found


def _is_later(record: Record, sheet: Sheet) -> bool:
    return record.recorded is not None and record.recorded.first > sheet.clock.now


def _names(sheet: Sheet, fact: Fact, text: str) -> bool:
    """Whether a text names a drug of the fact's class."""
    sets = {match.valueset for item in fact.classifications for match in item.matches}
    read = sheet.rulebook.terminology.classify(CodeableConcept((), text), "medication")
    return any(match.valueset in sets for match in read.matches)


def _texts(record: Record) -> list[str]:
    found = list(record.notes)
    if isinstance(record, MedicationRecord):
        found.append(record.classification.name)
        found += [record.regimen.text] if record.regimen is not None else []
    if isinstance(record, OperationRecord):
        found += list(record.texts)
    if isinstance(record, ConditionRecord):
        found += [record.written, *record.displays]
    return [text for text in found if text]
