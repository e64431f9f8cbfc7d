"""Two engines, one rule tree: they say the same of every example and of made-up charts and rules.

(The scenarios of both packs run under both engines where they run: tests/test_pack.py, tests/packs.)
``CDS_FUZZ=100`` makes the made-up ones a hundred times as many.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cds.cards.judge import judge, read_input
from cds.chart.model import Chart
from cds.second.opinion import Engine
from tests.records import (
    ROOT,
    card_bytes,
    draft,
    drug,
    request,
    resource,
    searchset,
    setting,
)
from tests.second.durable import HOOKS, differences, engine, needs_durable, opinion, shipped, wrong
from tests.second.generated import chart, pack

pytestmark = needs_durable

LONG = int(os.environ.get("CDS_FUZZ", "1"))
ENGINES: tuple[Engine, ...] = ("reference", "durable", "both")
EXAMPLES = sorted(
    path
    for folder in (ROOT / "fhir_examples").iterdir()
    if folder.is_dir()
    for path in folder.iterdir()
    if path.suffix in (".json", ".ndjson", ".gz")
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples_give_the_same_cards(path: Path) -> None:
    found = {}
    for name in ENGINES:
        by = replace(setting(), engine=name)
        judged = list(judge(read_input(path.read_bytes(), path.name, by), path.name, by))
        assert judged
        assert "engine" not in {problem.kind for item in judged for problem in item.problems}
        assert not any(item.disagreements for item in judged)
        found[name] = card_bytes(judged)
    assert found["reference"] == found["durable"] == found["both"]


# -- what chance makes ---------------------------------------------------------------------------

# Numbers that once found something: sessions in which nothing fired, which ended the process; a
# condition on a fact that had not been judged.
KEPT_PACKS = (1, 3, 4)


@settings(max_examples=100 * LONG, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.sampled_from(HOOKS))
def test_made_up_charts_by_the_whole_pack(chance: Random, hook: str) -> None:
    assert wrong(opinion(chart(chance), shipped(), hook)) == []


@settings(max_examples=6 * LONG, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_made_up_charts_by_made_up_rules(chance: Random) -> None:
    with engine(pack(chance)) as by:
        assert list(differences(made(chance, 15), by)) == []


def test_an_entry_of_later_days_is_bound_to_nothing() -> None:
    """One rule bound it before any other had asked when it was made, and was alone in that."""
    later = resource(
        "MedicationDispense",
        "later",
        status="completed",
        whenHandedOver="2026-06-20",
        medicationCodeableConcept=drug("oxycodone 5 MG Oral Tablet"),
    )
    refused = {
        "resourceType": "OperationOutcome",
        "issue": [{"code": "forbidden", "severity": "error"}],
    }
    document = request(
        draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5),
        prefetch={"MedicationRequest": refused, "MedicationDispense": searchset(later)},
    )
    (found,) = read_input(json.dumps(document).encode(), "input", setting()).charts
    said = opinion(found, shipped(), "order-sign")
    assert wrong(said) == []
    bound = [
        item.fact.name
        for finding in said.review.findings
        for items in finding.bound.values()
        for item in items
        if item.fact.kind == "medication"
    ]
    assert set(bound) == {"naltrexone 1.5 MG Oral Capsule"}


@pytest.mark.parametrize("number", KEPT_PACKS)
def test_a_pack_that_once_found_something(number: int) -> None:
    chance = Random(number)
    with engine(pack(chance)) as by:
        assert list(differences(made(chance, 25), by)) == []


def made(chance: Random, count: int) -> list[tuple[Chart, str]]:
    return [(chart(chance), chance.choice(HOOKS)) for _ in range(count)]
