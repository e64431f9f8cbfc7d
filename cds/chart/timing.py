"""FHIR Timing as administrations a day, and the words and abbreviations that stand for one.

Rates are exact fractions: 7 mg "5 times in 7 days" is 5 mg a day, which no rounded quotient gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

from cds.chart.fields import Json, as_list, as_object, as_text, period_of
from cds.terminology.concept import Coding, read_concept
from cds.values.moment import PartialDate
from cds.values.quantity import read_decimal, read_unit

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


@dataclass(frozen=True, slots=True)
class Frequency:
    """Administrations a day, as exact fractions: ``low`` for floors, ``high`` for safety."""

    low: Fraction
    high: Fraction

    def hull(self, other: Frequency) -> Frequency:
        """The frequency from the lower low to the higher high end."""
        return Frequency(min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a Timing says. ``frequency`` is None when it gives none; ``days`` is boundsDuration.

    ``bedtime`` is True or False when the time of day is said, else None.
    """

    frequency: Frequency | None = None
    bedtime: bool | None = None
    start: PartialDate | None = None
    end: PartialDate | None = None
    days: Fraction | None = None


def _per_day(low: int | Fraction, high: int | Fraction | None = None) -> Frequency:
    return Frequency(Fraction(low), Fraction(low if high is None else high))


def _per_period(count: int, days: Fraction) -> Frequency:
    return _per_day(count / days)


# HL7 GTSAbbreviation and the pharmacy abbreviations beside it: upper case, no dots, no spaces.
_ABBREVIATIONS: Mapping[str, Frequency] = MappingProxyType(
    {
        **dict.fromkeys(("QD", "DAILY", "OD", "Q1D", "ONCEDAILY"), _per_day(1)),
        **dict.fromkeys(("AM", "QAM", "MANE", "PM", "QPM"), _per_day(1)),
        **dict.fromkeys(("BED", "HS", "QHS", "QN", "NIGHTLY", "NOCTE"), _per_day(1)),
        **dict.fromkeys(("ONCE", "STAT", "X1", "1X"), _per_day(1)),
        **dict.fromkeys(("BID", "BD"), _per_day(2)),
        **dict.fromkeys(("TID", "TDS"), _per_day(3)),
        **dict.fromkeys(("QID", "QDS"), _per_day(4)),
        "QOD": _per_day(Fraction(1, 2)),
        **dict.fromkeys(("WK", "QWK", "QW", "WEEKLY"), _per_day(Fraction(1, 7))),
        "BIW": _per_day(Fraction(2, 7)),
        "TIW": _per_day(Fraction(3, 7)),
        **dict.fromkeys(("MO", "QMO", "QMONTH", "MONTHLY"), _per_day(Fraction(1, 30))),
    }
)

