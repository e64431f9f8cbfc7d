"""What sentences do with values: compare them, reckon with them, choose among them.

Never raises: what does not fit together is unknown, or Missing with a reason.
"""

from __future__ import annotations

from datetime import date
from math import inf

from cds.engine.value import Count, Missing, Moment, Never, Value, Words, at_least, more_than
from cds.values.amounts import AmountRange
from cds.values.moment import DayRange
from cds.values.quantity import Quantity
from cds.values.truth import Truth, known


def has_word(value: Value, wanted: tuple[str, ...]) -> Truth:
    """Whether any of the words holds; unknown where the value is missing."""
    if isinstance(value, Missing):
        return Truth.UNKNOWN
    return known(isinstance(value, Words) and not value.words.isdisjoint(wanted))


def compared(value: Value, comparison: str, bound: Value) -> Truth:
    """Whether ``value`` is *comparison* ``bound``; unknown where one is missing or units differ."""
    if isinstance(value, Never) or isinstance(bound, Never):
        return Truth.NO
    value, bound = _as_counts(value, bound)
    if not (isinstance(value, Count) and isinstance(bound, Count)):
        return Truth.UNKNOWN
    match comparison:
        case "at least":
            return at_least(value, bound)
        case "at most":
            return at_least(bound, value)
        case "more than":
            return more_than(value, bound)
        case _:
            return more_than(bound, value)


def _as_counts(left: Value, right: Value) -> tuple[Value, Value]:
    """Two amounts as numbers in one unit; a bare number is one in the unit of what is counted.

    What is no amount stays as it is; amounts that measure different things are both missing.
    """
    if not isinstance(left, _Amount) and not isinstance(right, _Amount):
        return left, right
    left, right = _as_amount(left), _as_amount(right)
    if not (isinstance(left, _Amount) and isinstance(right, _Amount)):
        return left, right
    try:
        same = left.to(right.unit)
    except ValueError:
        reason = Missing(f"{left.render()} cannot be compared with {right.render()}")
        return reason, reason
    return _as_count(same), _as_count(right)


_Amount = Quantity | AmountRange


def _as_amount(value: Value) -> Value:
    if not isinstance(value, Count) or value.unit:
        return value
    return AmountRange(value.low, value.high, "1", value.low_open, value.high_open)


def _as_count(amount: Quantity | AmountRange) -> Count:
    if isinstance(amount, Quantity):
        return Count(amount.value, amount.value)
    return Count(amount.low, amount.high, "", amount.low_open, amount.high_open)


def ordered(value: Value, direction: str, anchor: Value) -> Truth:
    """Whether ``value`` is before or after ``anchor``; no where one of them never comes."""
    if isinstance(value, Never) or isinstance(anchor, Never):
        return Truth.NO
    if not (isinstance(value, Moment) and isinstance(anchor, Moment)):
        return Truth.UNKNOWN
    return (
        value.days.before(anchor.days) if direction == "before" else value.days.after(anchor.days)
    )


def matches(left: Value, right: Value) -> Truth:
    """Whether the values are the same, or have a word in common; unknown where one is missing."""
    if isinstance(left, Missing) or isinstance(right, Missing):
        return Truth.UNKNOWN
    if isinstance(left, Words) and isinstance(right, Words):
        return known(not left.words.isdisjoint(right.words))
    if isinstance(left, _Amount) and isinstance(right, _Amount):
        left, right = _as_counts(left, right)
        if isinstance(left, Missing):
            return Truth.UNKNOWN
    if isinstance(left, Moment) and isinstance(right, Moment):
        return _same_moment(left, right)
    if isinstance(left, Count) and isinstance(right, Count):
        return min(at_least(left, right), at_least(right, left))
    return known(left == right)


def _same_moment(left: Moment, right: Moment) -> Truth:
    """The same day; of two times of day that the record gives, the same instant."""
    if all(
        side.text and side.first is not None and side.first == side.last for side in (left, right)
    ):
        return known(left.first == right.first)
    return left.days.same(right.days)


