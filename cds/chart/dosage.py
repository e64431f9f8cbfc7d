"""FHIR Dosage lists as one regimen: the dose of an ingredient each time, a day, phase by phase.

Amounts of the ingredient are in mg. What cannot be computed is None, and ``Regimen.missing`` says
why; the high end of every range serves safety, the low end floors. Reads R4, R5 and STU3 shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from cds.chart.document import UNREADABLE, decode, encode_exactly
from cds.chart.dose import (
    Strength,
    Told,
    counted_strength,
    has_rate,
    is_comparable,
    maxima,
    product_of,
    structured_dose,
    told_beside,
    with_text,
)
from cds.chart.fields import Json, as_list, as_object, as_text
from cds.chart.frequency import Frequency
from cds.chart.sig import (
    NO_DOSE,
    Dose,
    Ends,
    Product,
    Sig,
    as_decimal,
    read_sig,
    says_as_needed,
)
from cds.chart.timing import Schedule, bedtime_in, read_number, read_schedule
from cds.terminology.concept import CodeableConcept, read_concept
from cds.values.moment import PartialDate
from cds.values.quantity import Quantity


class Phase(msgspec.Struct, frozen=True):
    """The instructions of one ``sequence``, added up; amounts in mg, daily ones averaged per day.

    ``units_per_day`` is the most a day, in dose units, mL or mg as ``unit_kind`` says: "count",
    "volume", "mass", or "" where the instructions differ. ``duration_days`` is from boundsDuration.
    """

    sequence: int | None
    single_low: Quantity | None = None
    single_high: Quantity | None = None
    daily_low: Quantity | None = None
    daily_high: Quantity | None = None
    units_per_day: Decimal | None = None
    unit_kind: str = ""
    start: PartialDate | None = None
    end: PartialDate | None = None
    duration_days: int | None = None


class Regimen(msgspec.Struct, frozen=True):
    """A whole Dosage list. Doses in mg, None as soon as one phase's is not known.

    ``single_dose`` and ``daily_dose`` are the largest of any phase, ``daily_low`` the smallest low
    end. ``missing`` is empty exactly when ``daily_dose`` is known. ``low_confidence``: text, or the
    strength of an uncoded product's name, was needed. ``bedtime``: any dose is at bedtime.
    ``bounds_end`` is None while any instruction is open-ended; ``bounds_days`` adds up the phases.
    ``written`` holds the doses as they stand, in their own units; ``counted`` is the largest
    strength of the units that a dose counts; ``told`` are words beside a structured dose.
    """

    phases: tuple[Phase, ...] = ()
    single_dose: Quantity | None = None
    daily_dose: Quantity | None = None
    daily_low: Quantity | None = None
    units_per_day: Decimal | None = None
    unit_kind: str = ""
    as_needed: bool = False
    low_confidence: bool = False
    missing: tuple[str, ...] = ()
    bounds_start: PartialDate | None = None
    bounds_end: PartialDate | None = None
    bounds_days: int | None = None
    routes: tuple[CodeableConcept, ...] = ()
    bedtime: bool | None = None
    text: str = ""
    written: tuple[tuple[Decimal, str], ...] = ()
    counted: Quantity | None = None
    told: tuple[Told, ...] = ()


_T = TypeVar("_T")
_LONGEST_CACHED = 4_000
# No taper has as many steps.
_MOST_INSTRUCTIONS = 200


class _Instruction(msgspec.Struct, frozen=True):
    """One Dosage, computed. ``says`` is False for a mere remark: neither dose nor timing."""

    sequence: int | None
    dose: Dose
    single: Ends | None
    daily: tuple[Fraction | None, Fraction] | None
    units: Fraction | None
    schedule: Schedule
    reasons: tuple[str, ...]
    counted: Fraction | None
    told: tuple[Told, ...]
    from_text: bool
    as_needed: bool
    says: bool


def read_regimen(
    dosages: object, strengths: Sequence[Strength], zone: ZoneInfo, *, product_is_text: bool = False
) -> Regimen:
    """The regimen of a Dosage list (FHIR R4 §2.24.0.5), a single Dosage or whatever came instead.

    ``strengths`` are those of the one ingredient asked for; of several that differ none is chosen.
    Never raises: what is absent or absurd is missing, in words.
    """
    product = product_of(strengths)
    entries = [item for value in as_list(dosages) if (item := _as_dosage(value))]
    if len(entries) > _MOST_INSTRUCTIONS:
        return Regimen(missing=(f"too many dosage instructions ({len(entries)})",))
    read = [_instruction(entry, product, zone, product_is_text) for entry in entries]
    spoken = {instruction.sequence for instruction in read if instruction.says}
    # "Take with food" beside a dose is a remark; alone, or as a phase of its own, an unknown dose.
    used = [
        item
        for item in read
        if item.says or (spoken and item.sequence not in {None, *spoken}) or not spoken
    ]
    if not used:
        return Regimen(missing=(NO_DOSE,))
    return replace(
        _summed(tuple(_phases(used)), used),
        as_needed=any(item.as_needed for item in read),
        routes=tuple(dict.fromkeys(_routes(entries))),
        bedtime=_bedtime(read),
        text="; ".join(
            dict.fromkeys(text for entry in entries for text in _texts(entry, remarks=True))
        ),
        written=tuple(dict.fromkeys(pair for item in used for pair in item.dose.written)),
        counted=_mg(max((item.counted for item in used if item.counted), default=None)),
        told=tuple(told for item in used for told in item.told),
    )


def regimen_of(
    dosages: object, strengths: Sequence[Strength], zone: ZoneInfo, *, product_is_text: bool = False
) -> Regimen:
    """What `read_regimen` gives, remembered: a population's orders repeat a few thousand dosages.

    For ``dosages`` as they came from JSON.
    """
    try:
        text = encode_exactly(dosages)
        if len(text) <= _LONGEST_CACHED:
            return _remembered(text, tuple(strengths), zone, product_is_text)
    except UNREADABLE:
        # A text that JSON cannot say (half of a surrogate pair), or too deep: read as it is.
        pass
    return read_regimen(dosages, strengths, zone, product_is_text=product_is_text)


@lru_cache(maxsize=4096)
def _remembered(
    text: bytes, strengths: tuple[Strength, ...], zone: ZoneInfo, product_is_text: bool
) -> Regimen:
    return read_regimen(decode(text), strengths, zone, product_is_text=product_is_text)


def _as_dosage(value: object) -> Json:
    return {"text": value} if as_text(value) else as_object(value)


# --- one instruction ---


def _mg(number: Fraction | None) -> Quantity | None:
    return None if number is None else Quantity(as_decimal(number), "mg")


def _instruction(
    entry: Json, product: Product, zone: ZoneInfo, product_is_text: bool
) -> _Instruction:
    schedule = read_schedule(entry.get("timing"), zone)
    text = "; ".join(dict.fromkeys(_texts(entry)))
    stated = structured_dose(entry, product)
    complete = stated is not None and stated.mass is not None and schedule.frequency is not None
    sig = Sig() if complete else read_sig(text)
    dose = with_text(stated, sig, text, product, rated=has_rate(entry))
    frequency = schedule.frequency or sig.frequency
    caps = [cap for cap in maxima(entry, product) if is_comparable(cap, dose)]
    daily = _daily(dose, frequency, caps)
    as_needed = _as_needed(entry, text)
    worded = (dose is not stated and dose.mass is not None) or frequency is not schedule.frequency
    return _Instruction(
        sequence=_sequence(entry),
        dose=dose,
        single=None if dose.hourly else dose.mass,
        daily=daily,
        units=_units_per_day(dose, frequency, caps),
        schedule=schedule
        if schedule.bedtime is not None
        else replace(schedule, bedtime=bedtime_in(text)),
        reasons=() if daily else tuple(_reasons(dose, frequency, as_needed)),
        counted=counted_strength(dose, product),
        told=told_beside(stated, text, product),
        from_text=worded or (product_is_text and dose.by_strength),
        as_needed=as_needed,
        says=bool(stated or schedule.frequency or caps or has_rate(entry) or not sig.silent),
    )


def _daily(
    dose: Dose, frequency: Frequency | None, caps: Sequence[Dose]
) -> tuple[Fraction | None, Fraction] | None:
    """Low and high end a day in mg. A cap lowers both; alone, it is the high end without a low."""
    limits = [cap.mass[1] for cap in caps if cap.mass]
    if dose.mass is None or frequency is None:
        return (None, min(limits)) if limits else None
    low, high = (
        (dose.mass[0] * 24, dose.mass[1] * 24)
        if dose.hourly
        else (dose.mass[0] * frequency.low, dose.mass[1] * frequency.high)
    )
    return min(low, *limits) if limits else low, min(high, *limits) if limits else high


def _units_per_day(
    dose: Dose, frequency: Frequency | None, caps: Sequence[Dose]
) -> Fraction | None:
    limits = [cap.units[1] for cap in caps if cap.units and dose.kind in {cap.kind, ""}]
    if dose.units is not None and frequency is not None:
        limits.append(dose.units[1] * frequency.high)
    return min(limits, default=None)


def _reasons(dose: Dose, frequency: Frequency | None, as_needed: bool) -> Iterator[str]:
    if dose.mass is None:
        yield dose.problem or NO_DOSE
    if frequency is None and (dose.mass or dose.units):
        yield "as needed without a frequency or a maximum" if as_needed else "no frequency"


def _as_needed(entry: Json, text: str) -> bool:
    stated = [entry.get(name) for name in ("asNeededBoolean", "asNeeded")]
    if any(value is True for value in stated) or entry.get("asNeededFor"):
        return True
    return bool(entry.get("asNeededCodeableConcept")) or (
        False not in stated and says_as_needed(text)
    )


def _sequence(entry: Json) -> int | None:
    number = read_number(entry.get("sequence"))
    return int(number) if number is not None and number.denominator == 1 else None


def _texts(entry: Json, *, remarks: bool = False) -> Iterator[str]:
    """The sig and the words for the patient; with ``remarks`` the additional instructions too."""
    yield from (
        text for name in ("text", "patientInstruction") if (text := as_text(entry.get(name)))
    )
    stated = entry.get("additionalInstruction") or entry.get("additionalInstructions")  # DSTU2
    for item in as_list(stated) if remarks else ():
        concept = read_concept(item)
        words = concept.text or next(
            (coding.display for coding in concept.codings if coding.display), ""
        )
        if words:
            yield words


def _routes(entries: Iterable[Json]) -> Iterator[CodeableConcept]:
    for entry in entries:
        route = read_concept(entry.get("route"))
        if route.codings or route.text:
            yield route


# --- the whole ---


def _phases(items: Sequence[_Instruction]) -> Iterator[Phase]:
    """One phase for each sequence, in order; instructions without one belong to every phase."""
    sequences = sorted({item.sequence for item in items if item.sequence is not None})
    if not sequences:
        yield _phase(None, items)
    for sequence in sequences:
        yield _phase(sequence, [item for item in items if item.sequence in {sequence, None}])


def _phase(sequence: int | None, items: Sequence[_Instruction]) -> Phase:
    singles = _all([item.single for item in items])
    dailies = _all([item.daily for item in items])
    lows = _all([item.daily and item.daily[0] for item in items])
    units = _all([item.units for item in items])
    starts = _all([item.schedule.start for item in items])
    ends = _all([item.schedule.end for item in items])
    lengths = _all([item.schedule.days for item in items])
    kind = _same([item.dose.kind for item in items])
    return Phase(
        sequence=sequence,
        single_low=_mg(min(low for low, _ in singles)) if singles else None,
        single_high=_mg(max(high for _, high in singles)) if singles else None,
        daily_low=_mg(sum(lows, Fraction(0))) if lows else None,
        daily_high=_mg(sum((high for _, high in dailies), Fraction(0))) if dailies else None,
        units_per_day=as_decimal(sum(units, Fraction(0))) if units and kind else None,
        unit_kind=kind,
        start=min(starts, key=_first) if starts else None,
        end=max(ends, key=_last) if ends else None,
        duration_days=math.ceil(max(lengths)) if lengths else None,
    )


def _summed(phases: Sequence[Phase], items: Sequence[_Instruction]) -> Regimen:
    """The amounts and bounds of all phases; one that is unknown makes the regimen's unknown."""
    singles = _all([phase.single_high for phase in phases])
    dailies = _all([phase.daily_high for phase in phases])
    lows = _all([phase.daily_low for phase in phases])
    units = _all([phase.units_per_day for phase in phases])
    lengths = _all([phase.duration_days for phase in phases])
    kind = _same([phase.unit_kind for phase in phases])
    return Regimen(
        phases=tuple(phases),
        single_dose=max(singles, key=_value) if singles else None,
        daily_dose=max(dailies, key=_value) if dailies else None,
        daily_low=min(lows, key=_value) if lows else None,
        units_per_day=max(units) if units and kind else None,
        unit_kind=kind,
        low_confidence=any(item.from_text for item in items),
        missing=tuple(sorted({reason for item in items for reason in item.reasons})),
        bounds_start=_bounds_start(phases),
        bounds_end=_bounds_end(phases),
        bounds_days=sum(lengths) if lengths else None,
    )


def _bounds_start(phases: Sequence[Phase]) -> PartialDate | None:
    """The earliest start, unless the first phase has none: then it began when the order did."""
    if not phases or phases[0].start is None:
        return None
    return min((phase.start for phase in phases if phase.start), key=_first)


def _bounds_end(phases: Sequence[Phase]) -> PartialDate | None:
    """The latest end; None while the last phase, or one of no stated length, is open."""
    if not phases or phases[-1].end is None:
        return None
    if not all(phase.end or phase.duration_days for phase in phases):
        return None
    return max((phase.end for phase in phases if phase.end), key=_last)


def _bedtime(items: Sequence[_Instruction]) -> bool | None:
    said = {item.schedule.bedtime for item in items} - {None}
    return (True in said) if said else None


def _all(values: Sequence[_T | None]) -> list[_T] | None:
    """The values if there are any and each is known."""
    known = [value for value in values if value is not None]
    return known if known and len(known) == len(values) else None


def _same(kinds: Sequence[str]) -> str:
    return kinds[0] if len(set(kinds)) == 1 else ""


def _value(quantity: Quantity) -> Decimal:
    return quantity.value


def _first(date: PartialDate) -> datetime:
    return date.first


def _last(date: PartialDate) -> datetime:
    return date.last
