"""Items of the shorthand about what is planned or done: services, bookings, procedures."""

from __future__ import annotations

from datetime import datetime, timedelta

from cds.authoring.fields import Fields, Json, filled
from cds.authoring.medications import notes, reasons
from cds.authoring.phrases import coded, concept, concepts, read_coding, read_period, read_when

_EVENT_KEYS = ("code", "text", "status", "reason", "note", "identifier", "based-on")

SERVICE_KEYS = (
    *_EVENT_KEYS, "intent", "category", "priority", "on", "authored", "detail", "instruction",
    "encounter", "do-not-perform", "body-site", "requester",
)  # fmt: skip
APPOINTMENT_KEYS = (
    "status", "start", "end", "service-type", "service-category", "specialty", "type", "reason",
    "description", "comment", "instruction", "based-on", "identifier", "created", "priority",
    "participant",
)  # fmt: skip
PROCEDURE_KEYS = (
    *_EVENT_KEYS, "category", "on", "performed", "part-of", "encounter", "status-reason",
    "body-site",
)  # fmt: skip
ENCOUNTER_KEYS = (
    "status", "class", "type", "service-type", "priority", "on", "reason", "identifier",
    "based-on", "part-of", "appointment", "diagnosis",
)  # fmt: skip
TASK_KEYS = (*_EVENT_KEYS, "intent", "focus", "on", "authored", "description", "priority")

PROCEDURE_STATUSES = "preparation, in-progress, not-done, on-hold, stopped, completed, …"
ENCOUNTER_STATUSES = "planned, arrived, in-progress, finished, cancelled, …"
_ENCOUNTER_CLASS = "v3-ActCode AMB"


def service_request(fields: Fields) -> Json:
    """A ServiceRequest, active and an order unless said otherwise."""
    return {
        "identifier": identifiers(fields),
        "basedOn": fields.references("based-on", "ServiceRequest"),
        "status": fields.text("status", "active"),
        "intent": fields.text("intent", "order"),
        "category": concepts(fields, "category"),
        "priority": fields.text("priority"),
        "doNotPerform": fields.flag("do-not-perform"),
        "code": coded(fields),
        "orderDetail": concepts(fields, "detail"),
        "subject": fields.subject(),
        "encounter": fields.reference("encounter", "Encounter"),
        **_occurrence(fields),
        "authoredOn": fields.moment("authored"),
        "requester": fields.reference("requester", "Practitioner"),
        **reasons(fields),
        "bodySite": concepts(fields, "body-site"),
        "note": notes(fields),
        "patientInstruction": fields.text("instruction"),
    }


def draft_service_request(fields: Fields) -> Json:
    """A ServiceRequest that is being written: as ``service_request``, with the status draft."""
    return {**service_request(fields), "status": fields.text("status", "draft")}


def appointment(fields: Fields) -> Json:
    """An Appointment, booked unless said otherwise, with the patient taking part.

    Where only the start is given it lasts an hour: R4 wants both or neither (app-2).
    """
    start = fields.moment("start")
    return {
        "identifier": identifiers(fields),
        "status": fields.text("status", "booked"),
        "serviceCategory": concepts(fields, "service-category"),
        "serviceType": concepts(fields, "service-type"),
        "specialty": concepts(fields, "specialty"),
        "appointmentType": concept(fields, "type"),
        **reasons(fields),
        "priority": fields.count("priority"),
        "description": fields.text("description"),
        "start": start,
        "end": fields.moment("end") if "end" in fields.values else _an_hour_after(start),
        "created": fields.moment("created"),
        "comment": fields.text("comment"),
        "patientInstruction": fields.text("instruction"),
        "basedOn": fields.references("based-on", "ServiceRequest"),
        "participant": _participants(fields),
    }


def booking(fields: Fields) -> Json:
    """An Appointment that is being made: as ``appointment``, with the status proposed."""
    return {**appointment(fields), "status": fields.text("status", "proposed")}


