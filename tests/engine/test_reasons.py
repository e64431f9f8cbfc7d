"""Why something is unknown is said in plain words: no name of a value set, no sentence of a rule."""

from __future__ import annotations

from cds.cards.answer import response
from tests.records import Json, bundle, draft, judged, order, person, resource, rulebook, setting

LOW_DOSE = order("low", "naltrexone 4.5 MG Oral Capsule")


def operation(words: str, **more: Json) -> Json:
    content: Json = {"status": "active", "intent": "order", "code": {"text": words}, **more}
    return resource("ServiceRequest", "op", occurrenceDateTime="2026-06-12", **content)


def told(*resources: Json, hook: str) -> tuple[list[str], str]:
    """The reasons of the response's unknown rules, and everything that its cards say."""
    (found,) = judged(bundle(person(), *resources), setting(hook=hook))
    unknown = [reason for verdict in found.answer.unknown for reason in verdict.missing]
    cards = response(found.answer, rulebook()).as_json()["cards"]
    return unknown, "\n".join(card["summary"] + card["detail"] for card in cards)


def test_a_word_shape_is_named_as_the_reason() -> None:
    unknown, said = told(LOW_DOSE, operation("pinealectomy"), hook="patient-view")
    assert "pinealectomy: recognised by the shape of a word only" in unknown
    assert "recognised by the shape of a word only" in said
    ids = [name for name in rulebook().terminology.valuesets if "-" in name]
    assert [name for name in ids if name in "\n".join((*unknown, said))] == []


def test_a_level_that_cannot_be_told_says_what_is_missing() -> None:
    """A dose that low-dose use allows, for a use that the record holds but does not confirm."""
    use = resource(
        "Condition",
        "use",
        verificationStatus={"coding": [{"code": "provisional"}]},
        code={"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F10.20"}]},
    )
    taken = order(
        "mid",
        "naltrexone 9 MG Oral Capsule",
        **{key: draft("d", "x", 9)[key] for key in ("dosageInstruction",)},
    )
    opioid = draft("new", "oxycodone hydrochloride 5 MG Oral Tablet", 5)
    _, said = told(use, taken, opioid, hook="order-sign")
    assert "whether this is critical cannot be told" in said
    assert "the diagnosis is not confirmed" in said
    assert "ldn-intent" not in said
