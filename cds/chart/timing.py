"""FHIR Timing as administrations a day, and the words of a sig that say how often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

import msgspec

from cds.chart.fields import Json, as_list, as_object, as_text, period_of
from cds.chart.frequency import (
    ABBREVIATIONS,
    DAYS,
    SNOMED,
    SNOMED_FREQUENCIES,
    Frequency,
    abbreviation,
    hull_of,
    per_day,
    per_period,
)
from cds.terminology.concept import Coding, read_concept
from cds.values.moment import PartialDate
from cds.values.quantity import read_decimal, read_unit


class Schedule(msgspec.Struct, frozen=True):
    """What a Timing says. ``frequency`` is None when it gives none; ``days`` is boundsDuration.

    ``bedtime`` is True or False when the time of day is said, else None.
    """

    frequency: Frequency | None = None
    bedtime: bool | None = None
    start: PartialDate | None = None
    end: PartialDate | None = None
    days: Fraction | None = None


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
        return per_day(1) if total == 1 else None
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
    length = repeat.get("boundsDuration") or repeat.get("boundsQuantity")  # DSTU2
    return read_days(length) or read_days(bounds.get("high"))


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
    dates = Counter(text[:10] for event in as_list(timing.get("event")) if (text := as_text(event)))
    return per_day(max(dates.values())) if dates else None


def _from_code(value: object) -> Frequency | None:
    """What ``Timing.code`` stands for: its codings, each by code or display, else its text."""
    concept = read_concept(value)
    found = [rate for coding in concept.codings if (rate := _from_coding(coding)) is not None]
    return hull_of(found) if found else _from_label(concept.text)


def _from_coding(coding: Coding) -> Frequency | None:
    if coding.system in SNOMED and coding.code in SNOMED_FREQUENCIES:
        return SNOMED_FREQUENCIES[coding.code]
    return _from_label(coding.code) or _from_label(coding.display)


def _from_label(text: str) -> Frequency | None:
    return ABBREVIATIONS.get(abbreviation(text)) or read_frequency_text(text)


def _bedtime(timing: Json, repeat: Json) -> bool | None:
    """Whether a dose is at bedtime: True when any is, False when others are named, else None."""
    hours = {as_text(entry)[:2] for entry in as_list(repeat.get("timeOfDay"))} - {""}
    events = {as_text(entry).upper().split(".")[0] for entry in as_list(repeat.get("when"))} - {""}
    concept = read_concept(timing.get("code"))
    labels = {abbreviation(coding.code) for coding in concept.codings} | {
        abbreviation(concept.text)
    }
    if hours & _BEDTIME_HOURS or (events | labels) & _BEDTIME_EVENTS:
        return True
    if hours or events or labels & _OTHER_EVENTS:
        return False
    return bedtime_in(concept.text)


# --- words ---

# The patterns below are not linear in the length of a text, so a text that no sig comes near is not
# read at all: a part of it might say the opposite of the whole.
LONGEST_SIG = 2_000

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
    return per_period(count, period * _days_of_word(match[3])) if count and period else None


def _always(rate: Frequency) -> _Reader:
    return lambda _: rate


# In this order, each on what the earlier ones left: not every "day" in a sig is daily.
_RATES: tuple[tuple[re.Pattern[str], _Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (rf"\b(\d{{1,3}}) ?times? every (\d{{1,3}}) ?{_UNIT}", _times_in),
        (
            rf"\b(?:every (?:other|2nd) |(?:on )?alternat(?:e|ing) |q ?o)(?:d|{_DAY_PART}s?)\b",
            _always(per_day(Fraction(1, 2))),
        ),
        (r"\bevery 3rd (?:day|night)\b", _always(per_day(Fraction(1, 3)))),
        (r"\b(?:every (?:other|2nd) week|fortnightly)\b", _always(per_day(Fraction(1, 14)))),
        (rf"\b(?:every|each|q) ?{_N} ?{_UNIT}", _interval),
        (rf"\b{_N} ?(h)ourly\b", _interval),
        (rf"\b{_N} ?(?:times?|x) ?{_EACH}(d|day|daily|wk|week|weekly|month|monthly)\b", _times),
        (rf"\b(\d) ?days?() ?{_EACH}(w)eek(?:ly)?\b", _times),
        (r"\b(?:bid|bd)\b", _always(per_day(2))),
        (r"\b(?:tid|tds)\b", _always(per_day(3))),
        (r"\b(?:qid|qds)\b", _always(per_day(4))),
        (r"\b(?:hourly|every hour)\b", _always(per_day(24))),
        (
            r"\b(?:weekly|(?:every|each|per|a) week|qwk)\b|/ ?(?:wk|week)\b",
            _always(per_day(Fraction(1, 7))),
        ),
        (
            r"\b(?:monthly|(?:every|each|per|a) month)\b|/ ?month\b",
            _always(per_day(Fraction(1, 30))),
        ),
        (r"\b(?:daily|qd|(?:every|each|per|a) day)\b|/ ?(?:d|day)\b", _always(per_day(1))),
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


def read_frequency_text(text: str) -> Frequency | None:
    """Administrations a day that the words say; None when they say none, or more than one.

    None, too, for a text longer than LONGEST_SIG.
    """
    return None if len(text) > LONGEST_SIG else _read_frequency_text(text)


@lru_cache(maxsize=1024)
def _read_frequency_text(text: str) -> Frequency | None:
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
    if stated is None or (stated == per_day(1) and moments > 1):
        # "nightly after dinner" may be one moment told twice; only a list of moments is sure.
        return per_day(moments if listed else 1, moments) if moments else None
    return stated


def _moments(words: str) -> int:
    """How many moments of the day the words name."""
    named = sum(1 for pattern in _MOMENTS if pattern.search(words))
    return max(named, len(set(_CLOCK.findall(words))), _MEALS_A_DAY * bool(_MEALS.search(words)))


def bedtime_in(text: str) -> bool | None:
    """Whether the words put a dose at bedtime; False if they name other moments, None if none.

    None, too, for a text longer than LONGEST_SIG.
    """
    return None if len(text) > LONGEST_SIG else _bedtime_in(text)


@lru_cache(maxsize=1024)
def _bedtime_in(text: str) -> bool | None:
    words = plain_words(text)
    if _NIGHT.search(words):
        return True
    return False if _moments(words) else None
