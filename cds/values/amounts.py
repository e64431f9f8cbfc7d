"""An amount of which only the ends are known: "> 60 mL/min", "2 to 6 mg", a limit that varies."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from cds.values.quantity import Quantity, render_number

_INFINITE = Decimal("Infinity")
_LEAST, _MOST = -_INFINITE, _INFINITE


class AmountRange(msgspec.Struct, frozen=True):
    """An amount from ``low`` to ``high`` in one unit; infinite where it has no such end.

    An end that is ``open`` is itself left out: more than 60, not 60.
    """

    low: Decimal
    high: Decimal
    unit: str
    low_open: bool = False
    high_open: bool = False

    def to(self, unit: str) -> AmountRange:
        """The same in another unit. Raises ValueError when that measures something else."""
        low = Quantity(self.low, self.unit).to(unit)
        high = Quantity(self.high, self.unit).to(unit)
        return AmountRange(low.value, high.value, low.unit, self.low_open, self.high_open)

    def times(self, factor: Decimal) -> AmountRange:
        """So many times the amount; the factor is more than nothing."""
        return AmountRange(
            self.low * factor, self.high * factor, self.unit, self.low_open, self.high_open
        )

    def render(self) -> str:
        """``more than 60 mL``, ``5 mg or less``, ``2 to 6 mg``: no sign that is easily misread."""
        low, high = (_shown(end, self.unit) for end in (self.low, self.high))
        if not low:
            return f"less than {high}" if self.high_open else f"{high} or less"
        if not high:
            return f"more than {low}" if self.low_open else f"{low} or more"
        return f"{render_number(self.low)} to {high}"


def _shown(end: Decimal, unit: str) -> str:
    return Quantity(end, unit).render() if end.is_finite() else ""


def compared_to(comparator: str, limit: Quantity) -> Quantity | AmountRange | None:
    """The amount that a comparator leaves of a limit (FHIR R4 quantity-comparator).

    The limit itself without one; None for a comparator that says nothing of the amount.
    """
    match comparator:
        case "":
            return limit
        case "<" | "<=":
            return AmountRange(_LEAST, limit.value, limit.unit, high_open=comparator == "<")
        case ">" | ">=":
            return AmountRange(limit.value, _MOST, limit.unit, low_open=comparator == ">")
        case _:
            return None


def spanned(amounts: list[Quantity]) -> Quantity | AmountRange | None:
    """What lies between the amounts: one of them, which is not known. None of no amounts.

    Raises ValueError when they measure different things.
    """
    if not amounts:
        return None
    unit = amounts[0].unit
    values = [item.to(unit).value for item in amounts]
    if min(values) == max(values):
        return amounts[0]
    return AmountRange(min(values), max(values), unit)
