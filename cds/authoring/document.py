"""The input document of a scenario: a CDS Hooks request with its prefetch, or a Bundle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from uuid import NAMESPACE_URL, uuid5

from cds.authoring.fields import Json, ShorthandError
from cds.authoring.items import Entry

BASE = "https://ehr.example.org/fhir"
STATES = ("absent", "null", "empty", "forbidden", "failed", "truncated")
"""What may be said of one resource type under ``prefetch``."""

RECORD_TYPES = (
    "MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration",
    "ServiceRequest", "Appointment", "Procedure", "Encounter", "Task", "Condition",
    "AllergyIntolerance", "Observation", "FamilyMemberHistory",
)  # fmt: skip
"""The types whose query was answered, be it with nothing, unless a scenario says otherwise."""

DRAFT_KEYS: Mapping[str, str] = {
    "order-select": "draftOrders",
    "order-sign": "draftOrders",
    "medication-refill": "medications",
    "medication-prescribe": "medications",
    "order-review": "orders",
}
"""Under which key of its context a hook carries what is being ordered."""

HOOKS = frozenset(
    {*DRAFT_KEYS, "patient-view", "appointment-book", "encounter-start", "encounter-discharge",
     "order-dispatch"}
)  # fmt: skip

_ISSUES = {"forbidden": "forbidden", "failed": "timeout"}


def bundle_document(entries: Sequence[Entry], states: Mapping[str, str], path: str) -> Json:
    """A Bundle of type collection with every resource; truncated, a searchset with a next page."""
    for resource_type, state in states.items():
        if state not in {"truncated", "empty", "null"}:
            problem = f"{resource_type}: a Bundle is the whole record and cannot say {state!r}"
            raise ShorthandError(f"{path}.prefetch", problem, "truncated, empty or null")
    kept = [entry for entry in entries if states.get(entry.resource_type) not in {"empty", "null"}]
    bundle: Json = {"resourceType": "Bundle", "type": "collection"}
    for resource_type, state in states.items():
        if state == "truncated":
            link = _next_page(resource_type)
            bundle = {"resourceType": "Bundle", "type": "searchset", "link": link}
    return {**bundle, **_entry_list(kept)}


def request_document(
    name: str, hook: str, context: Json, entries: Sequence[Entry], states: Mapping[str, str]
) -> Json:
    """A CDS Hooks request: a fixed ``hookInstance``, the context, the prefetch by resource type."""
    return {
        "hook": hook,
        "hookInstance": str(uuid5(NAMESPACE_URL, f"{BASE}/scenario/{name}")),
        "context": {**context, **_context_bundles(hook, entries)},
        "prefetch": _prefetch(entries, states),
    }


def check_places(hook: str, entries: Iterable[Entry], path: str) -> None:
    """Raises ShorthandError on a draft or booking that the hook has no place for."""
    for entry in entries:
        if entry.place == "drafts" and hook not in DRAFT_KEYS:
            raise ShorthandError(
                path, f"{hook} carries no drafts", f"request, or {_all(DRAFT_KEYS)}"
            )
        if entry.place == "appointments" and hook != "appointment-book":
            raise ShorthandError(
                path, f"{hook} carries no bookings", "appointment, or appointment-book"
            )


def _context_bundles(hook: str, entries: Sequence[Entry]) -> Json:
    bundles: Json = {}
    if hook in DRAFT_KEYS:
        drafts = [entry for entry in entries if entry.place == "drafts"]
        bundles[DRAFT_KEYS[hook]] = _collection([*drafts, *_products(drafts, entries)])
    if hook == "appointment-book":
        bundles["appointments"] = _collection(
            [entry for entry in entries if entry.place == "appointments"]
        )
    return bundles


def _prefetch(entries: Sequence[Entry], states: Mapping[str, str]) -> Json:
    record = [entry for entry in entries if entry.place == "record"]
    others = {entry.resource_type for entry in record} - {*RECORD_TYPES, "Patient", "Medication"}
    prefetch: Json = {}
    for resource_type in (
        "Patient",
        *RECORD_TYPES,
        *sorted({*others, *states} - {*RECORD_TYPES, "Patient"}),
    ):
        state = states.get(resource_type, "")
        if state != "absent":
            prefetch[resource_type] = _answer(resource_type, state, record)
    return prefetch


def _answer(resource_type: str, state: str, record: Sequence[Entry]) -> Json | None:
    """What a client puts under one prefetch key."""
    if state == "null":
        return None
    if state in _ISSUES:
        return _outcome(_ISSUES[state])
    found = [entry for entry in record if entry.resource_type == resource_type]
    if state == "empty":
        found = []
    if resource_type == "Patient" and len(found) == 1 and not state:
        return found[0].resource
    return _searchset(resource_type, found, _products(found, record), state == "truncated")


def _products(entries: Iterable[Entry], record: Iterable[Entry]) -> list[Entry]:
    """The Medications of the scenario that ``entries`` refer to; a search includes them."""
    references = {_medication_reference(entry.resource) for entry in entries}
    return [
        entry
        for entry in record
        if entry.resource_type == "Medication" and entry.reference in references
    ]


def _medication_reference(resource: Json) -> object:
    reference = resource.get("medicationReference")
    return reference.get("reference") if isinstance(reference, dict) else None


def _searchset(
    resource_type: str, found: Sequence[Entry], included: Sequence[Entry], truncated: bool
) -> Json:
    entry = [_entry(each, "match") for each in found] + [
        _entry(each, "include") for each in included
    ]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset"}
    if truncated:
        bundle["link"] = _next_page(resource_type)
    else:
        bundle["total"] = len(found)
    return {**bundle, "entry": entry} if entry else bundle


def _collection(entries: Sequence[Entry]) -> Json:
    return {"resourceType": "Bundle", "type": "collection", **_entry_list(entries)}


def _entry_list(entries: Sequence[Entry]) -> Json:
    return {"entry": [_entry(entry) for entry in entries]} if entries else {}


def _entry(entry: Entry, mode: str | None = None) -> Json:
    # A copy: two places of one document must not share what a caller may change.
    resource = json.loads(json.dumps(entry.resource))
    placed: Json = {"fullUrl": f"{BASE}/{entry.reference}", "resource": resource}
    return {**placed, "search": {"mode": mode}} if mode else placed


def _next_page(resource_type: str) -> list[Json]:
    return [{"relation": "next", "url": f"{BASE}/{resource_type}?page=2"}]


def _outcome(code: str) -> Json:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


def _all(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