def procedure(fields: Fields) -> Json:
    """A Procedure; its status must be said, since planned and done are both usual."""
    return {
        "identifier": identifiers(fields),
        "basedOn": fields.references("based-on", "ServiceRequest"),
        "partOf": fields.references("part-of", "Procedure"),
        "status": _stated(fields, PROCEDURE_STATUSES),
        "statusReason": concept(fields, "status-reason"),
        "category": concept(fields, "category"),
        "code": coded(fields),
        "subject": fields.subject(),
        "encounter": fields.reference("encounter", "Encounter"),
        **read_when(fields, "performed" if fields.has("performed") else "on", "performed"),
        **reasons(fields),
        "bodySite": concepts(fields, "body-site"),
        "note": notes(fields),
    }


def encounter(fields: Fields) -> Json:
    """An Encounter; its status must be said. ``on`` is a period, or the day or time it begins."""
    return {
        "identifier": identifiers(fields),
        "status": _stated(fields, ENCOUNTER_STATUSES),
        "class": fields.parse("class", read_coding, _ENCOUNTER_CLASS)
        if "class" in fields.values
        else read_coding(_ENCOUNTER_CLASS),
        "type": concepts(fields, "type"),
        "serviceType": concept(fields, "service-type"),
        "priority": concept(fields, "priority"),
        "subject": fields.subject(),
        "basedOn": fields.references("based-on", "ServiceRequest"),
        "appointment": fields.references("appointment", "Appointment"),
        "period": _begin(fields),
        **reasons(fields),
        "diagnosis": [{"condition": link} for link in fields.references("diagnosis", "Condition")],
        "partOf": fields.reference("part-of", "Encounter"),
    }


def task(fields: Fields) -> Json:
    """A Task, requested and an order unless said otherwise."""
    found = reasons(fields)
    return {
        "identifier": identifiers(fields),
        "basedOn": fields.references("based-on", "ServiceRequest"),
        "status": fields.text("status", "requested"),
        "intent": fields.text("intent", "order"),
        "priority": fields.text("priority"),
        "code": coded(fields),
        "description": fields.text("description"),
        "focus": fields.reference("focus", "MedicationRequest"),
        "for": fields.subject(),
        "executionPeriod": _begin(fields),
        "authoredOn": fields.moment("authored"),
        "reasonCode": _first(found["reasonCode"]),
        "reasonReference": _first(found["reasonReference"]),
        "note": notes(fields),
    }


def identifiers(fields: Fields) -> list[Json]:
    """The Identifiers under ``identifier``: "SYSTEM|VALUE", or a value alone."""
    parts = [text.rpartition("|") for text in fields.texts("identifier")]
    return [filled({"system": system, "value": value}) for system, _, value in parts]


def _stated(fields: Fields, accepted: str) -> str | None:
    if "status" not in fields.values:
        raise fields.error("status", "is missing", accepted)
    return fields.text("status")


def _occurrence(fields: Fields) -> Json:
    """``occurrence[x]``: a date, a period, or (from a list) a Timing of events."""
    events = fields.texts("on") if isinstance(fields.get("on"), list) else []
    if not events:
        return read_when(fields, "on", "occurrence")
    try:
        return {"occurrenceTiming": {"event": [fields.to_moment(event) for event in events]}}
    except ValueError as problem:
        raise fields.error("on", str(problem), "a list of dates or times") from None


def _begin(fields: Fields) -> Json | None:
    text = fields.text("on")
    if text is None or ".." in text:
        return read_period(fields, "on")
    return {"start": fields.moment("on")}


def _participants(fields: Fields) -> list[Json]:
    if "participant" in fields.values:
        actors = fields.references("participant", "Patient")
    else:
        actors = [{"reference": f"Patient/{fields.setting.patient}"}]
    return [{"actor": actor, "status": "accepted"} for actor in actors]


def _an_hour_after(start: str | None) -> str | None:
    if start is None or "T" not in start:
        return None
    return (datetime.fromisoformat(start) + timedelta(hours=1)).isoformat()


def _first(items: object) -> object:
    return items[0] if isinstance(items, list) and items else None
