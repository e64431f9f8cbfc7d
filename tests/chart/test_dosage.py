"""FHIR Dosage JSON in, numbers out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.chart.dosage import Regimen, read_regimen
from cds.chart.dose import Strength
from cds.chart.sig import read_sig, text_dose
from cds.chart.timing import read_frequency_text
from cds.values.quantity import Quantity

ZONE = ZoneInfo("America/New_York")
DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}


def mg(value: str) -> Quantity:
    return Quantity(Decimal(value), "mg")


PER_UNIT = (Strength(mg("1.5")),)
PER_ML = (Strength(mg("1"), Quantity(Decimal(1), "mL")),)
PATCH = (Strength(mg("0.05"), Quantity(Decimal(1), "h")),)


def quantity(value: object, unit: str | None = None) -> dict[str, Any]:
    return {"value": value} if unit is None else {"value": value, "unit": unit}


def dosage(
    value: object = "4.5", unit: str | None = "mg", timing: object = DAILY, **more: Any
) -> dict[str, Any]:
    dose = {"doseAndRate": [{"doseQuantity": quantity(value, unit)}]}
    return {**dose, **({"timing": timing} if timing is not None else {}), **more}


def per(value: object, unit: str | None, days: object = 1, time: str = "d") -> dict[str, Any]:
    return {"numerator": quantity(value, unit), "denominator": {"value": days, "code": time}}


def repeat(**fields: Any) -> dict[str, Any]:
    return {"repeat": fields}


def coded(
    code: str, system: str = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
) -> dict[str, Any]:
    return {"code": {"coding": [{"system": system, "code": code}]}}


def read(*entries: object, strengths: tuple[Strength, ...] = ()) -> Regimen:
    return read_regimen(list(entries), strengths, ZONE)


def daily(regimen: Regimen) -> str | None:
    return None if regimen.daily_dose is None else regimen.daily_dose.render()


def single(regimen: Regimen) -> str | None:
    return None if regimen.single_dose is None else regimen.single_dose.render()


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        pytest.param(DAILY, "7 mg", id="daily"),
        pytest.param(repeat(frequency=3, period=1, periodUnit="d"), "21 mg", id="three-times"),
        pytest.param(
            repeat(frequency=1, frequencyMax=2, period=1, periodUnit="d"),
            "14 mg",
            id="frequency-max",
        ),
        pytest.param(
            repeat(frequency=1, period=4, periodMax=6, periodUnit="h"),
            "42 mg",
            id="shortest-period",
        ),
        pytest.param(repeat(period=6, periodUnit="h"), "28 mg", id="once-per-period-by-default"),
        pytest.param(repeat(frequency=5, period=7, periodUnit="d"), "5 mg", id="exact-sevenths"),
        pytest.param(repeat(frequency=1, period=1, periodUnit="wk"), "1 mg", id="weekly"),
        pytest.param(repeat(frequency=1, period=2, periodUnit="d"), "3.5 mg", id="every-other-day"),
        pytest.param(repeat(timeOfDay=["08:00:00", "20:00:00"]), "14 mg", id="times-of-day"),
        pytest.param(repeat(dayOfWeek=["mon", "wed", "fri"]), "3 mg", id="weekdays"),
        pytest.param(
            repeat(frequency=1, period=1, periodUnit="d", dayOfWeek=["mon"]),
            "1 mg",
            id="daily-on-monday",
        ),
        pytest.param(
            repeat(frequency=1, period=1, periodUnit="wk", dayOfWeek=["mon"]),
            "1 mg",
            id="weekly-on-monday",
        ),
        pytest.param(
            repeat(timeOfDay=["09:00"], dayOfWeek=["mon", "tue"]), "2 mg", id="weekday-and-time"
        ),
        pytest.param(repeat(when=["MORN", "HS"]), "14 mg", id="when"),
        pytest.param(repeat(when=["C"]), "21 mg", id="each-meal"),
        pytest.param(repeat(when=["CM"]), "7 mg", id="one-meal"),
        pytest.param(
            repeat(frequency=1, period=1, periodUnit="d", when=["AC"]),
            "7 mg",
            id="once-before-a-meal",
        ),
        pytest.param(
            repeat(frequency=1, period=1, periodUnit="d", when=["CM", "CV"]),
            "14 mg",
            id="longer-list-wins",
        ),
        pytest.param(repeat(count=1), "7 mg", id="one-dose-in-all"),
        pytest.param(
            repeat(count=2, frequency=4, period=1, periodUnit="d"), "14 mg", id="count-caps"
        ),
        pytest.param(
            {"event": ["2026-06-01T08:00:00Z", "2026-06-01T20:00:00Z"]}, "14 mg", id="events"
        ),
        pytest.param(
            repeat(frequency=2, period=1, periodUnits="d"), "14 mg", id="dstu2-period-units"
        ),
        pytest.param(
            {"repeat": [{"frequency": 2, "period": 1, "periodUnit": "d"}]},
            "14 mg",
            id="repeat-as-list",
        ),
        *(
            pytest.param(coded(code), expected, id=code)
            for code, expected in {
                "QD": "7 mg",
                "BID": "14 mg",
                "TID": "21 mg",
                "QID": "28 mg",
                "QOD": "3.5 mg",
                "BED": "7 mg",
                "HS": "7 mg",
                "QHS": "7 mg",
                "AM": "7 mg",
                "PM": "7 mg",
                "WK": "1 mg",
                "Q4H": "42 mg",
                "Q6H": "28 mg",
                "Q8H": "21 mg",
                "Q12H": "14 mg",
                "b.i.d.": "14 mg",
                "BID PRN": "14 mg",
            }.items()
        ),
        pytest.param(coded("229799001", "http://snomed.info/sct"), "14 mg", id="snomed-twice"),
        pytest.param(
            coded("396139000", "http://snomed.info/sct"), "28 mg", id="snomed-six-to-eight-hours"
        ),
        pytest.param(
            {
                "code": {
                    "coding": [{"system": "urn:local", "code": "17", "display": "2 times daily"}]
                }
            },
            "14 mg",
            id="local-display",
        ),
        pytest.param({"code": {"text": "every other day"}}, "3.5 mg", id="code-text"),
        pytest.param({"code": {"text": "nightly"}}, "7 mg", id="nightly"),
    ],
)
def test_frequency(timing: object, expected: str) -> None:
    assert daily(read(dosage(7, "mg", timing))) == expected


@pytest.mark.parametrize(
    "timing",
    [
        None,
        {},
        [],
        "daily",
        repeat(frequency=0, period=1, periodUnit="d"),
        repeat(frequency=-1, period=1, periodUnit="d"),
        repeat(frequency="many", period=1, periodUnit="d"),
        repeat(frequency=1),
        repeat(frequency=1, period=0, periodUnit="d"),
        repeat(frequency=1, period=1, periodUnit="fortnightish"),
        repeat(frequency=1, period="1e999999999", periodUnit="d"),
        repeat(boundsPeriod={"start": "2026-06-01"}),
        coded("XYZ"),
        coded("229799001", "urn:not-snomed"),
    ],
)
def test_no_frequency_leaves_the_single_dose(timing: object) -> None:
    regimen = read(dosage("4.5", "mg", timing))
    assert (single(regimen), daily(regimen), regimen.missing) == ("4.5 mg", None, ("no frequency",))


@pytest.mark.parametrize(
    ("value", "unit", "strengths", "expected", "units"),
    [
        ("4.5", "mg", (), "4.5 mg", ("4.5", "mass")),
        ("4500", "ug", (), "4.5 mg", ("4.5", "mass")),
        ("4500", "mcg", (), "4.5 mg", ("4.5", "mass")),
        ("4500", "\u00b5g", (), "4.5 mg", ("4.5", "mass")),
        ("4500", "\u03bcg", (), "4.5 mg", ("4.5", "mass")),
        ("0.0045", "g", (), "4.5 mg", ("4.5", "mass")),
        (4.5, "milligram", (), "4.5 mg", ("4.5", "mass")),
        (3, "{tablet}", PER_UNIT, "4.5 mg", ("3", "count")),
        (3, "tablet", PER_UNIT, "4.5 mg", ("3", "count")),
        (3, "1", PER_UNIT, "4.5 mg", ("3", "count")),
        (3, None, PER_UNIT, "4.5 mg", ("3", "count")),
        (
            3,
            "{capsule}",
            (*PER_UNIT, Strength(Quantity(Decimal(1500), "ug"))),
            "4.5 mg",
            ("3", "count"),
        ),
        ("4.5", "mL", PER_ML, "4.5 mg", ("4.5", "volume")),
        ("4.5", "mg", PER_UNIT, "4.5 mg", ("3", "count")),
        ("4.5", "mg", PER_ML, "4.5 mg", ("4.5", "volume")),
    ],
)
def test_amount(
    value: object,
    unit: str | None,
    strengths: tuple[Strength, ...],
    expected: str,
    units: tuple[str, str],
) -> None:
    regimen = read(dosage(value, unit), strengths=strengths)
    assert (single(regimen), daily(regimen), regimen.missing) == (expected, expected, ())
    assert (regimen.units_per_day, regimen.unit_kind) == (Decimal(units[0]), units[1])


@pytest.mark.parametrize(
    ("entry", "strengths", "missing"),
    [
        (dosage(1, "tablet"), (), "tablet without a strength"),
        (dosage(1, None), (), "tablet without a strength"),
        (
            dosage(1, "tablet"),
            (*PER_UNIT, Strength(mg("3"))),
            "several strengths: which one the dose counts is not said",
        ),
        (dosage(1, "mL"), (), "mL without a concentration"),
        (dosage(1, "mL"), PER_UNIT, "mL without a concentration"),
        (dosage(0, "mg"), (), "dose is not above zero"),
        (dosage(-1, "mg"), (), "dose is not above zero"),
        (dosage("NaN", "mg"), (), "dose is not a number"),
        (dosage("1e999999", "mg"), (), "dose is not a number"),
        (dosage(True, "mg"), (), "dose is not a number"),
        (dosage("0.1", "mg/kg"), (), "unit of the dose is not understood: mg/kg"),
        (
            dosage(5, "mg")
            | {"doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mcg", "code": "mg"}}]},
            (),
            "unit of the dose is not understood: mcg / mg",
        ),
        (
            {"doseAndRate": [{"rateQuantity": quantity(5, "mg/h")}], "timing": DAILY},
            (),
            "a rate without a dose",
        ),
        ({"timing": DAILY}, (), "no dose"),
        (
            {"timing": DAILY, "doseAndRate": [{"doseRange": {"low": quantity(1, "mg")}}]},
            (),
            "dose range without a high end",
        ),
        ({"text": "as directed"}, (), "dose is free text: as directed"),
        (
            {"text": "1.5 mg nightly for 14 days then 3 mg"},
            (),
            "several amounts in the dose text: 1.5 mg nightly for 14 days then 3 mg",
        ),
        (
            {"text": "take 2 capsules (3 mg) daily"},
            (),
            "amount of each or of all in the dose text: take 2 capsules (3 mg) daily",
        ),
    ],
)
def test_missing(entry: object, strengths: tuple[Strength, ...], missing: str) -> None:
    regimen = read(entry, strengths=strengths)
    assert (daily(regimen), regimen.missing) == (None, (missing,))


def test_units_a_day_are_known_without_a_strength() -> None:
    regimen = read(dosage(2, "tablet", repeat(frequency=3, period=1, periodUnit="d")))
    assert (regimen.units_per_day, regimen.unit_kind) == (Decimal(6), "count")


def test_range_has_a_high_end_for_safety_and_a_low_one_for_floors() -> None:
    dose = {"doseRange": {"low": quantity("1.5"), "high": quantity("4.5", "mg")}}
    regimen = read(
        {
            "doseAndRate": dose,
            "timing": repeat(frequency=1, frequencyMax=2, period=1, periodUnit="d"),
        }
    )
    (phase,) = regimen.phases
    assert (phase.single_low, phase.single_high) == (mg("1.5"), mg("4.5"))
    assert (regimen.daily_low, regimen.daily_dose) == (mg("1.5"), mg("9"))


@pytest.mark.parametrize(
    ("entry", "strengths", "low", "high"),
    [
        (dosage(12, "mg", repeat(period=6, periodMax=12, periodUnit="h")), (), "24 mg", "48 mg"),
        (dosage(7, "mg", repeat(frequency=2, period=7, periodUnit="d")), (), "2 mg", "2 mg"),
        (dosage(7, "mg", repeat(period=1, periodMax=7, periodUnit="d")), (), "1 mg", "7 mg"),
        (
            dosage(7, "mg", repeat(frequency=2, period=1, periodUnit="d", dayOfWeek=["mon"])),
            (),
            "2 mg",
            "2 mg",
        ),
        (
            dosage(7, "mg", repeat(period=1, periodUnit="wk", dayOfWeek=["mon", "tue"])),
            (),
            "1 mg",
            "2 mg",
        ),
        (dosage(7, "mg", coded("396107007", "http://snomed.info/sct")), (), "7 mg", "14 mg"),
        (dosage(7, "mg", {"code": {"text": "every 6 to 8 hours"}}), (), "21 mg", "28 mg"),
        (dosage(7, "mg", {"code": {"text": "2-3 times a week"}}), (), "2 mg", "3 mg"),
        (dosage(2, "tablet", coded("BID")), PER_UNIT, "6 mg", "6 mg"),
        (dosage(2, "mL", coded("BID")), PER_ML, "4 mg", "4 mg"),
        (dosage(1, "patch"), PATCH, "1.2 mg", "1.2 mg"),
        ({"text": "take 1 to 2 tablets twice daily"}, PER_UNIT, "3 mg", "6 mg"),
        ({"text": "1.5-3 mg nightly"}, (), "1.5 mg", "3 mg"),
        ({"text": "2 x 3 mg nightly"}, (), "6 mg", "6 mg"),
        ({"text": "3 mg nightly after dinner"}, (), "3 mg", "6 mg"),
        ({"text": "3 mg in the morning and at bedtime"}, (), "6 mg", "6 mg"),
        (dosage(3, "mg", coded("TID"), maxDosePerPeriod=per(5, "mg")), (), "5 mg", "5 mg"),
    ],
)
def test_low_and_high_end(
    entry: object, strengths: tuple[Strength, ...], low: str, high: str
) -> None:
    regimen = read(entry, strengths=strengths)
    assert regimen.daily_low is not None
    assert (regimen.daily_low.render(), daily(regimen)) == (low, high)


def test_range_written_the_wrong_way_round() -> None:
    dose = {"doseRange": {"low": quantity(3, "mg"), "high": quantity("1.5", "mg")}}
    (phase,) = read({**dose, "timing": DAILY}).phases
    assert (phase.single_low, phase.single_high) == (mg("1.5"), mg("3"))


def test_range_without_a_low_end_is_its_high_end() -> None:
    (phase,) = read({"doseRange": {"high": quantity(3, "mg")}, "timing": DAILY}).phases
    assert (phase.single_low, phase.single_high) == (mg("3"), mg("3"))


def test_doses_that_differ_in_one_dosage_span_both() -> None:
    doses = [{"doseQuantity": quantity(3, "mg")}, {"doseQuantity": quantity("1.5", "mg")}]
    (phase,) = read({"doseAndRate": doses, "timing": DAILY}).phases
    assert (phase.single_low, phase.single_high) == (mg("1.5"), mg("3"))


def test_units_of_a_mass_dose_are_those_that_hold_it() -> None:
    dose = {"doseRange": {"low": quantity("1.5", "mg"), "high": quantity(3, "mg")}}
    regimen = read({**dose, "timing": coded("BID")}, strengths=PER_UNIT)
    assert (regimen.units_per_day, regimen.unit_kind) == (Decimal(4), "count")


def test_strength_in_a_larger_volume() -> None:
    strength = Strength(mg("25"), Quantity(Decimal(5), "mL"))
    assert daily(read(dosage(2, "mL"), strengths=(strength,))) == "10 mg"


@pytest.mark.parametrize("amount", [mg("0"), mg("-1"), Quantity(Decimal(5), "mL")])
def test_absurd_strength_is_none(amount: Quantity) -> None:
    regimen = read(dosage(1, "tablet"), strengths=(Strength(amount),))
    assert regimen.missing == ("tablet without a strength",)


@pytest.mark.parametrize("value", [Decimal("1e-40"), "1e40", "9" * 61, float("inf"), [4], {}])
def test_numbers_beyond_any_dosage_are_no_numbers(value: object) -> None:
    assert read(dosage(value, "mg")).missing == ("dose is not a number",)


def test_long_text_is_cut_in_the_reason() -> None:
    (reason,) = read({"text": "x" * 61}).missing
    assert reason == f"dose is free text: {'x' * 59}…"


def test_ordered_and_calculated_dose_are_one() -> None:
    doses = [{"doseQuantity": quantity(1, "TAB")}, {"doseQuantity": quantity("4.5", "mg")}]
    assert daily(read({"doseAndRate": doses, "timing": DAILY})) == "4.5 mg"


@pytest.mark.parametrize("key", ["doseQuantity", "doseSimpleQuantity", "dose"])
def test_dose_directly_on_the_dosage(key: str) -> None:
    assert daily(read_regimen({key: quantity("4.5", "mg"), "timing": DAILY}, (), ZONE)) == "4.5 mg"


def test_patch_delivers_by_the_hour() -> None:
    timing = repeat(frequency=1, period=72, periodUnit="h")
    regimen = read(dosage(1, "patch", timing), strengths=PATCH)
    assert (single(regimen), daily(regimen)) == (None, "1.2 mg")
    assert regimen.units_per_day == Decimal(1) / Decimal(3)


def test_codings_that_differ_span_both() -> None:
    codings = [{"code": "BID"}, {"code": "QD"}]
    regimen = read(dosage(7, "mg", {"code": {"coding": codings}}))
    assert (regimen.daily_low, regimen.daily_dose) == (mg("7"), mg("14"))


def test_count_caps_the_low_end_too() -> None:
    timing = repeat(count=2, frequency=3, frequencyMax=4, period=1, periodUnit="d")
    regimen = read(dosage(7, "mg", timing))
    assert (regimen.daily_low, regimen.daily_dose) == (mg("14"), mg("14"))


def test_events_are_counted_on_the_fullest_date() -> None:
    events = ["2026-06-01T08:00:00Z", "2026-06-02T08:00:00Z", "2026-06-02T20:00:00Z"]
    assert daily(read(dosage(7, "mg", {"event": events}))) == "14 mg"


def test_phase_spans_what_its_instructions_say() -> None:
    def entry(dose: str, days: int, end: str) -> dict[str, Any]:
        period = {"start": "2026-06-01", "end": end}
        timing = repeat(
            frequency=1,
            period=1,
            periodUnit="d",
            boundsPeriod=period,
            boundsDuration={"value": days, "code": "d"},
        )
        return dosage(dose, "mg", timing)

    (phase,) = read(entry("1.5", 7, "2026-06-07"), entry("3", 14, "2026-06-14")).phases
    assert (phase.single_low, phase.single_high) == (mg("1.5"), mg("3"))
    assert phase.duration_days == 14
    assert phase.end is not None
    assert phase.end.text == "2026-06-14"


def test_units_a_day_are_those_of_the_largest_phase() -> None:
    regimen = read(dosage(1, "tablet", sequence=1), dosage(3, "tablet", sequence=2))
    assert regimen.units_per_day == Decimal(3)


# --- as needed and maxima


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            dosage("4.5", "mg", asNeededBoolean=True), "4.5 mg", id="as-needed-with-frequency"
        ),
        pytest.param(
            dosage("4.5", "mg", coded("QID"), maxDosePerPeriod=per(9, "mg")), "9 mg", id="cap"
        ),
        pytest.param(
            dosage("4.5", "mg", coded("BID"), maxDosePerPeriod=per("8.9", "mg")),
            "8.9 mg",
            id="cap-below",
        ),
        pytest.param(
            dosage("4.5", "mg", coded("BID"), maxDosePerPeriod=per("9.1", "mg")),
            "9 mg",
            id="cap-above",
        ),
        pytest.param(
            dosage("4.5", "mg", None, maxDosePerPeriod=per(9, "mg", 48, "h")),
            "4.5 mg",
            id="cap-gives",
        ),
        pytest.param(
            dosage("4.5", "mg", coded("QID"), maxDosePerPeriod=[per(9, "mg")]), "9 mg", id="r5-list"
        ),
        pytest.param(
            dosage("4.5", "mg", coded("BID"), maxDosePerPeriod=per(0, "mg")),
            "9 mg",
            id="absurd-cap",
        ),
        pytest.param(
            dosage("4.5", "mg", coded("BID"), maxDosePerPeriod="9 mg"), "9 mg", id="garbage-cap"
        ),
    ],
)
def test_as_needed_and_maximum(entry: object, expected: str) -> None:
    assert daily(read(entry)) == expected


@pytest.mark.parametrize("days", [0, -1, None])
def test_maximum_over_no_time_is_none(days: object) -> None:
    entry = dosage("4.5", "mg", coded("BID"), maxDosePerPeriod=per("1", "mg", days))
    assert daily(read(entry)) == "9 mg"


def test_smallest_of_several_maxima_holds() -> None:
    maxima = [per(28, "mg", 1, "wk"), per(5, "mg")]
    assert daily(read(dosage("4.5", "mg", coded("BID"), maxDosePerPeriod=maxima))) == "4 mg"


def test_maximum_in_other_units_than_the_dose_says_nothing() -> None:
    entry = dosage(5, "mL", coded("BID"), maxDosePerPeriod=per(1, None))
    regimen = read(entry, strengths=(*PER_UNIT, *PER_ML))
    assert (daily(regimen), regimen.units_per_day) == ("10 mg", Decimal(10))


def test_maximum_in_dose_units() -> None:
    entry = dosage(2, "tablet", coded("QID"), maxDosePerPeriod=per(3, "{tablet}"))
    regimen = read(entry, strengths=PER_UNIT)
    assert (daily(regimen), regimen.units_per_day) == ("4.5 mg", Decimal(3))


@pytest.mark.parametrize(
    "needed",
    [
        {"asNeededBoolean": True},
        {"asNeededCodeableConcept": {"text": "x"}},
        {"asNeeded": True},
        {"asNeededFor": [{"text": "x"}]},
        {"text": "as needed"},
    ],
)
def test_as_needed_alone_has_no_daily_dose(needed: dict[str, Any]) -> None:
    regimen = read(dosage("4.5", "mg", None, **needed))
    assert regimen.as_needed
    assert single(regimen) == "4.5 mg"
    assert regimen.missing == ("as needed without a frequency or a maximum",)


def test_not_as_needed() -> None:
    assert not read(dosage("4.5", "mg", asNeededBoolean=False)).as_needed


# --- several instructions


def test_same_sequence_adds_up_and_the_single_dose_is_the_larger() -> None:
    morning = dosage(1, "tablet", repeat(when=["MORN"]), sequence=1)
    night = dosage(2, "tablet", repeat(when=["HS"]), sequence=1)
    for entries in ((morning, night), (night, morning)):
        regimen = read(*entries, strengths=PER_UNIT)
        assert (daily(regimen), single(regimen), regimen.units_per_day) == (
            "4.5 mg",
            "3 mg",
            Decimal(3),
        )
        assert regimen.bedtime is True


def test_absent_sequences_add_up() -> None:
    assert daily(read(dosage("1.5"), dosage("3"))) == "4.5 mg"


def test_different_sequences_are_phases() -> None:
    first = dosage(
        "1.5",
        "mg",
        repeat(frequency=1, period=1, periodUnit="d", boundsDuration={"value": 2, "code": "wk"}),
        sequence=1,
    )
    second = dosage("3", "mg", repeat(frequency=2, period=1, periodUnit="d"), sequence=2)
    regimen = read(second, first)
    assert [phase.sequence for phase in regimen.phases] == [1, 2]
    assert [phase.duration_days for phase in regimen.phases] == [14, None]
    assert (daily(regimen), single(regimen), regimen.daily_low) == ("6 mg", "3 mg", mg("1.5"))
    assert regimen.bounds_days is None


def test_unknown_phase_makes_the_whole_unknown() -> None:
    regimen = read(dosage("1.5", sequence=1), {"sequence": 2, "text": "as directed"})
    assert (daily(regimen), single(regimen)) == (None, None)
    assert regimen.missing == ("dose is free text: as directed",)
    assert regimen.phases[0].daily_high == mg("1.5")


def test_remark_beside_a_dose_is_no_dose() -> None:
    regimen = read(dosage("1.5"), {"text": "Take with food"})
    assert (daily(regimen), regimen.missing, regimen.text) == ("1.5 mg", (), "Take with food")


# --- bounds, routes, words


def bounded(start: str | None, end: str | None, sequence: int | None = None) -> dict[str, Any]:
    period = {key: value for key, value in (("start", start), ("end", end)) if value}
    timing = repeat(frequency=1, period=1, periodUnit="d", boundsPeriod=period)
    return dosage("1.5", "mg", timing, **({} if sequence is None else {"sequence": sequence}))


@pytest.mark.parametrize(
    ("entries", "start", "end"),
    [
        ([bounded("2026-06-01", "2026-06-14")], "2026-06-01", "2026-06-14"),
        ([bounded("2026-06-01", None)], "2026-06-01", None),
        (
            [bounded("2026-06-01", "2026-06-14", 1), bounded("2026-06-15", "2026-06-28", 2)],
            "2026-06-01",
            "2026-06-28",
        ),
        (
            [bounded("2026-06-01", "2026-06-14", 1), bounded("2026-06-15", None, 2)],
            "2026-06-01",
            None,
        ),
        ([bounded("2026-06-01", None, 1), bounded(None, "2026-06-28", 2)], "2026-06-01", None),
        ([bounded(None, None, 1), bounded("2026-06-15", "2026-06-28", 2)], None, None),
        ([bounded("2026-06-01", "2026-06-14"), bounded("2026-06-02", None)], "2026-06-01", None),
        ([bounded("junk", 7)], None, None),  # type: ignore[arg-type]
    ],
)
def test_bounds(entries: list[object], start: str | None, end: str | None) -> None:
    regimen = read(*entries)
    assert (regimen.bounds_start.text if regimen.bounds_start else None) == start
    assert (regimen.bounds_end.text if regimen.bounds_end else None) == end


@pytest.mark.parametrize(
    ("bounds", "days"),
    [
        ({"boundsDuration": {"value": 14, "code": "d"}}, 14),
        ({"boundsDuration": {"value": 2, "unit": "weeks"}}, 14),
        ({"boundsDuration": {"value": 36, "code": "h"}}, 2),
        (
            {
                "boundsRange": {
                    "low": {"value": 1, "code": "wk"},
                    "high": {"value": 2, "code": "wk"},
                }
            },
            14,
        ),
        ({"boundsDuration": {"value": 14}}, None),
        ({"boundsDuration": {"value": 0, "code": "d"}}, None),
    ],
)
def test_bounds_days(bounds: dict[str, Any], days: int | None) -> None:
    assert (
        read(
            dosage("1.5", "mg", repeat(frequency=1, period=1, periodUnit="d", **bounds))
        ).bounds_days
        == days
    )


@pytest.mark.parametrize(
    ("timing", "bedtime"),
    [
        (coded("BED"), True),
        (coded("QHS"), True),
        (repeat(when=["HS"]), True),
        (repeat(timeOfDay=["20:00:00"]), True),
        (repeat(timeOfDay=["19:59:00"]), False),
        (coded("AM"), False),
        (repeat(when=["MORN"]), False),
        (DAILY, None),
        ({"code": {"text": "at bedtime"}}, True),
        ({"code": {"text": "every morning"}}, False),
        ({"code": {"text": "daily at 8 pm"}}, True),
        ({"code": {"text": "daily at 7 pm"}}, False),
    ],
)
def test_bedtime(timing: object, bedtime: bool | None) -> None:
    assert read(dosage("1.5", "mg", timing)).bedtime is bedtime


def test_routes_words_and_doses_as_written() -> None:
    route = {"text": "by mouth"}
    regimen = read(
        dosage(
            "4500",
            "mcg",
            text="One at night",
            patientInstruction="One at night",
            route=route,
            additionalInstruction=[{"text": "with food"}],
        )
    )
    assert regimen.written == ((Decimal(4500), "mcg"),)
    assert [concept.text for concept in regimen.routes] == ["by mouth"]
    assert (regimen.text, regimen.bedtime) == ("One at night; with food", True)


# --- text


@pytest.mark.parametrize(
    ("text", "strengths", "expected"),
    [
        ("take 1 capsule (4.5 mg) at bedtime", (), "4.5 mg"),
        ("4.5mg po qhs", (), "4.5 mg"),
        ("Take one (1) capsule (4.5 MG) by mouth nightly", (), "4.5 mg"),
        ("1.5 mg TID", (), "4.5 mg"),
        ("1.5-4.5 mg at bedtime", (), "4.5 mg"),
        ("1.5 mg to 4.5 mg at bedtime", (), "4.5 mg"),
        ("4.5 mg/day", (), "4.5 mg"),
        ("4,5 mg daily", (), "4.5 mg"),
        ("4,500 mcg daily", (), "4.5 mg"),
        ("take two 3 mg capsules daily", (), "6 mg"),
        ("2 x 3 mg daily", (), "6 mg"),
        ("4.5 mg daily for a week", (), "4.5 mg"),
        ("4.5 mg daily. Do not exceed 9 mg per day", (), "4.5 mg"),
        ("1 capsule every other day", PER_UNIT, "0.75 mg"),
        ("take one tablet twice a day for 7 days", PER_UNIT, "3 mg"),
        ("1-2 tabs nightly", PER_UNIT, "3 mg"),
        ("take half a tablet every morning", PER_UNIT, "0.75 mg"),
        ("one and a half tablets daily", PER_UNIT, "2.25 mg"),
        ("½ tablet daily", PER_UNIT, "0.75 mg"),
        ("take 1 at bedtime", PER_UNIT, "1.5 mg"),
        ("one to two tablets every 4-6 hours as needed", PER_UNIT, "18 mg"),
        ("1 tablet in the morning and at bedtime", PER_UNIT, "3 mg"),
        ("take 2 capsules (3 mg) daily", PER_UNIT, "3 mg"),
        ("3 mL daily", PER_ML, "3 mg"),
        ("dispense 30 capsules: take 1 capsule daily", PER_UNIT, "1.5 mg"),
        ("take 1 tablet three (3) times a day", PER_UNIT, "4.5 mg"),
        ("take 2 capsules (1.5 mg each) daily", PER_UNIT, "3 mg"),
        ("take 1 tablet with breakfast and 1 tablet with dinner", PER_UNIT, "3 mg"),
        ("inject 28 mg every 4 weeks", (), "1 mg"),
    ],
)
def test_text_gives_the_dose_with_low_confidence(
    text: str, strengths: tuple[Strength, ...], expected: str
) -> None:
    regimen = read({"text": text}, strengths=strengths)
    assert (daily(regimen), regimen.missing, regimen.low_confidence) == (expected, (), True)


@pytest.mark.parametrize(
    "text",
    [
        "as directed",
        "1 mg/mL solution",
        "0.1 mg/kg daily",
        "5-325 mg daily",
        "5/325 mg daily",
        "1 tablet in the morning and 2 at night",
        "1.5 mg nightly, then 3 mg nightly",
        "9 mg daily in divided doses",
        "start 1.5 mg at bedtime, increase by 1.5 mg every 2 weeks to 4.5 mg",
        "1 tablet daily, titrate as tolerated",
        "1/2 tablet (2.25 mg) daily",
        "take for 14 days",
        "every 6 hours",
        "#30, refills 2",
        "",
    ],
)
def test_text_that_gives_no_dose(text: str) -> None:
    regimen = read({"text": text}, strengths=(*PER_UNIT, *PER_ML))
    assert (single(regimen), daily(regimen)) == (None, None)
    assert regimen.missing


def test_structured_dose_wins_over_the_text() -> None:
    regimen = read(dosage(1, "tablet", text="take 4.5 mg"), strengths=(Strength(mg("50")),))
    assert (daily(regimen), regimen.low_confidence) == ("50 mg", False)
    assert text_dose(regimen.text) == (mg("4.5"), mg("4.5"))


def test_frequency_from_the_text_alone() -> None:
    regimen = read(dosage("1.5", "mg", None, text="three times daily"))
    assert (daily(regimen), regimen.low_confidence) == ("4.5 mg", True)


def test_amount_of_one_unit_of_unknown_strength() -> None:
    regimen = read(dosage(1, "capsule", text="1 capsule (4.5 mg) nightly"))
    assert (daily(regimen), regimen.low_confidence, regimen.units_per_day) == (
        "4.5 mg",
        True,
        Decimal(1),
    )


@pytest.mark.parametrize(("unit", "low"), [("tablet", True), ("mg", False)])
def test_strength_of_an_uncoded_product_is_low_confidence(unit: str, low: bool) -> None:
    regimen = read_regimen([dosage(1, unit)], PER_UNIT, ZONE, product_is_text=True)
    assert regimen.low_confidence is low


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4.5 mg", ("4.5", "4.5")),
        ("take 4.5 mg (1 capsule) for 30 days", ("4.5", "4.5")),
        ("1.5-4.5 mg", ("1.5", "4.5")),
        ("1.5 mg then 3 mg", None),
        ("1 capsule daily for 14 days", None),
        ("", None),
    ],
)
def test_text_dose(text: str, expected: tuple[str, str] | None) -> None:
    assert text_dose(text) == (None if expected is None else tuple(map(mg, expected)))


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("once daily", "1"),
        ("twice a day", "2"),
        ("3 times per day", "3"),
        ("b.i.d.", "2"),
        ("q6h", "4"),
        ("every 8 hours", "3"),
        ("q 12 hrs", "2"),
        ("4 hourly", "6"),
        ("every 2 days", "1/2"),
        ("once every other day", "1/2"),
        ("on alternate days", "1/2"),
        ("once a week", "1/7"),
        ("weekly", "1/7"),
        ("3 times a week", "3/7"),
        ("5 days a week", "5/7"),
        ("twice every 3 days", "2/3"),
        ("monthly", "1/30"),
        ("daily at bedtime", "1"),
        ("every morning and every evening", "2"),
        ("8 am and 8 pm", "2"),
        ("with meals", "3"),
        ("nightly, 3 (3) times a week", "3/7"),
        ("hourly", "24"),
        ("twice daily every 6 hours", None),
        ("as directed", None),
        ("on day 3", None),
        ("for a week", None),
    ],
)
def test_frequency_in_words(text: str, rate: str | None) -> None:
    found = read_frequency_text(text)
    assert (None if found is None else str(found.high)) == rate


# --- laws

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_NAMES = """
text patientInstruction timing repeat code coding when timeOfDay dayOfWeek frequency frequencyMax
period periodMax periodUnit count boundsPeriod boundsDuration boundsRange start end low high
doseAndRate doseQuantity doseRange dose value unit system display numerator denominator
maxDosePerPeriod asNeededBoolean sequence route additionalInstruction event
"""
_KEYS = st.sampled_from(_NAMES.split())
_VALUES = st.sampled_from(
    ["mg", "mL", "tablet", "d", "h", "wk", "2026-06", "BID", "1/0", "daily", 0, 1, -1, 4.5]
)
_DOSAGE = st.recursive(
    _VALUES | _JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=30,
)


@given(_DOSAGE)
def test_any_json_gives_a_regimen(value: object) -> None:
    for strengths in ((), PER_UNIT, PER_ML, PATCH):
        regimen = read_regimen(value, strengths, ZONE)
        assert (regimen.daily_dose is None) == bool(regimen.missing)


@given(st.text(alphabet="0123456789./-, mgtabcpsudyqhx()½{}", max_size=40))
def test_any_text_gives_a_sig(text: str) -> None:
    read_sig(text)
    read_frequency_text(text)


@given(st.integers(1, 10**6), st.sampled_from([("ug", 1000), ("ng", 10**6), ("g", None)]))
def test_unit_scaling(micrograms: int, scale: tuple[str, int | None]) -> None:
    amount = Decimal(micrograms) / 1000
    unit, factor = scale
    other = amount * factor if factor else amount / 1000
    assert read(dosage(amount, "mg")).daily_dose == read(dosage(other, unit)).daily_dose


@given(
    st.permutations(
        [dosage("1"), dosage("2", sequence=1), dosage("3", sequence=2), dosage("4", sequence=2)]
    )
)
def test_order_of_instructions_does_not_matter(entries: list[dict[str, Any]]) -> None:
    regimen = read(*entries)
    assert (daily(regimen), single(regimen), regimen.daily_low) == ("8 mg", "4 mg", mg("3"))


@given(st.integers(1, 60), st.integers(1, 30), st.integers(1, 30))
def test_rates_are_exact(dose: int, frequency: int, period: int) -> None:
    timing = repeat(frequency=frequency, period=period, periodUnit="d")
    found = read(dosage(dose * period, "mg", timing)).daily_dose
    assert found == mg(str(dose * frequency))
