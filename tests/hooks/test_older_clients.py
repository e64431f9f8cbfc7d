"""Clients of CDS Hooks 1.0 and 1.1: older hooks, and resources as DSTU2 and STU3 had them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cds.hooks.request import drafts_of
from tests.hooks.ehr import Ehr, check_outcome, review_of
from tests.records import (
    Json,
    bundle,
    cards,
    draft,
    drug,
    judged,
    order,
    person,
    problems_of,
    request,
    searchset,
)

NALTREXONE = "naltrexone hydrochloride 1.5 MG Oral Capsule"
OPIOID = "oxycodone hydrochloride 5 MG Oral Tablet"
ACTIVE = "opioid.active-with-naltrexone-order"
HOLD = "periop.surgery-within-hold-window"
RANGE = "dose.outside-ldn-range"
ALLERGY = "monitor.hypersensitivity"
PATIENT = {"reference": "Patient/p1"}


@pytest.fixture(scope="module")
def ehr() -> Ehr:
    return Ehr()


def mg(number: float) -> Json:
    return {"value": number, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}


def ordered(name: str = "d1", of: str = NALTREXONE, dose: float = 1.5, **more: Any) -> Json:
    """A DSTU2 MedicationOrder, once a day."""
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnits": "d"}}
    return {
        "resourceType": "MedicationOrder",
        "id": name,
        "status": "draft",
        "patient": PATIENT,
        "dateWritten": "2026-06-10",
        "prescriber": {"reference": "Practitioner/u1"},
        "medicationCodeableConcept": drug(of),
        "dosageInstruction": [{"timing": timing, "doseQuantity": mg(dose)}],
        **more,
    }


def stu3(name: str, of: str, dose: float = 1.5, **more: Any) -> Json:
    """An STU3 MedicationRequest: the dose in the Dosage itself, the requester an agent."""
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    content = {
        "intent": "order",
        "status": "draft",
        "subject": PATIENT,
        "context": {"reference": "Encounter/e1"},
        "definition": [{"reference": "ActivityDefinition/a1"}],
        "category": {"text": "outpatient"},
        "authoredOn": "2026-06-10",
        "requester": {"agent": {"reference": "Practitioner/u1"}},
        "medicationCodeableConcept": drug(of),
        "dosageInstruction": [{"timing": timing, "doseQuantity": mg(dose)}],
    }
    return {"resourceType": "MedicationRequest", "id": name, **content, **more}


def prescribing(medications: object, **prefetch: Any) -> Json:
    """A call of medication-prescribe with what is being prescribed in whatever shape."""
    document = request(hook="medication-prescribe", medications=medications, prefetch=prefetch)
    del document["context"]["draftOrders"]
    return document


def topics(ehr: Ehr, document: Json, service: str = "ldn-medication-prescribe") -> list[str]:
    answer = ehr.call(document, service)
    review_of(answer)
    return [card["source"]["topic"]["code"] for card in answer.json()["cards"]]


def told(ehr: Ehr, document: Json, service: str = "ldn-medication-prescribe") -> str:
    problems = review_of(ehr.call(document, service)).get("problems", [])
    return "\n".join(f"{item.get('resource', '')}: {item['what']}" for item in problems)


# -- the hooks -----------------------------------------------------------------------------------------


def test_each_older_hook_is_a_service_of_its_own(ehr: Ehr) -> None:
    found = ehr.services()
    for hook in ("medication-prescribe", "order-review"):
        service = found[f"ldn-{hook}"]
        assert service["hook"] == hook
        assert service["prefetch"] == found["ldn-order-sign"]["prefetch"]


def test_an_older_hook_is_judged_by_the_rules_of_those_that_took_its_place(ehr: Ehr) -> None:
    """None that ordering has is lost on a client that fires no other hook than the old one."""
    rules = {}
    for hook, key in (
        ("order-select", "draftOrders"),
        ("order-sign", "draftOrders"),
        ("medication-prescribe", "medications"),
        ("order-review", "orders"),
    ):
        document = request(hook=hook, **{key: bundle(draft("d1", NALTREXONE, 1.5))})
        document["prefetch"] = {"patient": person()}
        answer = ehr.call(document, f"ldn-{hook}")
        spoken = {card["source"]["topic"]["code"] for card in answer.json()["cards"]}
        rules[hook] = spoken | {item["rule"] for item in review_of(answer)["unknown"]}
    assert rules["order-review"] == rules["order-sign"]
    assert rules["medication-prescribe"] == rules["order-sign"] | rules["order-select"]
    assert rules["order-select"] - rules["order-sign"]


def test_the_older_hooks_answer_on_every_door() -> None:
    document = prescribing(
        bundle(draft("d1", NALTREXONE, 1.5)), MedicationRequest=searchset(order("o1", OPIOID))
    )
    assert (ACTIVE, "critical") in cards(document)


@pytest.mark.parametrize("shape", ["bundle", "bare", "list", "nested"])
def test_orders_come_as_a_bundle_a_resource_or_a_list(ehr: Ehr, shape: str) -> None:
    made = draft("d1", NALTREXONE, 1.5)
    shapes = {"bundle": bundle(made), "bare": made, "list": [made], "nested": [bundle(made)]}
    for hook, key in (("medication-prescribe", "medications"), ("order-review", "orders")):
        document = request(
            hook=hook, prefetch={"MedicationRequest": searchset(order("o1", OPIOID))}
        )
        document["context"] = {"userId": "Practitioner/u1", "patientId": "p1", key: shapes[shape]}
        assert ACTIVE in topics(ehr, document, f"ldn-{hook}")
        assert ("where a Bundle belongs" in told(ehr, document, f"ldn-{hook}")) is (
            shape != "bundle"
        )


def test_orders_are_counted_in_whatever_shape_they_come() -> None:
    """A call about many of them is judged beside the others."""
    made = draft("d1", NALTREXONE, 1.5)
    shapes: list[tuple[object, int]] = [
        (bundle(made, made), 2), (made, 1), ([made] * 3, 3), ([bundle(made, made), made], 3), ([], 0), (None, 0),
    ]  # fmt: skip
    for shape, count in shapes:
        assert drafts_of(prescribing(shape)) == count
    assert drafts_of(request(made, hook="order-select", selections=["a", "b"])) == 1


def test_what_an_older_hook_is_about_is_required(ehr: Ehr) -> None:
    document = prescribing(None)
    text = check_outcome(ehr.call(document, "ldn-medication-prescribe"), 400)
    assert "context.medications is missing" in text


def test_a_call_as_before_1_0_names_patient_and_user_beside_the_context(ehr: Ehr) -> None:
    document = prescribing(bundle(ordered()), MedicationRequest=searchset(order("o1", OPIOID)))
    document["context"] = {"medications": document["context"]["medications"]}
    document |= {"patient": "p1", "user": "Practitioner/u1"}
    assert ACTIVE in topics(ehr, document)
    assert "patient stands beside the context" in told(ehr, document)
    # The context's own wins, and nobody's is none.
    document["context"]["patientId"] = "p2"
    assert "another Patient came" in check_outcome(
        ehr.call(document, "ldn-medication-prescribe"), 412
    )
    del document["context"]["patientId"]
    nobodies: list[object] = ["", " ", 7, None, {}]
    for nobody in nobodies:
        document["patient"] = nobody
        assert "patientId" in check_outcome(ehr.call(document, "ldn-medication-prescribe"), 400)


# -- orders of DSTU2 and STU3 ----------------------------------------------------------------------------


def test_a_dstu2_medication_order_is_judged_and_named_as_it_came(ehr: Ehr) -> None:
    document = prescribing(ordered(), MedicationRequest=searchset(order("o1", OPIOID)))
    answer = ehr.call(document, "ldn-medication-prescribe")
    assert ACTIVE in topics(ehr, document)
    text = answer.text
    assert "MedicationOrder/d1" in text
    assert "MedicationRequest/d1" not in text
    removed = [
        action["resourceId"]
        for card in answer.json()["cards"]
        for offer in card.get("suggestions", [])
        for action in offer["actions"]
        if action["type"] == "delete"
    ]
    assert removed
    assert set(removed) == {"MedicationOrder/d1"}
    assert "MedicationOrder/d1: MedicationOrder is what MedicationRequest was called" in told(
        ehr, document
    )


@pytest.mark.parametrize(
    "make", [ordered, lambda dose: stu3("d1", NALTREXONE, dose)], ids=["dstu2", "stu3"]
)
@pytest.mark.parametrize(("dose", "speaks"), [(3, False), (9, True)])
def test_the_dose_of_an_older_order_is_read(ehr: Ehr, make: Any, dose: float, speaks: bool) -> None:
    made = make(dose=dose)
    assert (RANGE in topics(ehr, prescribing(made))) is speaks
    amount = made["dosageInstruction"][0].pop("doseQuantity")
    made["dosageInstruction"][0]["doseRange"] = {"low": mg(1), "high": amount}
    assert (RANGE in topics(ehr, prescribing(made))) is speaks


def updates(ehr: Ehr, document: Json) -> list[Json]:
    """What accepting a suggestion would write over the order."""
    found = ehr.call(document, "ldn-medication-prescribe").json()["cards"]
    offers = [offer for card in found for offer in card.get("suggestions", [])]
    actions = [action for offer in offers for action in offer["actions"]]
    return [action["resource"] for action in actions if action["type"] == "update"]


def test_an_update_of_an_older_order_is_in_its_own_words(ehr: Ehr) -> None:
    ended = order("o1", OPIOID, authoredOn="2026-05-27", status="completed")
    lasting = ordered()
    lasting["dosageInstruction"][0]["timing"]["repeat"]["boundsQuantity"] = {
        "value": 10,
        "code": "d",
    }
    moved = updates(ehr, prescribing(lasting, MedicationRequest=searchset(ended)))
    assert moved
    for made in moved:
        assert made["resourceType"] == "MedicationOrder"
        (instruction,) = made["dosageInstruction"]
        repeat = instruction["timing"]["repeat"]
        assert instruction["doseQuantity"] == mg(1.5)
        assert repeat["boundsPeriod"]["start"] > "2026-06-10"
        assert repeat["boundsPeriod"]["end"] > repeat["boundsPeriod"]["start"]
        assert repeat.keys() == {"frequency", "period", "periodUnits", "boundsPeriod"}
    changed = updates(ehr, prescribing(ordered(dose=9)))
    assert changed
    for made in changed:
        (instruction,) = made["dosageInstruction"]
        assert instruction["doseQuantity"]["value"] < 9
        assert "doseAndRate" not in instruction
        assert instruction["timing"]["repeat"].keys() == {"frequency", "period", "periodUnits"}


def test_a_reason_of_dstu2_counts(ehr: Ehr) -> None:
    """An order with a listed use is not told that it has none."""
    none = "indication.none-documented"
    assert none in topics(ehr, prescribing(ordered()))
    with_reason = ordered(reasonCodeableConcept={"text": "Fibromyalgia"})
    assert none not in topics(ehr, prescribing(with_reason))


# -- the record in older shapes --------------------------------------------------------------------------


def prefetched(key: str, *resources: Json) -> Json:
    return prescribing(bundle(draft("d1", NALTREXONE, 1.5)), **{key: searchset(*resources)})


@pytest.mark.parametrize(
    ("more", "active"),
    [
        ({"status": "active", "dateWritten": "2026-06-05"}, True),
        ({"status": "stopped", "dateWritten": "2026-02-01", "dateEnded": "2026-03-01"}, False),
        ({"status": "entered-in-error", "dateWritten": "2026-06-05"}, False),
    ],
)
def test_medication_orders_are_part_of_the_list(ehr: Ehr, more: Json, active: bool) -> None:
    document = prefetched("MedicationOrder", ordered("o1", OPIOID, 5, **more))
    assert (ACTIVE in topics(ehr, document)) is active
    # What ended long ago is nothing that anybody need ask about.
    assert any(rule.startswith("opioid.") for rule in topics(ehr, document)) is active
    assert (
        review_of(ehr.call(document, "ldn-medication-prescribe"))["coverage"]["MedicationRequest"]
        == "supplied"
    )


def statement(**more: Any) -> Json:
    return {
        "resourceType": "MedicationStatement", "id": "s1", "subject": PATIENT, "status": "active",
        "medicationCodeableConcept": drug(OPIOID), "dateAsserted": "2026-06-08", **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "active", "words"),
    [
        ({"taken": "y"}, True, ""),
        ({"taken": "n"}, False, "MedicationStatement/s1: its status active is read as not-taken"),
        ({"taken": "n", "reasonNotTaken": [{"text": "rash"}]}, False, "read as not-taken"),
        ({"wasNotTaken": True}, False, "read as not-taken"),
        ({"wasNotTaken": False}, True, ""),
        ({"taken": "unk"}, False, "read as unknown"),
        ({"reasonNotTaken": [{"text": "rash"}]}, False, "read as unknown"),
    ],
)
def test_whether_a_statement_is_of_a_drug_that_is_taken(
    ehr: Ehr, more: Json, active: bool, words: str
) -> None:
    document = prefetched("MedicationStatement", statement(**more))
    assert (ACTIVE in topics(ehr, document)) is active
    assert words in told(ehr, document)
    assert bool(told(ehr, document)) is bool(words)


@pytest.mark.parametrize(
    ("kind", "more", "given"),
    [
        ("MedicationAdministration", {"effectiveTimeDateTime": "2026-06-09T08:00:00-04:00"}, True),
        ("MedicationAdministration", {"effectiveTimeDateTime": "2026-06-09T08:00:00-04:00", "wasNotGiven": True}, False),
        ("MedicationAdministration", {"effectiveDateTime": "2026-06-09T08:00:00-04:00", "notGiven": True}, False),
        ("MedicationDispense", {"whenHandedOver": "2026-06-05", "daysSupply": {"value": 10, "code": "d"}}, True),
        ("MedicationDispense", {"whenHandedOver": "2026-06-05", "daysSupply": {"value": 10, "code": "d"}, "notDone": True}, False),
    ],
)  # fmt: skip
def test_what_was_not_given_was_not_taken(ehr: Ehr, kind: str, more: Json, given: bool) -> None:
    entry = {"resourceType": kind, "id": "m1", "patient": PATIENT, "status": "completed",
             "medicationCodeableConcept": drug(OPIOID), **more}  # fmt: skip
    spoken = topics(ehr, prefetched(kind, entry))
    assert any(rule.startswith("opioid.") for rule in spoken) is given


def test_the_day_of_an_administration_of_dstu2_is_read(ehr: Ehr) -> None:
    """It is as if it had been said as R4 says it: given then, and not one day in the past."""
    spoken = []
    for name in ("effectiveDateTime", "effectiveTimeDateTime"):
        for day in ("2026-06-09", "2025-06-09"):
            entry = {"resourceType": "MedicationAdministration", "id": "m1", "patient": PATIENT,
                     "status": "completed", "medicationCodeableConcept": drug(OPIOID),
                     name: f"{day}T08:00:00-04:00"}  # fmt: skip
            spoken.append(topics(ehr, prefetched("MedicationAdministration", entry)))
    assert spoken[:2] == spoken[2:]
    assert spoken[0] != spoken[1]


def procedure_request(**more: Any) -> Json:
    return {"resourceType": "ProcedureRequest", "id": "p9", "subject": PATIENT,
            "code": {"text": "Total knee replacement"}, **more}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "planned"),
    [
        ({"status": "active", "intent": "order", "occurrenceDateTime": "2026-06-12"}, True),
        ({"status": "active", "intent": "order", "occurrencePeriod": {"start": "2026-06-12"}}, True),
        ({"status": "cancelled", "intent": "order", "occurrenceDateTime": "2026-06-12"}, False),
        ({"status": "accepted", "scheduledDateTime": "2026-06-12", "orderedOn": "2026-06-01"}, True),
        ({"status": "requested", "scheduledPeriod": {"start": "2026-06-12"}}, True),
        ({"status": "requested", "scheduledTiming": {"event": ["2026-06-12"]}}, True),
        ({"status": "rejected", "scheduledDateTime": "2026-06-12"}, False),
    ],
)  # fmt: skip
def test_a_procedure_request_is_an_operation(ehr: Ehr, more: Json, planned: bool) -> None:
    taken = order("n1", NALTREXONE)
    prefetch = {
        "MedicationRequest": searchset(taken),
        "ProcedureRequest": searchset(procedure_request(**more)),
    }
    document = request(hook="patient-view", prefetch=prefetch)
    assert (HOLD in topics(ehr, document, "ldn-patient-view")) is planned
    review = review_of(ehr.call(document, "ldn-patient-view"))
    assert review["coverage"]["ServiceRequest"] == "supplied"
    assert "ProcedureRequest is what ServiceRequest was called" in str(review["problems"])


def test_a_procedure_that_was_not_done_is_none_ahead(ehr: Ehr) -> None:
    for flag in ("notDone", "notPerformed"):
        entry = {"resourceType": "Procedure", "id": "p9", "subject": PATIENT, "status": "in-progress",
                 "code": {"text": "Total knee replacement"}, "performedDateTime": "2026-06-12"}  # fmt: skip
        for said in (False, True):
            prefetch = {"MedicationRequest": searchset(order("n1", NALTREXONE)),
                        "Procedure": searchset({**entry, flag: said})}  # fmt: skip
            document = request(hook="patient-view", prefetch=prefetch)
            assert (HOLD in topics(ehr, document, "ldn-patient-view")) is not said


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        ({"clinicalStatus": "active", "verificationStatus": "confirmed"}, True),
        ({"clinicalStatus": "active", "verificationStatus": "refuted"}, False),
        ({"clinicalStatus": "resolved", "verificationStatus": "confirmed"}, False),
        ({"clinicalStatus": "active", "verificationStatus": "confirmed", "category": "diagnosis", "notes": "seen"}, True),
    ],
)  # fmt: skip
def test_states_of_a_condition_as_plain_codes(ehr: Ehr, states: Json, counts: bool) -> None:
    entry = {"resourceType": "Condition", "id": "c1", "patient": PATIENT, "dateRecorded": "2026-01-01",
             "code": {"text": "Fibromyalgia"}, **states}  # fmt: skip
    assert (
        "indication.none-documented" in topics(ehr, prefetched("Condition", entry))
    ) is not counts


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        (
            {
                "clinicalStatus": "active",
                "verificationStatus": "confirmed",
                "code": drug("naltrexone"),
            },
            True,
        ),
        (
            {
                "clinicalStatus": "active",
                "verificationStatus": "refuted",
                "code": drug("naltrexone"),
            },
            False,
        ),
        ({"status": "active", "substance": drug("naltrexone")}, True),
        ({"status": "confirmed", "substance": drug("naltrexone")}, True),
        ({"status": "refuted", "substance": drug("naltrexone")}, False),
        ({"status": "inactive", "substance": drug("naltrexone")}, False),
        ({"status": "entered-in-error", "substance": drug("naltrexone")}, False),
        ({"substance": drug("naltrexone")}, True),
        ({"status": "active", "substance": drug("penicillin")}, False),
    ],
)
def test_allergies_of_stu3_and_dstu2(ehr: Ehr, entry: Json, counts: bool) -> None:
    found = {"resourceType": "AllergyIntolerance", "id": "a1", "patient": PATIENT, **entry}
    document = prefetched("AllergyIntolerance", found)
    assert (ALLERGY in topics(ehr, document)) is counts
    if counts and "substance" in entry:
        assert "AllergyIntolerance/a1: substance and status are read as" in told(ehr, document)


def test_a_bundle_of_older_resources_is_read_whole_too() -> None:
    """The same record as a file: nothing of an older release is lost on the quick reader."""
    allergy = {"resourceType": "AllergyIntolerance", "id": "a1", "patient": PATIENT,
               "status": "active", "substance": drug("naltrexone")}  # fmt: skip
    taken = ordered("o1", OPIOID, 5, status="active", dateWritten="2026-06-05")
    document = bundle(person(), ordered(), taken, allergy)
    found = judged(document)
    spoken = {item.finding.rule.id for item in found[0].answer.drawn}
    assert {ACTIVE, ALLERGY} <= spoken
    assert "was called before FHIR R4" in problems_of(found)
    # Without a draft or an older name it is the quick reader that has to see the allergy.
    modern = bundle(person(), allergy, order("n1", NALTREXONE))
    coverage = judged(modern)[0].answer.review.chart.allergies
    assert [record.status for record in coverage] == ["active"]


def test_older_and_newer_shapes_of_one_record_give_the_same_cards(ehr: Ehr) -> None:
    new = stu3("d1", NALTREXONE)
    r4 = copy.deepcopy(new)
    (instruction,) = r4["dosageInstruction"]
    r4["dosageInstruction"] = [
        {"timing": instruction["timing"], "doseAndRate": [{"doseQuantity": mg(1.5)}]}
    ]
    for name in ("context", "definition", "category", "requester"):
        del r4[name]
    opioid = {"MedicationRequest": searchset(order("o1", OPIOID))}
    spoken = [topics(ehr, prescribing(bundle(each), **opioid)) for each in (r4, new, ordered())]
    assert spoken[0]
    assert spoken[0] == spoken[1] == spoken[2]
