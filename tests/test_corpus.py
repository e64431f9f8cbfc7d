"""Real synthetic records: all are read, nothing raises, and what could not be read is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.cards.judge import Setting, judge, read_input
from cds.engine.census import census
from cds.rulebook.pack import load_rulebook, shipped_pack
from cds.values.moment import read_instant, zone
from tests.records import ROOT

CORPUS = ROOT.parent / "shared" / "corpus"
BUNDLES = sorted((CORPUS / "synthea-bundles").glob("*.json.gz"))
ZONE = zone("America/New_York")

pytestmark = pytest.mark.skipif(not BUNDLES, reason="the shared corpus is not beside the project")


@pytest.fixture(scope="module")
def setting() -> Setting:
    as_of = read_instant("2026-11-23T12:00:00Z", ZONE)
    return Setting(load_rulebook(shipped_pack()), as_of, ZONE)


def test_every_bundle_is_one_patient_without_a_problem_of_reading(setting: Setting) -> None:
    seen: dict[str, int] = {"opioid": 0}
    for path in BUNDLES:
        charts = read_input(path.read_bytes(), path.name, setting)
        assert not charts.problems
        (judged,) = judge(charts, path.name, setting)
        assert {problem.kind for problem in judged.problems} <= {"patient"}
        assert not judged.answer.review.unclassified
        (chart,) = charts.charts
        seen["opioid"] += any(
            record.classification.match("opioid")
            for course in chart.courses
            for record in course.records
        )
    assert seen["opioid"] == 14


def test_an_old_stopped_opioid_is_possible_for_two_years_only(setting: Setting) -> None:
    """Every opioid order of the corpus is stopped without a date, the last ones years ago."""
    (label, clause), *_ = setting.rulebook.pack.census
    assert label == "opioid"
    path = BUNDLES[0].parent
    held = 0
    for bundle in sorted(path.glob("*.json.gz")):
        (chart,) = read_input(bundle.read_bytes(), bundle.name, setting).charts
        orders = [
            record
            for course in chart.courses
            for record in course.records
            if record.classification.match("opioid") and record.recorded is not None
        ]
        for order in orders:
            assert order.recorded is not None
            soon = order.recorded.first.replace(month=12, day=28)
            held += "possible" in census(chart, setting.rulebook, clause, soon)
        assert not census(chart, setting.rulebook, clause, setting.as_of)
    assert held


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("**/*.ndjson.gz")), ids=lambda path: Path(path).name
)
def test_ndjson_of_the_corpus_is_read(path: Path, setting: Setting) -> None:
    charts = read_input(path.read_bytes(), path.name, setting)
    for judged in judge(charts, path.name, setting):
        assert all(len(card.summary) < 140 for card in judged.answer.cards)
    assert all(problem.kind in ("subject", "input") for problem in charts.problems)