_SNOMED = frozenset({"http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"})
# SNOMED CT administration frequencies, as quality measures and national FHIR profiles publish them.
_SNOMED_FREQUENCIES: Mapping[str, Frequency] = MappingProxyType(
    {
        code: _per_day(low, high)
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

# EventTiming codes (R4 §8.21.3): C, AC and PC name every meal, each other code one moment.
_EACH_MEAL = frozenset({"C", "AC", "PC"})
_MEALS_A_DAY = 3
_DAYS_A_WEEK = 7
_BEDTIME_EVENTS = frozenset({"HS", "PHS", "NIGHT", "BED", "QHS", "QN", "NIGHTLY", "NOCTE"})
_OTHER_EVENTS = frozenset({"AM", "QAM", "MANE", "PM", "QPM"})
_BEDTIME_HOURS = frozenset({"20", "21", "22", "23", "00", "01", "02", "03"})


def read_schedule(timing: object, zone: ZoneInfo) -> Schedule:
    """What a FHIR Timing says (R4 §2.24.0.7); everything unknown when absent. Never raises."""
    source = as_object(timing)
    repeat = as_object(source.get("repeat"))
    start, end = period_of(repeat.get("boundsPeriod"), zone)
    return Schedule(
        frequency=read_frequency(source),
        bedtime=_bedtime(source, repeat),
        start=start,
        end=end,
        days=_bounds_days(repeat),
    )


def read_frequency(timing: Json) -> Frequency | None:
    """Administrations a day: from ``repeat``, else ``code``, else ``event``; None when not said.

    ``repeat.count`` caps the rate: who takes two doses in all takes no four on one day.
    """
    repeat = as_object(timing.get("repeat"))
    found = _from_repeat(repeat) or _from_code(timing.get("code")) or _from_events(timing)
    total = _most(repeat, "count", "countMax")
    if found is None:
        return _per_day(1) if total == 1 else None
    return Frequency(min(found.low, total), min(found.high, total)) if total else found


def read_number(value: object) -> Fraction | None:
    """The number of a JSON number or a string of one, exactly; None for anything else."""
    try:
        return Fraction(read_decimal(value))
    except ValueError:
        return None


def read_days(value: object) -> Fraction | None:
    """Days of a FHIR Duration above zero; None when its value or unit is not understood."""
    duration = as_object(value)
    number = read_number(duration.get("value"))
    length = days_in(duration.get("code")) or days_in(duration.get("unit"))
    return number * length if number is not None and number > 0 and length else None


def days_in(unit: object) -> Fraction | None:
    """Days in one unit of time, by UCUM code or everyday name; None when it is no such unit."""
    canonical = read_unit(unit)
    return DAYS.get(canonical) if canonical is not None else None


def _bounds_days(repeat: Json) -> Fraction | None:
    bounds = as_object(repeat.get("boundsRange"))
    return read_days(repeat.get("boundsDuration")) or read_days(bounds.get("high"))


def _most(repeat: Json, *names: str) -> Fraction | None:
    """The largest of the named numbers above zero."""
    numbers = (read_number(repeat.get(name)) for name in names)
    return max((number for number in numbers if number is not None and number > 0), default=None)


def _span(repeat: Json, name: str) -> tuple[Fraction, Fraction] | None:
    """``name`` and ``nameMax`` in rising order; None when neither is a number above zero."""
    ends = [read_number(repeat.get(key)) for key in (name, f"{name}Max")]
    found = sorted(end for end in ends if end is not None and end > 0)
    return (found[0], found[-1]) if found else None


def _from_repeat(repeat: Json) -> Frequency | None:
    times = _span(repeat, "frequency")
    if times is None and repeat.get("frequency") is not None:
        return None
    listed, expanded = _listed_moments(repeat)
    weekdays = len({as_text(day) for day in as_list(repeat.get("dayOfWeek"))} - {""})
    period = _period(repeat)
    if period is None:
        if not listed and not weekdays:
            return None
        # Moments and weekdays recur by themselves; a frequency beside weekdays is per such day.
        period = (Fraction(1), Fraction(1))
        times = None if listed else times
    # Without a frequency: the listed moments, else once. A list longer than it is the safe end.
    low, high = times or (Fraction(expanded or 1), Fraction(expanded or 1))
    rate = (low / period[1], max(high, Fraction(listed)) / period[0])
    return _on_weekdays(rate, weekdays, period) if weekdays else Frequency(*rate)


def _on_weekdays(
    rate: tuple[Fraction, Fraction], weekdays: int, period: tuple[Fraction, Fraction]
) -> Frequency:
    """The rate on so many days of the week.

    The trap: "once a week, on Monday" is once a week and not once in seven weeks.
    """
    share = Fraction(min(weekdays, _DAYS_A_WEEK), _DAYS_A_WEEK)
    if period[0] < _DAYS_A_WEEK:
        return Frequency(rate[0] * share, rate[1] * share)
    return Frequency(rate[0], max(rate[1], weekdays / period[0]))


def _period(repeat: Json) -> tuple[Fraction, Fraction] | None:
    span = _span(repeat, "period")
    unit = days_in(repeat.get("periodUnit") or repeat.get("periodUnits"))
    return (span[0] * unit, span[1] * unit) if span and unit else None


def _listed_moments(repeat: Json) -> tuple[int, int]:
    """How many moments of a day are listed: one for each entry, and with each meal counted."""
    clock = {text for entry in as_list(repeat.get("timeOfDay")) if (text := as_text(entry))}
    events = {as_text(entry).upper() for entry in as_list(repeat.get("when"))} - {""}
    meals = len(events & _EACH_MEAL) * (_MEALS_A_DAY - 1)
    return max(len(clock), len(events)), max(len(clock), len(events) + meals)


def _from_events(timing: Json) -> Frequency | None:
    """The most events listed for one date, each an administration."""
    dates = [as_text(event)[:10] for event in as_list(timing.get("event")) if as_text(event)]
    return _per_day(max(map(dates.count, dates))) if dates else None


def _from_code(value: object) -> Frequency | None:
    """What ``Timing.code`` stands for: its codings, each by code or display, else its text."""
    concept = read_concept(value)
    found = [rate for coding in concept.codings if (rate := _from_coding(coding)) is not None]
    return _hull(found) if found else _from_label(concept.text)


def _from_coding(coding: Coding) -> Frequency | None:
    if coding.system in _SNOMED and coding.code in _SNOMED_FREQUENCIES:
        return _SNOMED_FREQUENCIES[coding.code]
    return _from_label(coding.code) or _from_label(coding.display)


def _from_label(text: str) -> Frequency | None:
    return _ABBREVIATIONS.get(_abbreviation(text)) or read_frequency_text(text)


def _abbreviation(text: str) -> str:
    return re.sub(r"[.\s_]+", "", text).upper().removesuffix("PRN")


def _hull(rates: Iterable[Frequency]) -> Frequency | None:
    merged: Frequency | None = None
    for rate in rates:
        merged = rate if merged is None else merged.hull(rate)
    return merged


def _bedtime(timing: Json, repeat: Json) -> bool | None:
    """Whether a dose is at bedtime: True when any is, False when others are named, else None."""
    hours = {as_text(entry)[:2] for entry in as_list(repeat.get("timeOfDay"))} - {""}
    events = {as_text(entry).upper().split(".")[0] for entry in as_list(repeat.get("when"))} - {""}
    concept = read_concept(timing.get("code"))
    labels = {_abbreviation(coding.code) for coding in concept.codings} | {
        _abbreviation(concept.text)
    }
    if hours & _BEDTIME_HOURS or (events | labels) & _BEDTIME_EVENTS:
        return True
    if hours or events or labels & _OTHER_EVENTS:
        return False
    return bedtime_in(concept.text)


# --- words ---

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **{word: str(value) for value, word in enumerate(_NUMBERS, 1)},
        "once": "1 times",
        "twice": "2 times",
        "thrice": "3 times",
        "second": "2nd",
        "third": "3rd",
    }
)
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b")
# A number in words, and again in digits within parentheses.
_REPEATED = re.compile(r"\b(\d+) ?\(\1\)")
_DOTTED = re.compile(r"\b(?:[a-z]\.){2,}")


