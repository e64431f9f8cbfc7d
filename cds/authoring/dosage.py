"""Doses as an author writes them, turned into FHIR R4 Dosage."""

from __future__ import annotations

from collections.abc import Mapping

from cds.authoring.fields import Fields, Json, filled
from cds.authoring.phrases import (
    UCUM,
    concept,
    read_concept,
    read_duration,
    read_quantity,
    read_range,
)
from cds.authoring.timing import TIMES_FORM, read_timing

DOSE_KEYS = (
    "dose", "rate", "times", "sig", "instruction", "route", "site", "method", "prn", "max-per-day",
    "max-per-dose", "start", "stop", "for", "sequence",
)  # fmt: skip
"""The keys of one dose; a phase takes them too, and inherits those of its item."""

ADMINISTERED_KEYS = ("dose", "rate", "sig", "route", "site", "method")
"""The keys of a dose that was given."""

DOSE_FORM = '"2.5 mg", "1 tablet", "2-6 mg"'
DURATION_FORM = '"10 days", "36 hours"'


def dosages(fields: Fields) -> list[Json]:
    """The Dosages of an item: one per phase, numbered, or one for its own keys, or none."""
    phases = fields.items("phases")
    if not phases:
        single = _dosage(fields)
        return [single] if single else []
    inherited = {key: fields.values[key] for key in DOSE_KEYS if key in fields.values}
    return [_phase(fields, inherited, place, phase) for place, phase in enumerate(phases, 1)]


def administered(fields: Fields) -> Json:
    """The ``dosage`` of a MedicationAdministration: text, route, site, method and one amount."""
    return filled(
        {
            "text": fields.text("sig"),
            "site": concept(fields, "site"),
            "route": concept(fields, "route"),
            "method": concept(fields, "method"),
            "dose": fields.parse("dose", read_quantity, '"2.5 mg", "1 tablet"'),
            "rateQuantity": fields.parse("rate", read_quantity, '"5 mL/h"'),
        }
    )


def _phase(fields: Fields, inherited: Mapping[str, object], place: int, phase: object) -> Json:
    path = f"{fields.path}.phases[{place - 1}]"
    if not isinstance(phase, Mapping):
        raise fields.error("phases", "each phase is a mapping", DOSE_KEYS)
    values = {"sequence": str(place), **inherited, **phase}
    return _dosage(Fields(values, DOSE_KEYS, path, fields.setting))


def _dosage(fields: Fields) -> Json:
    rate = fields.parse("rate", read_quantity, '"5 mL/h"')
    return filled(
        {
            "sequence": fields.count("sequence"),
            "text": fields.text("sig"),
            "patientInstruction": fields.text("instruction"),
            "timing": _timing(fields),
            **_as_needed(fields),
            "site": concept(fields, "site"),
            "route": concept(fields, "route"),
            "method": concept(fields, "method"),
            "doseAndRate": [amount] if (amount := _amount(fields, rate)) else None,
            "maxDosePerPeriod": fields.parse("max-per-day", _per_day, DOSE_FORM),
            "maxDosePerAdministration": fields.parse("max-per-dose", read_quantity, DOSE_FORM),
        }
    )


def _amount(fields: Fields, rate: Json | None) -> Json:
    def reader(phrase: str) -> Json:
        span = read_range(phrase)
        return {"doseRange": span} if span else {"doseQuantity": read_quantity(phrase)}

    dose = fields.parse("dose", reader, DOSE_FORM) or {}
    return {**dose, **filled({"rateQuantity": rate})}


def _per_day(phrase: str) -> Json:
    day = {"value": 1, "unit": "day", "system": UCUM, "code": "d"}
    return {"numerator": read_quantity(phrase), "denominator": day}


def _timing(fields: Fields) -> Json:
    timing = fields.parse("times", read_timing, TIMES_FORM) or {}
    bounds = _bounds(fields)
    if not bounds:
        return timing
    repeat = timing.get("repeat")
    return {**timing, "repeat": {**bounds, **(repeat if isinstance(repeat, dict) else {})}}


def _bounds(fields: Fields) -> Json:
    period = filled({"start": fields.moment("start"), "end": fields.moment("stop")})
    duration = fields.parse("for", read_duration, DURATION_FORM)
    if period and duration:
        raise fields.error(
            "for", "stands beside start or stop; FHIR has room for one", "one of them"
        )
    return filled({"boundsPeriod": period, "boundsDuration": duration})


def _as_needed(fields: Fields) -> Json:
    text = fields.text("prn")
    if text is None:
        return {}
    if text.lower() in {"yes", "no", "true", "false"}:
        return {"asNeededBoolean": fields.flag("prn")}
    return {"asNeededCodeableConcept": read_concept(text)}
