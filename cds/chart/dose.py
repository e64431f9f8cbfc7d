"""The dose of one FHIR Dosage: structured, told in words, and the most that may be taken a day.

Amounts of the ingredient are in mg; a dose that cannot be computed has no mass and says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from cds.chart.fields import Json, as_object, objects
from cds.chart.sig import (
    Dose,
    Ends,
    Product,
    Sig,
    administered,
    as_decimal,
    in_base,
    quantity_dose,
    read_sig,
    told_dose,
    unit_text,
)
from cds.chart.timing import days_in, read_number
from cds.values.quantity import Quantity


class Strength(msgspec.Struct, frozen=True):
    """The ingredient's amount: per dose unit when ``per`` is None, else per volume or per hour."""

    amount: Quantity
    per: Quantity | None = None


class Told(msgspec.Struct, frozen=True):
    """Words that stand beside a structured dose of ``ends`` (mg): they may tell another one."""

    ends: Ends
    text: str
    product: Product


def product_of(strengths: Sequence[Strength]) -> Product:
    """The distinct strengths, each in mg per dose unit, mL, hour or mg of the product."""
    found: dict[str, set[Fraction]] = {}
    for strength in strengths:
        per = strength.per or Quantity(Decimal(1), "1")
        amount, base = _above_zero(strength.amount), _above_zero(per)
        if strength.amount.dimension == "mass" and amount and base:
            found.setdefault(per.dimension, set()).add(amount / base)
    return {dimension: frozenset(values) for dimension, values in found.items()}


def _above_zero(quantity: Quantity) -> Fraction | None:
    number = read_number(quantity.value)
    return in_base(number, quantity.unit) if number is not None and number > 0 else None


def counted_strength(dose: Dose, product: Product) -> Fraction | None:
    """mg of one dose unit, where the dose counts units and they have one strength; else None."""
    if not dose.by_strength or dose.hourly or dose.kind != "count":
        return None
    (strength,) = product[dose.kind]
    return strength


def told_beside(stated: Dose | None, text: str, product: Product) -> tuple[Told, ...]:
    """What there is to compare: the text beside a structured dose that is known. Not read yet."""
    if stated is None or stated.mass is None or stated.hourly or not text:
        return ()
    return (Told(stated.mass, text, product),)


def dose_told_otherwise(told: Iterable[Told]) -> Quantity | None:
    """The smallest dose (mg) that words tell, and that no structured dose beside them allows.

    Only one amount with a unit of mass is a dose in words; a range that reaches the other is none.
    """
    found = []
    for item in told:
        sig = read_sig(item.text)
        ends = told_dose(sig, item.text, item.product).mass if sig.mass is not None else None
        if ends is not None and (ends[1] < item.ends[0] or ends[0] > item.ends[1]):
            found.append(ends[1])
    return Quantity(as_decimal(min(found)), "mg") if found else None


def structured_dose(entry: Json, product: Product) -> Dose | None:
    """The structured dose, None without one. Ordered and calculated dose of a Dosage are one."""
    sources = (entry, *objects(entry.get("doseAndRate")))
    doses = [dose for source in sources for dose in _stated_doses(source, product)]
    known = [dose for dose in doses if dose.mass is not None]
    if not known:
        return doses[0] if doses else None
    low = min(dose.mass[0] for dose in known if dose.mass)
    largest = max(known, key=lambda dose: dose.mass[1] if dose.mass else Fraction(0))
    written = tuple(dict.fromkeys(pair for dose in doses for pair in dose.written))
    return replace(largest, mass=(low, largest.mass[1] if largest.mass else low), written=written)


def _stated_doses(source: Json, product: Product) -> Iterator[Dose]:
    """The doses of `dose[x]`, in the Dosage itself (STU3, administrations) or its doseAndRate.

    DSTU2 statements and administrations call it `quantity[x]`.
    """
    for name in ("doseQuantity", "doseSimpleQuantity", "dose", "quantityQuantity", "quantity"):
        quantity = as_object(source.get(name))
        if quantity.get("value") is not None:
            yield quantity_dose(quantity, quantity, product)
    stated = source.get("doseRange") or source.get("quantityRange")
    if stated is not None:
        ends = as_object(stated)
        low, high = as_object(ends.get("low")), as_object(ends.get("high"))
        if not high:
            yield Dose(problem="dose range without a high end")
        else:
            # The unit is often written at one end only.
            yield quantity_dose(low if unit_text(low) else {**high, **low}, high, product)


def with_text(stated: Dose | None, sig: Sig, text: str, product: Product, *, rated: bool) -> Dose:
    """The structured dose, else the text's; the structured wins even where it cannot be computed.

    One unit of unknown strength, with an amount in the text, is compounded: the amount of one.
    """
    if stated is None:
        told = told_dose(sig, text, product)
        return (
            replace(told, problem="a rate without a dose") if rated and told.mass is None else told
        )
    one = (
        stated.mass is None
        and stated.kind == "count"
        and stated.units == (Fraction(1), Fraction(1))
    )
    if one and sig.mass is not None and (sig.units is None or sig.units.high == 1):
        amount = administered(sig.mass.low, sig.mass.high, sig.mass.unit, {})
        return replace(
            stated, mass=amount.mass, problem="", written=stated.written + sig.mass.written
        )
    return stated


def has_rate(entry: Json) -> bool:
    """Whether the Dosage gives a rate; what a rate amounts to is not computed."""
    names = ("rateQuantity", "rateRatio", "rateRange", "rateSimpleQuantity")
    return any(
        source.get(name) for source in (entry, *objects(entry.get("doseAndRate"))) for name in names
    )


def maxima(entry: Json, product: Product) -> list[Dose]:
    """maxDosePerPeriod (a Ratio; a list in R5) as doses a day, as far as they can be converted."""
    found = []
    for ratio in objects(entry.get("maxDosePerPeriod")):
        numerator, denominator = (
            as_object(ratio.get("numerator")),
            as_object(ratio.get("denominator")),
        )
        length = days_in(denominator.get("code")) or days_in(denominator.get("unit"))
        span = read_number(denominator.get("value", 1))
        dose = quantity_dose(numerator, numerator, product)
        if length and span and span > 0 and dose.units and not dose.hourly:
            found.append(_scaled(dose, 1 / (length * span)))
    return found


def is_comparable(cap: Dose, dose: Dose) -> bool:
    """Whether the cap limits the dose: "3 a day" of what is taken in mL says nothing about mL."""
    return not cap.by_strength or dose.kind in {cap.kind, ""}


def _scaled(dose: Dose, factor: Fraction) -> Dose:
    mass = dose.mass and (dose.mass[0] * factor, dose.mass[1] * factor)
    return replace(
        dose, mass=mass, units=dose.units and (dose.units[0] * factor, dose.units[1] * factor)
    )