def plain_words(text: str) -> str:
    """The text in lower case: numbers as digits, dotted abbreviations joined, single spaces."""
    lowered = re.sub(r"[\u2010-\u2015]", "-", text.lower())
    lowered = _DOTTED.sub(lambda match: match.group().replace(".", ""), lowered)
    lowered = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", lowered)
    lowered = _WORD.sub(lambda match: _WORDS[match.group()], lowered)
    return _REPEATED.sub(r"\1", " ".join(lowered.split()))


# Left out before reading: how long the course is, the most that may be taken, what is dispensed.
_ASIDES = re.compile(
    r"\bfor (?:an? |the next )?(?:\d+(?: ?(?:-|to) ?\d+)? ?)?(?:days?|weeks?|months?)\b"
    r"|\bx ?\d+ ?(?:d|days?|wks?|weeks?|months?)\b"
    r"|\b(?:max(?:imum)?|(?:do )?not (?:to )?exceed|(?:no|not) more than)\b(?:(?!\. |[;)\n]|, ).)*"
    r"|(?:\b(?:dispense|disp|qty|quantity|supply|refills?)\b|#) ?:? ?\d+(?: [a-z]+)?"
)


def instruction_words(text: str) -> str:
    """The plain words of a sig without durations, maxima and dispensed quantities."""
    return _ASIDES.sub(" ; ", plain_words(text))


_N = r"(\d{1,3})(?:\s*(?:-|to|or)\s*(\d{1,3}))?"
_UNIT = r"(h|hrs?|hours?|d|days?|wks?|weeks?|mo|months?)\b"
_LENGTHS = {"h": "h", "d": "d", "w": "wk", "m": "mo"}
_EACH = r"(?:an? |per |each |every |in a |/ ?)?"
_DAY_PART = r"(?:day|night|evening|morning)"
_Reader = Callable[[re.Match[str]], Frequency | None]


def _days_of_word(word: str) -> Fraction:
    return DAYS[_LENGTHS[word[0]]]


def _interval(match: re.Match[str]) -> Frequency | None:
    """Every N (to M) units."""
    shortest, longest = sorted((int(match[1]), int(match[2] or match[1])))
    length = _days_of_word(match[3])
    return Frequency(1 / (longest * length), 1 / (shortest * length)) if shortest else None


def _times(match: re.Match[str]) -> Frequency | None:
    """N (to M) times a unit."""
    fewest, most = sorted((int(match[1]), int(match[2] or match[1])))
    length = _days_of_word(match[3])
    return Frequency(fewest / length, most / length) if fewest else None


