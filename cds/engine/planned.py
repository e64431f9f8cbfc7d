"""What one operation's entries amount to at a given moment: planned or not, when, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from cds.chart.model import Operation, OperationRecord, Start
from cds.chart.operation import day_of
from cds.engine.evidence import first_row
from cds.engine.frame import Clock
from cds.engine.value import Moment, render_days
from cds.rulebook.model import EvidenceRow, KindDefinition
from cds.terminology.concept import Classification, CodeableConcept
from cds.terminology.terminology import Terminology
from cds.values.moment import DayRange

_ORDER = ("planned", "possible", "done", "nothing")


class Entry(msgspec.Struct, frozen=True):
    """One resource as judged: its line of the table, and when it says that it begins."""

    record: OperationRecord
    row: EvidenceRow | None
    start: Moment | None
    ahead: bool

    @property
    def label(self) -> str:
        return self.row.counts_as if self.row is not None else "nothing"


class Plan(msgspec.Struct, frozen=True):
    """An operation as judged; ``start`` is the earliest that its certain entries give.

    It is a range of days where an entry that is less certain gives an earlier one.
    """

    entries: tuple[Entry, ...]
    evidence: str
    start: Moment | None
    notes: tuple[str, ...]

    @property
    def records(self) -> tuple[OperationRecord, ...]:
        return tuple(entry.record for entry in self.entries)

    @property
    def living(self) -> tuple[OperationRecord, ...]:
        return tuple(
            entry.record for entry in self.entries if entry.label in ("planned", "possible")
        )

    @property
    def done(self) -> tuple[Entry, ...]:
        """The entries that say that it was done."""
        return tuple(entry for entry in self.entries if entry.label == "done")

    @property
    def performed(self) -> Moment | None:
        """The latest day on which it is said to have been done."""
        starts = [entry.start for entry in self.done if entry.start is not None]
        return max(starts, key=_earliest, default=None)

    @property
    def in_dispute(self) -> bool:
        """Whether its living entries give different days."""
        return len(_dates(self.entries)) > 1


def with_bookings(
    operations: Sequence[Operation], definition: KindDefinition
) -> tuple[Operation, ...]:
    """The operations; one without any code of its own joins the one that is coded for its day.

    What the pack sets aside, or knows as a mere topic of another operation, is nothing to join.
    """
    by_day: dict[str, set[int]] = {}
    for position, operation in enumerate(operations):
        for record in operation.records:
            day = day_of(record)
            if day and record.code_key and not _tells_of_another(record, definition):
                by_day.setdefault(day, set()).add(position)
    joined: dict[int, list[OperationRecord]] = {}
    for position, operation in enumerate(operations):
        near = {item for record in operation.records for item in by_day.get(day_of(record), ())}
        bare = not any(record.code_key for record in operation.records)
        owner = near.pop() if bare and len(near) == 1 else position
        joined.setdefault(owner, []).extend(operation.records)
    return tuple(
        Operation(tuple(sorted(records, key=lambda record: record.source)))
        for records in joined.values()
    )


def _tells_of_another(record: OperationRecord, definition: KindDefinition) -> bool:
    found = {match.valueset for item in record.classifications for match in item.matches}
    return bool(found) and found <= {*definition.aside, *definition.topics}


def judge_operation(operation: Operation, definition: KindDefinition, clock: Clock) -> Plan:
    """The operation's plan; entries made after the moment of judging do not exist yet."""
    known = [record for record in operation.records if _exists(record, clock)]
    entries = [_entry(record, definition, clock) for record in _without_aside(known, definition)]
    entries = _not_done(entries, clock)
    living = [entry for entry in entries if entry.label in ("planned", "possible")]
    evidence = min((entry.label for entry in entries), key=_ORDER.index, default="nothing")
    start = _chosen([entry.start for entry in living if entry.label == "planned"], clock)
    if start is None and any(entry.start is not None for entry in living):
        # Only an entry that is not certain gives a date: then the plan is not certain either.
        start = _chosen([entry.start for entry in living], clock)
        evidence = "possible"
    elif start is not None:
        start = _not_before(living, start, clock)
    return Plan(tuple(entries), evidence, start, _notes(living, start))


def _without_aside(
    records: list[OperationRecord], definition: KindDefinition
) -> list[OperationRecord]:
    """The records less those that the pack sets aside (a check before it), if others remain."""
    kept = [record for record in records if not _is_aside(record, definition.aside)]
    return kept or records


def _is_aside(record: OperationRecord, aside: tuple[str, ...]) -> bool:
    found = (*record.classifications, *record.services, *record.specialties)
    return any(item.match(concept) for item in found for concept in aside)


def _not_done(entries: list[Entry], clock: Clock) -> list[Entry]:
    """The entries; of an operation that has been done, only those that plan it for a later day."""
    done = [entry for entry in entries if entry.label == "done"]
    if not done:
        return entries
    days = [entry.start.days.latest for entry in done if entry.start is not None]
    last = max(days, default=clock.today.latest)
    return [
        entry
        for entry in entries
        if entry.label in ("done", "nothing")
        or (entry.ahead and entry.start is not None and entry.start.days.earliest > last)
    ]


