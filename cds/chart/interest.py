"""What of a record anybody asks for: the rest is counted, and never made a Python object.

The answer follows from the rulebook and the moment (``cds.engine.needs``); here it is only carried
out. Nothing that a rule could ask for is left out, so no judgement depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cds.chart.kinds import ALL_TYPES


@dataclass(frozen=True, slots=True)
class Interest:
    """The resource types that are read, and how far back.

    ``since`` is a day, YYYY-MM-DD: entries of the types in ``dated`` that lie wholly before it are
    not read; "" reads all. Of the types in ``classified`` only entries in some value set are kept.
    """

    types: tuple[str, ...] = ALL_TYPES
    since: str = ""
    dated: frozenset[str] = frozenset()
    classified: frozenset[str] = frozenset()


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
_DAY = len("YYYY-MM-DD")


def is_wholly_before(resource: Mapping[str, object], since: str) -> bool:
    """Whether all that the entry tells lies before the day; False when that is not plain to see.

    Takes a JSON object of either reader. Looks at texts alone, so a day is as written, in whatever
    zone: the caller leaves room for that.
    """
    telling = _TELLING.intersection(resource.keys())
    dates = telling - _QUIET
    if len(dates) != 1:
        return False
    (name,) = dates
    if name not in _WHEN:
        return False
    value = resource[name]
    if not _WHEN[name]:
        ends = [value] + ([resource["end"]] if "end" in telling else [])
    elif not hasattr(value, "keys"):
        return False
    else:
        ends = [value[part] for part in ("start", "end") if part in value]  # type: ignore[index,operator]
    return bool(ends) and all(_is_day_before(end, since) for end in ends)


def _is_day_before(value: object, since: str) -> bool:
    """Whether a date is at least a full day, and before ``since``."""
    return (
        isinstance(value, str)
        and len(value) >= _DAY
        and value[4] == "-" == value[7]
        and value[:_DAY].replace("-", "").isdecimal()
        and value[:_DAY] < since
    )
