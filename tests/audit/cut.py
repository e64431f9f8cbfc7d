"""A record cut by hand at the moment of one of its orders: the words of the docs, in plain JSON.

Nothing of the product is used. Whoever changes what `--every order` means changes both.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.records import Json

# When an entry came to be on the record; the first that it has.
MADE = {
    "MedicationRequest": ("authoredOn",),
    "MedicationDispense": ("whenHandedOver", "whenPrepared"),
    "MedicationAdministration": ("effectiveDateTime",),
    "MedicationStatement": ("dateAsserted", "effectiveDateTime", "effectivePeriod.start"),
    "Condition": ("recordedDate", "onsetDateTime"),
    "AllergyIntolerance": ("recordedDate",),
    "Observation": ("issued", "effectiveDateTime"),
    "ServiceRequest": ("authoredOn",),
    "Appointment": ("created",),
    "Task": ("authoredOn",),
}
POINTERS = ("authorizingPrescription", "request", "basedOn", "partOf", "derivedFrom")


def span(text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first and the last second that a date may mean."""
    if "T" in text:
        moment = datetime.fromisoformat(text).astimezone(zone)
        return moment, moment
    parts = [int(part) for part in text.split("-")]
    while len(parts) < 3:
        parts.append(1)
    first = datetime(*parts, tzinfo=zone)  # type: ignore[arg-type, misc]
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return first, datetime.combine(first.date(), time(23, 59, 59), zone)
    return first, first + timedelta(days=365)


def made(entry: Json) -> str:
    for name in MADE.get(entry["resourceType"], ()):
        value: Any = entry
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value:
            return str(value)
    return ""


def name_of(entry: Json) -> str:
    return f"{entry['resourceType']}/{entry['id']}"


def pointed_at(entry: Json) -> set[str]:
    found = set()
    for name in POINTERS:
        value = entry.get(name, [])
        for item in value if isinstance(value, list) else [value]:
            found.add(item["reference"])
    return found


def text_of(entry: Json) -> str:
    concept = entry.get("medicationCodeableConcept", {})
    return str(concept.get("text") or concept.get("coding", [{}])[0].get("display"))


def drug_of(entry: Json) -> str:
    """The ingredient: the first word of how tests and examples write a product."""
    return text_of(entry).split(maxsplit=1)[0].lower()


def is_order(entry: Json) -> bool:
    return (
        entry["resourceType"] == "MedicationRequest"
        and entry.get("status") not in ("draft", "entered-in-error")
        and entry.get("intent") not in ("plan", "proposal", "option")
        and not entry.get("doNotPerform")
    )


def done_by(order: Json, record: list[Json], zone: ZoneInfo) -> set[str]:
    """What was handed over or given by an order, and whatever refers to that."""
    found = {name_of(order)}
    while True:
        more = {name_of(entry) for entry in record if pointed_at(entry) & found} - found
        if not more:
            break
        found |= more
    for entry in record:
        if entry["resourceType"] not in ("MedicationDispense", "MedicationAdministration"):
            continue
        if pointed_at(entry) or drug_of(entry) != drug_of(order):
            continue
        day = span(made(entry), zone)[1].date() if made(entry) else None
        possible = [
            other
            for other in record
            if other["resourceType"] == "MedicationRequest"
            and drug_of(other) == drug_of(order)
            and other.get("status") not in ("cancelled", "entered-in-error", "draft")
            and not other.get("doNotPerform")
            and (day is None or not made(other) or span(made(other), zone)[0].date() <= day)
        ]
        if possible == [order]:
            found.add(name_of(entry))
    return found - {name_of(order)}


def cut(record: list[Json], order: Json, zone: ZoneInfo) -> tuple[list[Json], datetime]:
    """The record as it was when the order was signed, and that moment."""
    # What nobody signed is no part of any moment.
    record = [entry for entry in record if entry.get("status") != "draft"]
    first, now = span(order["authoredOn"], zone)
    together = [
        entry
        for entry in record
        if is_order(entry)
        and (
            entry is order
            or (
                "T" in order["authoredOn"]
                and "T" in made(entry)
                and span(made(entry), zone)[0] == now
            )
        )
    ]
    after = {name_of(entry) for entry in record if made(entry) and span(made(entry), zone)[0] > now}
    own: set[str] = set()
    for entry in together:
        own |= done_by(entry, record, zone)
    behind = set(after)
    for _ in record:
        behind |= {name_of(entry) for entry in record if pointed_at(entry) & behind}
    found = []
    for entry in record:
        name = name_of(entry)
        if any(entry is item for item in together):
            found.append({**entry, "status": "draft"})
            continue
        if name in after:
            continue
        if name in behind and not made(entry):
            continue
        if name in own and (not made(entry) or span(made(entry), zone)[1] >= first):
            continue
        found.append(as_it_was(entry, now, zone, first))
    return found, now


def as_it_was(entry: Json, now: datetime, zone: ZoneInfo, ordered: datetime) -> Json:
    if entry["resourceType"] == "Patient":
        died = entry.get("deceasedDateTime")
        if entry.get("deceasedBoolean") or (died and span(died, zone)[1] >= ordered):
            return {key: value for key, value in entry.items() if not key.startswith("deceased")}
    over = entry.get("abatementDateTime")
    if entry["resourceType"] == "Condition" and over and span(over, zone)[1].date() >= now.date():
        clinical = {"coding": [{"code": "active"}]}
        lasting = {key: value for key, value in entry.items() if key != "abatementDateTime"}
        return {**lasting, "clinicalStatus": clinical}
    return entry
