"""The protocol objects: what they refuse, and what goes out on the wire."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from cds.cards.model import Action, Card, Coding, Link, OverrideReason, Response, Source, Suggestion
from cds.cards.wire import encode
from cds.hooks import contract

UUID_1 = "0f0b8c4e-6f1c-5a52-9a5e-6d0c2c1f1a10"
DRAFT = {"resourceType": "MedicationRequest", "id": "d1"}
REMOVE = Action(type="delete", description="Remove the order", resource_id="MedicationRequest/d1")


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "summary": "Look",
        "indicator": "info",
        "source": Source(label="Pack"),
    }
    return Card(**{**values, **changes})


def suggestion(**changes: Any) -> Suggestion:
    return Suggestion(**{"label": "Remove", "actions": (REMOVE,), **changes})


@pytest.mark.parametrize("length", [1, 139])
def test_a_summary_of_1_to_139_characters_is_accepted(length: int) -> None:
    assert len(card(summary="é" * length).summary) == length


@pytest.mark.parametrize("summary", ["", "   ", "x" * 140, "two\nlines", "turned\u202earound"])
def test_any_other_summary_is_refused(summary: str) -> None:
    with pytest.raises(ValueError, match="summary"):
        card(summary=summary)


def test_only_the_three_indicators_exist() -> None:
    with pytest.raises(ValueError, match="'info', 'warning' or 'critical'"):
        card(indicator="hard-stop")


@pytest.mark.parametrize(
    "text", ["1", UUID_1.replace("-", ""), f"urn:uuid:{UUID_1}", f"{{{UUID_1}}}"]
)
def test_a_uuid_is_canonical(text: str) -> None:
    assert card(uuid=UUID_1).uuid == UUID_1
    with pytest.raises(ValueError, match="uuid"):
        card(uuid=text)


def test_selection_behaviour_comes_with_suggestions_and_only_with_them() -> None:
    assert card(suggestions=[suggestion()], selection_behavior="any").selection_behavior == "any"
    with pytest.raises(ValueError, match="selectionBehavior is required"):
        card(suggestions=[suggestion()])
    with pytest.raises(ValueError, match="selectionBehavior is required"):
        card(selection_behavior="any")


def test_at_most_one_is_recommended_when_at_most_one_may_be_chosen() -> None:
    both = [suggestion(is_recommended=True), suggestion(is_recommended=True)]
    assert card(suggestions=both, selection_behavior="any").suggestions
    with pytest.raises(ValueError, match="at most one suggestion may be recommended"):
        card(suggestions=both, selection_behavior="at-most-one")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "create"}, "needs the whole resource"),
        ({"type": "update", "resource": {"id": "d1"}}, "must name its resourceType"),
        ({"type": "update", "resource": DRAFT, "resource_id": "X/1"}, "no resourceId"),
        ({"type": "delete"}, "a delete needs resourceId"),
        ({"type": "delete", "resource_id": "d1"}, "no relative reference"),
        ({"type": "delete", "resource_id": "https://h/X/1"}, "no relative reference"),
        ({"type": "delete", "resource_id": "X/1", "resource": DRAFT}, "no resource"),
        ({"type": "create", "resource": DRAFT, "description": ""}, "description"),
        ({"type": "patch", "resource": DRAFT}, "'create', 'update' or 'delete'"),
    ],
)
def test_an_action_holds_what_its_type_needs(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Action(**{"description": "Change", **changes})


def test_only_an_app_link_has_a_context() -> None:
    assert Link(label="App", url="https://a", type="smart", app_context="x").app_context == "x"
    with pytest.raises(ValueError, match="only on a link of type smart"):
        Link(label="Page", url="https://a", type="absolute", app_context="x")


@pytest.mark.parametrize(
    ("extension", "message"),
    [({"trace": {}}, "no reverse-domain name"), ({"org.x": "y"}, "JSON object")],
)
def test_an_extension_has_reverse_domain_keys_and_objects(
    extension: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        card(extension=extension)


def test_an_override_reason_must_have_a_display() -> None:
    assert Coding(system="urn:s", code="c").as_json() == {"system": "urn:s", "code": "c"}
    with pytest.raises(ValueError, match="display"):
        OverrideReason(system="urn:s", code="c", display="")
    with pytest.raises(ValueError, match="code: must not be empty"):
        Coding(system="urn:s", code="")


def test_objects_are_frozen_and_refuse_unknown_fields() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        card().summary = "Other"  # type: ignore[misc]
    with pytest.raises(TypeError, match="colour"):
        card(colour="red")


def test_the_wire_has_the_names_and_the_order_of_the_standard() -> None:
    full = card(
        extension={"org.example.x": {"rule": "r"}},
        uuid=UUID_1,
        suggestions=[suggestion(is_recommended=False)],
        selection_behavior="at-most-one",
        override_reasons=[OverrideReason(system="urn:s", code="c", display="Because")],
        links=[Link(label="Page", url="https://a", type="absolute")],
    ).as_json()
    assert list(full) == [
        "uuid", "summary", "indicator", "source", "suggestions", "selectionBehavior",
        "overrideReasons", "links", "extension",
    ]  # fmt: skip
    assert full["suggestions"] == [
        {
            "label": "Remove",
            "isRecommended": False,
            "actions": [
                {
                    "type": "delete",
                    "description": "Remove the order",
                    "resourceId": "MedicationRequest/d1",
                }
            ],
        }
    ]
    contract.Card.model_validate(full)


def refused(change: dict[str, Any]) -> None:
    """The contract, which clients are shown, refuses what cannot be made here."""
    good = card(suggestions=[suggestion()], selection_behavior="any").as_json()
    contract.Card.model_validate(good)
    with pytest.raises(ValidationError):
        contract.Card.model_validate({**good, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"summary": ""}, {"summary": "x" * 140}, {"summary": "two\nlines"}, {"indicator": "stop"},
        {"uuid": "1"}, {"colour": "red"}, {"extension": {"trace": {}}}, {"extension": {"org.x": 1}},
        {"suggestions": []}, {"suggestions": [{"label": ""}]}, {"source": {}},
        {"suggestions": [{"label": "A", "isRecommended": True}] * 2, "selectionBehavior": "at-most-one"},
        {"overrideReasons": [{"system": "urn:s", "code": "c"}]},
        {"links": [{"label": "A", "url": "https://a", "type": "absolute", "appContext": "x"}]},
        {"suggestions": [{"label": "A", "actions": [{"type": "delete", "description": "D"}]}]},
        {"suggestions": [{"label": "A", "actions": [{"type": "delete", "description": "D", "resourceId": "1"}]}]},
        {"suggestions": [{"label": "A", "actions": [{"type": "create", "description": "D"}]}]},
        {"suggestions": [{"label": "A", "actions": [{"type": "create", "description": "D", "resource": {}}]}]},
    ],
)  # fmt: skip
def test_the_contract_refuses_the_same(change: dict[str, Any]) -> None:
    refused(change)


def test_nothing_empty_goes_out_except_the_list_of_cards() -> None:
    assert Response().as_json() == {"cards": []}
    assert card().as_json() == {"summary": "Look", "indicator": "info", "source": {"label": "Pack"}}
    draft = {
        **DRAFT,
        "note": [],
        "subject": {"reference": None, "x": [{}]},
        "a": "",
        "b": False,
        "c": 0,
    }
    change = Action(type="update", description="Change", resource=draft).as_json()
    assert change["resource"] == {**DRAFT, "b": False, "c": 0}


def test_a_null_that_holds_a_place_beside_its_companion_stays() -> None:
    patient = {"resourceType": "Patient", "given": ["A", None], "_given": [None, {"id": "x"}]}
    change = Action(type="update", description="Change", resource=patient).as_json()
    assert change["resource"] == patient


def test_numbers_keep_their_digits_on_the_wire() -> None:
    resource = {**DRAFT, "a": Decimal("4.50"), "b": Decimal("0.001"), "c": Decimal("1E+2"), "d": 3}
    line = encode(Action(type="create", description="New", resource=resource))
    assert b'"a":4.50,"b":0.001,"c":1E+2,"d":3}' in line
    assert json.loads(line, parse_float=Decimal)["resource"]["c"] == 100


def test_what_json_cannot_say_does_not_stop_the_answer() -> None:
    resource = {**DRAFT, "a": float("nan"), "b": Decimal("Infinity"), "c": "x\ud800", "d": 10**30}
    sent = json.loads(encode(Action(type="update", description="Change", resource=resource)))
    assert sent["resource"] == {**DRAFT, "c": "x\ufffd", "d": 10**30}


def test_the_same_answer_gives_the_same_bytes() -> None:
    def answer() -> Response:
        return Response(cards=(card(uuid=UUID_1, extension={"org.x": {"b": 1, "a": 2}}),))

    assert encode(answer()) == encode(answer()) == encode(answer().as_json())
    assert encode(answer()).endswith(b'"extension":{"org.x":{"b":1,"a":2}}}]}')