def _chosen(starts: Iterable[Moment | None], clock: Clock) -> Moment | None:
    """The earliest start that has not passed; a day says more than the month that it lies in."""
    found = [start for start in starts if start is not None]
    open_ones = [start for start in found if start.days.latest >= clock.today.earliest]
    found = open_ones or found
    exact = [start for start in found if start.days.certain]
    found = [
        start
        for start in found
        if start.days.certain or not any(_overlap(start.days, other.days) for other in exact)
    ]
    return min(found, key=_earliest, default=None)


def _not_before(living: Sequence[Entry], firm: Moment, clock: Clock) -> Moment:
    """The firm start, or from the earlier day of an entry that is possible and still ahead."""
    maybe = _chosen(
        [entry.start for entry in living if entry.label == "possible" and entry.ahead], clock
    )
    if maybe is None or maybe.days.latest >= firm.days.earliest:
        return firm
    days = DayRange(maybe.days.earliest, firm.days.latest)
    return Moment(days, maybe.first, firm.last, f"{maybe.text} or {firm.text}")


def _overlap(left: DayRange, right: DayRange) -> bool:
    return left.earliest <= right.latest and right.earliest <= left.latest


def _exists(record: OperationRecord, clock: Clock) -> bool:
    return record.drafted or record.recorded is None or record.recorded.first <= clock.now


def _entry(record: OperationRecord, definition: KindDefinition, clock: Clock) -> Entry:
    start = _start(record, clock)
    ahead = start is not None and _is_ahead(start, clock)
    later = start is not None and _is_later(start, clock)
    hindsight = definition.hindsight.get(record.source.type, {}) if later else {}
    status = hindsight.get(record.status, record.status)
    attributes: Mapping[str, str] = {**record.attributes, "status": status}
    row = first_row(definition.evidence_for(record.source.type), attributes, None)
    return Entry(record, row, start, ahead)


def _is_ahead(start: Moment, clock: Clock) -> bool:
    """Certainly not begun: a timed start after now, or an untimed day that is today or later."""
    if is_timed(start):
        return start.first is not None and start.first >= clock.now
    return start.days.earliest >= clock.today.earliest


def _is_later(start: Moment, clock: Clock) -> bool:
    """Not begun for sure: what is said to be done today may have been done earlier today."""
    return _is_ahead(start, clock) and (is_timed(start) or start.days.earliest > clock.today.latest)


def is_timed(start: Moment) -> bool:
    """Whether the start is one instant, and not a day or a span of days."""
    return start.first is not None and start.first == start.last


def _earliest(start: Moment) -> tuple[int, datetime]:
    first = start.first
    assert first is not None  # every start of an entry comes from a date with instants
    return start.days.earliest.toordinal(), first


def _start(record: OperationRecord, clock: Clock) -> Moment | None:
    """The next date the entry gives; of a period that has begun, what is left of it."""
    found = [_moment(start, clock) for start in record.starts]
    if not found:
        return None
    ahead = [moment for moment in found if _is_ahead(moment, clock)]
    return min(ahead, key=_earliest) if ahead else max(found, key=_earliest)


def _moment(start: Start, clock: Clock) -> Moment:
    moment = Moment.of(start.date)
    end = start.end
    if end is None or end.last < clock.now or _is_ahead(moment, clock):
        return moment
    # The period has begun and is not over: some day of what is left.
    days = DayRange(clock.today.earliest, max(end.days.latest, clock.today.earliest))
    return Moment(
        days, clock.now, end.last + timedelta(microseconds=1), f"{start.date.text} to {end.text}"
    )


def _dates(entries: Iterable[Entry]) -> dict[str, str]:
    """The days that living entries give, each with one that gives it."""
    return {
        render_days(entry.start.days): str(entry.record.source)
        for entry in entries
        if entry.start is not None and entry.label in ("planned", "possible")
    }


def _notes(living: Sequence[Entry], start: Moment | None) -> tuple[str, ...]:
    """What a reader must be told: dates that differ, entries that stand alone."""
    dates = _dates(living)
    notes = []
    if len(dates) > 1 and start is not None:
        said = ", ".join(f"{day} ({source})" for day, source in sorted(dates.items()))
        which = "the earliest was taken" if start.days.certain else "which holds is not known"
        notes.append(f"its entries give different dates, {which}: {said}")
    return tuple(notes)


# -- what words tell of it -----------------------------------------------------------------------


def topics_of(
    records: Iterable[OperationRecord], terminology: Terminology, topics: tuple[str, ...]
) -> dict[str, str]:
    """The pack's topics found in codes and free text, each with what it was found in."""
    found: dict[str, str] = {}
    for record in records:
        told = (*record.classifications, *record.details, *record.services, *record.specialties)
        for classification in told:
            _collect(classification, topics, f"{record.source}", found)
        for text in (*record.texts, *record.notes):
            read = terminology.classify(CodeableConcept((), text), "procedure")
            _collect(read, topics, f'{record.source}: "{text}"', found)
    return found


def _collect(
    found: Classification, topics: tuple[str, ...], where: str, into: dict[str, str]
) -> None:
    for match in found.matches:
        if match.valueset in topics:
            into.setdefault(match.valueset, where)
