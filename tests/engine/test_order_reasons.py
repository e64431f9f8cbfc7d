"""What an order says that it is for, however it says so; what it refers to is read with it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import Json, bundle, cards, draft, judged, order, person, resource, setting

CM = "http://hl7.org/fhir/sid/icd-10-cm"
CROHN = {"coding": [{"system": CM, "code": "K50.90"}]}
PSORIASIS = {"coding": [{"system": CM, "code": "L40.0", "display": "Psoriasis vulgaris"}]}
MATCHED = [("indication.crohns-disease", "info")]
NOT_FOUND = [("indication.none-documented", "info")]
DOSE = draft("d", "", 4.5)["dosageInstruction"]


def taken(*resources: Json, **reason: Any) -> list[Json]:
    """The record of a patient who takes a low dose, for the reason given."""
    low = order("low", "naltrexone 4.5 MG Oral Capsule", dosageInstruction=DOSE, **reason)
    return [person(), low, *resources]


def audited(*resources: Json, **reason: Any) -> list[tuple[str, str]]:
    """The cards of a record that is sifted, which are those of one that is not."""
    entries = taken(*resources, **reason)
    found = cards(bundle(*entries), setting(hook="audit"))
    assert found == cards(entries, setting(hook="audit"))
    return found


def diagnosis(code: Json, verification: str = "confirmed") -> Json:
    """A Condition that has gone: nothing but an order's reason brings it up again."""
    return resource(
        "Condition",
        "dx",
        code=code,
        clinicalStatus={"coding": [{"code": "resolved"}]},
        verificationStatus={"coding": [{"code": verification}]},
    )


@pytest.mark.parametrize(
    "reason",
    [
        {"reasonCode": [CROHN]},
        {"reasonReference": [{"reference": "Condition/dx"}]},
        {"reasonReference": [{"reference": "https://ehr.example.org/fhir/Condition/dx"}]},
        {
            "reasonReference": [{"reference": "#in"}],
            "contained": [{**diagnosis(CROHN), "id": "in"}],
        },
        {"reasonReference": [{"reference": "Condition/gone", "display": "Crohn's disease"}]},
        {"reasonReference": [{"identifier": {"value": "7"}, "display": "Crohn's disease"}]},
        {"reason": [{"concept": CROHN}]},
        {"reason": [{"reference": {"reference": "Condition/dx"}}]},
    ],
)
def test_every_way_to_give_a_reason_is_read(reason: Json) -> None:
    assert audited(diagnosis(CROHN), **reason) == MATCHED


@pytest.mark.parametrize("verification", ["refuted", "entered-in-error", "provisional"])
def test_a_diagnosis_that_does_not_stand_is_no_reason(verification: str) -> None:
    reason = {"reasonReference": [{"reference": "Condition/dx"}]}
    assert audited(diagnosis(CROHN, verification), **reason) == NOT_FOUND


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Condition/gone"},
        {"reference": "urn:uuid:0f0b8c4e-6f1c-5a52-9a5e-6d0c2c1f1a10"},
        {"identifier": {"value": "7"}},
    ],
)
def test_a_diagnosis_that_cannot_be_found_leaves_the_reason_open(reference: Json) -> None:
    assert audited(reasonReference=[reference]) == []
    entries = taken(reasonReference=[reference])
    (found,) = judged(bundle(*entries), setting(hook="audit"))
    missing = {verdict.rule.id: verdict.missing for verdict in found.answer.unknown}
    assert any("could not be found" in reason for reason in missing["indication.none-documented"])


@pytest.mark.parametrize(
    "reference",
    [{"reference": "Observation/gone"}, {"identifier": {"value": "7"}, "type": "Observation"}],
)
def test_what_is_no_diagnosis_leaves_nothing_open(reference: Json) -> None:
    assert audited(reasonReference=[reference]) == NOT_FOUND


@pytest.mark.parametrize("name", ["Condition/dx", "urn:uuid:6d0c2c1f-6f1c-5a52-9a5e-0f0b8c4e1a10"])
def test_a_diagnosis_in_no_value_set_is_read_with_the_order_that_names_it(name: str) -> None:
    entry = {"fullUrl": name, "resource": diagnosis(PSORIASIS)}
    entries = taken(entry, reasonReference=[{"reference": name}])
    (found,) = judged(bundle(*entries), setting(hook="audit"))
    (card,) = found.answer.cards
    assert "The order gives as its reason: Psoriasis vulgaris." in (card.detail or "")
