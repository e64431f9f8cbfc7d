"""Amounts: a decimal and a unit, the everyday ways of writing units, and what converts to what.

Units are UCUM codes (https://ucum.org/ucum); what is counted (tablets, patches) has unit ``1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal
from functools import lru_cache

import msgspec

from cds.values.units import (
    ACTIVITY,
    ALIASES,
    COUNTED,
    FACTORS,
    OTHER,
    PLAIN_NAMES,
    UNITS,
    Dimension,
)

_EXACT = Context(prec=80)
_LARGEST_EXPONENT = 30
_LONGEST_NUMBER = 60
_LONGEST_UNIT = 60
_LONGEST_SHOWN = 40
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_POWER = re.compile(r"10[*^][0-9]{1,2}")
# A rate for so much surface of the body, as laboratories write it: UCUM has it as an annotation.
_SURFACE = re.compile(
    r"\{?\s*([0-9]+(?:\.[0-9]+)?)[\s_]*(?:m2|m\^2|m\*2|m²|sq\.?\s?m)\s*\}?", re.IGNORECASE
)
_PER = "/"


class Quantity(msgspec.Struct, frozen=True):
    """An amount in a canonical unit.

    ``unit`` is a UCUM code, ``1`` for what is counted, or a unit of no known dimension as written.
    ``counted`` names what is counted: ``tablet``; "" when that is not said.
    """

    value: Decimal
    unit: str
    counted: str = ""

    @property
    def dimension(self) -> Dimension:
        """What the unit measures; ``other`` for whatever converts to nothing else."""
        known = UNITS.get(self.unit)
        return known[0] if known is not None else "other"

    def to(self, unit: str) -> Quantity:
        """The same amount in ``unit``. Raises ValueError when that measures something else."""
        if unit == self.unit:
            return self
        canonical = read_unit(unit) or unit
        if canonical == self.unit:
            return self
        old, new = _measure(self.unit), _measure(canonical)
        if old is None or new is None or old[0] != new[0]:
            raise ValueError(
                f"{self.render()} is no amount in {unit}: a unit of {self.dimension} is accepted"
            )
        return Quantity(_EXACT.divide(_EXACT.multiply(self.value, old[1]), new[1]), canonical)

    def __add__(self, other: Quantity) -> Quantity:
        """The sum in this unit. Raises ValueError when the other measures something else."""
        counted = self.counted if self.counted == other.counted else ""
        return Quantity(_EXACT.add(self.value, other.to(self.unit).value), self.unit, counted)

    def __mul__(self, times: Decimal | int) -> Quantity:
        """So many times the amount."""
        return Quantity(_EXACT.multiply(self.value, Decimal(times)), self.unit, self.counted)

    def render(self) -> str:
        """The amount for people: ``4.5 mg``, ``2 tablets``, ``14 days``, ``25 mcg``.

        No exponent and no trailing zero, which is read as tenfold; ``mcg``, since ``ug`` and a
        micro sign are misread as ``mg``. `read_quantity` reads it back.
        """
        number = render_number(self.value)
        name = self.counted if self.unit == "1" else PLAIN_NAMES.get(self.unit, "")
        if name:
            plural = self.value > 1 and name != "each"
            return f"{number} {_plural(name) if plural else name}"
        if self.unit == "1":
            return number
        return f"{number} {'mcg' if self.unit == 'ug' else _spoken(self.unit)}"


def _spoken(unit: str) -> str:
    """The unit without the signs of UCUM that people do not write; `read_unit` reads it back."""
    return unit.replace("_m2}", " m2").replace("{", "").replace("[iU]/", "IU/")


def _measure(unit: str) -> tuple[str, Decimal] | None:
    """What a unit measures and how much of it, also of one unit per another (``mg/dL``)."""
    known = UNITS.get(unit)
    if known is not None:
        return known
    above, slash, below = unit.partition("/")
    lower = UNITS.get(below)
    upper = UNITS.get(above) or (ACTIVITY.get(above) if below in FACTORS["volume"] else None)
    if not slash or upper is None or lower is None or "count" in (upper[0], lower[0]):
        return None
    return f"{upper[0]}/{lower[0]}", _EXACT.divide(upper[1], lower[1])


class Ratio(msgspec.Struct, frozen=True):
    """An amount per amount, such as a strength of 1 mg per 1 mL."""

    numerator: Quantity
    denominator: Quantity

    def render(self) -> str:
        """``1 mg per 1 mL``."""
        return f"{self.numerator.render()} per {self.denominator.render()}"


def read_quantity(value: object, unit: object) -> Quantity:
    """The quantity of a number and a unit, as FHIR's Quantity holds them.

    The number may be a JSON number or a string of one. A unit must be written: callers say "1"
    where none means a bare count. A unit per unit with parts that are not understood is kept as
    written, as dimension ``other``. Raises ValueError, with what is accepted.
    """
    number = read_decimal(value)
    canonical = read_unit(unit)
    if canonical is None and isinstance(unit, str) and _PER in unit.strip(_PER + " "):
        canonical = unit.strip()[:_LONGEST_UNIT]
    if canonical is None:
        raise ValueError(
            f"{_shown(unit)} is not a unit: a UCUM code such as mg, mL or d is accepted"
        )
    return Quantity(number, canonical, _counted(unit) if canonical == "1" else "")


def read_decimal(value: object) -> Decimal:
    """The exact decimal of a JSON number, or of a string of one.

    A float gives the digits it is written with (0.1 is 0.1), not its binary value. Raises
    ValueError for booleans, infinities, other types and numbers beyond any clinical use.
    """
    number = _decimal(value)
    if number is None or not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(f"{_shown(value)} is not an amount: a plain number is accepted")
    return number or Decimal(0)  # never minus zero


def read_unit(text: object) -> str | None:
    """The canonical unit of a UCUM code or an everyday name; None when it is not understood.

    Counted things (tablets, ``{patch}``) give ``1``. Units per unit are read part by part: ``U/l``
    gives ``U/L``. Case is ignored where that is safe (MG is mg); ``m`` and ``M`` are never guessed.
    """
    if not isinstance(text, str) or len(text) > _LONGEST_UNIT:
        return None
    return _read_unit(text)


def days_of(quantity: Quantity) -> Decimal:
    """A duration in days: a week is 7, a month 30, a year 365; parts of a day are fractions.

    Raises ValueError when it is no amount of time.
    """
    return quantity.to("d").value


def render_number(value: Decimal) -> str:
    """The number in plain digits: no exponent, no trailing zeros, a zero before the point."""
    digits = f"{value:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits == "-0" else digits


def _decimal(value: object) -> Decimal | None:
    """The number, infinite ones included; None for what is no number or absurdly long."""
    match value:
        case bool():
            return None
        case Decimal():
            return value if len(value.as_tuple().digits) <= _LONGEST_NUMBER else None
        case int():
            return Decimal(value) if abs(value) < 10 ** (_LARGEST_EXPONENT + 1) else None
        case float():
            return Decimal(repr(value))
        case str():
            text = value.strip()
            return (
                Decimal(text) if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) else None
            )
    return None


@lru_cache(maxsize=4_096)
def _read_unit(text: str) -> str | None:
    plain = _plain(text)
    simple = _simple_unit(plain)
    if simple is not None or _PER not in plain:
        return simple
    parts = [_part(part) for part in plain.split(_PER)]
    # "/min" is UCUM for a rate of counts, "1/min" and "{beats}/min" are the same; the empty part
    # stands first only.
    if "" in parts[1:] or None in parts:
        return None
    if parts[0] == "1":
        parts[0] = ""
    return _PER.join(part for part in parts if part is not None)


def _part(text: str) -> str | None:
    """One side of a unit per unit; None when it is not understood."""
    part = text.strip()
    surface = _SURFACE.fullmatch(part)
    if surface is not None:
        return f"{{{surface[1]}_m2}}"
    return part if not part or _POWER.fullmatch(part) else _simple_unit(part)


def _simple_unit(plain: str) -> str | None:
    if plain in UNITS or plain in OTHER:
        return plain
    bare = _ANNOTATION.sub("", plain).strip()
    if bare != plain:
        # {tablet} alone counts; mg{total} is mg: an annotation changes nothing in UCUM.
        return _simple_unit(bare) if bare else "1"
    word = _word(plain)
    return ALIASES.get(word) or ("1" if _counted_word(word) else None)


def _plain(text: str) -> str:
    """The unit with u for micro (of two signs that look the same), without (s) and full stop."""
    plain = text.strip().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    plain = plain.replace(" per ", _PER)
    return plain.replace("(s)", "").replace("(es)", "").removesuffix(".").strip()


def _word(plain: str) -> str:
    return "-".join(plain.lower().split())


def _counted(unit: object) -> str:
    """What a unit counts: the word in braces, or the word itself; "" for a bare ``1``."""
    plain = _plain(unit) if isinstance(unit, str) else ""
    word = _word(plain.removeprefix("{").removesuffix("}"))
    return _counted_word(word) or ("" if word == "1" or not plain.startswith("{") else word)


def _counted_word(word: str) -> str:
    return next((COUNTED[form] for form in _singulars(word) if form in COUNTED), "")


def _singulars(word: str) -> Iterable[str]:
    yield word
    yield word.removesuffix("s")
    yield word.removesuffix("es")
    if word.endswith("ies"):
        yield word.removesuffix("ies") + "y"


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("ch", "x", "s")) else "s")


def _shown(value: object) -> str:
    """The value for a message. Never the repr of a structure, nor of a number of any length."""
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…")
    return f"{value}" if value is None or isinstance(value, bool | float) else type(value).__name__
