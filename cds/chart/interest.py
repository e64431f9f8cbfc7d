"""What of a record anybody asks for: the rest is counted, and never made a Python object.

The answer follows from the rulebook and the moment (``cds.engine.needs``); here it is only carried
out. Nothing that a rule could ask for is left out, so no judgement depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from cds.chart.kinds import ALL_TYPES
from cds.chart.medication import MEDICATION_LINKS


class Interest(msgspec.Struct, frozen=True):
    """The resource types that are read, and how far back.

    ``since`` is a day, YYYY-MM-DD: entries of the types in ``dated`` that lie wholly before it are
    not read; "" reads all. Of the types in ``classified`` only entries in some value set are kept,
    and where ``bystanders`` is a day, of the medications in none that were recorded before it one.
    """

    types: tuple[str, ...] = ALL_TYPES
    since: str = ""
    dated: frozenset[str] = frozenset()
    classified: frozenset[str] = frozenset()
    bystanders: str = ""


EVERYTHING = Interest()

NOT_READ = "no rule reads this type"
UNCLASSIFIED = "in no value set that a rule asks for"


def before(since: str) -> str:
    """The reason why an old entry is not read."""
    return f"wholly before {since}, further back than any rule looks"


# Where the types that can be dated say when they were; an entry with any other date or a link is
# read whatever its age, since what it belongs to may be younger.
_WHEN: Mapping[str, str] = {
    "start": "",
    "period": "start",
    "occurrenceDateTime": "",
    "occurrencePeriod": "start",
    "performedDateTime": "",
    "performedPeriod": "start",
}
_TELLING = frozenset(
    {
        *_WHEN,
        *("end", "requestedPeriod", "plannedPeriod", "plannedStartDate", "occurrence", "performed"),
        *("occurrenceTiming", "basedOn", "partOf", "replaces", "appointment", "request"),
        *("reasonReference", "modifierExtension", "implicitRules", "contained"),
    }
)
_QUIET = frozenset({"end", "reasonReference"})
# A day that there is in every month, with or without a time: what else is written as a date is
# read in full, since it may be no date at all.
_DAY = re.compile(
    r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8]"
    r"|(?<!-02-)(?:29|30)|(?<=-0[13578]-)31|(?<=-1[02]-)31)"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r"(?:[Zz]|[+-](?:0[0-9]|1[0-3]):?[0-5][0-9])?)?"
)


def telling(resource: Mapping[str, object]) -> frozenset[str]:
    """The names of those elements that say when the entry was, or what it belongs to.

    Takes a JSON object of either reader.
    """
    return _TELLING.intersection(resource.keys())


def is_wholly_before(resource: Mapping[str, object], told: frozenset[str], since: str) -> bool:
    """Whether all that the entry tells lies before the day; False when that is not plain to see.

    ``told`` is what `telling` gives. Looks at texts alone, so a day is as written, in whatever
    zone: the caller leaves room for that.
    """
    name, part = _shape(told)
    # An appointment begins at its start, and nothing else does.
    if not name or (name == "start") != (resource["resourceType"] == "Appointment"):
        return False
    value: Any = resource[name]
    if not part:
        first, last = value, resource["end"] if "end" in told else value
    elif hasattr(value, "keys"):
        # A period without a start says nothing of when it began.
        first, last = value.get(part), value.get("end")
        last = first if last is None else last
    else:
        return False
    return _is_day_before(first, since) and _is_day_before(last, since)


# Real records hold few such sets of names, an invented one may hold very many.
@lru_cache(maxsize=1024)
def _shape(told: frozenset[str]) -> tuple[str, str]:
    """The one element that dates an entry, and its part if it is a period; "" if there is none."""
    dates = told - _QUIET
    if len(dates) != 1:
        return "", ""
    (name,) = dates
    return (name, _WHEN[name]) if name in _WHEN else ("", "")


# Where a medication may say by other means than its code what it is, or what it belongs to.
_DRUG_TELLING = frozenset(
    {
        *MEDICATION_LINKS,
        *("medicationReference", "medication", "contained", "modifierExtension", "implicitRules"),
        "medicationCodeableConcept",
    }
)
_DRUG_LINKS = frozenset(MEDICATION_LINKS)
_NAMED_BY_CODE = frozenset({"medicationCodeableConcept"})
_RECORDED = {"MedicationRequest": "authoredOn", "MedicationDispense": "whenHandedOver"}


def telling_of_drug(resource: Mapping[str, object]) -> frozenset[str] | None:
    """The names of a medication's elements that link; None when not its code alone names it."""
    told = _DRUG_TELLING.intersection(resource.keys())
    links = told - _NAMED_BY_CODE
    return links if len(links) < len(told) and links <= _DRUG_LINKS else None


def is_recorded_before(kind: str, resource: Mapping[str, object], day: str) -> bool:
    """Whether a medication was certainly on the record before a day."""
    name = _RECORDED.get(kind)
    return name is not None and _is_day_before(resource.get(name), day)


def _is_day_before(value: object, since: str) -> bool:
    """Whether a date is at least a full day, and before ``since``."""
    return isinstance(value, str) and value < since and _DAY.fullmatch(value) is not None
