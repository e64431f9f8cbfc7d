"""When a dose is taken, as an author says it, turned into a FHIR R4 Timing."""

from __future__ import annotations

import re

from cds.authoring.fields import Json
from cds.authoring.phrases import number, read_concept, time_unit

TIMES_FORM = (
    "once daily, twice daily, N times a day (or week), N-M times a day, every N hours (or days), "
    "every N-M hours, every other day, weekly, once; then: at bedtime, in the morning, with meals, "
    "at 08:00 and 20:00, on mon and thu; or code BID, or text WORDS"
)

_ABBREVIATIONS = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
_WORDS = {"once": "1", "twice": "2", "daily": "day", "weekly": "week", "monthly": "month"}
_PERIODS = {"day": "d", "week": "wk", "month": "mo", "hour": "h"}
_EVENTS = {
    "at bedtime": "HS",
    "in the morning": "MORN",
    "in the afternoon": "AFT",
    "in the evening": "EVE",
    "at night": "NIGHT",
    "with meals": "C",
    "before meals": "AC",
    "after meals": "PC",
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"(?:^|\s+)at ((?:\d\d:\d\d)(?:(?:, | and )\d\d:\d\d)*)\Z")
_WEEKDAYS = re.compile(r"(?:^|\s+)on ((?:[a-z]{3})(?:(?:, | and )[a-z]{3})*)\Z")
_RATE = re.compile(
    r"(\d+)(?:-(\d+))?(?: times?)?(?: (?:a|per|every|each))? (day|week|month|hour)\Z"
)
_INTERVAL = re.compile(
    r"every (\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))? (minutes?|hours?|days?|weeks?|months?)\Z"
)


def read_timing(phrase: str) -> Json:
    """A Timing for a phrase such as "once daily at bedtime" or "code BID".

    Its ``repeat`` says what the phrase says and nothing more: "at bedtime" alone has ``when`` and
    no frequency. Raises ValueError on a phrase that is not of ``TIMES_FORM``.
    """
    kind, _, rest = phrase.partition(" ")
    if kind == "code" and rest:
        return {"code": _timing_code(rest)}
    if kind == "text" and rest:
        return {"code": {"text": rest}}
    return {"repeat": _repeat(phrase)}


def _timing_code(code: str) -> Json:
    return read_concept(code if " " in code else f"{_ABBREVIATIONS} {code}")


def _repeat(phrase: str) -> Json:
    base, moments = _moments(phrase)
    if not base and moments:
        return moments
    return {**_rate(base), **moments}


def _moments(phrase: str) -> tuple[str, Json]:
    """The phrase without its tail, and what the tail says about the hour or the day."""
    for words, event in _EVENTS.items():
        if phrase.endswith(words):
            return phrase.removesuffix(words).strip(), {"when": [event]}
    if clock := _CLOCK.search(phrase):
        hours = [f"{hour}:00" for hour in re.split(", | and ", clock[1])]
        return phrase[: clock.start()], {"timeOfDay": hours}
    if weekdays := _WEEKDAYS.search(phrase):
        days = re.split(", | and ", weekdays[1])
        if not set(days) <= set(_DAYS):
            raise ValueError(phrase)
        return phrase[: weekdays.start()], {"dayOfWeek": days}
    return phrase, {}


def _rate(phrase: str) -> Json:
    if phrase == "once":
        return {"count": 1}
    words = " ".join(_WORDS.get(word, word) for word in phrase.split())
    words = words.replace("every other ", "every 2 ").replace("times day", "times a day")
    words = re.sub(r"^(?:every )?(day|week|month|hour)$", r"1 \1", words)
    if rate := _RATE.match(words):
        return _frequency(rate[1], rate[2], _PERIODS[rate[3]])
    if interval := _INTERVAL.match(words if words[-1] == "s" else f"{words}s"):
        return _interval(interval[1], interval[2], time_unit(interval[3]))
    raise ValueError(phrase)


def _frequency(least: str, most: str | None, unit: str) -> Json:
    frequency: Json = {"frequency": int(least)}
    if most:
        frequency["frequencyMax"] = int(most)
    return {**frequency, "period": 1, "periodUnit": unit}


def _interval(least: str, most: str | None, unit: str) -> Json:
    interval: Json = {"frequency": 1, "period": number(least)}
    if most:
        interval["periodMax"] = number(most)
    return {**interval, "periodUnit": unit}
