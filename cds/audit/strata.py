"""The strata that an audit counts by: year, administrative sex and band of age.

====== ========================================================================================
year   calendar year of the instant judged for, in the site's zone
sex    ``Patient.gender``: female, male, other, unknown; anything else and nothing is unknown
age    completed years on that day, by tens to 89, then ``90+``; *unknown* without a date of
       birth, with one in the future, and where a year or a month leaves the band open
====== ========================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import msgspec

from cds.chart.model import Patient
from cds.values.moment import DayRange

UNKNOWN = "unknown"
DIMENSIONS = ("year", "sex", "age")
SEXES = ("female", "male", "other", UNKNOWN)
_TENS = tuple(f"{low}-{low + 9}" for low in range(0, 90, 10))
BANDS = (*_TENS, "90+", UNKNOWN)
VERDICTS = ("fired", "not_fired", "unknown")

Stratum = tuple[str, str, str]
"""Year, sex and age of a judged patient."""


def stratum_of(patient: Patient, day: date) -> Stratum:
    """The stratum of a patient who is judged on a day."""
    sex = patient.sex if patient.sex in SEXES else UNKNOWN
    born = patient.born
    return str(day.year), sex, band(born.days, day) if born is not None else UNKNOWN


def band(born: DayRange, day: date) -> str:
    """The band of age on a day; *unknown* where the possible days of birth lie in two."""
    oldest = _band(born.earliest, day)
    return oldest if born.certain or oldest == _band(born.latest, day) else UNKNOWN


def _band(born: date, day: date) -> str:
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return UNKNOWN if years < 0 else BANDS[min(years // 10, len(_TENS))]


class Counts(msgspec.Struct):
    """How many were judged, and by rule how many of them have each verdict."""

    judged: int = 0
    fired: Counter[str] = msgspec.field(default_factory=Counter)
    not_fired: Counter[str] = msgspec.field(default_factory=Counter)
    unknown: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, fired: list[str], not_fired: list[str], unknown: list[str]) -> None:
        """Counts one that was judged, by the ids of the rules."""
        self.judged += 1
        self.fired.update(fired)
        self.not_fired.update(not_fired)
        self.unknown.update(unknown)

    def merge(self, other: Counts) -> None:
        self.judged += other.judged
        self.fired.update(other.fired)
        self.not_fired.update(other.not_fired)
        self.unknown.update(other.unknown)

    def of(self, rule: str) -> dict[str, int]:
        """The verdicts of one rule."""
        return {name: getattr(self, name)[rule] for name in VERDICTS}


Strata = dict[Stratum, Counts]
Breakdown = Mapping[str, Mapping[str, Counts]]
"""By dimension and its values, in their order: those that somebody has."""


def total(strata: Strata) -> Counts:
    """All strata together."""
    return _sum(strata.values())


def breakdown(strata: Strata) -> Breakdown:
    """Each dimension by itself, over the values of the others."""
    found = {}
    for place, name in enumerate(DIMENSIONS):
        values = sorted({stratum[place] for stratum in strata}, key=_rank)
        found[name] = {
            value: _sum(item for key, item in strata.items() if key[place] == value)
            for value in values
        }
    return found


def judged(summary: Mapping[str, Any]) -> int | None:
    """What the counts of rules add up to: patients, or orders where each was judged by itself."""
    count: int | None = (summary.get("orders") or summary["patients"])["judged"]
    return count


def by_rule(found: Breakdown, rule: str) -> dict[str, Any]:
    """One rule's verdicts by dimension and value."""
    return {
        name: {value: counts.of(rule) for value, counts in values.items()}
        for name, values in found.items()
    }


def _rank(value: str) -> tuple[bool, int, str]:
    """In the order of years and of ages; unknown comes last."""
    number = value.partition("-")[0].rstrip("+")
    return value == UNKNOWN, int(number) if number.isdecimal() else 0, value


def _sum(items: Iterable[Counts]) -> Counts:
    found = Counts()
    for item in items:
        found.merge(item)
    return found
