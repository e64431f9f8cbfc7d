"""Strengths in a product's name: "5 MG", "1 MG/ML", "0.025 MG/HR", "7.5-325", "5/325 mg"."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from cds.values.quantity import Quantity, read_unit

_JOINS = frozenset({"-", "/"})
# Two or more joined numbers without a unit ("5-325") are milligrams by custom.
_CUSTOMARY_UNIT = "mg"
_ACTIVITIES = frozenset({"U", "kU", "[iU]", "k[iU]", "m[iU]", "meq", "mol", "mmol", "umol"})


class Strength(msgspec.Struct, frozen=True):
    """An amount per ``per``, or per dose unit when ``per`` is None."""

    amount: Quantity
    per: Quantity | None = None


class Strengths(msgspec.Struct, frozen=True):
    """What was read at one place: the strengths in order, and the words they take."""

    found: tuple[Strength, ...]
    length: int


def is_number(word: str) -> bool:
    """Whether a word of a name is a number (words hold digits only or letters only)."""
    return word[0].isdecimal() or word[0] == "."


def is_unit(word: str) -> bool:
    """Whether a word is any unit: of mass, volume, time, or a thing that is counted."""
    return bool(_unit(word))


def read_strengths(words: Sequence[str], joins: Sequence[str], start: int) -> Strengths | None:
    """The strengths that begin with the number at ``start``; None when it is no strength.

    ``joins[i]`` is what stands before ``words[i]``: "-" or "/" when written without spaces. A
    number of tablets, hours or millilitres is no strength; neither is a percentage.
    """
    values, end = _values(words, joins, start)
    unit = _strength_unit(words[end]) if end < len(words) else ""
    if not values or (not unit and (len(values) < 2 or _has_unit(words, end))):
        return None
    if not unit:
        found = tuple(Strength(Quantity(value, _CUSTOMARY_UNIT)) for value in values)
        return Strengths(found, end - start)
    per, end = _denominator(words, joins, end + 1)
    return Strengths(tuple(Strength(Quantity(value, unit), per) for value in values), end - start)


def share_denominator(strengths: Sequence[Strength]) -> list[Strength]:
    """Strengths of which only the last says per what, all per that: "120 mg-12 mg/5 mL"."""
    per = strengths[-1].per if strengths else None
    if per is None:
        return list(strengths)
    return [replace(item, per=per) if item.per is None else item for item in strengths]


def _values(words: Sequence[str], joins: Sequence[str], start: int) -> tuple[list[Decimal], int]:
    values: list[Decimal] = []
    place = start
    while (
        place < len(words)
        and is_number(words[place])
        and (place == start or joins[place] in _JOINS)
    ):
        value = _decimal(words[place])
        if value is None:
            return [], start
        values.append(value)
        place += 1
    return values, place


def _has_unit(words: Sequence[str], place: int) -> bool:
    return place < len(words) and _unit(words[place]) != ""


def _denominator(
    words: Sequence[str], joins: Sequence[str], place: int
) -> tuple[Quantity | None, int]:
    """What the strength is per, and the first word after it; None for a dose unit or nothing.

    The word of a dose unit ("mg per tablet") is left to be read as the form.
    """
    start = place
    if place < len(words) and words[place] == "per":
        place += 1
    elif not (place < len(words) and joins[place] == "/"):
        return None, start
    value: Decimal | None = Decimal(1)
    numbered = place < len(words) and is_number(words[place])
    if numbered:
        value = _decimal(words[place])
        place += 1
    unit = _unit(words[place]) if place < len(words) else ""
    if unit == "1" and not numbered:
        return None, place
    # "5 mg/325 mg" are two strengths; "10 MG/MG" of an ointment is one.
    if value is None or not value or not unit or (numbered and _strength_unit(words[place])):
        return None, start
    return Quantity(value, unit), place + 1


def _decimal(word: str) -> Decimal | None:
    """The number; "1,000" is a thousand, "4,5" is four and a half."""
    whole, comma, rest = word.partition(",")
    if comma and (len(rest.partition(".")[0]) != 3 or whole == "0"):
        word = f"{whole}.{rest}"
    try:
        value = Decimal(word.replace(",", ""))
    except InvalidOperation:
        return None
    return value if len(word) <= 15 else None


@lru_cache(maxsize=1024)
def _unit(word: str) -> str:
    return read_unit(word) or ""


@lru_cache(maxsize=1024)
def _strength_unit(word: str) -> str:
    """The unit if an ingredient's amount is told in it: a mass, or units, mmol and the like."""
    unit = _unit(word)
    mass = bool(unit) and Quantity(Decimal(1), unit).dimension == "mass"
    return unit if mass or unit in _ACTIVITIES else ""
