"""CDS Hooks requests into charts: drafts, and what prefetch says of what was looked at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cds.cards.judge import read_input
from cds.chart.model import Chart, Coverage
from cds.chart.reader import Charts
from tests.records import (
    CONTRAST,
    Json,
    bundle,
    cards,
    draft,
    order,
    person,
    request,
    searchset,
    setting,
)

METFORMIN = "metformin 500 MG Oral Tablet"
OPIOID = "Acetaminophen 325 MG / oxycodone Hydrochloride 5 MG Oral Tablet"
ABSENT, EMPTY, SUPPLIED = Coverage.ABSENT, Coverage.EMPTY, Coverage.SUPPLIED
FORBIDDEN, FAILED, TRUNCATED = Coverage.FORBIDDEN, Coverage.FAILED, Coverage.TRUNCATED


def read(document: object) -> Charts:
    return read_input(json.dumps(document).encode(), "input", setting(CONTRAST))


def chart_of(document: object) -> Chart:
    (chart,) = read(document).charts
    return chart


def drafts(chart: Chart) -> list[str]:
    records = [record for course in chart.courses for record in course.records]
    return sorted(str(record.source) for record in records if record.drafted)


def outcome(code: str, severity: str = "error") -> Json:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}


NEXT = [{"relation": "next", "url": "https://ehr.example.org/fhir?page=2"}]
ORDER = order("o1", METFORMIN)
LISTED = {**searchset(ORDER), "entry": [{"resource": ORDER}, {"resource": [outcome("forbidden")]}]}
STATES: list[tuple[str, object, Coverage]] = [
    ("null", None, EMPTY),
    ("empty", searchset(total=0), EMPTY),
    ("no entry", {"resourceType": "Bundle", "type": "searchset", "total": 0}, EMPTY),
    ("supplied", searchset(ORDER), SUPPLIED),
    ("a resource", ORDER, SUPPLIED),
    ("a list", [ORDER], SUPPLIED),
    ("forbidden", outcome("forbidden"), FORBIDDEN),
    ("security", outcome("security"), FORBIDDEN),
    ("login", outcome("login"), FORBIDDEN),
    ("failed", outcome("exception"), FAILED),
    ("timeout", outcome("timeout"), FAILED),
    ("no code", {"resourceType": "OperationOutcome"}, FAILED),
    ("next", searchset(ORDER, link=NEXT), TRUNCATED),
    ("next of nothing", searchset(link=NEXT), TRUNCATED),
    ("an outcome inside", searchset(ORDER, outcome("forbidden")), FORBIDDEN),
    ("an outcome in a list inside", LISTED, FORBIDDEN),
    ("a remark inside", searchset(ORDER, outcome("informational", "information")), SUPPLIED),
]


@pytest.mark.parametrize(("name", "value", "state"), STATES, ids=[name for name, *_ in STATES])
def test_what_a_prefetch_value_says(name: str, value: object, state: Coverage) -> None:
    chart = chart_of(request(prefetch={"MedicationRequest": value}))
    assert chart.coverage["MedicationRequest"] is state
    assert chart.coverage["Observation"] is EMPTY


def test_a_key_that_is_absent() -> None:
    document = request()
    del document["prefetch"]["MedicationRequest"]
    assert chart_of(document).coverage["MedicationRequest"] is ABSENT


@pytest.mark.parametrize("prefetch", [None, [], {}, "words", 5], ids=repr)
def test_no_prefetch_at_all(prefetch: object) -> None:
    document = {**request(draft("d1", METFORMIN, 500)), "prefetch": prefetch}
    chart = chart_of(document)
    assert set(chart.coverage.values()) == {ABSENT}
    assert drafts(chart) == ["MedicationRequest/d1"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("medicationRequests", "MedicationRequest"),
        ("medications", "MedicationRequest"),
        ("medication-request", "MedicationRequest"),
        ("conditions", "Condition"),
        ("problems", "Condition"),
        ("allergies", "AllergyIntolerance"),
        ("allergyIntolerances", "AllergyIntolerance"),
        ("labs", "Observation"),
    ],
)
def test_a_key_by_another_name(key: str, kind: str) -> None:
    document = {**request(), "prefetch": {key: None}}
    assert chart_of(document).coverage[kind] is EMPTY


def test_two_keys_of_one_type_the_worse_counts() -> None:
    prefetch = {"medications": searchset(ORDER), "medicationRequests": outcome("forbidden")}
    chart = chart_of(request(prefetch=prefetch))
    assert chart.coverage["MedicationRequest"] is FORBIDDEN
    assert len(chart.courses) == 1


def test_the_self_link_names_the_type() -> None:
    link = [{"relation": "self", "url": "https://ehr.example.org/fhir/Condition?patient=p1"}]
    document = {**request(), "prefetch": {"x": searchset(link=link)}}
    assert chart_of(document).coverage["Condition"] is EMPTY


# -- drafts ------------------------------------------------------------------------------------------

ONE, OTHER = draft("d1", METFORMIN, 500), draft("d2", METFORMIN, 850)


@pytest.mark.parametrize(
    "orders",
    [
        bundle(ONE, OTHER),
        [ONE, OTHER],
        [bundle(ONE), bundle(OTHER)],
        {"resourceType": "Bundle", "entry": {"resource": bundle(ONE, OTHER)}},
    ],
    ids=["bundle", "array", "bundles", "object for list"],
)
def test_drafts_in_every_shape(orders: object) -> None:
    assert drafts(chart_of(request(draftOrders=orders))) == [
        "MedicationRequest/d1",
        "MedicationRequest/d2",
    ]


def test_a_draft_is_what_is_in_draft_orders_whatever_its_status() -> None:
    assert drafts(chart_of(request({**ONE, "status": "active"}))) == ["MedicationRequest/d1"]


def test_a_draft_that_was_prefetched_too_is_read_once() -> None:
    chart = chart_of(request(ONE, prefetch={"MedicationRequest": searchset({**ONE, "note": []})}))
    records = [record for course in chart.courses for record in course.records]
    assert [str(record.source) for record in records] == ["MedicationRequest/d1"]
    assert records[0].drafted


def test_the_category_of_a_draft_as_an_object() -> None:
    for category in (
        {"text": "x"},
        [{"text": "x"}],
        {"coding": {"code": "community"}},
        "community",
    ):
        assert drafts(chart_of(request({**ONE, "category": category}))) == ["MedicationRequest/d1"]


def test_a_draft_without_a_type_is_told() -> None:
    untyped = {key: value for key, value in ONE.items() if key != "resourceType"}
    charts = read(request(untyped, OTHER))
    assert drafts(charts.charts[0]) == ["MedicationRequest/d2"]
    assert [item.what for item in charts.problems] == ["a resource without a resourceType (id d1)"]


def test_a_draft_without_a_medication() -> None:
    bare = {key: value for key, value in ONE.items() if key != "medicationCodeableConcept"}
    chart = chart_of(request(bare))
    assert drafts(chart) == ["MedicationRequest/d1"]
    (course,) = chart.courses
    assert not course.records[0].classification.matches


def test_a_draft_of_somebody_else() -> None:
    charts = read(request(draft("d9", METFORMIN, 500, "p9"), ONE))
    assert drafts(charts.charts[0]) == ["MedicationRequest/d1"]
    assert "MedicationRequest/d9: belongs to Patient/p9" in charts.problems[0].render()


def test_a_medication_in_the_drafts_resolves_a_draft() -> None:
    by_reference = {**ONE, "medicationReference": {"reference": "Medication/m1"}}
    del by_reference["medicationCodeableConcept"]
    medication = {
        "resourceType": "Medication",
        "id": "m1",
        "code": {"text": METFORMIN},
    }
    (course,) = chart_of(request(by_reference, medication)).courses
    assert [match.valueset for match in course.records[0].classification.matches] == ["metformin"]


def test_a_booked_appointment_is_a_draft() -> None:
    appointment = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "proposed",
        "participant": [{"actor": {"reference": "Patient/p1"}}],
    }
    document = request(hook="appointment-book", appointments=bundle(appointment))
    (operation,) = chart_of(document).operations
    assert operation.records[0].drafted


# -- the call ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selections", "found"),
    [
        (["MedicationRequest/d1"], ("MedicationRequest/d1",)),
        (["https://ehr.example.org/fhir/MedicationRequest/d1"], ("MedicationRequest/d1",)),
        ([], ()),
        ([5, "", "MedicationRequest/d1"], ("MedicationRequest/d1",)),
        ("MedicationRequest/d1", None),
        (None, None),
    ],
    ids=repr,
)
def test_selections(selections: object, found: tuple[str, ...] | None) -> None:
    call = read(request(ONE, hook="order-select", selections=selections)).call
    assert call is not None
    assert call.selections == found


@pytest.mark.parametrize("change", [{"hook": ""}, {"hook": None}, {"context": {}}, {"context": 5}])
def test_a_request_that_says_too_little(change: dict[str, Any]) -> None:
    charts = read({**request(ONE), **change})
    assert not charts.charts
    assert charts.problems[0].kind == "hook"


def test_the_patient_of_the_context_rules() -> None:
    document = request(ONE, patientId="Patient/p1", prefetch={"patient": person("p9")})
    chart = chart_of(document)
    assert chart.patient.id == "p1"
    assert chart.patient.born is None
    assert "no Patient resource: age, sex and death are unknown" in chart.problems[0].what


def test_a_draft_without_an_id_hides_nothing_that_was_fetched() -> None:
    new, old = draft("x", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5), order("y", OPIOID)
    for entry in (new, old):
        del entry["id"]
    call = request(new, prefetch={"MedicationRequest": searchset(old)})
    assert ("opioid.active-with-naltrexone-order", "critical") in cards(call)


def test_a_medication_of_somebody_else_does_not_stand_for_the_patients_own() -> None:
    """That some drug could be read is told by the patient's own, whoever else's stands beside it."""
    new = draft("x", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5)
    own = order("z", METFORMIN)
    foreign = order("a", METFORMIN, "p9")
    nameless = order("n", METFORMIN)
    nameless["medicationCodeableConcept"] = {"coding": [{"system": "urn:local", "code": "4711"}]}
    status = ("dq.opioid-status-unknown", "warning")
    with_own = request(new, prefetch={"MedicationRequest": searchset(foreign, nameless, own)})
    without = request(new, prefetch={"MedicationRequest": searchset(foreign, nameless)})
    assert status not in cards(with_own)
    assert status in cards(without)


@pytest.mark.parametrize("turn", [1, -1])
def test_of_patients_and_shared_medications_the_version_that_stands_is_read(turn: int) -> None:
    """Whatever came first (ruling 31); of what contradicts itself without a version it is told."""
    living = {**person(), "meta": {"versionId": "9"}}
    dead = {**person(), "meta": {"versionId": "10"}, "deceasedBoolean": True}
    drug: Json = {"resourceType": "Medication", "id": "m", "code": {"text": METFORMIN}}
    other = {**drug, "code": {"text": OPIOID}}
    by_reference = {**ORDER, "medicationReference": {"reference": "Medication/m"}}
    del by_reference["medicationCodeableConcept"]
    found = request(
        prefetch={
            "patient": searchset(*[living, dead][::turn]),
            "MedicationRequest": searchset(by_reference, *[drug, other][::turn]),
        }
    )
    charts = read(found)
    (chart,) = charts.charts
    assert chart.patient.deceased is True
    (record,) = [item for course in chart.courses for item in course.records if not item.drafted]
    assert record.classification.name == OPIOID
    (told,) = [item for item in charts.problems if item.kind == "duplicate"]
    assert told.where.resource == "Medication/m"
