"""One administration as a sig tells it: in words, and as an amount of the ingredient in mg.

Free text is read with caution. A wrong number is worse than none, so whatever can be read in two
ways is not read: several amounts (a titration told in words), a count beside an amount that may be
of each or of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import chain

import msgspec
from msgspec.structs import replace

from cds.chart.fields import Json, as_text
from cds.chart.frequency import DAYS, Frequency
from cds.chart.timing import LONGEST_SIG, instruction_words, read_frequency_text, read_number
from cds.values.quantity import Quantity, read_quantity, read_unit

Ends = tuple[Fraction, Fraction]
Written = tuple[tuple[Decimal, str], ...]
Product = Mapping[str, frozenset[Fraction]]
"""A product's distinct strengths: mg per dose unit ("count"), mL, hour ("time"), mg of product."""

NO_DOSE = "no dose"
_BASE = {"mass": "mg", "volume": "mL", "count": "1"}
_CONTEXT = Context(prec=28)


class Dose(msgspec.Struct, frozen=True):
    """One administration: mass in mg, count of ``kind``; ``problem`` says why there is no mass.

    ``hourly`` marks a mass that is delivered each hour (a patch) and not at once.
    """

    mass: Ends | None = None
    units: Ends | None = None
    kind: str = ""
    problem: str = ""
    by_strength: bool = False
    hourly: bool = False
    written: Written = ()


class Span(msgspec.Struct, frozen=True):
    """An amount written as one number or as a range; ``unit`` is canonical ("1" for dose units)."""

    low: Fraction
    high: Fraction
    unit: str
    written: tuple[tuple[Decimal, str], ...]

    @property
    def dimension(self) -> str:
        """What the unit measures: mass, volume or count."""
        return Quantity(Decimal(1), self.unit).dimension

    def same_as(self, other: Span) -> bool:
        """Whether both are the same amount, however written."""
        return (self.low, self.high, self.unit) == (other.low, other.high, other.unit)


class Sig(msgspec.Struct, frozen=True):
    """What a sig says. ``mass`` is for one administration; ``units`` counts dose units or mL.

    ``several`` is True when it holds more than one dose and therefore gives none; ``unread`` when
    it is too long to be a sig, and may say anything.
    """

    mass: Span | None = None
    units: Span | None = None
    several: bool = False
    frequency: Frequency | None = None
    unread: bool = False

    @property
    def silent(self) -> bool:
        """Whether it says neither a dose nor a frequency."""
        return not (self.mass or self.units or self.several or self.frequency or self.unread)


_NUMBER = r"(?:\d+ \d/\d|\d/\d|\d+(?:[.,]\d+){0,3}|\.\d+)"
_JOIN = r" ?(?:-|to|or) ?"
_AMOUNT = re.compile(
    rf"(?<![\w./,-])(?:(?P<low>{_NUMBER}) ?(?P<unit>[a-zµμ]+)?{_JOIN})?(?P<high>{_NUMBER}|\ban?\b)"
    r" ?(?:\(s\) ?)?(?:(?:of )?an? )?\{?(?P<tail>[a-zµμ]+)(?P<plural>\(s\))?\}?"
)
_BARE = re.compile(
    rf"(?:^|\b(?:take|use|apply|give|insert|inject|swallow|chew|place|dissolve|and|then)|[,;]) ?"
    rf"(?:(?P<low>{_NUMBER}){_JOIN})?(?P<high>{_NUMBER})"
    r"(?= (?:at|in|on|by|po|orally|before|after|with|every|each|daily|nightly|a day|per day"
    r"|q\w+|bid|tid|qid|hs)\b)"
)
_VERB_END = re.compile(rf"\b(?:take|use|give) (?P<high>{_NUMBER})[. ]*$")
# A mass per volume, weight or hour is a strength or a rate; per day or dose it is still a dose.
_PER = re.compile(r" ?(?:/|per )(?! ?(?:d|day|dose|daily|night|wk|week|month|\d+ ?h\w*)\b)")
_COUNT_BEFORE = re.compile(
    rf"(?<![\w./,-])(?<!day )(?<!week )(?P<high>{_NUMBER}) ?(?P<times>x|\u00d7|of)? ?$"
)
_FRACTIONS = (
    (re.compile(r"\b(\d+) and (?:a |1 )?half\b"), r"\1 1/2"),
    (re.compile(r"\b(?:1 |a )?half\b"), "1/2"),
    (re.compile(r"(\d?) ?½"), r"\1 1/2"),
    (re.compile(r"(\d?) ?¼"), r"\1 1/4"),
    (re.compile(r"(\d?) ?¾"), r"\1 3/4"),
)
# Words of a dose that changes, or is split: the numbers beside them are not the dose of every time.
_CHANGING = re.compile(
    r"\b(?:then|divided|(?:increas|decreas|titrat|taper|escalat|reduc|rais|wean)\w*)\b"
)
_AS_NEEDED = re.compile(r"\b(?:prn|(?:as|if|when|where) (?:needed|required|necessary))\b")
# "5-325 mg" names a product of two ingredients; nobody orders a range that wide.
_WIDEST_RANGE = 20
_LONGEST_SHOWN = 60
# So far before an amount its count is looked for: "1 1/2 x ".
_COUNT_ROOM = 24
_MOST_AMOUNTS = 20