def _times_in(match: re.Match[str]) -> Frequency | None:
    """N times every M units."""
    count, period = int(match[1]), int(match[2])
    return _per_period(count, period * _days_of_word(match[3])) if count and period else None


def _always(rate: Frequency) -> _Reader:
    return lambda _: rate


# In this order, each on what the earlier ones left: not every "day" in a sig is daily.
_RATES: tuple[tuple[re.Pattern[str], _Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (rf"\b(\d{{1,3}}) ?times? every (\d{{1,3}}) ?{_UNIT}", _times_in),
        (
            rf"\b(?:every (?:other|2nd) |(?:on )?alternat(?:e|ing) |q ?o)(?:d|{_DAY_PART}s?)\b",
            _always(_per_day(Fraction(1, 2))),
        ),
        (r"\bevery 3rd (?:day|night)\b", _always(_per_day(Fraction(1, 3)))),
        (r"\b(?:every (?:other|2nd) week|fortnightly)\b", _always(_per_day(Fraction(1, 14)))),
        (rf"\b(?:every|each|q) ?{_N} ?{_UNIT}", _interval),
        (rf"\b{_N} ?(h)ourly\b", _interval),
        (rf"\b{_N} ?(?:times?|x) ?{_EACH}(d|day|daily|wk|week|weekly|month|monthly)\b", _times),
        (rf"\b(\d) ?days?() ?{_EACH}(w)eek(?:ly)?\b", _times),
        (r"\b(?:bid|bd)\b", _always(_per_day(2))),
        (r"\b(?:tid|tds)\b", _always(_per_day(3))),
        (r"\b(?:qid|qds)\b", _always(_per_day(4))),
        (r"\b(?:hourly|every hour)\b", _always(_per_day(24))),
        (
            r"\b(?:weekly|(?:every|each|per|a) week|qwk)\b|/ ?(?:wk|week)\b",
            _always(_per_day(Fraction(1, 7))),
        ),
        (
            r"\b(?:monthly|(?:every|each|per|a) month)\b|/ ?month\b",
            _always(_per_day(Fraction(1, 30))),
        ),
        (r"\b(?:daily|qd|(?:every|each|per|a) day)\b|/ ?(?:d|day)\b", _always(_per_day(1))),
    )
)

_NIGHT = re.compile(
    r"\b(?:bed ?time|(?:before|at|to) bed|q?hs|nightly|nocte|(?:at|every|each|per) night)\b"
    r"|\b(?:8|9|10|11)(?::\d\d)? ?pm\b"
)
_MOMENTS: tuple[re.Pattern[str], ...] = (
    re.compile(r"\b(?:mornings?|breakfast|q ?am|mane)\b"),
    re.compile(r"\b(?:noon|midday|lunch)\b"),
    re.compile(r"\bafternoons?\b"),
    re.compile(r"\b(?:evenings?(?! (?:at|before) bed)|dinner|supper|q ?pm)\b"),
    _NIGHT,
)
_LISTED = re.compile(r"\band\b|[,&+;/]|\bmeals?\b")
_CLOCK = re.compile(r"\b(\d{1,2}(?::\d\d)?) ?(am|pm)\b")
_MEALS = re.compile(
    r"\b(?:with|before|after)(?: each| every| all)? meals\b|\beach meal\b|\bmeal ?times?\b"
)


@lru_cache(maxsize=1024)
def read_frequency_text(text: str) -> Frequency | None:
    """Administrations a day that the words say; None when they say none, or more than one."""
    words = instruction_words(text)
    moments, listed = _moments(words), bool(_LISTED.search(words))
    rates: set[Frequency] = set()
    for pattern, reader in _RATES:
        rates.update(
            rate for match in pattern.finditer(words) if (rate := reader(match)) is not None
        )
        words = pattern.sub(" ; ", words)
    if len(rates) > 1:
        return None
    stated = next(iter(rates), None)
    if stated is None or (stated == _per_day(1) and moments > 1):
        # "nightly after dinner" may be one moment told twice; only a list of moments is sure.
        return _per_day(moments if listed else 1, moments) if moments else None
    return stated


def _moments(words: str) -> int:
    """How many moments of the day the words name."""
    named = sum(1 for pattern in _MOMENTS if pattern.search(words))
    return max(named, len(set(_CLOCK.findall(words))), _MEALS_A_DAY * bool(_MEALS.search(words)))


@lru_cache(maxsize=1024)
def bedtime_in(text: str) -> bool | None:
    """Whether the words put a dose at bedtime; False if they name other moments, None if none."""
    words = plain_words(text)
    if _NIGHT.search(words):
        return True
    return False if _moments(words) else None
