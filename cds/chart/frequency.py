"""Administrations a day, and the codes and abbreviations that stand for a frequency.

Rates are exact fractions: 7 mg "5 times in 7 days" is 5 mg a day, which no rounded quotient gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from types import MappingProxyType

import msgspec

DAYS: Mapping[str, Fraction] = MappingProxyType(
    {
        "s": Fraction(1, 86400),
        "min": Fraction(1, 1440),
        "h": Fraction(1, 24),
        "d": Fraction(1),
        "wk": Fraction(7),
        "mo": Fraction(30),
        "a": Fraction(365),
    }
)
"""Length in days of each UCUM unit that ``periodUnit`` allows; calendar units as averages."""


class Frequency(msgspec.Struct, frozen=True):
    """Administrations a day, as exact fractions: ``low`` for floors, ``high`` for safety."""

    low: Fraction
    high: Fraction

    def hull(self, other: Frequency) -> Frequency:
        """The frequency from the lower low to the higher high end."""
        return Frequency(min(self.low, other.low), max(self.high, other.high))


def per_day(low: int | Fraction, high: int | Fraction | None = None) -> Frequency:
    """So many administrations a day, or from ``low`` to ``high``."""
    return Frequency(Fraction(low), Fraction(low if high is None else high))


def per_period(count: int, days: Fraction) -> Frequency:
    """So many administrations in so many days."""
    return per_day(count / days)


# HL7 GTSAbbreviation and the pharmacy abbreviations beside it: upper case, no dots, no spaces.
ABBREVIATIONS: Mapping[str, Frequency] = MappingProxyType(
    {
        **dict.fromkeys(("QD", "DAILY", "OD", "Q1D", "ONCEDAILY"), per_day(1)),
        **dict.fromkeys(("AM", "QAM", "MANE", "PM", "QPM"), per_day(1)),
        **dict.fromkeys(("BED", "HS", "QHS", "QN", "NIGHTLY", "NOCTE"), per_day(1)),
        **dict.fromkeys(("ONCE", "STAT", "X1", "1X"), per_day(1)),
        **dict.fromkeys(("BID", "BD"), per_day(2)),
        **dict.fromkeys(("TID", "TDS"), per_day(3)),
        **dict.fromkeys(("QID", "QDS"), per_day(4)),
        "QOD": per_day(Fraction(1, 2)),
        **dict.fromkeys(("WK", "QWK", "QW", "WEEKLY"), per_day(Fraction(1, 7))),
        "BIW": per_day(Fraction(2, 7)),
        "TIW": per_day(Fraction(3, 7)),
        **dict.fromkeys(("MO", "QMO", "QMONTH", "MONTHLY"), per_day(Fraction(1, 30))),
    }
)

SNOMED = frozenset({"http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"})
# SNOMED CT administration frequencies, as quality measures and national FHIR profiles publish them.
SNOMED_FREQUENCIES: Mapping[str, Frequency] = MappingProxyType(
    {
        code: per_day(low, high)
        for codes, low, high in (
            ("229797004 396125000", 1, 1),
            ("229799001 307470009", 2, 2),
            ("229798009 307469008", 3, 3),
            ("307439001 307468000", 4, 4),
            ("307440004", 5, 5),
            ("307441000 225756002", 6, 6),
            ("307442007", 7, 7),
            ("307443002 225753005", 8, 8),
            ("225750008", 12, 12),
            ("225768006", 24, 24),
            ("396107007", 1, 2),
            ("396108002", 1, 3),
            ("396109005", 1, 4),
            ("396111001", 2, 4),
            ("396140003", 2, 3),
            ("396139000", 3, 4),
            ("396127008", 4, 8),
            ("225754004", 6, 8),
            ("225752000", 6, 12),
            ("396126004", Fraction(2, 3), Fraction(2, 3)),
            ("396131002 225760004", Fraction(1, 2), Fraction(1, 2)),
            ("396143001", Fraction(1, 3), Fraction(1, 3)),
            ("225769003", Fraction(1, 7), Fraction(1, 7)),
        )
        for code in codes.split()
    }
)


def abbreviation(text: str) -> str:
    """The text as a key of ABBREVIATIONS."""
    return re.sub(r"[.\s_]+", "", text).upper().removesuffix("PRN")


def hull_of(rates: Iterable[Frequency]) -> Frequency | None:
    """The frequency from the lowest low to the highest high end; None of none."""
    merged: Frequency | None = None
    for rate in rates:
        merged = rate if merged is None else merged.hull(rate)
    return merged
