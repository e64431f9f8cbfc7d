"""Which reasons a card offers for being overridden."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

from cds.cards.judge import Setting
from cds.rulebook.pack import load_rulebook, shipped_pack
from tests.records import AS_OF, ZONE, draft, judged, order, request, searchset

OPIOID = "methadone hydrochloride 10 MG Oral Tablet"
LDN = "naltrexone Oral Capsule"
SPECIALIST = "specialist-supervised-vldn-methadone-taper"


def _reasons(dose: float, by: Setting) -> list[str]:
    """The reasons of the one card on a dose of naltrexone beside methadone."""
    taken = order("o", OPIOID, status="active", authoredOn="2026-06-05")
    document = request(draft("d", LDN, dose), prefetch={"medications": searchset(taken)})
    (found,) = judged(document, by)
    (card,) = found.answer.cards
    return [reason.code for reason in card.override_reasons]


def _pack_without(reason: str, path: Path) -> Setting:
    """The shipped pack; the card that speaks offers the reason no more of itself."""
    root = path / "rules"
    copytree(shipped_pack(), root)
    page = root / "opioid" / "moud-with-naltrexone-order.yaml"
    text = page.read_text(encoding="utf-8")
    assert text.count(f"[{reason}, ") == 1
    page.write_text(text.replace(f"[{reason}, ", "["), encoding="utf-8")
    return Setting(load_rulebook(root), AS_OF, ZONE)


def test_a_line_that_is_never_a_card_brings_its_reasons(tmp_path: Path) -> None:
    pack = _pack_without(SPECIALIST, tmp_path)
    usual = ["opioid-already-stopped", "record-inaccurate"]
    assert _reasons(0.25, pack) == [*usual, SPECIALIST]
    assert _reasons(1.5, pack) == usual


def test_a_reason_that_card_and_line_share_is_offered_once() -> None:
    by = Setting(load_rulebook(shipped_pack()), AS_OF, ZONE)
    assert _reasons(0.25, by) == [SPECIALIST, "opioid-already-stopped", "record-inaccurate"]
