"""Shorthand in, FHIR R4 out: every shape the specification's scenarios need, and every error."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given as drawn
from hypothesis import strategies as st

from cds.authoring.kinds import KINDS
from cds.authoring.shorthand import ShorthandError, expand

PACK: dict[str, Any] = yaml.load(
    (Path(__file__).parent / "scenarios.yaml").read_text("utf-8"), Loader=yaml.BaseLoader
)
SCENARIOS = {scenario["name"]: scenario for scenario in PACK["scenarios"]}


def document(name: str) -> dict[str, Any]:
    return expand(SCENARIOS[name], PACK["fixtures"], PACK["defaults"])


def given(*items: object, **keys: object) -> dict[str, Any]:
    return expand({"name": "x", "given": list(items), **keys}, PACK["fixtures"], PACK["defaults"])


def resources(value: object) -> list[dict[str, Any]]:
    """Every resource of a document, contained ones apart, in its order."""
    if isinstance(value, list):
        return [found for item in value for found in resources(item)]
    if not isinstance(value, dict):
        return []
    if value.get("resourceType", "Bundle") != "Bundle":
        return [value]
    return [found for item in value.values() for found in resources(item)]


def one(name: str, resource_type: str, place: int = 0) -> dict[str, Any]:
    found = [r for r in resources(document(name)) if r["resourceType"] == resource_type]
    return found[place]


def item(kind: str, **fields: object) -> dict[str, Any]:
    """The last resource that one item of ``kind`` becomes."""
    found = resources(given({kind: fields}, hook="audit", without="defaults"))
    return [r for r in found if r["resourceType"] == KINDS[kind].resource_type][-1]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_resource_of_every_scenario_is_valid_r4(name: str) -> None:
    found = resources(document(name))
    assert found
    for resource in found:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        assert "subject" not in resource or resource["subject"]["reference"].startswith("Patient/p")


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_bundle_of_every_scenario_is_valid_and_plain_json(name: str) -> None:
    found = document(name)
    assert json.loads(json.dumps(found)) == found == document(name)
    bundles = [found, *found.get("prefetch", {}).values(), *found.get("context", {}).values()]
    for bundle in bundles:
        if isinstance(bundle, dict) and bundle.get("resourceType") == "Bundle":
            get_fhir_model_class("Bundle").model_validate(bundle)


def test_a_request_carries_drafts_record_and_a_fixed_instance() -> None:
    request = document("baseline")
    assert request["hook"] == "order-sign"
    assert request["hookInstance"] == document("baseline")["hookInstance"]
    assert request["hookInstance"] != document("dispensed")["hookInstance"]
    assert request["context"] == {
        "userId": "Practitioner/u1",
        "patientId": "p1",
        "draftOrders": {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {
                    "fullUrl": "https://ehr.example.org/fhir/MedicationRequest/ldn",
                    "resource": {
                        "resourceType": "MedicationRequest",
                        "id": "ldn",
                        "status": "draft",
                        "intent": "order",
                        "medicationCodeableConcept": {
                            "coding": [
                                {
                                    "system": "https://example.org/fhir/CodeSystem/local",
                                    "code": "NTX1.5",
                                    "display": "naltrexone 1.5 mg capsule",
                                }
                            ],
                            "text": "naltrexone 1.5 mg capsule",
                        },
                        "subject": {"reference": "Patient/p1"},
                        "dosageInstruction": [
                            {
                                "timing": {
                                    "repeat": {
                                        "frequency": 1,
                                        "period": 1,
                                        "periodUnit": "d",
                                        "when": ["HS"],
                                    }
                                },
                                "doseAndRate": [
                                    {
                                        "doseQuantity": {
                                            "value": 1.5,
                                            "unit": "mg",
                                            "system": "http://unitsofmeasure.org",
                                            "code": "mg",
                                        }
                                    }
                                ],
                            }
                        ],
                    },
                }
            ],
        },
    }
    assert request["prefetch"]["Patient"]["birthDate"] == "1980-02-29"
    assert request["prefetch"]["MedicationRequest"]["total"] == 1
    empty = {"resourceType": "Bundle", "type": "searchset", "total": 0}
    assert request["prefetch"]["Observation"] == empty


def test_prefetch_states_are_what_a_client_sends() -> None:
    prefetch = document("forbidden")["prefetch"]
    assert prefetch["MedicationRequest"]["issue"] == [{"severity": "error", "code": "forbidden"}]
    assert prefetch["MedicationStatement"]["issue"][0]["code"] == "timeout"
    assert "MedicationDispense" not in prefetch
    assert prefetch["Condition"] is None
    assert prefetch["Task"]["total"] == 0
    truncated = document("truncated")["prefetch"]["MedicationRequest"]
    assert truncated["link"][0]["relation"] == "next"
    assert len(truncated["entry"]) == 1
    assert document("truncated bundle")["link"][0]["relation"] == "next"


def test_selections_name_drafts_by_fixture_and_default_to_all() -> None:
    assert document("selected")["context"]["selections"] == ["MedicationRequest/ldn"]
    both = ["MedicationRequest/ldn", "MedicationRequest/oxy"]
    assert document("all selected")["context"]["selections"] == both
    assert "selections" not in document("not said what is selected")["context"]
    assert "selections" not in document("baseline")["context"]


def test_each_hook_carries_its_context() -> None:
    assert document("nothing ordered")["context"]["encounterId"] == "e1"
    assert "draftOrders" not in document("nothing ordered")["context"]
    assert document("booking")["context"]["appointments"]["entry"][0]["resource"]["end"] == (
        "2026-06-30T09:00:00-04:00"
    )
    assert len(document("refill")["context"]["medications"]["entry"]) == 1
    assert document("literal context")["context"]["userId"] == "PractitionerRole/7"


def test_audit_is_a_bundle_of_everything() -> None:
    bundle = document("audit")
    assert bundle["type"] == "collection"
    assert [r["resourceType"] for r in resources(bundle)] == [
        "Patient", "MedicationRequest", "MedicationDispense", "Condition", "Basic",
    ]  # fmt: skip


def test_another_patient_has_resources_of_his_own() -> None:
    assert one("somebody else", "MedicationRequest", 1)["subject"] == {"reference": "Patient/p2"}
    assert (
        one("somebody else in a bundle", "ServiceRequest")["subject"]["reference"] == "Patient/p2"
    )


def test_defaults_give_way_to_what_the_scenario_says() -> None:
    assert one("died", "Patient")["deceasedDateTime"] == "2026-06-09T03:00:00-04:00"
    assert "birthDate" not in one("died", "Patient")
    refuted = [r for r in resources(document("refuted")) if r["resourceType"] == "Condition"]
    assert [r["verificationStatus"]["coding"][0]["code"] for r in refuted] == ["refuted"]


def test_overrides_reach_the_first_item_or_the_kind_they_name() -> None:
    order, dispense = (
        one("stopped on a day", kind, place)
        for kind, place in (("MedicationRequest", 1), ("MedicationDispense", 0))
    )
    assert order["status"] == "stopped"
    repeat = order["dosageInstruction"][0]["timing"]["repeat"]
    assert repeat == {"boundsPeriod": {"end": "2026-06-05"}, "when": ["HS"]}
    assert dispense["whenHandedOver"] == "2026-05-27"
    assert dispense["authorizingPrescription"] == [{"reference": "MedicationRequest/ldn-order"}]


def test_a_medication_of_its_own_travels_with_what_refers_to_it() -> None:
    entry = document("resolved")["prefetch"]["MedicationRequest"]["entry"]
    assert [each["search"]["mode"] for each in entry] == ["match", "include"]
    assert entry[0]["resource"]["medicationReference"] == {"reference": "Medication/m1"}
    assert entry[1]["resource"]["ingredient"][0]["strength"]["numerator"]["value"] == 15
    contained = one("solution", "MedicationRequest")
    assert contained["medicationReference"] == {"reference": "#med"}
    assert contained["contained"][0]["ingredient"][0]["strength"]["denominator"]["unit"] == "mL"


def test_uncoded_coded_and_doubly_coded_drugs() -> None:
    assert one("text only", "MedicationRequest", 1)["medicationCodeableConcept"] == {
        "text": "percocet prn"
    }
    twice = one("plan", "MedicationRequest", 1)["medicationCodeableConcept"]
    assert [coding["display"] for coding in twice["coding"]] == ["morphine tablet"] * 2
    named = one("baseline", "MedicationRequest", 1)["medicationCodeableConcept"]
    assert named["coding"][0]["display"] == "oxycodone hydrochloride 5 MG Oral Tablet"
    assert named["text"] == "oxycodone 5 mg tablet"


def test_phases_are_numbered_and_inherit() -> None:
    first, second = one("phases", "MedicationRequest")["dosageInstruction"]
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert first["timing"]["repeat"]["boundsDuration"]["code"] == "d"
    assert second["timing"]["repeat"]["boundsPeriod"] == {"start": "2026-06-17"}
    assert first["timing"]["repeat"]["when"] == second["timing"]["repeat"]["when"] == ["HS"]


def test_absent_leaves_out_what_a_default_or_fixture_gives() -> None:
    assert one("as directed", "MedicationRequest")["dosageInstruction"] == [{"text": "as directed"}]
    assert "clinicalStatus" not in one("encounter diagnosis", "Condition")
    assert "clinicalStatus" not in one("in error", "Condition", 1)
    assert "status" not in item("request", drug="morphine tablet", status="absent")


def test_dates_get_the_offset_of_the_site() -> None:
    assert one("across the clock change", "ServiceRequest")["occurrenceDateTime"] == (
        "2026-03-10T00:30:00-04:00"
    )
    assert one("surgery in a month", "ServiceRequest")["occurrenceDateTime"] == "2026-06"
    assert one("surgery in a period", "ServiceRequest")["occurrencePeriod"] == {
        "start": "2026-06-12",
        "end": "2026-06-20",
    }
    events = one("surgery on several dates", "ServiceRequest")["occurrenceTiming"]["event"]
    assert events == ["2026-06-12", "2026-06-19T08:00:00-04:00"]


def test_a_note_that_begins_like_a_code_system_stays_text() -> None:
    found = item("service-request", detail=["local anaesthesia only", "snomed 1 X"])
    assert found["orderDetail"][0] == {"text": "local anaesthesia only"}
    assert found["orderDetail"][1]["coding"][0]["code"] == "1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2", {"valueInteger": 2}),
        ("yes", {"valueBoolean": True}),
        ("2026-11-01", {"valueDateTime": "2026-11-01"}),
        ("reactive", {"valueString": "reactive"}),
        ("4.5", {"valueQuantity": {"value": 4.5}}),
        ("<5 puffs of x", {"valueQuantity": {"comparator": "<", "value": 5, "unit": "puffs of x"}}),
    ],
)
def test_a_value_has_the_type_it_looks_like(value: str, expected: dict[str, Any]) -> None:
    found = item("observation", text="x", value=value)
    assert {key: each for key, each in found.items() if key.startswith("value")} == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("once daily", {"frequency": 1, "period": 1, "periodUnit": "d"}),
        ("daily", {"frequency": 1, "period": 1, "periodUnit": "d"}),
        ("once a day", {"frequency": 1, "period": 1, "periodUnit": "d"}),
        ("every day", {"frequency": 1, "period": 1, "periodUnit": "d"}),
        ("twice daily", {"frequency": 2, "period": 1, "periodUnit": "d"}),
        ("3 times daily", {"frequency": 3, "period": 1, "periodUnit": "d"}),
        ("1-2 times a day", {"frequency": 1, "frequencyMax": 2, "period": 1, "periodUnit": "d"}),
        ("every 6 hours", {"frequency": 1, "period": 6, "periodUnit": "h"}),
        ("every 4-6 hours", {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}),
        ("every other day", {"frequency": 1, "period": 2, "periodUnit": "d"}),
        ("weekly", {"frequency": 1, "period": 1, "periodUnit": "wk"}),
        ("twice a week", {"frequency": 2, "period": 1, "periodUnit": "wk"}),
        ("every 4 weeks", {"frequency": 1, "period": 4, "periodUnit": "wk"}),
        ("at bedtime", {"when": ["HS"]}),
        ("at 08:00 and 20:00", {"timeOfDay": ["08:00:00", "20:00:00"]}),
        ("once daily on mon, wed and fri", {"frequency": 1, "period": 1, "periodUnit": "d",
                                            "dayOfWeek": ["mon", "wed", "fri"]}),
        ("once", {"count": 1}),
    ],
)  # fmt: skip
def test_times_say_what_is_said(times: str, expected: dict[str, Any]) -> None:
    found = item("request", drug="morphine tablet", times=times)
    assert found["dosageInstruction"][0]["timing"] == {"repeat": expected}


def test_times_may_be_a_code_or_words() -> None:
    code = item("request", drug="morphine tablet", times="code BED")["dosageInstruction"][0]
    assert code["timing"]["code"]["coding"][0]["code"] == "BED"
    words = item("request", drug="morphine tablet", times="text nightly")["dosageInstruction"][0]
    assert words["timing"] == {"code": {"text": "nightly"}}


class Spy(dict[str, object]):
    """Fields that remember which keys were looked up."""

    def __init__(self, *values: object, asked: set[object], **fields: object) -> None:
        super().__init__(*values, **fields)
        self.asked = asked

    def get(self, key: str, default: object = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.asked.add(key)
        return super().__contains__(key)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_key_of_a_kind_is_read(name: str) -> None:
    keys = KINDS[name].keys
    needed = {"status": "completed", "given": "2026-06-05", "performed": "absent"}
    product = {**needed, "drug": "morphine tablet", "contained": "yes"}
    asked: set[object] = set()
    for fields in (needed, product):
        values = {key: value for key, value in fields.items() if key in keys}
        given({name: Spy(values, asked=asked)}, hook="audit")
    assert keys <= asked


@pytest.mark.parametrize(
    ("items", "keys", "path", "message"),
    [
        (["LDN drat"], {}, "given[0]", "unknown fixture 'LDN drat'; accepted: fixtures ("),
        (["draft"], {}, "given[0]", "'draft' is a kind and needs its fields"),
        ([{"LDN draft": {"does": "3 mg"}}], {}, "given[0].LDN draft",
         "unknown key 'does' (did you mean 'dose'?); accepted: "),
        ([{"LDN draft": {"dose": "3"}}, {"a": {}, "b": {}}], {}, "given[1]", "must be one item"),
        ([{"LDN draft": {"dose": "three mg"}}], {}, "given[0].LDN draft.dose",
         "cannot read 'three mg'; accepted: \"2.5 mg\""),
        ([{"LDN draft": {"times": "now and then"}}], {}, "given[0].LDN draft.times",
         "cannot read 'now and then'; accepted: once daily"),
        ([{"LDN draft": {"for": "ten days"}}], {}, "given[0].LDN draft.for",
         "cannot read 'ten days'"),
        ([{"LDN draft": {"for": "9 days", "stop": "2026"}}], {}, "given[0].LDN draft.for",
         "stands beside start or stop"),
        ([{"request": {"drug": "drug A"}}], {}, "given[0].request.drug",
         "'drug A' has no code; accepted: code: SYSTEM CODE"),
        ([{"request": {"code": "rxnom 1"}}], {}, "given[0].request.code",
         "cannot read 'rxnom 1' as a code; accepted: SYSTEM CODE"),
        ([{"request": {"text": "x", "strength": "5 mg"}}], {}, "given[0].request.strength",
         "needs a Medication resource"),
        ([{"request": {"text": "x", "authored": "2026-6-1"}}], {}, "given[0].request.authored",
         "cannot read '2026-6-1'; accepted: 2026-06"),
        ([{"request": {"text": "x", "prn": ["a"]}}], {}, "given[0].request.prn",
         "must be one text"),
        ([{"request": {"text": "x", "note": [["a"]]}}], {}, "given[0].request.note",
         "must be a text or a list of texts"),
        ([{"request": {"text": "x", "id": "a b"}}], {}, "given[0].request.id",
         "'a b' is no FHIR id"),
        ([{"request": "x"}], {}, "given[0].request", "must hold keys and values"),
        ([{"dispense": {"text": "x", "of": "r"}}], {}, "given[0].dispense.of",
         "no MedicationRequest item has the id 'r'; accepted: MedicationRequest/r written out"),
        ([{"procedure": {"text": "x"}}], {}, "given[0].procedure.status",
         "is missing; accepted: preparation"),
        ([{"administration": {"text": "x"}}], {}, "given[0].administration.given", "is missing"),
        ([{"raw": "{"}], {}, "given[0].raw", "not JSON"),
        ([{"raw": {"id": "x"}}], {}, "given[0].raw.resourceType", "is missing"),
        (["LDN draft"], {"hook": "patient-view"}, "given", "patient-view carries no drafts"),
        ([{"booking": {}}], {}, "given", "order-sign carries no bookings"),
        ([], {"hook": "order-sing"}, "hook", "unknown hook 'order-sing'; accepted: appoint"),
        ([], {"timezone": "Mars"}, "timezone", "unknown zone 'Mars'"),
        ([], {"without": "flu"}, "without", "'flu' is no default; accepted: adult, defaults, fib"),
        ([], {"prefetch": {"Task": "gone"}}, "prefetch.Task",
         "unknown state 'gone'; accepted: abs"),
        ([], {"hook": "audit", "prefetch": {"Task": "absent"}}, "prefetch", "cannot say 'absent'"),
        (["LDN draft"], {"hook": "order-select", "select": ["oxy"]}, "select",
         "no draft is called 'oxy'; accepted: LDN draft"),
        ([], {"slect": "x"}, "", "unknown key 'slect' (did you mean 'select'?)"),
    ],
)  # fmt: skip
def test_an_error_names_the_place_the_thing_and_what_would_do(
    items: list[object], keys: dict[str, object], path: str, message: str
) -> None:
    with pytest.raises(ShorthandError) as caught:
        given(*items, **keys)
    assert caught.value.path == f"scenario 'x'.{path}".rstrip(".")
    assert message in str(caught.value)


def test_a_fixture_that_refers_to_itself_is_refused() -> None:
    with pytest.raises(ShorthandError, match="fixture 'a' refers to itself"):
        expand({"name": "x", "given": ["a"], "hook": "audit"}, {"a": "a"}, {})


def test_without_a_zone_a_time_needs_its_offset() -> None:
    timed = {"name": "x", "given": [{"task": {"authored": "2026-06-01T10:00"}}], "hook": "audit"}
    with pytest.raises(ShorthandError, match="cannot read '2026-06-01T10:00'"):
        expand(timed, {}, {})


WORDS = st.sampled_from(
    ["", "absent", "yes", "1", "-1", "1e999", "2026-13-45T25:61", "2026-06-10T08:00", "x..y", "..",
     "5 mg", "5-3 mg", "a/b", "every", "at ", "on xyz", "code ", "rxnorm", "rxnorm 1", "10 days",
     "/", "|"]
)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


@drawn(st.data())
def test_whatever_is_written_gives_a_document_or_a_shorthand_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    keys = st.sampled_from(sorted(KINDS[kind].keys))
    fields = data.draw(st.dictionaries(keys, VALUES, max_size=4))
    top = data.draw(
        st.dictionaries(
            st.sampled_from(
                ["given", "without", "select", "prefetch", "encounter", "context", "as"]
            ),
            VALUES,
            max_size=1,
        )
    )
    values = {"status": "completed", "given": "2026", "text": "x", **fields}
    item_fields = {key: value for key, value in values.items() if key in KINDS[kind].keys}
    scenario = {"name": "x", "hook": "audit", "given": [{kind: item_fields}], **top}
    with suppress(ShorthandError):
        assert json.dumps(expand(scenario, PACK["fixtures"], PACK["defaults"]))
