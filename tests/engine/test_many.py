"""A record with more combinations than are judged says so; nothing is dropped without a word."""

from __future__ import annotations

from tests.records import bundle, draft, judged, order, person


def test_combinations_beyond_the_limit_are_unknown() -> None:
    drafts = [draft(f"d{number}", "naltrexone 1.5 MG Oral Capsule", 1.5) for number in range(26)]
    ended = [
        order(
            f"o{number}",
            "oxycodone 5 MG Oral Tablet",
            status="completed",
            authoredOn="2026-05-28",
            dispenseRequest={"expectedSupplyDuration": {"value": 10, "code": "d"}},
        )
        for number in range(20)
    ]
    (item,) = judged(bundle(person(), *drafts, *ended))
    unknown = {verdict.rule.id: verdict.missing for verdict in item.answer.unknown}
    assert unknown["opioid.recent-exposure"] == ("20 of 520 combinations were not judged",)
    assert item.answer.cards