def reckoned(left: Value, sign: str, right: Value) -> Value:
    """The sum, difference or product; Missing, with a reason, where there is none."""
    for side in (left, right):
        if isinstance(side, Missing):
            return side
    if isinstance(left, Moment) and isinstance(right, Count):
        return _shifted(left, sign, right)
    if isinstance(left, Count) and isinstance(right, Count):
        return _count_arithmetic(left, sign, right)
    if isinstance(left, Quantity) and isinstance(right, Quantity) and sign != "×":
        other = right if sign == "+" else Quantity(-right.value, right.unit)
        return _total([left, other])
    if isinstance(left, Count) and isinstance(right, _Amount):
        left, right = right, left
    if isinstance(left, _Amount) and isinstance(right, Count) and sign == "×":
        return _multiplied(left, right)
    return Missing("these cannot be reckoned together")


def _multiplied(amount: Quantity | AmountRange, count: Count) -> Value:
    if count.low == count.high and not count.unit:
        if isinstance(amount, Quantity):
            return Quantity(amount.value * count.low, amount.unit)
        if count.low > 0:
            return amount.times(count.low)
    return Missing("these cannot be reckoned together")


def _shifted(moment: Moment, sign: str, count: Count) -> Value:
    """The day so many days later or earlier; what the count leaves open widens the day."""
    if sign == "×" or count.unit == "hours":
        return Missing("only days can be added to a day")
    low, high = int(count.low), int(count.high)
    if sign == "-":
        low, high = -high, -low
    early, late = moment.days + low, moment.days + high
    return Moment(DayRange(early.earliest, late.latest))


def _total(amounts: list[Quantity]) -> Value:
    try:
        total = amounts[0]
        for item in amounts[1:]:
            total = total + item
    except ValueError as error:
        return Missing(str(error))
    return total


def _count_arithmetic(left: Count, sign: str, right: Count) -> Count:
    unit = left.unit or right.unit
    if sign == "+":
        return Count(left.low + right.low, left.high + right.high, unit)
    if sign == "-":
        return Count(left.low - right.high, left.high - right.low, unit)
    corners = [one * two for one in (left.low, left.high) for two in (right.low, right.high)]
    return Count(min(corners), max(corners), unit)


def picked(pick: str, values: list[Value], text: str) -> Value:
    """The one that ``pick`` chooses, or the sum; Missing as soon as one of them is."""
    for value in values:
        if isinstance(value, Missing):
            return value
    if not values:
        return Missing(f"there is no {text}")
    amounts = [value for value in values if isinstance(value, Quantity)]
    moments = [value for value in values if isinstance(value, Moment)]
    if pick == "sum of" and len(amounts) == len(values):
        return _total(amounts)
    if pick in ("largest", "smallest") and len(amounts) == len(values):
        return _extreme(pick, amounts, text)
    if pick in ("latest", "earliest") and len(moments) == len(values):
        return max(moments, key=_last_of) if pick == "latest" else min(moments, key=_first_of)
    return Missing(f"the {pick} {text} cannot be told")


def _last_of(moment: Moment) -> tuple[date, date, float]:
    """What sorts days; those of one day by their last instant, where times of day are known."""
    last = moment.last.timestamp() if moment.last is not None else inf
    return moment.days.latest, moment.days.earliest, last


def _first_of(moment: Moment) -> tuple[date, date, float]:
    first = moment.first.timestamp() if moment.first is not None else -inf
    return moment.days.latest, moment.days.earliest, first


def _extreme(pick: str, amounts: list[Quantity], text: str) -> Value:
    """The largest or smallest amount, whatever units of one kind they are written in."""
    choose = max if pick == "largest" else min
    try:
        return choose(amounts, key=lambda item: item.to(amounts[0].unit).value)
    except ValueError:
        return Missing(f"{text} has several kinds of unit")
