"""A made-up call to each service before the first real one: what is made once is made then.

Rules are compiled, words looked up and templates taken apart when somebody first needs them; the
first clinician of the day is not to wait for it. Nothing is counted, logged, stored or fetched, and
no answer leaves the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from cds.cards.wire import encode
from cds.chart.fields import Json
from cds.hooks.deadline import Deadline
from cds.hooks.desk import Desk, Reply
from cds.hooks.discovery import Service
from cds.hooks.request import SUBJECTS
from cds.terminology.valueset import ValueSet

_PATIENT = {"reference": "Patient/nobody"}
_INSTANCE = "00000000-0000-4000-8000-000000000000"
# So many entries of a kind are made up, of as many value sets; and so long may one call take.
_MOST = 12
_SECONDS = 5.0


def warm(desk: Desk, services: Mapping[str, Service]) -> dict[str, Reply]:
    """The answers to a made-up call of each service, by its id; raises what judging raises."""
    quiet = replace(desk, aside=None, keeper=None, allows=None)
    record = list(_record(desk))
    found: dict[str, Reply] = {}
    for service in services.values():
        body = encode(_call(service, record))
        reply = quiet.reply(service, body, "", Deadline(_SECONDS))
        if isinstance(reply, Reply):
            found[service.id] = reply
    return found


def _call(service: Service, record: list[Json]) -> Json:
    context: dict[str, object] = {"userId": "Practitioner/nobody", "patientId": "nobody"}
    subject = SUBJECTS.get(service.hook)
    if subject is not None:
        drafts = [item for item in record if item["status"] == "draft"]
        context[subject] = _bundle(drafts)
    prefetch: dict[str, object] = dict.fromkeys(service.prefetch)
    prefetch["patient"] = {"resourceType": "Patient", "id": "nobody", "birthDate": "1980"}
    for kind in {str(item["resourceType"]) for item in record} & prefetch.keys():
        known = [item for item in record if item["resourceType"] == kind]
        prefetch[kind] = _bundle([item for item in known if item["status"] != "draft"])
    return {
        "hook": service.hook,
        "hookInstance": _INSTANCE,
        "context": context,
        "prefetch": prefetch,
    }


def _bundle(resources: list[Json]) -> Json:
    entries = [{"resource": item} for item in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _record(desk: Desk) -> Iterator[Json]:
    """Somebody about whom much is to be said: something of each value set, by the pack's names."""
    today = desk.clock().astimezone(desk.zone).date()
    before, ahead = (str(today - timedelta(days=3)), str(today + timedelta(days=2)))
    sets = desk.rulebook.terminology.valuesets
    own = sets.get(desk.rulebook.pack.footer_for)
    drugs = [*([own] if own is not None else []), *_of_kind(sets, "medication")]
    for number, item in enumerate(drugs):
        written = {"authoredOn": before, "intent": "order", "dosageInstruction": [_DAILY]}
        name = {"medicationCodeableConcept": {"text": f"{_name(item)} 1 MG Oral Tablet"}}
        status = "draft" if number == 0 else "active"
        yield _entry("MedicationRequest", number, status, {**written, **name})
    for number, item in enumerate(_of_kind(sets, "procedure")):
        planned = {"intent": "order", "occurrenceDateTime": ahead, "code": {"text": _name(item)}}
        yield _entry("ServiceRequest", number, "active", planned)
    for kind, classified in (("Condition", "condition"), ("AllergyIntolerance", "allergy")):
        for number, item in enumerate(_of_kind(sets, classified)):
            named = {"recordedDate": before, "code": {"text": _name(item)}}
            yield _entry(kind, number, "active", {**named, "clinicalStatus": "active"})
    for number, item in enumerate(_of_kind(sets, "result")):
        measured = {"effectiveDateTime": before, "valueQuantity": {"value": 1, "unit": "1"}}
        yield _entry("Observation", number, "final", {**measured, "code": {"text": _name(item)}})


_DAILY = {
    "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
    "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "mg", "code": "mg"}}],
}


def _entry(kind: str, number: int, status: str, more: Json) -> Json:
    name = f"nothing-{number}"
    return {"resourceType": kind, "id": name, "subject": _PATIENT, "status": status, **more}


def _of_kind(sets: Mapping[str, ValueSet], kind: str) -> list[ValueSet]:
    return [item for item in sets.values() if item.kind == kind and _name(item)][:_MOST]


def _name(valueset: ValueSet) -> str:
    """A name of something in the set: an ingredient, a phrase, or what a code is called; or ""."""
    codes = (name for rules in valueset.systems.values() for name in rules.exact.values() if name)
    names = (*valueset.ingredients, *valueset.all_ingredients, *valueset.phrases.any)
    return names[0] if names else next(codes, "")
