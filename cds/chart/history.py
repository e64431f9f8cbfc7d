"""A chart as it was known when one of its orders was signed: that order a draft, the later gone.

A chart is read once and cut many times; nothing is read again. What is left is joined anew, since
an entry that came later may have joined two that it then had nothing to do with.

- An entry recorded after the moment did not exist. Where no such date is given, a medication or a
  diagnosis did not exist before it happened; what refers to an order came after that; whatever has
  no date at all was there. (Of an operation that took place later the engine says what it was.)
- Of a date without a time everything of that day is known: such an order is judged at its end.
- What was done by the order came after it: what refers to it, and a dispense or administration that
  can belong to no other, unless it is certainly older.
- Medication orders written at the same instant were signed together: all of them are drafts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from cds.chart.courses import join_courses
from cds.chart.model import (
    Chart,
    ConditionRecord,
    Coverage,
    MedicationRecord,
    OperationRecord,
    Patient,
    Record,
)
from cds.chart.operation import join_operations
from cds.values.moment import PartialDate, Precision
from cds.values.truth import Truth

ORDER_TYPES = frozenset({"MedicationRequest", "ServiceRequest", "Appointment"})

NO_DATE = "not dated to the day"
LATER = "written after the moment of the audit"
_UNSIGNED = "a draft that nobody signed"
_NEVER = {
    "draft": _UNSIGNED,
    "entered-in-error": "entered in error",
    **dict.fromkeys(("proposed", "pending", "waitlist"), "an appointment that was not booked"),
}
_NO_ORDERS = ("plan", "proposal", "option")
_DONE = ("MedicationDispense", "MedicationAdministration")
_HAPPENED = ("handed-over", "prepared", "asserted", "effective-start")
# Clinical statuses that say that a diagnosis is over.
_OVER = ("inactive", "resolved", "remission")

Entry = MedicationRecord | OperationRecord
_Kept = TypeVar("_Kept", MedicationRecord, OperationRecord)


class Order(msgspec.Struct, frozen=True):
    """An order of the record, and the instant (in the site's zone) at which it is judged."""

    record: Entry
    date: PartialDate
    moment: datetime

    @property
    def name(self) -> str:
        """``Type/id``."""
        return str(self.record.source)


class History:
    """One chart, ready to be cut at the moments of its orders. A cut depends on nothing else."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self._medications = _signed(item for course in chart.courses for item in course.records)
        self._operations = _signed(item for plan in chart.operations for item in plan.records)
        self._entries: list[Entry] = [*self._medications, *self._operations]
        self._began = {id(item): _began(item) for item in self._entries}
        self._linking: dict[str, list[Entry]] = {}
        for item in self._entries:
            for link in item.links:
                self._linking.setdefault(link, []).append(item)
        self._unlinked = _unlinked(chart)
        self._pads: dict[datetime, list[MedicationRecord]] = {}
        for record in self._medications:
            date = record.recorded
            if date is None or record.source.type != "MedicationRequest" or why_no_order(record):
                continue
            if date.is_timed:
                self._pads.setdefault(date.first.astimezone(UTC), []).append(record)

    def at(self, order: Order) -> Chart:
        """The chart as it was known at the order's moment, with the order as a draft.

        Its problems, and what was not read of it, are the whole record's, and are left out.
        """
        now = order.moment.astimezone(UTC)
        drafts = self._pad(order)
        gone = self._gone(order, now, drafts)
        chart = self.chart
        conditions = (_as_it_was(item, order.moment) for item in chart.conditions)
        cut = replace(
            chart,
            patient=_living(chart.patient, order.date),
            courses=join_courses(_cut(self._medications, drafts, gone)),
            operations=join_operations(_cut(self._operations, drafts, gone)),
            conditions=tuple(item for item in conditions if _is_known(item, now, "onset")),
            allergies=tuple(item for item in chart.allergies if _is_known(item, now)),
            results=tuple(item for item in chart.results if _is_known(item, now)),
            statements=tuple(item for item in chart.statements if _is_known(item, now)),
            tasks=tuple(item for item in chart.tasks if _is_known(item, now)),
            ignored={},
            problems=(),
        )
        return replace(cut, coverage=_coverage(chart, cut))

    def _pad(self, order: Order) -> set[int]:
        """The order and whatever was signed with it, by identity."""
        together: list[MedicationRecord] = []
        if order.date.is_timed:
            together = self._pads.get(order.date.first.astimezone(UTC), [])
        return {id(order.record), *map(id, together)}

    def _gone(self, order: Order, now: datetime, drafts: set[int]) -> set[int]:
        """The entries that came after the order, by identity."""
        gone = {
            id(item)
            for item in self._entries
            if id(item) not in drafts
            and (began := self._began[id(item)]) is not None
            and began.first.astimezone(UTC) > now
        }
        for item in [item for item in self._entries if id(item) in gone or id(item) in drafts]:
            own = id(item) in drafts
            for other in self._following(item, own=own):
                began = self._began[id(other)]
                # What has no date came after what it refers to; what has one speaks for itself.
                later = began is None or (own and began.last >= order.date.first)
                if later and id(other) not in drafts:
                    gone.add(id(other))
        return gone

    def _following(self, item: Entry, *, own: bool) -> list[Entry]:
        """What refers to an entry, directly or not; of a draft also what can be of no other."""
        found: list[Entry] = list(self._unlinked.get(id(item), ())) if own else []
        seen = {id(item)}
        wanted = [item]
        while wanted:
            for other in self._linking.get(str(wanted.pop().source), ()):
                if id(other) not in seen:
                    seen.add(id(other))
                    found.append(other)
                    wanted.append(other)
        return found


# -- which entries were orders, and when ---------------------------------------------------------


def entries_of(chart: Chart) -> Iterator[Entry]:
    """Every medication and operation on the chart, each once."""
    courses: dict[int, Entry] = {id(item): item for it in chart.courses for item in it.records}
    yield from courses.values()
    for operation in chart.operations:
        yield from operation.records


def why_no_order(record: Entry) -> str:
    """Why an entry never was a signed order; "" where it was one."""
    if record.drafted:
        return _UNSIGNED
    if record.attributes.get("prohibited") == "yes":
        return "it says what must not be done"
    if record.attributes.get("intent") in _NO_ORDERS:
        return "a plan, a proposal or an option"
    return _NEVER.get(record.status, "")


def placed(record: Entry, until: datetime) -> Order | str:
    """The order at its moment, which is none after ``until``; or why it has no moment.

    That is the instant it was written at; where only a day is written, that day's last second.
    """
    date = record.recorded
    if date is None or date.precision < Precision.DAY:
        return NO_DATE
    if date.first.astimezone(UTC) > until.astimezone(UTC):
        return LATER
    moment = date.last if date.is_timed else date.last.replace(microsecond=0)
    return Order(record, date, min(moment, until, key=lambda each: each.astimezone(UTC)))


# -- one entry -----------------------------------------------------------------------------------


def _signed(records: Iterable[_Kept]) -> list[_Kept]:
    """The entries, each once, but for drafts: never signed, they are no part of any moment."""
    distinct = {id(item): item for item in records if not (item.drafted or item.status == "draft")}
    return sorted(distinct.values(), key=lambda item: item.source)


def _began(record: Entry) -> PartialDate | None:
    """When an entry came to be there; a medication that nobody dated when it was given or taken."""
    if record.recorded is not None or record.status == "intended":
        return record.recorded
    return next((record.dates[name] for name in _HAPPENED if name in record.dates), None)


def _unlinked(chart: Chart) -> dict[int, list[MedicationRecord]]:
    """By order, dispenses and administrations that refer to nothing and can be of no other."""
    found: dict[int, list[MedicationRecord]] = {}
    for course in chart.courses:
        orders = [item for item in course.records if item.source.type == "MedicationRequest"]
        loose = [item for item in course.records if item.source.type in _DONE and not item.links]
        if len(orders) == 1 and loose:
            found[id(orders[0])] = loose
    return found


def _cut(records: list[_Kept], drafts: set[int], gone: set[int]) -> list[_Kept]:
    """The entries that were there, drafts as drafts."""
    return [
        _drafted(item) if id(item) in drafts else item for item in records if id(item) not in gone
    ]


def _drafted(record: _Kept) -> _Kept:
    attributes = {**record.attributes, "drafted": "yes"}
    return replace(record, drafted=True, status="draft", attributes=attributes)


def _is_known(record: Record, now: datetime, *otherwise: str) -> bool:
    """Whether an entry was there; without a date of its making, one of the other dates counts."""
    dates = (record.recorded, *(record.dates.get(name) for name in otherwise))
    began = next((date for date in dates if date is not None), None)
    return began is None or began.first.astimezone(UTC) <= now


def _as_it_was(record: ConditionRecord, moment: datetime) -> ConditionRecord:
    """A diagnosis that was over later only, as it was before."""
    over = record.dates.get("abated")
    if over is None or record.status not in _OVER or over.days.latest < moment.date():
        return record
    return replace(record, status="active", attributes={**record.attributes, "clinical": "active"})


def _living(patient: Patient, ordered: PartialDate) -> Patient:
    """The person at the time; who died on an unknown day was ordered something while alive."""
    died = patient.deceased
    if isinstance(died, PartialDate) and died.before(ordered) is Truth.YES:
        return patient
    return replace(patient, deceased=False)


def _coverage(chart: Chart, cut: Chart) -> dict[str, Coverage]:
    """The manifest: of a type that was answered, whether any of it was there at the time."""
    there = {key.partition(":")[0] for key in chart.ignored}
    lost = set()
    for record in entries_of(cut):
        if record.drafted:
            continue
        there.add(record.source.type)
        if isinstance(record, MedicationRecord) and not record.resolved:
            lost.add(record.source.type)
    for kind in (cut.conditions, cut.allergies, cut.results, cut.statements, cut.tasks):
        there.update(record.source.type for record in kind)
    found = {}
    for name, state in chart.coverage.items():
        if state in (Coverage.SUPPLIED, Coverage.UNRESOLVED):
            state = Coverage.SUPPLIED if name in there else Coverage.EMPTY  # noqa: PLW2901
            state = Coverage.UNRESOLVED if name in lost else state  # noqa: PLW2901
        found[name] = state
    return found