def read_sig(text: str) -> Sig:
    """The one dose and the one frequency of the text; each None when it gives none or several.

    Only an amount with a unit, or a count of dose units, is a dose: durations, frequencies, maxima
    and dispensed quantities are not. A text longer than LONGEST_SIG is not read. Never raises.
    """
    return Sig(unread=True) if len(text) > LONGEST_SIG else _read_sig(text)


@lru_cache(maxsize=1024)
def _read_sig(text: str) -> Sig:
    words = _readable(text)
    masses, counts = _doses(words)
    if len(masses) > 1 or len(counts) > 1 or _CHANGING.search(words):
        return Sig(several=True)
    return Sig(
        mass=masses[0] if masses else None,
        units=counts[0] if counts else None,
        frequency=read_frequency_text(text),
    )


def text_dose(text: str) -> tuple[Quantity, Quantity] | None:
    """Low and high end of the one amount of mass in the text; None for none or several."""
    mass = read_sig(text).mass
    if mass is None:
        return None
    low, high = (Quantity(as_decimal(end), mass.unit) for end in (mass.low, mass.high))
    return low, high


def says_as_needed(text: str) -> bool:
    """Whether the words leave the dose to need."""
    return bool(_AS_NEEDED.search(text.lower()))


def _readable(text: str) -> str:
    """The words with every written fraction in digits."""
    words = " ".join(instruction_words(text).split())
    for pattern, digits in _FRACTIONS:
        words = pattern.sub(digits, words)
    return words


def _doses(words: str) -> tuple[list[Span], list[Span]]:
    """The distinct amounts of mass, and the distinct counts of dose units or volumes."""
    masses: list[Span] = []
    counts: list[Span] = []
    for number, span in enumerate(chain(_amounts(words), _bare_counts(words))):
        if len(masses) > 1 or len(counts) > 1 or number == _MOST_AMOUNTS:
            # Several already, or so many that they can hardly be one.
            return [span, span], counts
        kept = masses if span.dimension == "mass" else counts
        if not any(span.same_as(other) for other in kept):
            kept.append(span)
    return masses, counts


def _amounts(words: str) -> Iterator[Span]:
    for match in _AMOUNT.finditer(words):
        span = _span(match)
        if span is None or (span.unit != "1" and _PER.match(words, match.end())):
            continue
        yield _multiplied(span, words, match) if span.dimension == "mass" else span


def _multiplied(span: Span, words: str, match: re.Match[str]) -> Span:
    """The amount times the count before it in "2 x 3 mg" and "2 3 mg capsules", else as it is."""
    start = match.start()
    count = _COUNT_BEFORE.search(words, max(start - _COUNT_ROOM, 0), start)
    number = _parse(count["high"]) if count else None
    following = re.match(r" ?([a-z]+)", words[match.end() :])
    counted = following is not None and read_unit(following[1]) == "1"
    if count is None or not number or not (count["times"] or counted):
        return span
    return replace(span, low=span.low * number, high=span.high * number)


