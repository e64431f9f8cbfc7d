"""Reads what may tell of a planned operation, and merges what tells of the same one.

FHIR R4 ServiceRequest, Appointment, Procedure, Encounter. Which codes make something an operation,
and which status means planned, is the pack's business; here are only shapes, dates and links.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from cds.chart.courses import Groups
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
from cds.chart.model import Operation, OperationRecord, SourceRef, Start
from cds.chart.release import RENAMED, intent_of, older_name, status_of, type_of
from cds.terminology.concept import Classification, CodeableConcept, read_concept
from cds.values.moment import PartialDate

OPERATION_TYPES = ("ServiceRequest", "Appointment", "Procedure", "Encounter")

_CODES = {
    "ServiceRequest": ("code", "category"),
    "Appointment": ("reasonCode", "reason"),
    "Procedure": ("code", "category"),
    "Encounter": ("reasonCode", "reason"),
}
_SERVICES = {
    "Appointment": ("serviceType", "serviceCategory", "appointmentType"),
    "Encounter": ("serviceType", "type", "class"),
    "ServiceRequest": ("performerType",),
}
# `scheduled[x]` is DSTU2's.
_MOMENTS = (
    "occurrenceDateTime", "performedDateTime", "occurrence", "performed", "scheduledDateTime",
)  # fmt: skip
_PERIODS = ("occurrencePeriod", "performedPeriod", "plannedPeriod", "period", "scheduledPeriod")
# Where people write what no code says: how it is done, what the patient was told.
_TEXTS = ("description", "comment", "patientInstruction", "instruction")
LINKS = ("basedOn", "partOf", "replaces", "appointment", "reasonReference", "request")


def read_operation(resource: Json, reading: Reading, *, drafted: bool) -> OperationRecord:
    """The record of one resource; whether it is an operation at all is decided later."""
    kind = type_of(resource)
    concepts = _concepts(resource, _CODES[kind])
    services = _concepts(resource, _SERVICES.get(kind, ()))
    specialties = _concepts(resource, ("specialty",))
    details = _concepts(resource, ("orderDetail",))
    named = concepts or _named_in_words(resource, kind, services)
    classify = reading.terminology.classify
    return OperationRecord(
        source=SourceRef(kind, as_text(resource.get("id")) or "?", older_name(resource)),
        status=status_of(resource) or "unknown",
        recorded=_recorded(resource, reading.zone),
        attributes=_attributes(resource, kind, reading, drafted),
        dates={},
        modifiers=reading.modifiers("procedure", resource),
        notes=tuple(note_texts(resource.get("note") or resource.get("notes"))),
        drafted=drafted,
        classifications=_known(classify(concept, "procedure") for concept in named),
        details=_known(classify(concept, "procedure") for concept in details),
        services=_known(classify(concept, "service") for concept in services),
        specialties=_known(classify(concept, "service") for concept in specialties),
        starts=_starts(resource, kind, reading.zone),
        texts=_texts(resource, (*concepts, *details, *services, *specialties)),
        links=_links(resource, reading),
        identifiers=identifiers_of(resource.get("identifier")),
        code_key=_code_key(concepts),
        resource=resource if drafted else None,
    )


def _concepts(resource: Json, names: Iterable[str]) -> tuple[CodeableConcept, ...]:
    found = []
    for name in names:
        for item in as_list(resource.get(name)):
            # R5 wraps the concept; Encounter.class is a bare Coding.
            inner = as_object(item).get("concept") or item
            if "code" in as_object(inner) and "coding" not in as_object(inner):
                inner = {"coding": [inner]}
            concept = read_concept(inner)
            if concept.codings or concept.text:
                found.append(concept)
    return tuple(found)


def _named_in_words(
    resource: Json, kind: str, services: tuple[CodeableConcept, ...]
) -> tuple[CodeableConcept, ...]:
    """An appointment that nothing codes is called what its description says."""
    text = as_text(resource.get("description"))
    return (CodeableConcept((), text),) if kind == "Appointment" and text and not services else ()


def _known(found: Iterable[Classification]) -> tuple[Classification, ...]:
    return tuple(item for item in found if item.name or item.matches)


def _attributes(resource: Json, kind: str, reading: Reading, drafted: bool) -> dict[str, str]:
    return {
        "resource": kind,
        "intent": intent_of(resource) or "absent",
        "priority": _priority(resource) or "absent",
        "class": code_of(resource.get("class")) or "absent",
        "elective": _elective(resource),
        "prohibited": "yes" if resource.get("doNotPerform") is True else "no",
        "modified": "yes" if reading.modifiers("procedure", resource) else "no",
        "drafted": "yes" if drafted else "no",
    }


def _priority(resource: Json) -> str:
    """A code; Appointment's priority is a number (iCalendar) that says nothing of urgency."""
    value = resource.get("priority")
    return code_of(value) if isinstance(value, str | dict | list) else ""


def _elective(resource: Json) -> str:
    """What QI-Core's `isElective` modifier says: yes, no, or absent."""
    for item in objects(resource.get("modifierExtension")):
        if as_text(item.get("url")).lower().endswith("iselective"):
            value = item.get("valueBoolean")
            return "yes" if value is True else "no" if value is False else "unreadable"
    return "absent"


