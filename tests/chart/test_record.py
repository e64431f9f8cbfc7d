"""Records (Bundle, array, NDJSON) into charts: whose each entry is, references, copies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cds.cards.judge import read_input
from cds.chart.model import Chart, Coverage
from cds.chart.reader import Charts
from tests.records import CONTRAST, Json, bundle, drug, order, person, resource, setting

METFORMIN = "metformin 500 MG Oral Tablet"


def read(document: object) -> Charts:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_input(data, "input", setting(CONTRAST))


def chart_of(*resources: Json, **more: Any) -> Chart:
    (chart,) = read(bundle(*resources, **more)).charts
    return chart


def sources(chart: Chart) -> list[str]:
    records = [record for course in chart.courses for record in course.records]
    records_of_operations = [
        record for operation in chart.operations for record in operation.records
    ]
    others = [*chart.conditions, *chart.allergies, *chart.results, *chart.tasks]
    return sorted(str(item.source) for item in [*records, *records_of_operations, *others])


def drugs(chart: Chart) -> set[str]:
    """The value sets of every medication on the chart."""
    return {
        match.valueset
        for course in chart.courses
        for record in course.records
        for match in record.classification.matches
    }


def told(charts: Charts) -> str:
    every = [*charts.problems, *(item for chart in charts.charts for item in chart.problems)]
    return "\n".join(problem.render() for problem in every)


# -- references ---------------------------------------------------------------------------------------

MEDICATION = {"resourceType": "Medication", "id": "m1", "code": drug(METFORMIN)}
BASE = "https://ehr.example.org/fhir"
URN = "urn:uuid:0f0b8c4e-6f1c-5a52-9a5e-6d0c2c1f1a10"


def by_reference(reference: object, **more: Any) -> Json:
    found = order("o1", "", medicationReference=reference, **more)
    del found["medicationCodeableConcept"]
    return found


@pytest.mark.parametrize(
    ("reference", "full_url"),
    [
        ("Medication/m1", ""),
        ("Medication/m1", f"{BASE}/Medication/m1"),
        ("Medication/m1/_history/3", ""),
        (f"{BASE}/Medication/m1", f"{BASE}/Medication/m1"),
        (f"{BASE}/Medication/m1/_history/3", f"{BASE}/Medication/m1"),
        (f"{BASE}/Medication/m1", ""),
        (URN, URN),
    ],
)
def test_a_reference_is_resolved(reference: str, full_url: str) -> None:
    entry = {"fullUrl": full_url, "resource": MEDICATION} if full_url else MEDICATION
    chart = chart_of(person(), by_reference({"reference": reference}), entry)
    assert drugs(chart) == {"metformin"}
    assert chart.coverage["MedicationRequest"] is Coverage.SUPPLIED


def test_a_contained_medication() -> None:
    contained = {**MEDICATION, "id": "inside"}
    chart = chart_of(person(), by_reference({"reference": "#inside"}, contained=[contained]))
    assert drugs(chart) == {"metformin"}


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Medication/none"},
        {"reference": "#none"},
        {"reference": "urn:uuid:00000000-0000-0000-0000-000000000000"},
        {"reference": "Medication?identifier=x|1"},
        {"reference": 5},
        {},
        [],
    ],
    ids=str,
)
def test_a_reference_to_nothing_is_unresolved_never_silent(reference: object) -> None:
    chart = chart_of(person(), by_reference(reference), MEDICATION)
    assert drugs(chart) == set()
    assert sources(chart) == ["MedicationRequest/o1"]
    assert chart.coverage["MedicationRequest"] is Coverage.UNRESOLVED


def test_a_drug_in_the_display_of_a_reference() -> None:
    reference = {"reference": "Medication/none", "display": METFORMIN}
    (course,) = chart_of(person(), by_reference(reference)).courses
    assert course.records[0].classification.name in (METFORMIN, "")


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/p1"},
        {"reference": f"{BASE}/Patient/p1"},
        {"reference": "Patient/p1/_history/2"},
        {"reference": URN},
        [{"reference": "Patient/p1"}],
        "Patient/p1",
    ],
    ids=str,
)
def test_a_subject_in_every_writing(subject: object) -> None:
    found = order("o1", METFORMIN)
    found["subject"] = subject
    chart = chart_of({"fullUrl": URN, "resource": person()}, found)
    assert sources(chart) == ["MedicationRequest/o1"]
    assert not chart.problems


# -- whose ---------------------------------------------------------------------------------------------


def test_several_patients_in_one_bundle() -> None:
    charts = read(
        bundle(
            person("p2"), order("o2", METFORMIN, "p2"), person("p1"), order("o1", METFORMIN, "p1")
        )
    ).charts
    assert [chart.patient.id for chart in charts] == ["p1", "p2"]
    assert [sources(chart) for chart in charts] == [
        ["MedicationRequest/o1"],
        ["MedicationRequest/o2"],
    ]


def test_somebody_elses_entry_is_told_and_not_judged() -> None:
    charts = read(bundle(person(), order("o1", METFORMIN), order("x", METFORMIN, "p9")))
    assert sources(charts.charts[0]) == ["MedicationRequest/o1"]
    assert "MedicationRequest/x: belongs to Patient/p9, who is not the patient here" in told(charts)


def test_without_a_patient_the_subjects_are_the_patients() -> None:
    charts = read(bundle(order("o1", METFORMIN, "p1"), order("o2", METFORMIN, "p2")))
    assert [chart.patient.id for chart in charts.charts] == ["p1", "p2"]
    assert "Patient/p1: no Patient resource: age, sex and death are unknown" in told(charts)


def test_an_entry_that_names_nobody() -> None:
    loose = order("o1", METFORMIN)
    del loose["subject"]
    chart = chart_of(person(), loose)
    assert sources(chart) == ["MedicationRequest/o1"]
    assert "names no patient: read as the only one's" in "".join(p.what for p in chart.problems)
    charts = read(bundle(person("p1"), person("p2"), loose))
    assert [sources(chart) for chart in charts.charts] == [[], []]
    assert "MedicationRequest/o1: names no patient, and the input has several" in told(charts)


def test_an_appointment_is_its_participants() -> None:
    appointment = {
        "resourceType": "Appointment",
        "id": "a",
        "status": "booked",
        "start": "2026-06-20T09:00:00Z",
        "participant": [
            {"actor": {"reference": "Practitioner/x"}},
            {"actor": {"reference": "Patient/p1"}},
        ],
    }
    charts = read(bundle(person("p1"), person("p2"), appointment)).charts
    assert [sources(chart) for chart in charts] == [["Appointment/a"], []]


def test_types_that_nobody_reads_are_counted() -> None:
    chart = chart_of(
        person(), resource("Basic", "b"), resource("Claim", "c"), resource("Claim", "d")
    )
    assert dict(chart.ignored) == {
        "Basic: no rule reads this type": 1,
        "Claim: no rule reads this type": 2,
    }


def test_nothing_is_lost() -> None:
    """Every resource is read, ignored with a reason, or a problem with its id."""
    entries = [
        person(),
        order("o1", METFORMIN),
        order("x", METFORMIN, "p9"),
        resource("Basic", "b"),
        {"resourceType": "Condition", "id": "loose", "code": {"text": "x"}},
        {"id": "no-type"},
    ]
    charts = read(bundle(*entries))
    (chart,) = charts.charts
    assert sources(chart) == ["MedicationRequest/o1"]
    assert dict(chart.ignored) == {
        "Basic: no rule reads this type": 1,
        "Condition: in no value set that a rule asks for": 1,
    }
    for name in ("MedicationRequest/x", "Condition/loose", "no-type"):
        assert name in told(charts)


# -- what real systems send ------------------------------------------------------------------------------


def test_an_object_where_a_list_belongs() -> None:
    entry = {"resource": order("o1", METFORMIN, category={"text": "x"}, note={"text": "y"})}
    document = {"resourceType": "Bundle", "entry": entry}
    (chart,) = read(document).charts
    assert sources(chart) == ["MedicationRequest/o1"]
    assert drugs(chart) == {"metformin"}


def test_a_coding_where_a_list_belongs() -> None:
    found = order("o1", "")
    found["medicationCodeableConcept"] = {"coding": {"display": METFORMIN}}
    assert drugs(chart_of(person(), found)) == {"metformin"}


@pytest.mark.parametrize("status", [None, "", 5, ["active"], {"a": 1}, "no-such-status"], ids=str)
def test_a_status_that_is_missing_or_odd(status: object) -> None:
    found = order("o1", METFORMIN)
    found["status"] = status
    (course,) = chart_of(person(), found).courses
    assert course.records[0].status in ("unknown", "no-such-status", "active")
    if status is None:
        assert course.records[0].status == "unknown"


def test_unknown_fields_change_nothing() -> None:
    plain = chart_of(person(), order("o1", METFORMIN))
    extra = order("o1", METFORMIN, colour="red", _status={"id": "x"}, extension=[{"url": "x"}])
    assert chart_of(person(), extra).courses == plain.courses


def test_a_type_that_is_no_word() -> None:
    charts = read(bundle(person(), {"resourceType": 5, "id": "x"}, {"resourceType": ["Patient"]}))
    assert told(charts).count("a resource without a resourceType") == 2


def test_entries_that_hold_no_resource() -> None:
    document = {"resourceType": "Bundle", "entry": [{"resource": person()}, 5, {"resource": None}]}
    charts = read(document)
    assert "Bundle.entry[1] holds no resource" in told(charts)
    assert "Bundle.entry[2] holds no resource" in told(charts)
    assert len(charts.charts) == 1


def test_a_bundle_of_bundles() -> None:
    assert sources(chart_of(person(), bundle(order("o1", METFORMIN)))) == ["MedicationRequest/o1"]


def test_an_operation_outcome_in_a_record_is_told() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}
    assert "something could not be retrieved" in told(read(bundle(person(), outcome)))


def test_what_is_not_in_a_record_is_empty() -> None:
    chart = chart_of(person(), order("o1", METFORMIN))
    assert chart.coverage["MedicationRequest"] is Coverage.SUPPLIED
    assert chart.coverage["Observation"] is Coverage.EMPTY


def test_a_page_of_a_record_is_truncated() -> None:
    link = [{"relation": "next", "url": f"{BASE}?page=2"}]
    chart = chart_of(person(), order("o1", METFORMIN), link=link)
    assert set(chart.coverage.values()) == {Coverage.TRUNCATED}


def test_drafts_in_a_record_are_drafts() -> None:
    (course,) = chart_of(person(), order("o1", METFORMIN, status="draft")).courses
    assert course.records[0].drafted


# -- copies (ruling 31) ---------------------------------------------------------------------------------


def copy_of(text: str, version: str = "", updated: str = "") -> Json:
    meta = {"versionId": version, "lastUpdated": updated}
    return order("o1", text, meta={key: value for key, value in meta.items() if value})


OLD, NEW = "sitagliptin 50 MG Oral Tablet", METFORMIN


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (copy_of(OLD, "9"), copy_of(NEW, "10")),
        (
            copy_of(OLD, updated="2026-06-01T00:00:00Z"),
            copy_of(NEW, updated="2026-06-02T00:00:00Z"),
        ),
        (
            copy_of(OLD, "a", "2026-06-01T00:00:00Z"),
            copy_of(NEW, "b", "2026-06-02T00:00:00Z"),
        ),
        (
            copy_of(OLD, "1", "2026-06-05T00:00:00Z"),
            copy_of(NEW, "2", "2026-06-02T00:00:00Z"),
        ),
        (
            # The same day in two zones: 23:00-05:00 is later than 01:00Z of the next.
            copy_of(OLD, updated="2026-06-02T01:00:00+00:00"),
            copy_of(NEW, updated="2026-06-01T23:00:00-05:00"),
        ),
    ],
    ids=["version", "updated", "no-number", "version first", "zones"],
)
def test_the_newest_copy_stands(old: Json, new: Json, turned: bool) -> None:
    pair = (new, old) if turned else (old, new)
    chart = chart_of(person(), *pair)
    assert [
        record.classification.name for course in chart.courses for record in course.records
    ] == [NEW]
    assert not chart.problems


def test_the_same_content_twice_is_one() -> None:
    chart = chart_of(person(), order("o1", NEW), order("o1", NEW))
    assert sources(chart) == ["MedicationRequest/o1"]
    assert not chart.problems


def test_copies_that_contradict_each_other_are_both_read_and_told() -> None:
    chart = chart_of(person(), order("o1", NEW), order("o1", OLD))
    assert sources(chart) == ["MedicationRequest/o1"] * 2
    assert "MedicationRequest/o1: stands 2 times with different content" in "".join(
        problem.render() for problem in chart.problems
    )


def test_entries_without_an_id_are_not_copies() -> None:
    one, two = order("", NEW), order("", OLD)
    del one["id"], two["id"]
    assert len(sources(chart_of(person(), one, two))) == 2


def test_a_medication_known_by_its_ingredient_alone_is_called_by_it() -> None:
    """A number nobody knows is no name for a card."""
    coded = {
        "resourceType": "Medication",
        "id": "q",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "1"}]},
        "ingredient": [{"itemCodeableConcept": drug("metformin")}],
    }
    taken = order("o1", METFORMIN)
    del taken["medicationCodeableConcept"]
    taken["medicationReference"] = {"reference": "Medication/q"}
    (course,) = chart_of(person(), coded, taken).courses
    assert course.records[0].classification.name == "metformin"
