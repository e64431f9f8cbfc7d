"""Which wordings of the pack stand in a fact's texts, and in tasks that are about it."""

from __future__ import annotations

from cds.chart.model import MedicationRecord, OperationRecord, Record
from cds.engine.fact import Fact
from cds.engine.properties import words
from cds.engine.sheet import Sheet
from cds.engine.value import Value
from cds.terminology.concept import CodeableConcept


def says(sheet: Sheet, fact: Fact) -> Value:
    """Wordings of the pack in the fact's texts, and in tasks that are about it."""
    return words(*_wordings(sheet, fact))


def _wordings(sheet: Sheet, fact: Fact) -> set[str]:
    found: set[str] = set()
    texts = [text for record in fact.records for text in _texts(record)]
    if fact.kind == "medication":
        texts += _task_texts(sheet, fact)
    for text in texts:
        read = sheet.rulebook.terminology.classify(CodeableConcept((), text), "wording")
        found |= {match.valueset for match in read.matches}
    return found


def _task_texts(sheet: Sheet, fact: Fact) -> list[str]:
    """Texts of living tasks that point at the fact or name its drug."""
    sources = {str(source) for source in fact.sources}
    sets = {match.valueset for item in fact.classifications for match in item.matches}
    found = []
    for task in sheet.chart.tasks:
        if task.status in ("cancelled", "rejected", "entered-in-error", "failed", "draft"):
            continue
        if task.recorded is not None and task.recorded.first > sheet.clock.now:
            continue
        about = bool(sources & set(task.links)) or any(
            match.valueset in sets
            for text in task.texts
            for match in sheet.rulebook.terminology.classify(
                CodeableConcept((), text), "medication"
            ).matches
        )
        if about:
            found += list(task.texts)
    return found


def _texts(record: Record) -> list[str]:
    found = list(record.notes)
    if isinstance(record, MedicationRecord):
        found.append(record.classification.name)
        found += [record.regimen.text] if record.regimen is not None else []
    if isinstance(record, OperationRecord):
        found += list(record.texts)
    return [text for text in found if text]
