"""Stretches of days on which a course of a drug has one dose: past ones, and those of a draft."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from cds.chart.dosage import Phase, Regimen
from cds.chart.model import MedicationRecord
from cds.engine.reading import Exposure, Reading
from cds.engine.regimen import regimen_among
from cds.engine.value import Missing
from cds.values.moment import DayRange
from cds.values.quantity import Quantity

Dose = Quantity | Missing
"""A dose a day, or why it is not known."""

_UNTIMED = Missing("how long each dose is taken is not recorded")


@dataclass(frozen=True, slots=True)
class Stretch:
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
        for span in reading.spans.get("exposure", ()):
            for start, end, dose in _laid_out(_own(reading, usual), span.start, span.end):
                # A phase that began on any later day is one of which nobody knows that it has.
                sure = start is None or start.latest < date.max
                yield Stretch(start, end, dose if sure else _UNTIMED, course, standing)


def drafted_stretches(course: int, exposure: Exposure, begins: DayRange) -> Iterator[Stretch]:
    """The stretches of what is being ordered, from the day on which it begins."""
    for reading in exposure.readings:
        if _is_draft(reading):
            record = reading.record
            for start, end, dose in _laid_out(record.regimen, begins, _end(record, begins)):
                yield Stretch(start, end, dose, course, record=record)


def _is_draft(reading: Reading) -> bool:
    return reading.row is not None and reading.row.counts_as == "draft"


def _own(reading: Reading, usual: Regimen | None) -> Regimen | None:
    own = reading.record.regimen
    return own if own is not None and _dose(own) is not None else usual


def _dose(regimen: Regimen) -> Quantity | None:
    """The dose a day; what was given once and says no more was that day's."""
    return regimen.daily_dose or regimen.single_dose


def _end(record: MedicationRecord, begins: DayRange) -> DayRange | None:
    """The last day of a draft: as its dosage says, else by its supply, if it is not refilled."""
    regimen = record.regimen
    if regimen is not None and regimen.bounds_end is not None:
        return regimen.bounds_end.days
    days = regimen.bounds_days if regimen is not None else None
    if not days and record.supply is not None and not record.refills:
        days = int(record.supply)
    return begins + (days - 1) if days else None


def _laid_out(
    regimen: Regimen | None, start: DayRange | None, end: DayRange | None
) -> Iterator[tuple[DayRange | None, DayRange | None, Dose]]:
    """The phases one after the other. Where one has no length, the next begins on any later day."""
    phases = regimen.phases if regimen is not None else ()
    if len(phases) < 2:
        dose = _dose(regimen) if regimen is not None else None
        yield start, end, dose or Missing("the dose is not recorded")
        return
    begins = start
    for phase in phases:
        begins = phase.start.days if phase.start is not None else begins
        yield begins, end, phase.daily_high or Missing("the dose of a phase is not recorded")
        begins = _next(phase, begins)


def _next(phase: Phase, begins: DayRange | None) -> DayRange | None:
    """The day after a phase."""
    if phase.end is not None:
        return phase.end.days + 1
    if begins is None:
        return None
    if phase.duration_days is not None:
        return begins + phase.duration_days
    return DayRange((begins + 1).earliest, date.max)
