"""What a sentence computes with: moments, counts, amounts, words; and what is missing.

Everything uncertain is a range, so that a comparison answers yes, no or unknown.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from decimal import Decimal

import msgspec

from cds.values.amounts import AmountRange
from cds.values.moment import DayRange, PartialDate, elapsed
from cds.values.quantity import Quantity
from cds.values.truth import Truth, any_of

FOREVER = DayRange(date.max, date.max)


class Missing(msgspec.Struct, frozen=True):
    """A value that is not there; ``reason`` is a phrase for people."""

    reason: str


class Never(msgspec.Struct, frozen=True):
    """A day that does not exist (the end of something that never began): every test of it is no."""


class Moment(msgspec.Struct, frozen=True):
    """An uncertain day; with ``first`` and ``last`` where instants are known."""

    days: DayRange
    first: datetime | None = None
    last: datetime | None = None
    text: str = ""

    @staticmethod
    def of(moment: PartialDate) -> Moment:
        return Moment(moment.days, moment.first, moment.last, moment.text)


class Count(msgspec.Struct, frozen=True):
    """A number between ``low`` and ``high``; ``unit`` is days, hours or "".

    An end that is ``open`` is itself left out.
    """

    low: Decimal
    high: Decimal
    unit: str = ""
    low_open: bool = False
    high_open: bool = False


class Words(msgspec.Struct, frozen=True):
    """The words that hold for something: a status, the value sets a text is in."""

    words: frozenset[str]


class Span(msgspec.Struct, frozen=True):
    """The days from ``start`` (None: always before) to ``end`` (None: goes on), and why.

    ``assumed``: the end is only how long it is taken to last, nobody recorded that it ended.
    """

    start: DayRange | None
    end: DayRange | None
    because: str = ""
    source: str = ""
    assumed: bool = False

    @property
    def exact(self) -> bool:
        """Whether each of its ends is one day, or none."""
        return all(end is None or end.certain for end in (self.start, self.end))

    def contains(self, day: DayRange) -> Truth:
        """Whether the day lies within; both ends included."""
        after = Truth.YES if self.start is None else _not_before(day, self.start)
        before = Truth.YES if self.end is None else _not_before(self.end, day)
        return min(after, before)


class Spans(msgspec.Struct, frozen=True):
    """Several spans of days."""

    spans: tuple[Span, ...]

    def contains(self, day: DayRange) -> Truth:
        return any_of(span.contains(day) for span in self.spans)


Value = Missing | Never | Moment | Count | Words | Spans | Quantity | AmountRange


def _not_before(day: DayRange, start: DayRange) -> Truth:
    if day.earliest >= start.latest:
        return Truth.YES
    return Truth.NO if day.latest < start.earliest else Truth.UNKNOWN


def amount(value: Decimal, unit: str) -> Value:
    """A number with a unit as a value: days, hours and bare numbers are counts."""
    if unit in ("days", "hours", ""):
        return Count(value, value, unit)
    return Quantity(value, unit)


def within(count: Count, low: Count, high: Count) -> Truth:
    """Whether ``low <= count <= high``."""
    return min(at_least(count, low), at_least(high, count))


def at_least(left: Count, right: Count) -> Truth:
    """Whether ``left >= right``; unknown where their bounds overlap."""
    if left.low >= right.high:
        return Truth.YES
    below = left.high < right.low or (left.high == right.low and (left.high_open or right.low_open))
    return Truth.NO if below else Truth.UNKNOWN


def more_than(left: Count, right: Count) -> Truth:
    """Whether ``left > right``; unknown where their bounds overlap."""
    above = left.low > right.high or (left.low == right.high and (left.low_open or right.high_open))
    if above:
        return Truth.YES
    return Truth.NO if left.high <= right.low else Truth.UNKNOWN


def days_between(start: Moment, end: Moment) -> Count:
    """Calendar days from start to end."""
    low, high = start.days.days_to(end.days)
    return Count(Decimal(low), Decimal(high), "days")


def hours_between(start: Moment, end: Moment) -> Count | Missing:
    """Elapsed hours from start to end; a day without a time spans all of its hours."""
    if start.first is None or start.last is None or end.first is None or end.last is None:
        return Missing("the time of day is not known")
    return Count(
        _hours(elapsed(start.last, end.first)), _hours(elapsed(start.first, end.last)), "hours"
    )


def _hours(delta: timedelta) -> Decimal:
    microseconds = (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    return Decimal(microseconds) / Decimal(3_600_000_000)


def render(value: Value) -> str:
    """The value as it stands in a card's text."""
    match value:
        case Moment():
            return render_days(value.days)
        case Count():
            low, high = f"{value.low.normalize():f}", f"{value.high.normalize():f}"
            return low if low == high else f"{low} to {high}"
        case Quantity() | AmountRange():
            return value.render()
        case Words():
            return ", ".join(sorted(value.words))
        case Missing():
            return "not known"
        case Never():
            return "never"
        case Spans():
            return "; ".join(_render_span(span) for span in value.spans)


def render_days(days: DayRange) -> str:
    """``13 Jun 2026``; ``Jun 2026`` or ``2026`` for any day of it; else the first and last day."""
    first, last = days.earliest, days.latest
    whole = first.day == 1 and last.day == monthrange(last.year, last.month)[1]
    if whole and first.year == last.year:
        if first.month == last.month:
            return f"{_MONTHS[first.month - 1]} {first.year}"
        if (first.month, last.month) == (1, 12):
            return f"{first.year}"
    if first == last:
        return _render_day(first)
    return f"{_render_day(first)} to {_render_day(last)}"


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def _render_day(day: date) -> str:
    return (
        "an unknown day"
        if day in (date.max, date.min)
        else f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
    )


def _render_span(span: Span) -> str:
    start = "before" if span.start is None else render_days(span.start)
    end = "open" if span.end is None else render_days(span.end)
    return start if start == end else f"{start} to {end}"
