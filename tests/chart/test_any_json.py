"""Whatever JSON comes in: an answer or a problem, never an exception."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cds.cards.answer import response
from cds.cards.wire import encode
from tests.records import (
    CONTRAST,
    Json,
    bundle,
    draft,
    judged_bytes,
    order,
    person,
    request,
    resource,
    setting,
)

SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=12)
)
FHIR = st.sampled_from(
    "resourceType Bundle entry resource Patient MedicationRequest Observation ServiceRequest id status"
    " active draft subject reference Patient/p1 #x urn:uuid:1 hook context patientId draftOrders"
    " prefetch coding code system display text 2026-06 2026-06-10 2026-02-30 dosageInstruction"
    " timing repeat doseAndRate doseQuantity value unit mg meta versionId lastUpdated".split()
)
JSON = st.recursive(
    SCALARS | FHIR,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(FHIR | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
PACKS = [None, CONTRAST]


def judge_all(data: bytes, packs: Sequence[Path | None] = tuple(PACKS)) -> None:
    """Judges the bytes by the packs; what comes out can be written as JSON."""
    for root in packs:
        by = setting(root)
        found, problems = judged_bytes(data, by)
        for item in found:
            json.loads(encode(response(item.answer, by.rulebook).as_json()))
        assert isinstance(problems, tuple)


@given(JSON)
@example({"resourceType": "Patient", "birthDate": {"a": []}})
@example({"hook": "order-sign", "context": {"patientId": "p1", "draftOrders": [[[]]]}})
def test_any_json(document: Any) -> None:
    judge_all(json.dumps(document).encode())


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    judge_all(data)


def rich() -> Json:
    dose = {"value": 1.5, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    medication = {
        "resourceType": "Medication",
        "id": "m",
        "code": {"text": "oxycodone 5 mg tablet"},
    }
    reference: Json = {"medicationReference": {"reference": "Medication/m"}}
    return bundle(
        person(gender="female", deceasedBoolean=False),
        medication,
        draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5),
        order("o1", "oxycodone 5 MG Oral Tablet", reasonCode=[{"text": "pain"}]),
        resource(
            "MedicationDispense",
            "md",
            status="completed",
            whenHandedOver="2026-06-05T10:00:00Z",
            daysSupply={"value": 10},
            quantity={"value": 40},
            authorizingPrescription=[{"reference": "MedicationRequest/o1"}],
            **reference,
        ),
        resource(
            "MedicationAdministration",
            "ma",
            status="completed",
            effectivePeriod={"start": "2026-06-01", "end": "2026-06-02"},
            dosage={"dose": dose},
            **reference,
        ),
        resource(
            "MedicationStatement",
            "ms",
            status="active",
            effectiveDateTime="2026-06-01",
            dosage=[{"text": "one daily"}],
            medicationCodeableConcept={"text": "LDN"},
        ),
        resource(
            "ServiceRequest",
            "sr",
            status="active",
            intent="order",
            code={"text": "hernia repair"},
            occurrenceTiming={"event": ["2026-06-12"]},
            priority="routine",
        ),
        resource(
            "Observation",
            "ob",
            status="final",
            code={"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
            effectiveDateTime="2026-06-01",
            valueQuantity={"value": 1.1, "unit": "mg/dL"},
            referenceRange=[{"high": {"value": 1.2, "unit": "mg/dL"}}],
        ),
        resource(
            "Condition",
            "co",
            clinicalStatus={"coding": [{"code": "active"}]},
            code={"text": "Fibromyalgia"},
            onsetDateTime="2020",
        ),
        resource("Encounter", "en", status="planned", period={"start": "2026-06-12"}),
        resource("Procedure", "pr", status="in-progress", performedDateTime="2026-06-12"),
        resource("Task", "ta", status="requested", description="hold", authoredOn="2026-06-01"),
        {
            "resourceType": "Appointment",
            "id": "ap",
            "status": "booked",
            "start": "2026-06-12T08:00:00-04:00",
            "participant": [{"actor": {"reference": "Patient/p1"}}],
        },
        {
            "resourceType": "AllergyIntolerance",
            "id": "al",
            "patient": {"reference": "Patient/p1"},
            "code": {"text": "codeine"},
        },
    )


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, as the keys that lead to it."""
    inner = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


RECORD = rich()
REQUEST = request(
    draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5),
    prefetch={"MedicationRequest": bundle(order("o1", "oxycodone 5 MG Oral Tablet"))},
)
DOCUMENTS = [RECORD, REQUEST]
SPOTS = [
    (which, place)
    for which, document in enumerate(DOCUMENTS)
    for place in places(document)
    if place
]
ODD: list[Any] = [
    None, [], {}, "", " ", 0, -1, 1e400, True, "x" * 5000, "2026-13-45", "\ud800", "0000", "9999-12-31",
    [[]], [None], {"a": 1}, [{"resourceType": "Bundle"}], 10**400, "1e999999", "NaN", "-",
]  # fmt: skip


def mutated(document: Json, place: tuple[Any, ...], value: Any) -> Json:
    changed = copy.deepcopy(document)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SPOTS), st.sampled_from(ODD) | JSON)
def test_a_record_with_one_odd_value(spot: tuple[int, tuple[Any, ...]], value: Any) -> None:
    which, place = spot
    judge_all(json.dumps(mutated(DOCUMENTS[which], place, value)).encode())


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(SPOTS), st.sampled_from(ODD)), min_size=2, max_size=6))
def test_a_record_with_several_odd_values(
    changes: list[tuple[tuple[int, tuple[Any, ...]], Any]],
) -> None:
    document = RECORD
    for (which, place), value in changes:
        if which == 0:
            try:
                document = mutated(document, place, value)
            except (KeyError, IndexError, TypeError):
                continue
    judge_all(json.dumps(document).encode())


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ODD)), ids=lambda number: repr(ODD[number])[:20])
def test_every_place_of_a_record(number: int) -> None:
    """By the shipped pack; the readers, which the places are about, are the same for every pack.

    Each value in every fifth place, the next value in the next: all of them with CDS_FUZZ.
    """
    value = ODD[number]
    for which, place in SPOTS if "CDS_FUZZ" in os.environ else SPOTS[number % 5 :: 5]:
        judge_all(json.dumps(mutated(DOCUMENTS[which], place, value)).encode(), [None])


def test_the_record_itself_is_read_whole() -> None:
    """The tests above would hold for a reader that drops everything."""
    found, problems = judged_bytes(json.dumps(RECORD).encode())
    assert not problems
    (item,) = found
    assert not item.problems
    assert item.answer.cards
