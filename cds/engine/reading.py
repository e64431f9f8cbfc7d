"""Entries of a course as judged, and what they say of each other: stop dates and denials."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from cds.chart.model import MedicationRecord
from cds.engine.value import Span, Spans
from cds.rulebook.model import EvidenceRow
from cds.values.moment import DayRange


class Interval(msgspec.Struct, frozen=True):
    """Start and end of one entry, and how the end is known."""

    start: DayRange | None
    end: DayRange | None
    known: str  # stop-date, supply, quantity, point, unknown


class Reading(msgspec.Struct, frozen=True):
    """One entry as judged: its line of the evidence table, its interval, its spans by label."""

    record: MedicationRecord
    row: EvidenceRow | None
    interval: Interval
    status: str
    spans: Mapping[str, tuple[Span, ...]]


class Exposure(msgspec.Struct, frozen=True):
    """A course as judged. ``readings`` leave out what did not exist yet."""

    readings: tuple[Reading, ...]
    taken: Spans
    possible: Spans
    hinted: Spans
    on_hold: bool
    drafted: bool

    @property
    def conflicts(self) -> tuple[str, ...]:
        found = (
            reading.record.classification.note
            for reading in self.readings
            if reading.record.classification.note
        )
        return tuple(dict.fromkeys(found))


def stopped(readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """The readings, cut where an order or a statement says that the drug was stopped."""
    stops = [
        reading.interval.end
        for reading in readings
        if reading.interval.known == "stop-date"
        and reading.interval.end is not None
        and reading.record.source.type in ("MedicationRequest", "MedicationStatement")
        and reading.row is not None
        and reading.row.counts_as in ("exposure", "possibility")
    ]
    for stop in stops:
        readings = tuple(
            reading if _said_after(reading.record, stop) else _cut(reading, stop)
            for reading in readings
        )
    return readings


def denied(readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """What somebody says is not taken is possible at most, if they said so after it began."""
    # Of several that say so the latest reaches furthest, and one without a date reaches all.
    latest: dict[str, DayRange | None] = {}
    for item in readings:
        if item.row is None or item.row.counts_as != "denial":
            continue
        said, because = _said(item.record), item.row.because
        known = latest.get(because, said)
        later = (
            said if known is not None and (said is None or said.latest > known.latest) else known
        )
        latest[because] = later
    for because, said in latest.items():
        readings = tuple(_deny(item, said, because) for item in readings)
    return readings


def _cut(reading: Reading, stop: DayRange) -> Reading:
    """The reading with every span that began by ``stop`` ending there."""
    spans = {}
    for label, found in reading.spans.items():
        kept = []
        for span in found:
            if span.start is not None and span.start.earliest > stop.latest:
                # It began after the stop: another course of the drug, or what lingers of this one.
                if label == "exposure" or reading.interval.start == span.start:
                    kept.append(span)
                continue
            runs_on = span.end is None or span.end.latest > stop.latest
            kept.append(replace(span, end=stop, assumed=False) if runs_on else span)
        spans[label] = tuple(kept)
    return replace(reading, spans=spans)


def _said_after(record: MedicationRecord, stop: DayRange) -> bool:
    """Whether it is a statement made after the stop: news of its own, whenever it says it began."""
    said = record.dates.get("asserted")
    if said is None or record.source.type != "MedicationStatement":
        return False
    return said.days.earliest > stop.latest


def _said(record: MedicationRecord) -> DayRange | None:
    for name in ("asserted", "effective-end", "effective-start"):
        if name in record.dates:
            return record.dates[name].days
    return None


def _deny(reading: Reading, said: DayRange | None, because: str) -> Reading:
    taken = reading.spans.get("exposure", ())
    hit = tuple(
        span
        for span in taken
        if said is None or span.start is None or span.start.earliest <= said.latest
    )
    if not hit:
        return reading
    spans = dict(reading.spans)
    spans["exposure"] = tuple(span for span in taken if span not in hit)
    moved = tuple(replace(span, because=because) for span in hit)
    spans["possibility"] = (*spans.get("possibility", ()), *moved)
    return replace(reading, spans=spans)
