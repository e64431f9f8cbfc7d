"""Stretches of days on which a course of a drug has one dose: past ones, and those of a draft."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import msgspec

from cds.chart.dosage import Phase, Regimen
from cds.chart.model import MedicationRecord
from cds.engine.reading import Exposure, Reading
from cds.engine.regimen import regimen_among
from cds.engine.value import Missing
from cds.values.moment import DayRange
from cds.values.quantity import Quantity

Dose = Quantity | Missing
"""The larger of a single dose and the dose a day, or why it is not known."""

_UNTIMED = Missing("how long each dose is taken is not recorded")


class Stretch(msgspec.Struct, frozen=True):
    """Days of one dose. ``start`` None: always before; ``end`` None: goes on.

    Within one ``course`` what begins later replaces what began before it. ``standing``: the order
    of the course is still active. ``record`` is the draft that brings it.
    """

    start: DayRange | None
    end: DayRange | None
    dose: Dose
    course: int
    standing: bool = False
    record: MedicationRecord | None = None

    @property
    def first(self) -> date:
        return date.min if self.start is None else self.start.earliest

    @property
    def last(self) -> date:
        return date.max if self.end is None else self.end.latest


def past_stretches(course: int, exposure: Exposure) -> Iterator[Stretch]:
    """The stretches on which a course was taken, with its entries' doses or else the course's."""
    told = [reading for reading in exposure.readings if not _is_draft(reading)]
    usual = regimen_among(reading.record for reading in told)
    standing = any(
        reading.record.source.type == "MedicationRequest" and reading.status == "active"
        for reading in told
    )
    for reading in told:
        phases = list(_doses(reading, usual))
        for span in reading.spans.get("exposure", ()):
            for start, end, dose in _laid_out(phases, span.start, span.end):
                # A phase that began on any later day is one of which nobody knows that it has.
                sure = start is None or start.latest < date.max
                yield Stretch(start, end, dose if sure else _UNTIMED, course, standing)


def drafted_stretches(course: int, exposure: Exposure, begins: DayRange) -> Iterator[Stretch]:
    """The stretches of what is being ordered, from the day on which it begins."""
    for reading in exposure.readings:
        if _is_draft(reading):
            record = reading.record
            phases = list(_phases(record.regimen))
            for start, end, dose in _laid_out(phases, begins, _end(record, begins)):
                yield Stretch(start, end, dose, course, record=record)


def _is_draft(reading: Reading) -> bool:
    return reading.row is not None and reading.row.counts_as == "draft"


_Phase = tuple[Phase | None, Dose]


def _doses(reading: Reading, usual: Regimen | None) -> Iterator[_Phase]:
    """The doses of an entry, phase by phase: its own or the course's; one given is its day's."""
    own = reading.record.regimen
    given = own is not None and reading.record.source.type == "MedicationAdministration"
    if own is not None and own.daily_dose is None and given and own.single_dose is not None:
        yield None, own.single_dose
        return
    yield from _phases(own if own is not None and own.daily_dose is not None else usual)


def _phases(regimen: Regimen | None) -> Iterator[_Phase]:
    """The doses, phase by phase."""
    for phase in regimen.phases if regimen is not None else ():
        yield phase, _larger(phase)
    if regimen is None or not regimen.phases:
        yield None, Missing("the dose is not recorded")


def _end(record: MedicationRecord, begins: DayRange) -> DayRange | None:
    """The last day of a draft: as its dosage says, else by its supply, if it is not refilled."""
    regimen = record.regimen
    if regimen is not None and regimen.bounds_end is not None:
        return regimen.bounds_end.days
    days = regimen.bounds_days if regimen is not None else None
    if not days and record.supply is not None and not record.refills:
        days = int(record.supply)
    return begins + (days - 1) if days else None


def _larger(phase: Phase) -> Dose:
    if phase.daily_high is None:
        return Missing("the dose a day is not recorded")
    single = phase.single_high or phase.daily_high
    return max(single, phase.daily_high, key=lambda dose: dose.value)


def _laid_out(
    phases: list[_Phase], start: DayRange | None, end: DayRange | None
) -> Iterator[tuple[DayRange | None, DayRange | None, Dose]]:
    """The phases one after the other. Where one has no length, the next begins on any later day."""
    begins = start
    for number, (phase, dose) in enumerate(phases):
        if number and phase is not None and phase.start is not None:
            begins = phase.start.days
        yield begins, end, dose
        begins = _next(phase, begins) if phase is not None else begins


def _next(phase: Phase, begins: DayRange | None) -> DayRange | None:
    """The day after a phase."""
    if phase.end is not None:
        return phase.end.days + 1
    if begins is None:
        return None
    if phase.duration_days is not None:
        return begins + phase.duration_days
    return DayRange((begins + 1).earliest, date.max)
