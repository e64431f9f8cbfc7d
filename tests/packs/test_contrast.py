"""A second pack: another drug, another question, and the same engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from cds.authoring.expectation import Expectation
from cds.authoring.scenario import Runner, Scenario, read_suite
from cds.cards.answer import response
from cds.rulebook.pack import read_pack
from cds.rulebook.site import Site
from cds.second.opinion import Engine
from cds.second.supervisor import unavailable
from cds.values.problem import Problem
from tests.records import CONTRAST, ROOT, Json, cards_of, judged, person, request, resource, setting

BOTH: Engine = "reference" if unavailable() else "both"
SUITE = read_suite(CONTRAST)


def test_it_is_clean() -> None:
    problems: list[Problem] = []
    rulebook = read_pack(CONTRAST, Site(), problems)
    assert [problem.render() for problem in problems] == []
    assert rulebook is not None
    assert len(rulebook.rules) == 6
    assert not SUITE.problems


@pytest.mark.parametrize(
    "scenario", SUITE.scenarios, ids=lambda found: f"{found.place.file}: {found.name}"
)
def test_scenario(scenario: Scenario) -> None:
    outcome = Runner(SUITE, Site(), BOTH).run(scenario)
    assert outcome.passed, "\n".join(outcome.failures)


def test_a_scenario_that_expects_something_else_fails() -> None:
    """What the cases above rest on: every card counts, in both directions."""
    good = next(found for found in SUITE.scenarios if found.name == "a coded allergy")
    listed = good.expects.cards
    for cards in ((), (("contrast.allergy", "info"),), (*listed, *listed)):
        wrong = replace(good, expects=Expectation(cards, says=("never said",)))
        failures = Runner(SUITE, Site(), BOTH).run(wrong).failures
        assert len(failures) >= 2
        assert "no card says: never said" in failures


def test_a_scenario_fails_by_words_that_must_not_be_said() -> None:
    good = next(found for found in SUITE.scenarios if found.name == "a coded allergy")
    words = Expectation(good.expects.cards, says_not=("allergy", "never said"))
    wrong = replace(good, expects=words)
    assert Runner(SUITE, Site(), BOTH).run(wrong).failures == ("a card says: allergy",)


def scan_request() -> Json:
    ct = {"system": "http://snomed.info/sct", "code": "77477000", "display": "Computed tomography"}
    scan = resource(
        "ServiceRequest",
        "ct",
        status="draft",
        intent="order",
        code={"coding": [ct]},
        occurrenceDateTime="2026-06-13",
    )
    metformin = resource(
        "MedicationRequest",
        "met",
        status="active",
        intent="order",
        authoredOn="2026-05-01",
        medicationCodeableConcept={
            "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "861007"}]
        },
    )
    return request(scan, prefetch={"MedicationRequest": metformin, "patient": person()})


def test_a_hook_request() -> None:
    by = setting(CONTRAST)
    (found,) = judged(scan_request(), by)
    assert cards_of(found) == [("contrast.kidney-function-missing", "warning")]
    wire = response(found.answer, by.rulebook).as_json()
    (card,) = wire["cards"]
    assert card["summary"] == (
        "Computed tomography on 13 Jun 2026: no creatinine within 365 days; test before the scan."
    )
    assert card["source"]["label"] == "Contrast safety (test)"
    assert card["source"]["topic"]["code"] == "contrast.kidney-function-missing"
    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    assert action["type"] == "create"
    assert action["resource"]["code"]["text"].endswith("before Computed tomography on 13 Jun 2026")
    assert {reason["code"] for reason in card["overrideReasons"]} == {
        "kidney-function-known",
        "scan-without-contrast",
    }


def test_what_is_not_answered_is_named() -> None:
    document = scan_request()
    del document["prefetch"]["Observation"]
    (found,) = judged(document, setting(CONTRAST))
    assert cards_of(found) == []
    unknown = {item.rule.id: item.missing for item in found.answer.unknown}
    assert "Observation was not supplied" in unknown["contrast.kidney-function-missing"]


def test_the_first_pack_says_nothing_of_it() -> None:
    assert cards_of(judged(scan_request())[0]) == []


def test_the_engine_holds_no_word_of_it() -> None:
    words = ("metformin", "contrast medium", "creatinine", "iohexol", "6809", "2160-0")
    for path in sorted((ROOT / "cds").rglob("*.py")):
        text = path.read_text("utf-8").casefold()
        assert not [word for word in words if word in text], path


def test_the_pack_stands_alone(tmp_path: Path) -> None:
    """Its digest follows its bytes, and a site can change it."""
    problems: list[Problem] = []
    one = read_pack(CONTRAST, Site(), problems)
    two = read_pack(CONTRAST, Site(disable=("monitor",)), problems)
    assert one is not None
    assert two is not None
    assert one.digest != two.digest
    assert "monitor.vitamin" not in {rule.id for rule in two.rules}
