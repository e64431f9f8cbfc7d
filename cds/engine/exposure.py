"""What a course of a drug counts as at a given moment: taken, possibly taken, hinted at, denied.

The pack's evidence table decides what an entry counts as; here is the arithmetic of intervals:
starts, ends, supplies, stop dates, what lingers.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

import msgspec
from msgspec.structs import replace

from cds.chart.model import Course, MedicationRecord
from cds.engine.evidence import cap_attributes, first_row, row_matches
from cds.engine.frame import Clock
from cds.engine.reading import Exposure, Interval, Reading, denied, stopped
from cds.engine.value import Span, Spans
from cds.rulebook.model import EvidenceRow, KindDefinition, Parameter, Profile
from cds.values.moment import DayRange
from cds.values.quantity import Quantity

_MAX_DAYS = 36_500


def exists(record: MedicationRecord, clock: Clock) -> bool:
    """Whether the entry was on the record at the moment of judging."""
    return record.drafted or record.recorded is None or record.recorded.first <= clock.now


class Judge(msgspec.Struct, frozen=True):
    """Applies the pack's table at one moment."""

    definition: KindDefinition
    parameters: Mapping[str, Parameter]
    clock: Clock

    def judge(self, course: Course, profile: Profile | None) -> Exposure:
        """The course's spans, after stop dates, caps and denials."""
        known = [record for record in course.records if exists(record, self.clock)]
        others = [self._read(record, profile, ()) for record in known if not _is_order(record)]
        orders = [
            self._read(record, profile, tuple(others)) for record in known if _is_order(record)
        ]
        readings = tuple(sorted((*orders, *others), key=lambda reading: reading.record.source))
        readings = stopped(readings)
        readings = denied(readings)
        return Exposure(
            readings=readings,
            taken=_spans(readings, "exposure"),
            possible=_spans(readings, "possibility"),
            hinted=_spans(readings, "hint"),
            on_hold=any(_is_order(item.record) and item.status == "on-hold" for item in readings),
            drafted=any(
                item.row is not None and item.row.counts_as == "draft" for item in readings
            ),
        )

    # -- one entry --------------------------------------------------------------------------------

    def _read(
        self, record: MedicationRecord, profile: Profile | None, others: tuple[Reading, ...]
    ) -> Reading:
        interval = self._interval(record, profile, others)
        status = self._status(record, interval)
        row = self._row(record, interval, status)
        spans = self._spans_of(row, record, interval) if row is not None else {}
        return Reading(record, row, interval, status, self._capped(record, spans, profile))

    def _status(self, record: MedicationRecord, interval: Interval) -> str:
        """The status as it was at the moment: one that only a later event can set is undone."""
        hindsight = self.definition.hindsight.get(record.source.type, {})
        later = (
            interval.known == "stop-date"
            and interval.end is not None
            and interval.end.earliest > self.clock.today.latest
        )
        return hindsight.get(record.status, record.status) if later else record.status

    def _row(self, record: MedicationRecord, interval: Interval, status: str) -> EvidenceRow | None:
        attributes = {
            **record.attributes,
            "status": status,
            "start": "known" if interval.start is not None else "unknown",
            "end": interval.known,
            "asserted": "known" if "asserted" in record.dates else "unknown",
            "dated": _dated(record),
            "handed-over": "known" if "handed-over" in record.dates else "unknown",
            "as-needed": "yes" if record.regimen is not None and record.regimen.as_needed else "no",
        }
        return first_row(self.definition.evidence_for(record.source.type), attributes, record)

    def _interval(
        self, record: MedicationRecord, profile: Profile | None, others: tuple[Reading, ...]
    ) -> Interval:
        kind = record.source.type
        start = next(
            (
                record.dates[name].days
                for name in self.definition.starts.get(kind, ())
                if name in record.dates
            ),
            None,
        )
        for name in self.definition.ends.get(kind, ()):
            found = self._end(name, record, start, profile, others)
            if found is not None:
                return Interval(start, *found)
        return Interval(start, None, "unknown")

    def _end(
        self,
        name: str,
        record: MedicationRecord,
        start: DayRange | None,
        profile: Profile | None,
        others: tuple[Reading, ...],
    ) -> tuple[DayRange, str] | None:
        """The end by one of its sources, and how it is known then; None when that is silent."""
        if name in ("bounds-end", "effective-end"):
            date = record.dates.get(name)
            return (date.days, "stop-date") if date is not None else None
        if name == "effective-point":
            date = record.dates.get(name)
            return (date.days, "point") if date is not None else None
        if name == "dispensed":
            return _dispensed(others)
        if name == "administered":
            return _administered(record, others)
        if start is None:
            return None
        days, known = self._days(name, record, profile)
        return (start + (days - 1), known) if days > 0 else None

    def _days(
        self, name: str, record: MedicationRecord, profile: Profile | None
    ) -> tuple[int, str]:
        """How many days are covered, 0 when it cannot be told."""
        if name == "cover" and profile is not None:
            given = record.source.type == "MedicationAdministration"
            word = profile.values.get("covers") or profile.values.get("wear" if given else "", "")
            return self.days(word) or 0, "supply"
        if name == "bounds-duration" and record.regimen is not None:
            return record.regimen.bounds_days or 0, "supply"
        if name == "days-supply":
            return _whole(record.supply), "supply"
        if name == "quantity":
            worn = self.days(profile.values.get("wear", "")) if profile is not None else None
            if worn and record.quantity is not None and record.quantity.dimension == "count":
                return _whole(record.quantity.value * worn), "supply"
            return _whole(_lasting(record)), "quantity"
        return 0, "unknown"

    # -- spans ------------------------------------------------------------------------------------

    def _spans_of(
        self, row: EvidenceRow, record: MedicationRecord, interval: Interval
    ) -> dict[str, tuple[Span, ...]]:
        """The days for which the entry counts as what its line says, and what comes after."""
        label = row.counts_as
        if label not in ("exposure", "possibility", "hint"):
            return {}
        end = self._last_day(row, record, interval)
        source = str(record.source)
        found: dict[str, tuple[Span, ...]] = {
            label: (Span(interval.start, end, row.because, source, _is_assumed(row, interval)),)
        }
        if row.then and end is not None:
            until = self.days(row.then_for)
            after = Span(end + 1, None if until is None else end + until, row.then_because, source)
            found[row.then] = (*found.get(row.then, ()), after)
        return found

    def _last_day(
        self, row: EvidenceRow, record: MedicationRecord, interval: Interval
    ) -> DayRange | None:
        if (
            interval.end is not None
            and not row.lasts
            and not (row.open_for and interval.known == "point")
        ):
            return interval.end
        lasts = row.lasts or row.open_for
        start = interval.start
        if row.open_from and row.open_from in record.dates:
            start = record.dates[row.open_from].days
        if lasts == "same-day":
            return start
        days = self.days(lasts)
        return None if days is None or start is None else start + days

    def _capped(
        self,
        record: MedicationRecord,
        spans: Mapping[str, tuple[Span, ...]],
        profile: Profile | None,
    ) -> Mapping[str, tuple[Span, ...]]:
        """Lowers what an entry counts as where its certainty allows no more."""
        attributes = cap_attributes(record)
        for cap in self.definition.caps:
            if not row_matches(cap, attributes, record):
                continue
            lower = ("hint",) if cap.counts_as == "hint" else ("possibility",)
            touched = ("exposure", "possibility") if cap.counts_as == "hint" else ("exposure",)
            moved = tuple(
                self._lingering(span, cap, profile)
                for label in touched
                for span in spans.get(label, ())
            )
            kept = {label: found for label, found in spans.items() if label not in touched}
            if moved:
                kept[lower[0]] = (*kept.get(lower[0], ()), *moved)
            spans = kept
        return spans

    def _lingering(self, span: Span, cap: EvidenceRow, profile: Profile | None) -> Span:
        end = span.end
        if end is not None and cap.lasts:
            word = profile.values.get(cap.lasts, cap.lasts) if profile is not None else cap.lasts
            end = end + (self.days(word) or 0)
        reasons = [cap.because] + ([span.because] if span.because else [])
        return replace(span, end=end, because="; ".join(reasons))

    def days(self, word: str) -> int | None:
        """A duration in days: a parameter's name or a number; None for "always" and ""."""
        parameter = self.parameters.get(word)
        if parameter is not None:
            return int(parameter.value)
        number = word.split(" ", maxsplit=1)[0]
        return int(number) if number.isdigit() else None


