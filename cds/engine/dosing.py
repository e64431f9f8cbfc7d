"""What a dosage says: doses, the units they are written in, what its words tell otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from cds.chart.dosage import Regimen
from cds.chart.dose import dose_told_otherwise
from cds.engine.fact import Fact
from cds.engine.regimen import regimen_among
from cds.engine.value import Missing, Never, Value, Words
from cds.values.quantity import read_unit


def regimen_of(fact: Fact) -> Regimen | None:
    """The regimen that counts of the entries of a course."""
    return regimen_among(fact.records)


def _daily(fact: Fact) -> Value:
    regimen = regimen_of(fact)
    if regimen is None:
        return Missing(f"the dose of {fact.name} is not recorded")
    if regimen.daily_dose is None:
        return Missing("; ".join(regimen.missing) or "the daily dose cannot be computed")
    return regimen.daily_dose


def _single(fact: Fact) -> Value:
    regimen = regimen_of(fact)
    if regimen is None or regimen.single_dose is None:
        return Missing("the single dose is not recorded")
    return regimen.single_dose


def _dose(fact: Fact) -> Value:
    """The larger of single and daily dose; missing unless the daily dose is known."""
    daily, single = _daily(fact), _single(fact)
    if isinstance(daily, Missing) or isinstance(single, Missing | Never):
        return daily
    return max((daily, single), key=_milligrams)


def _dose_missing(fact: Fact) -> Value:
    daily = _daily(fact)
    return Words(frozenset({daily.reason} if isinstance(daily, Missing) else ()))


def _milligrams(amount: Value) -> Decimal:
    return amount.to("mg").value  # type: ignore[union-attr]


def _text_dose(fact: Fact) -> Value:
    """The dose that its words tell beside a structured one that differs; never where they agree."""
    regimen = regimen_of(fact)
    return (dose_told_otherwise(regimen.told) if regimen is not None else None) or Never()


def _written_unit(fact: Fact) -> Value:
    regimen = regimen_of(fact)
    found = (read_unit(unit) for _, unit in regimen.written) if regimen is not None else ()
    return Words(frozenset(unit for unit in found if unit is not None))


def _unit_strength(fact: Fact) -> Value:
    regimen = regimen_of(fact)
    return (regimen.counted if regimen is not None else None) or Never()


def _at_bedtime(fact: Fact) -> Value:
    """Whether any dose of the regimen is at bedtime; missing when no time of day is said."""
    regimen = regimen_of(fact)
    if regimen is None or regimen.bedtime is None:
        return Missing(f"at what time of day {fact.name} is taken is not recorded")
    return Words(frozenset({"yes" if regimen.bedtime else "no"}))


DOSING: Mapping[str, Callable[[Fact], Value]] = {
    "dose": _dose,
    "dose-missing": _dose_missing,
    "daily-dose": _daily,
    "single-dose": _single,
    "text-dose": _text_dose,
    "written-unit": _written_unit,
    "unit-strength": _unit_strength,
    "at-bedtime": _at_bedtime,
}
