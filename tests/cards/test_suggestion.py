"""What a click would write: the draft as it came, with the one thing changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import draft, judged, order, request, searchset

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