def _recorded(resource: Json, zone: ZoneInfo) -> PartialDate | None:
    for name in ("authoredOn", "created", "recorded", "orderedOn"):
        date = date_of(resource.get(name), zone)
        if date is not None:
            return date
    return None


def _starts(resource: Json, kind: str, zone: ZoneInfo) -> tuple[Start, ...]:
    """When it may begin, as written: a date, a period, or the events of a Timing."""
    if kind == "Appointment":
        start = date_of(resource.get("start"), zone)
        if start is not None:
            return (Start(start),)
        requested = [_period(item, zone) for item in objects(resource.get("requestedPeriod"))]
        return tuple(start for start in requested if start is not None)
    for name in _MOMENTS:
        date = date_of(resource.get(name), zone)
        if date is not None:
            return (Start(date),)
    for name in _PERIODS:
        period = as_object(resource.get(name))
        if period:
            return tuple(start for start in (_period(period, zone),) if start is not None)
    planned = date_of(resource.get("plannedStartDate"), zone)
    if planned is not None:
        return (Start(planned),)
    timing = resource.get("occurrenceTiming") or resource.get("scheduledTiming")
    return _timing(as_object(timing), zone)


def _period(period: Json, zone: ZoneInfo) -> Start | None:
    start, end = period_of(period, zone)
    if start is None:
        return None
    return Start(start, end)


def _timing(timing: Json, zone: ZoneInfo) -> tuple[Start, ...]:
    events = [date_of(item, zone) for item in as_list(timing.get("event"))]
    found = [Start(date) for date in events if date is not None]
    bounds = as_object(as_object(timing.get("repeat")).get("boundsPeriod"))
    if not found and bounds:
        start = _period(bounds, zone)
        found = [start] if start is not None else []
    return tuple(found)


def _texts(resource: Json, concepts: Iterable[CodeableConcept]) -> tuple[str, ...]:
    """Free words, each once: descriptions, notes, and the texts beside codes."""
    found = [as_text(resource.get(name)) for name in _TEXTS]
    found += note_texts(resource.get("note") or resource.get("notes"))
    for name in ("patientInstruction", "instruction"):
        found += [as_text(item.get("instructionMarkdown")) for item in objects(resource.get(name))]
    for concept in concepts:
        found.append(concept.text)
        found += [coding.display for coding in concept.codings]
    return tuple(dict.fromkeys(text for text in found if text))


def _links(resource: Json, reading: Reading) -> tuple[str, ...]:
    keys = [
        reading.index.key(item)
        for name in LINKS
        for item in as_list(resource.get(name))
        if reference_of(item)
    ]
    # A shared CarePlan or Condition does not make two operations one.
    return tuple(dict.fromkeys(key for key in keys if _type_of_key(key) in OPERATION_TYPES))


def _type_of_key(key: str) -> str:
    kind = key.partition("/")[0]
    return RENAMED.get(kind, kind)


def identifiers_of(value: object) -> tuple[str, ...]:
    """The identifiers of an entry, each ``system|value``."""
    found = []
    for item in objects(value):
        value = as_text(item.get("value"))
        if value:
            found.append(f"{as_text(item.get('system'))}|{value}")
    return tuple(found)


def _code_key(concepts: Sequence[CodeableConcept]) -> str:
    """The first code, so that two entries of one operation can be told to be the same."""
    for concept in concepts:
        for coding in concept.codings:
            if coding.code:
                return f"{coding.system}|{coding.code}"
        if concept.text:
            return concept.text.casefold()
    return ""


def read_task_texts(resource: Json) -> tuple[str, ...]:
    """The words of a Task: description, code, reason, notes."""
    concepts = _concepts(resource, ("code", "reasonCode", "businessStatus"))
    found = [as_text(resource.get("description")), *note_texts(resource.get("note"))]
    for concept in concepts:
        found += [concept.text, *(coding.display for coding in concept.codings)]
    return tuple(dict.fromkeys(text for text in found if text))


# -- one operation, several resources ------------------------------------------------------------


def join_operations(records: Iterable[OperationRecord]) -> tuple[Operation, ...]:
    """Operations, merged by links and identifiers, else by the same code on the same local date.

    An entry without a code of its own stays alone here: which entry of its day it can be about is
    for the pack to say.
    """
    ordered = sorted(records, key=lambda record: record.source)
    groups = Groups(len(ordered))
    _join_by_links(ordered, groups)
    _join_by_date(ordered, groups)
    found = (Operation(tuple(ordered[item] for item in group)) for group in groups.groups())
    return tuple(found)


def _join_by_links(ordered: Sequence[OperationRecord], groups: Groups) -> None:
    seen: dict[str, int] = {}
    for position, record in enumerate(ordered):
        for key in (str(record.source), *record.links, *record.identifiers):
            other = seen.setdefault(key, position)
            if other != position:
                groups.join(other, position)


def _join_by_date(ordered: Sequence[OperationRecord], groups: Groups) -> None:
    coded: dict[tuple[str, str], int] = {}
    for position, record in enumerate(ordered):
        day = day_of(record)
        if day and record.code_key:
            groups.join(coded.setdefault((record.code_key, day), position), position)


def day_of(record: OperationRecord) -> str:
    """The local date on which it begins, "" when that is not one certain day."""
    for start in record.starts:
        if start.date.days.certain:
            return start.date.days.earliest.isoformat()
    return ""