def _is_order(record: MedicationRecord) -> bool:
    return record.source.type == "MedicationRequest"


def _dated(record: MedicationRecord) -> str:
    if "effective-point" in record.dates:
        return "point"
    return "period" if "effective-start" in record.dates else "none"


def _is_assumed(row: EvidenceRow, interval: Interval) -> bool:
    """Whether the end is only how long an entry without one is taken to last."""
    return bool(row.open_for) and row.open_for != "same-day" and interval.known == "unknown"


def _dispensed(others: tuple[Reading, ...]) -> tuple[DayRange, str] | None:
    """The last day that the order's dispenses cover."""
    ends = [
        (reading.interval.end, reading.interval.known)
        for reading in others
        if reading.record.source.type == "MedicationDispense"
        and reading.interval.end is not None
        and "exposure" in reading.spans
    ]
    return max(ends, key=lambda item: item[0].latest) if ends else None


def _administered(
    order: MedicationRecord, others: tuple[Reading, ...]
) -> tuple[DayRange, str] | None:
    """The last day on which a dose was given under an order that is completed; None for others."""
    if order.status != "completed":
        return None
    ends = [
        reading.interval.end
        for reading in others
        if reading.record.source.type == "MedicationAdministration"
        and str(order.source) in reading.record.links
        and reading.interval.end is not None
        and "exposure" in reading.spans
    ]
    return (max(ends, key=lambda day: day.latest), "point") if ends else None


def _lasting(record: MedicationRecord) -> Decimal | None:
    """Days that the quantity lasts at the greatest use: the least that it can last."""
    regimen, quantity = record.regimen, record.quantity
    if regimen is None or quantity is None or not regimen.units_per_day:
        return None
    amount = _comparable(quantity, regimen.unit_kind)
    return amount / regimen.units_per_day if amount is not None else None


def _comparable(quantity: Quantity, unit_kind: str) -> Decimal | None:
    if unit_kind == "volume" and quantity.dimension == "volume":
        return quantity.to("mL").value
    return quantity.value if unit_kind == quantity.dimension == "count" else None


def _whole(days: Decimal | None) -> int:
    if days is None or days <= 0:
        return 0
    return min(int(days.to_integral_value(ROUND_CEILING)), _MAX_DAYS)


def _spans(readings: tuple[Reading, ...], label: str) -> Spans:
    return Spans(tuple(span for reading in readings for span in reading.spans.get(label, ())))
