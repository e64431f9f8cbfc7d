"""Reads Condition, AllergyIntolerance, Observation, Task and Patient into records."""

from __future__ import annotations

from collections.abc import Mapping

from cds.chart.fields import (
    Json,
    as_list,
    as_object,
    as_text,
    code_of,
    date_of,
    note_texts,
    objects,
    period_of,
    reference_of,
)
from cds.chart.medication import Reading
from cds.chart.model import (
    AllergyRecord,
    ConditionRecord,
    Patient,
    SourceRef,
    StatementRecord,
    TaskRecord,
)
from cds.chart.operation import read_task_texts
from cds.chart.release import allergy_states, older_name, type_of
from cds.terminology.concept import Classification, read_concept
from cds.values.moment import PartialDate

# The kind of value set that says what an entry is, where rules ask for it by value set alone.
CLASSIFIED_AS: Mapping[str, str] = {
    "Condition": "condition",
    "AllergyIntolerance": "allergy",
    "Observation": "result",
}


def read_condition(resource: Json, reading: Reading) -> ConditionRecord:
    """The record of a Condition; absent codes read as "absent"."""
    concept = read_concept(resource.get("code"))
    return ConditionRecord(
        source=_source(resource),
        status=code_of(resource.get("clinicalStatus")) or "absent",
        recorded=_first_date(resource, reading, "recordedDate", "assertedDate", "dateRecorded"),
        attributes={
            "resource": "Condition",
            "clinical": code_of(resource.get("clinicalStatus")) or "absent",
            "verification": code_of(resource.get("verificationStatus")) or "absent",
            "category": _category(resource),
            "modified": "yes" if reading.modifiers("condition", resource) else "no",
        },
        dates=_condition_dates(resource, reading),
        modifiers=reading.modifiers("condition", resource),
        notes=tuple(note_texts(resource.get("note") or resource.get("notes"))),
        written=concept.text,
        displays=tuple(coding.display for coding in concept.codings if coding.display),
        classification=reading.terminology.classify(concept, "condition"),
    )


def _category(resource: Json) -> str:
    codes = [code_of(item) for item in as_list(resource.get("category"))]
    return next((code for code in codes if code), "absent")


def _condition_dates(resource: Json, reading: Reading) -> dict[str, PartialDate]:
    onset_start, _ = period_of(resource.get("onsetPeriod"), reading.zone)
    abated_start, abated_end = period_of(resource.get("abatementPeriod"), reading.zone)
    found = {
        "onset": date_of(resource.get("onsetDateTime"), reading.zone) or onset_start,
        "abated": date_of(resource.get("abatementDateTime"), reading.zone)
        or abated_end
        or abated_start,
        "recorded": _first_date(resource, reading, "recordedDate", "assertedDate", "dateRecorded"),
    }
    return {name: date for name, date in found.items() if date is not None}


def read_allergy(resource: Json, reading: Reading) -> AllergyRecord:
    """The record of an AllergyIntolerance."""
    clinical, verification = allergy_states(resource)
    return AllergyRecord(
        source=_source(resource),
        status=clinical or "absent",
        recorded=_first_date(resource, reading, "recordedDate", "assertedDate"),
        attributes={
            "resource": "AllergyIntolerance",
            "clinical": clinical or "absent",
            "verification": verification or "absent",
            "type": code_of(resource.get("type")) or "absent",
            "criticality": code_of(resource.get("criticality")) or "absent",
            "modified": "yes" if reading.modifiers("allergy", resource) else "no",
        },
        dates={},
        modifiers=reading.modifiers("allergy", resource),
        notes=tuple(note_texts(resource.get("note"))),
        classification=substance_of(resource, reading),
    )


def substance_of(resource: Json, reading: Reading) -> Classification:
    """What the allergy is to: its code, or the substance of a reaction where no set has that."""
    code = resource.get("code") or resource.get("substance")  # DSTU2
    found = reading.terminology.classify(read_concept(code), "allergy")
    if found.matches:
        return found
    for reaction in objects(resource.get("reaction")):
        concept = read_concept(reaction.get("substance"))
        substance = reading.terminology.classify(concept, "allergy")
        if substance.matches:
            return substance
    return found


def read_statement(resource: Json, reading: Reading, found: Classification) -> StatementRecord:
    """An entry that speaks of a whole list, with the classification that says so."""
    return StatementRecord(
        source=_source(resource),
        status=code_of(resource.get("status")) or "unknown",
        recorded=_first_date(resource, reading, "dateAsserted", "recordedDate"),
        attributes={"resource": type_of(resource)},
        dates={},
        classification=found,
    )


def read_task(resource: Json, reading: Reading) -> TaskRecord:
    """A Task's words and what it is about."""
    links = [
        reading.index.key(resource.get(name)) for name in ("focus", "basedOn", "reasonReference")
    ]
    return TaskRecord(
        source=_source(resource),
        status=code_of(resource.get("status")) or "unknown",
        recorded=_first_date(resource, reading, "authoredOn"),
        attributes={"resource": "Task"},
        dates={},
        texts=read_task_texts(resource),
        links=tuple(link for link in links if link),
    )


def read_patient(resource: Json | None, patient_id: str, reading: Reading) -> Patient:
    """The person; an absent Patient resource leaves everything but the id unknown."""
    if resource is None:
        return Patient(patient_id)
    died = date_of(resource.get("deceasedDateTime"), reading.zone)
    return Patient(
        patient_id,
        date_of(resource.get("birthDate"), reading.zone),
        died if died is not None else resource.get("deceasedBoolean") is True,
        code_of(resource.get("gender")),
    )


def subject_of(resource: Json) -> list[object]:
    """The References that may name whose record an entry is."""
    direct = resource.get("subject") or resource.get("patient") or resource.get("for")
    if direct is not None:
        return [direct]
    people = []
    for item in as_list(resource.get("participant")):
        actor = as_object(item).get("actor")
        reference = reference_of(actor)
        if (
            "Patient/" in reference
            or reference.startswith("urn:")
            or as_object(actor).get("type") == "Patient"
        ):
            people.append(actor)
    return people


def _source(resource: Json) -> SourceRef:
    name = as_text(resource.get("id")) or "?"
    return SourceRef(type_of(resource), name, older_name(resource))


def _first_date(resource: Json, reading: Reading, *names: str) -> PartialDate | None:
    for name in names:
        date = date_of(resource.get(name), reading.zone)
        if date is not None:
            return date
    return None
