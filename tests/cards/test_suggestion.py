"""What a click would write: the draft as it came, with the one thing changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from cds.rulebook.sentence import parse_value
from tests.records import draft, judged, judged_bytes, order, request, rulebook, searchset, setting

LDN = "naltrexone 1.5 MG Oral Capsule"
OPIOID = "oxycodone hydrochloride 5 MG Oral Tablet"


def _moved(repeat: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The draft and what the suggestion to move its start would make of it."""
    drafted = draft("d", LDN, 1.5)
    drafted["dosageInstruction"][0]["timing"]["repeat"].update(repeat)
    ended = order("o", OPIOID, status="completed", authoredOn="2026-05-31")
    ended["dispenseRequest"] = {"expectedSupplyDuration": {"value": 10, "unit": "d"}}
    document = request(drafted, prefetch={"medications": searchset(ended)})
    (found,) = judged(document)
    (card,) = found.answer.cards
    (update,) = (
        action for offer in card.suggestions for action in offer.actions if action.type == "update"
    )
    assert update.resource is not None
    return drafted, dict(update.resource)


@pytest.mark.parametrize(
    ("repeat", "bounds"),
    [
        ({}, {"start": "2026-06-20"}),
        ({"boundsDuration": {"value": 10, "code": "d"}}, {"start": "2026-06-20", "end": "2026-06-29"}),
        ({"boundsDuration": {"value": 2, "unit": "weeks"}}, {"start": "2026-06-20", "end": "2026-07-03"}),
        ({"boundsDuration": {"value": 5, "unit": "h"}}, {"start": "2026-06-20"}),
        ({"boundsPeriod": {"start": "2026-06-11", "end": "2026-08-01"}}, {"start": "2026-06-20", "end": "2026-08-01"}),
        ({"boundsPeriod": {"end": "2026-06-15"}}, {"start": "2026-06-20"}),
    ],
)  # fmt: skip
def test_a_moved_start_changes_nothing_else(repeat: dict[str, Any], bounds: dict[str, Any]) -> None:
    drafted, moved = _moved(repeat)
    instruction = moved["dosageInstruction"][0]
    assert instruction["timing"]["repeat"].pop("boundsPeriod") == bounds
    for resource in (moved, drafted):
        for key in ("boundsPeriod", "boundsDuration"):
            resource["dosageInstruction"][0]["timing"]["repeat"].pop(key, None)
    assert moved == drafted


def test_a_start_that_is_not_known_is_not_offered() -> None:
    """A rule whose first day cannot be worked out offers no update, and still what it can."""
    (rule,) = (rule for rule in rulebook().rules if rule.id == "opioid.recent-exposure")
    lets = tuple(
        replace(let, value=parse_value("opioid.nothing-known")) if let.name == "start" else let
        for let in rule.lets
    )
    others = tuple(item for item in rulebook().rules if item is not rule)
    by = replace(setting(), rulebook=replace(rulebook(), rules=(*others, replace(rule, lets=lets))))
    drafted = draft("d", LDN, 1.5)
    ended = order("o", OPIOID, status="completed", authoredOn="2026-05-31")
    ended["dispenseRequest"] = {"expectedSupplyDuration": {"value": 10, "unit": "d"}}
    document = request(drafted, prefetch={"medications": searchset(ended)})
    found, _ = judged_bytes(json.dumps(document).encode(), by)
    (card,) = found[0].answer.cards
    actions = [action.type for offer in card.suggestions for action in offer.actions]
    assert actions == ["delete"]
