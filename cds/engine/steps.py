"""Steps of a drug's dose over time: what drafts make of the dose that was taken before them.

Drafts replace what was ordered before them, and add to each other. Of earlier courses the one that
began last is what is taken; but where one that began before it is still active and gives more, the
later may be an addition or a reduction, and the dose is not known. What began on one day adds up.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from cds.chart.model import MedicationRecord
from cds.engine.reading import Exposure, Reading
from cds.engine.stretches import Dose, Stretch, drafted_stretches, past_stretches
from cds.engine.value import Missing, Moment, Never, Span, Value, days_between, render_days
from cds.values.moment import DayRange
from cds.values.quantity import Quantity

_NOTHING = Quantity(Decimal(0), "mg")


class Taken(msgspec.Struct, frozen=True):
    """A course of the drug: as judged, and from when its draft, if it has one, is to be taken."""

    exposure: Exposure
    begins: DayRange


class Step(msgspec.Struct, frozen=True):
    """One dose that follows on another; ``records`` are the drafts that bring it.

    ``first``: none was taken for long enough, so that ``before`` is 0 mg. ``since_increase`` counts
    the days from the last increase before it, a first dose included; never where there was none.
    """

    start: Moment
    before: Dose
    to: Dose
    since_increase: Value
    first: bool
    records: tuple[MedicationRecord, ...]

    @property
    def increase(self) -> Dose:
        """By how much the dose is raised; below zero where it is lowered."""
        for side in (self.before, self.to):
            if isinstance(side, Missing):
                return side
        assert isinstance(self.before, Quantity)
        assert isinstance(self.to, Quantity)
        return self.to + Quantity(-self.before.value, self.before.unit)

    @property
    def name(self) -> str:
        """``1.5 mg to 4.5 mg from 10 Jun 2026``."""
        when = f" from {render_days(self.start.days)}" if self.start.days.certain else ""
        source = "a first dose of" if self.first else f"{_said(self.before)} to"
        return f"{source} {_said(self.to)}{when}"


def dose_steps(
    courses: Sequence[Taken], first_after: int | None, unseen: Sequence[str]
) -> list[Step]:
    """The steps that the drafts among the courses of one drug make, in the order of their days.

    A dose is a first one where none was taken for more than ``first_after`` days (None: where none
    ever was). Whether it is, is not known where one may have been taken, or where nobody answered
    (``unseen``, in words).
    """
    drafts = [
        stretch
        for number, course in enumerate(courses)
        for stretch in drafted_stretches(number, course.exposure, course.begins)
    ]
    if not drafts:
        return []
    begin = min(stretch.first for stretch in drafts)
    past = [
        stretch
        for number, course in enumerate(courses)
        for stretch in past_stretches(number, course.exposure)
        if stretch.first < begin
    ]
    history = _Timeline(past, first_after)
    before = history.before(begin)
    if before is None:
        before = _doubt(courses, begin, first_after, unseen)
    return list(_steps(_Drafts(drafts, first_after), before, history.raised()))


def _steps(drafts: _Timeline, before: Dose | None, raised: Value) -> Iterator[Step]:
    for number, (start, earlier, to) in enumerate(drafts.walk()):
        came_from = before if number == 0 else earlier
        moment = Moment(start or DayRange.of(date.min))
        yield Step(
            start=moment,
            before=_NOTHING if came_from is None else came_from,
            to=to,
            since_increase=days_between(raised, moment) if isinstance(raised, Moment) else raised,
            first=came_from is None,
            records=drafts.beginning(start),
        )
        raised = _raised(raised, start, came_from, to)


class _Timeline(msgspec.Struct, frozen=True):
    """Doses of courses of which a later one replaces those before it."""

    stretches: Sequence[Stretch]
    first_after: int | None
    # By first day: the days, the positions of their stretches, the last day of any up to there.
    _firsts: list[date] = msgspec.field(default_factory=list)
    _places: list[int] = msgspec.field(default_factory=list)
    _reach: list[date] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        found = [(stretch.first, place) for place, stretch in enumerate(self.stretches)]
        for first, place in sorted(found):
            last = self.stretches[place].last
            self._firsts.append(first)
            self._places.append(place)
            self._reach.append(max(last, self._reach[-1]) if self._reach else last)

    def level(self, day: date) -> Dose | None:
        """The dose that is taken on a day; None where nothing is."""
        return self._together(self._covering(day))

    def _covering(self, day: date) -> list[Stretch]:
        """Of each course the stretch that began last of those that hold the day."""
        found: dict[int, Stretch] = {}
        for stretch in self._holding(day):
            other = found.get(stretch.course)
            if other is None or stretch.first >= other.first:
                found[stretch.course] = stretch
        return list(found.values())

    def _holding(self, day: date) -> list[Stretch]:
        """The stretches that hold a day, in their order. Looks back no further than any reaches."""
        places = []
        number = bisect_right(self._firsts, day)
        while number and self._reach[number - 1] >= day:
            number -= 1
            if self.stretches[self._places[number]].last >= day:
                places.append(self._places[number])
        return [self.stretches[place] for place in sorted(places)]

    def _together(self, found: list[Stretch]) -> Dose | None:
        newest = max((stretch.first for stretch in found), default=date.min)
        latest = _sum(stretch.dose for stretch in found if stretch.first == newest)
        for stretch in found:
            if stretch.standing and stretch.first < newest and not _at_most(stretch.dose, latest):
                return Missing("whether one order adds to the other or replaces it is not recorded")
        return latest

    def before(self, day: date) -> Dose | None:
        """The dose last taken before a day; None where there is none, or that is too long ago."""
        number = bisect_left(self._firsts, day)
        if not number:
            return None
        last = min(self._reach[number - 1], _eve(day))
        if self.first_after is not None and (day - last).days > self.first_after:
            return None
        return self.level(last)

    def walk(self) -> Iterator[tuple[DayRange | None, Dose | None, Dose]]:
        """Each day on which a stretch begins, the dose taken before it, and the dose from then."""
        starts: dict[date, DayRange | None] = {}
        for stretch in self.stretches:
            starts.setdefault(stretch.first, stretch.start)
        for day in sorted(starts):
            yield starts[day], self.before(day), self.level(day) or _NOTHING

    def raised(self) -> Value:
        """When the dose was last raised: never, or Missing where that cannot be told."""
        raised: Value = Never()
        for start, before, to in self.walk():
            raised = _raised(raised, start, before, to)
        return raised

    def beginning(self, start: DayRange | None) -> tuple[MedicationRecord, ...]:
        """The entries with a stretch that begins on a day."""
        first = date.min if start is None else start.earliest
        found = (item.record for item in self.stretches if item.first == first)
        return tuple({record.source: record for record in found if record is not None}.values())


class _Drafts(_Timeline, frozen=True):
    """Doses of drafts, which add to each other."""

    def _together(self, found: list[Stretch]) -> Dose | None:
        return _sum(stretch.dose for stretch in found)


def _raised(raised: Value, start: DayRange | None, before: Dose | None, to: Dose) -> Value:
    """When the dose was last raised, now that it goes from one to another."""
    if before is not None:
        if isinstance(before, Missing):
            return before
        if isinstance(to, Missing):
            return to
        if _at_most(to, before):
            return raised
    return Missing("since when it is taken is not recorded") if start is None else Moment(start)


def _doubt(
    courses: Iterable[Taken], begin: date, first_after: int | None, unseen: Sequence[str]
) -> Missing | None:
    """Why it is not known whether a dose was taken before; None where it surely was not."""
    for course in courses:
        if any(_was_ordered(reading, begin) for reading in course.exposure.readings):
            return Missing("it was ordered before, whether it was taken is not recorded")
        for span in course.exposure.possible.spans:
            if _reaches(span, begin, first_after):
                return Missing(span.because or "whether it was taken before is not known")
    return Missing("; ".join(unseen)) if unseen else None


def _was_ordered(reading: Reading, begin: date) -> bool:
    """Whether what is being signed is an order of an earlier day, which is made active again."""
    record = reading.record
    again = record.drafted and record.status != "draft" and record.recorded is not None
    return again and record.recorded is not None and record.recorded.days.latest < begin


def _reaches(span: Span, begin: date, first_after: int | None) -> bool:
    """Whether a span may have a day of the time before a first dose that has to be free."""
    if span.start is not None and span.start.earliest >= begin:
        return False
    if span.end is None or first_after is None:
        return True
    return (begin - span.end.latest).days <= first_after


def _sum(doses: Iterable[Dose]) -> Dose | None:
    total: Quantity | None = None
    for dose in doses:
        if isinstance(dose, Missing):
            return dose
        total = dose if total is None else total + dose
    return total


def _at_most(dose: Dose, other: Dose | None) -> bool:
    """Whether a dose is known to be at most another."""
    if not (isinstance(dose, Quantity) and isinstance(other, Quantity)):
        return False
    return dose.to("mg").value <= other.to("mg").value


def _eve(day: date) -> date:
    return day - timedelta(days=1) if day > date.min else day


def _said(dose: Dose) -> str:
    return "an unknown dose" if isinstance(dose, Missing) else dose.render()