def _span(match: re.Match[str]) -> Span | None:
    """The amount of one match; None when its unit is neither mass, volume nor a dose unit."""
    unit = read_unit(match["tail"])
    if unit is None or Quantity(Decimal(1), unit).dimension not in {"mass", "volume", "count"}:
        return None
    # "every 2 weeks to 3 mg" is no range.
    ranged = match["low"] and (not match["unit"] or read_unit(match["unit"]) == unit)
    high = _parse(match["high"])
    low = _parse(match["low"]) if ranged else high
    if not high or not low or low > high or high > low * _WIDEST_RANGE:
        return None
    ends = (low,) if low == high else (low, high)
    return Span(low, high, unit, tuple((as_decimal(end), match["tail"]) for end in ends))


def _bare_counts(words: str) -> Iterator[Span]:
    """Counts without a unit word: "take 1 at bedtime", "2 at night"."""
    for pattern in (_BARE, _VERB_END):
        for match in pattern.finditer(words):
            high = _parse(match["high"])
            low = _parse(match.groupdict().get("low") or "") or high
            if high and low and low <= high:
                yield Span(low, high, "1", ())


def _parse(number: str) -> Fraction | None:
    """The number written as "1 1/2", "1/2", ".5", "4,5" (decimal comma), "4,500", "a"."""
    if number in {"a", "an"}:
        return Fraction(1)
    whole, _, part = number.rpartition(" ")
    if "/" in part:
        above, below = (int(digit) for digit in part.split("/"))
        return int(whole or 0) + Fraction(above, below) if below else None
    grouped = re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", part)
    return read_number(part.replace(",", "") if grouped else part.replace(",", "."))


# --- one administration ---


def in_base(value: Fraction, unit: str) -> Fraction | None:
    """The value in mg, mL, hours or dose units; None when the unit is of no such dimension."""
    factor = _factor(unit)
    return value * factor if factor is not None else None


@lru_cache(maxsize=64)
def _factor(unit: str) -> Fraction | None:
    """What one of the canonical unit is in mg, mL, h or dose units; None for other dimensions."""
    if unit in DAYS:
        return DAYS[unit] * 24
    one = Quantity(Decimal(1), unit)
    base = _BASE.get(one.dimension)
    return None if base is None else Fraction(one.to(base).value)


def administered(low: Fraction, high: Fraction, unit: str, product: Product) -> Dose:
    """The dose of one administration, of the ingredient."""
    kind = Quantity(Decimal(1), unit).dimension
    ends = in_base(low, unit), in_base(high, unit)
    if ends[0] is None or ends[1] is None or kind == "time":
        return Dose(problem=f"unit of the dose is not understood: {unit}")
    return _of_kind(kind, (ends[0], ends[1]), product)


def _of_kind(kind: str, ends: Ends, product: Product) -> Dose:
    if kind == "mass":
        return _mass_dose(ends, product)
    hourly = kind == "count" and kind not in product and "time" in product
    known = product.get("time" if hourly else kind, frozenset())
    if len(known) != 1:
        return Dose(units=ends, kind=kind, problem=_no_strength(kind, known))
    (strength,) = known
    mass = ends[0] * strength, ends[1] * strength
    return Dose(mass=mass, units=ends, kind=kind, by_strength=True, hourly=hourly)


def _no_strength(kind: str, known: frozenset[Fraction]) -> str:
    if known:
        return "several strengths: which one the dose counts is not said"
    return "mL without a concentration" if kind == "volume" else "tablet without a strength"


def _mass_dose(ends: Ends, product: Product) -> Dose:
    """A dose in mass, which is the ingredient's own, with the dose units or mL that hold it.

    The trap: of a cream of so many mg per g, "5 g" is cream; nobody can tell which is meant.
    """
    if "mass" in product:
        return Dose(kind="mass", problem="dose in mass of a product whose strength is per mass")
    for kind in ("count", "volume"):
        known = product.get(kind, frozenset())
        if len(known) == 1:
            (strength,) = known
            return Dose(mass=ends, units=(ends[0] / strength, ends[1] / strength), kind=kind)
    return Dose(mass=ends, units=ends, kind="mass")


