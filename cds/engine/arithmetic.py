"""What sentences do with values: compare them, reckon with them, choose among them.

Never raises: what does not fit together is unknown, or Missing with a reason.
"""

from __future__ import annotations

from cds.engine.value import Count, Missing, Moment, Never, Value, Words, at_least, more_than
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
    if isinstance(value, Quantity) and isinstance(bound, Quantity):
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


def _as_counts(left: Quantity, right: Quantity) -> tuple[Value, Value]:
    try:
        same = left.to(right.unit)
    except ValueError:
        reason = Missing(f"{left.render()} cannot be compared with {right.render()}")
        return reason, reason
    return Count(same.value, same.value), Count(right.value, right.value)


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
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        first, second = _as_counts(left, right)
        return compared(first, "at least", second) if first == second else Truth.NO
    if isinstance(left, Moment) and isinstance(right, Moment):
        return left.days.same(right.days)
    if isinstance(left, Count) and isinstance(right, Count):
        return min(at_least(left, right), at_least(right, left))
    return known(left == right)


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
    if isinstance(left, Count) and isinstance(right, Quantity):
        left, right = right, left
    bare = isinstance(right, Count) and right.low == right.high and not right.unit
    if isinstance(left, Quantity) and isinstance(right, Count) and bare and sign == "×":
        return Quantity(left.value * right.low, left.unit)
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
        choose_day = max if pick == "latest" else min
        return choose_day(moments, key=lambda item: (item.days.latest, item.days.earliest))
    return Missing(f"the {pick} {text} cannot be told")


def _extreme(pick: str, amounts: list[Quantity], text: str) -> Value:
    """The largest or smallest amount, whatever units of one kind they are written in."""
    choose = max if pick == "largest" else min
    try:
        return choose(amounts, key=lambda item: item.to(amounts[0].unit).value)
    except ValueError:
        return Missing(f"{text} has several kinds of unit")
