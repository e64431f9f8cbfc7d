"""What a result can be asked, however the record writes it; each asked of one Observation."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.values.truth import Truth
from tests.packs.test_language import answer
from tests.records import Json, bundle, person, resource

YES, NO, UNKNOWN = Truth.YES, Truth.NO, Truth.UNKNOWN
CREATININE = {"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": "Creatinine"}]}
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
MEANING = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"
POINTS = "http://hl7.org/fhir/StructureDefinition/ordinalValue"


def amount(value: float, unit: str = "mg/dL", **also: object) -> Json:
    return {"value": value, "unit": unit, "code": unit, **also}


def observation(**elements: object) -> Json:
    usual: Json = {"status": "final", "code": CREATININE, "effectiveDateTime": "2026-06-01"}
    return resource("Observation", "o", **{**usual, **elements})


def range_of(high: Json | None = None, meaning: str = "", **also: object) -> Json:
    found: Json = {**({"high": high} if high else {}), **also}
    if meaning:
        found["type"] = {"coding": [{"system": MEANING, "code": meaning}]}
    return found


VALUES: list[tuple[Json, str, Truth]] = [
    # An amount, however it is written.
    ({"valueQuantity": amount(2)}, "creatinine.value is at least 2 mg/dL", YES),
    ({"valueQuantity": amount(2)}, "creatinine.value is more than 2 mg/dL", NO),
    ({"valueQuantity": amount(2)}, "creatinine.value is at least 2", UNKNOWN),
    ({"valueQuantity": {"value": 2}}, "creatinine.value is at least 2", YES),
    ({"valueQuantity": {"value": 2}}, "creatinine.value is at least 2 mg/dL", UNKNOWN),
    ({"valueInteger": 2}, "creatinine.value is at least 2", YES),
    ({"valueInteger": 2}, "creatinine.value is more than 2", NO),
    ({"valueQuantity": amount(2, "{score}")}, "creatinine.value is at least 2", YES),
    ({"valueString": "2"}, "creatinine.value is at least 2", YES),
    ({"valueString": "2.5 mg/dL"}, "creatinine.value is at least 2.5 mg/dL", YES),
    ({"valueString": "2,5 mg/dL"}, "creatinine.value is at least 2.5 mg/dL", YES),
    ({"valueString": "2,500 mg/dL"}, "creatinine.value is known", NO),
    ({"valueString": "2 of 3 samples"}, "creatinine.value is known", NO),
    ({"valueString": "seen"}, "creatinine.value is known", NO),
    ({"valueQuantity": {"unit": "mg/dL"}}, "creatinine.value is known", NO),
    # Only one end is known: unknown exactly where it decides.
    ({"valueQuantity": amount(60, comparator=">")}, "creatinine.value is less than 30 mg/dL", NO),
    ({"valueQuantity": amount(60, comparator=">")}, "creatinine.value is more than 60 mg/dL", YES),
    ({"valueQuantity": amount(60, comparator=">")}, "creatinine.value is at most 60 mg/dL", NO),
    ({"valueQuantity": amount(60, comparator=">")}, "creatinine.value is at most 61 mg/dL", UNKNOWN),
    ({"valueQuantity": amount(60, comparator=">=")}, "creatinine.value is more than 60 mg/dL", UNKNOWN),
    ({"valueQuantity": amount(60, comparator=">=")}, "creatinine.value is at least 60 mg/dL", YES),
    ({"valueQuantity": amount(60, comparator=">=")}, "creatinine.value is less than 60 mg/dL", NO),
    ({"valueQuantity": amount(5, comparator="<")}, "creatinine.value is less than 5 mg/dL", YES),
    ({"valueQuantity": amount(5, comparator="<")}, "creatinine.value is at least 5 mg/dL", NO),
    ({"valueQuantity": amount(5, comparator="<")}, "creatinine.value is at least 4 mg/dL", UNKNOWN),
    ({"valueQuantity": amount(5, comparator="<=")}, "creatinine.value is less than 5 mg/dL", UNKNOWN),
    ({"valueQuantity": amount(5, comparator="<=")}, "creatinine.value is more than 5 mg/dL", NO),
    ({"valueQuantity": amount(5, comparator="ad")}, "creatinine.value is known", NO),
    ({"valueQuantity": amount(0.5, "g/L", comparator=">")}, "creatinine.value is more than 50 mg/dL", YES),
    ({"valueString": ">60"}, "creatinine.value is more than 60", YES),
    ({"valueString": "≥ 60 mg/dL"}, "creatinine.value is more than 60 mg/dL", UNKNOWN),
    ({"valueString": "< 5"}, "creatinine.value is less than 5", YES),
    ({"valueRange": {"low": amount(2), "high": amount(6)}}, "creatinine.value is at least 2 mg/dL", YES),
    ({"valueRange": {"low": amount(2), "high": amount(6)}}, "creatinine.value is at least 3 mg/dL", UNKNOWN),
    ({"valueRange": {"high": amount(6)}}, "creatinine.value is more than 6 mg/dL", NO),
    ({"valueRange": {"low": amount(6)}}, "creatinine.value is at least 6 mg/dL", YES),
    ({"valueString": "2-6"}, "creatinine.value is more than 6", NO),
    # A day.
    ({"valueDateTime": "2026-09-01"}, "creatinine.value is after today", YES),
    ({"valueDateTime": "2026-06"}, "creatinine.value is after today", UNKNOWN),
    ({"valueString": "2026-06-09"}, "creatinine.value is after today", NO),
    # An answer.
    ({"valueString": "Seen"}, "creatinine.answer is seen", YES),
    ({"valueString": "not seen"}, "creatinine.answer is seen", NO),
    ({"valueCodeableConcept": CREATININE}, "creatinine.answer is kidney-function", YES),
    ({"valueBoolean": True}, "creatinine.answer is yes", YES),
    ({"valueBoolean": False}, "creatinine.answer is no", YES),
    ({"valueQuantity": amount(2)}, "creatinine.answer is seen", NO),
    ({}, "creatinine.answer is seen", UNKNOWN),
    (
        {"valueCodeableConcept": {"coding": [{"code": "b", "extension": [{"url": POINTS, "valueDecimal": 2}]}]}},
        "creatinine.value is at least 2",
        YES,
    ),
    # What the laboratory makes of it.
    (
        {"interpretation": [{"coding": [{"system": INTERPRETATION, "code": "HH"}]}]},
        "creatinine.interpretation is any of H, HH",
        YES,
    ),
    ({"interpretation": [{"text": "Seen"}]}, "creatinine.interpretation is seen", YES),
    ({"interpretation": [{"text": "Seen"}]}, "creatinine.answer is seen", YES),
    ({"valueQuantity": amount(2)}, "creatinine.interpretation is absent", YES),
    # Limits.
    ({"valueQuantity": amount(2), "referenceRange": [range_of(amount(4))]}, "creatinine.value is more than creatinine.high", NO),
    ({"valueQuantity": amount(2), "referenceRange": [range_of({"value": 1.5})]}, "creatinine.value is more than creatinine.high", YES),
    (
        {"valueQuantity": amount(9), "referenceRange": [range_of(amount(10), "critical"), range_of(amount(4), "normal")]},
        "creatinine.value is more than 2 × creatinine.high",
        YES,
    ),
    (
        {"valueQuantity": amount(8), "referenceRange": [range_of(amount(3)), range_of(amount(5))]},
        "creatinine.value is more than 2 × creatinine.high",
        UNKNOWN,
    ),
    (
        {"valueQuantity": amount(8), "referenceRange": [range_of(amount(3)), range_of(amount(5))]},
        "creatinine.value is more than creatinine.high",
        YES,
    ),
    ({"valueQuantity": amount(8), "referenceRange": [range_of(text="3-7 mg/dL")]}, "creatinine.value is more than creatinine.high", YES),
    ({"valueQuantity": amount(8), "referenceRange": [range_of(text="< 7")]}, "creatinine.value is more than creatinine.high", YES),
    ({"valueQuantity": amount(8), "referenceRange": [range_of(text="> 7")]}, "creatinine.high is known", NO),
    ({"valueQuantity": amount(8), "referenceRange": [range_of(low=amount(9))]}, "creatinine.value is less than creatinine.low", YES),
    ({"valueQuantity": amount(8)}, "creatinine.value is more than creatinine.high", UNKNOWN),
    # When.
    ({"effectiveDateTime": None, "effectiveInstant": "2026-06-09T10:00:00Z"}, "creatinine.date is 1 to 1 days before today", YES),
    ({"effectiveDateTime": None, "effectivePeriod": {"start": "2026-06-01", "end": "2026-06-09"}}, "creatinine.date is 1 to 1 days before today", YES),
    ({"effectiveDateTime": None, "effectivePeriod": {"start": "2026-06-09"}}, "creatinine.date is 1 to 1 days before today", YES),
    ({"effectiveDateTime": None, "effectiveTiming": {"event": ["2026-06-09", "2026-06-01"]}}, "creatinine.date is 1 to 1 days before today", YES),
    (
        {"effectiveDateTime": None, "effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2026-06-01", "end": "2026-06-09"}}}},
        "creatinine.date is 1 to 1 days before today",
        YES,
    ),
    ({"effectiveDateTime": None, "issued": "2026-06-09T10:00:00Z"}, "creatinine.date is 1 to 1 days before today", YES),
    ({"effectiveDateTime": None}, "creatinine.date is 1 to 1 days before today", UNKNOWN),
    ({"issued": "2026-06-11T10:00:00Z"}, "creatinine", NO),
    ({"issued": "2026-06-10T10:00:00Z"}, "creatinine", YES),
]  # fmt: skip


@pytest.mark.parametrize(("elements", "sentence", "expected"), VALUES)
def test_one_result(elements: Json, sentence: str, expected: Truth, tmp_path: Path) -> None:
    given = {key: value for key, value in observation(**elements).items() if value is not None}
    assert answer(sentence, tmp_path, bundle(person(), given)) is expected


def panel(**component: object) -> Json:
    return observation(
        code={"text": "a panel that nobody asks for"},
        component=[{"code": {"text": "another"}, "valueInteger": 9}, {"code": CREATININE, **component}],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("creatinine.value is at least 2 mg/dL", YES),
        ("creatinine.value is more than 2 mg/dL", NO),
        ("creatinine.date is 9 to 9 days before today", YES),
        ("creatinine.status is final", YES),
        ("creatinine is final", YES),
        ("creatinine.value is more than creatinine.high", YES),
        ("at least 2 creatinine", NO),
    ],
)
def test_a_component_is_a_result_of_its_own(sentence: str, expected: Truth, tmp_path: Path) -> None:
    limits = [range_of(amount(1))]
    record = bundle(person(), panel(valueQuantity=amount(2), referenceRange=limits))
    assert answer(sentence, tmp_path, record) is expected


def test_two_components_are_two_results(tmp_path: Path) -> None:
    both = observation(
        valueQuantity=amount(1), component=[{"code": CREATININE, "valueQuantity": amount(2)}]
    )
    assert answer("at least 2 creatinine", tmp_path, bundle(person(), both)) is YES