def quantity_dose(low: Json, high: Json, product: Product) -> Dose:
    """The dose of a Quantity (low and high the same) or a Range."""
    numbers = [read_number(end.get("value")) for end in (low, high)]
    units = [_unit(end) for end in (low, high)]
    written = tuple(
        (as_decimal(number), as_text(end.get("unit")) or as_text(end.get("code")))
        for number, end in zip(numbers, (low, high), strict=True)
        if number is not None
    )
    first, second = numbers
    if first is None or second is None:
        return Dose(problem="dose is not a number", written=written)
    if min(first, second) <= 0:
        return Dose(problem="dose is not above zero", written=written)
    if as_text(high.get("comparator")).startswith(">"):
        return Dose(problem="dose is only a lower limit", written=written)
    if None in units or len(set(units)) > 1:
        return Dose(
            problem=f"unit of the dose is not understood: {unit_text(low, high)}", written=written
        )
    if any(_is_uncounted(end) for end in (low, high)):
        return Dose(problem=f"no strength per {unit_text(low, high)}", written=written)
    dose = administered(min(first, second), max(first, second), units[0] or "1", product)
    return replace(dose, written=tuple(dict.fromkeys(written)))


def _is_uncounted(quantity: Json) -> bool:
    """Whether it counts what no product is made of one by one: drops, applications."""
    texts = (as_text(quantity.get(name)) for name in ("code", "unit"))
    return any(
        read_quantity(1, text).counted in ("drop", "application")
        for text in texts
        if read_unit(text) is not None
    )


def _unit(quantity: Json) -> str | None:
    """The canonical unit, "1" when none is written; None if not understood or they differ."""
    texts = [text for name in ("code", "unit") if (text := as_text(quantity.get(name)))]
    understood = {unit for text in texts if (unit := read_unit(text)) is not None}
    if not texts:
        return "1"
    return understood.pop() if len(understood) == 1 else None


def unit_text(*quantities: Json) -> str:
    """The units and codes of the quantities as written, each once."""
    texts = (as_text(item.get(name)) for item in quantities for name in ("unit", "code"))
    return " / ".join(dict.fromkeys(text for text in texts if text))


def told_dose(sig: Sig, text: str, product: Product) -> Dose:
    """The dose that a sig tells, or the reason why it tells none."""
    if not text:
        return Dose(problem=NO_DOSE)
    if sig.unread:
        return Dose(problem=f"dose text is too long to be read: {_short(text)}")
    if sig.several:
        return Dose(problem=f"several amounts in the dose text: {_short(text)}")
    span = sig.mass or sig.units
    if span is None:
        return Dose(problem=f"dose is free text: {_short(text)}")
    dose = replace(administered(span.low, span.high, span.unit, product), written=span.written)
    if sig.mass and sig.units and sig.units.dimension == "count":
        return _counted(dose, sig.units, text, product)
    return dose


def _counted(dose: Dose, count: Span, text: str, product: Product) -> Dose:
    """The dose of "2 capsules (3 mg)": of each or of both? Only the product's strength can tell."""
    units = count.low, count.high
    if count.high == 1:
        return replace(dose, units=units, kind="count")
    counted = administered(count.low, count.high, "1", product)
    each = dose.mass and (dose.mass[0] * units[0], dose.mass[1] * units[1])
    if counted.mass is not None and counted.mass in {dose.mass, each}:
        return replace(counted, written=dose.written)
    problem = f"amount of each or of all in the dose text: {_short(text)}"
    return Dose(units=units, kind="count", problem=problem, written=dose.written)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def as_decimal(number: Fraction) -> Decimal:
    """The number in 28 digits: exact for all that doses are written in, rounded for thirds."""
    return _CONTEXT.divide(Decimal(number.numerator), Decimal(number.denominator))
