"""What a rule with a memory has shown it does not repeat, and it remembers what it was about."""

from __future__ import annotations

import json

from cds.cards.judge import read_input
from cds.engine.frame import Hook
from cds.engine.review import review
from tests.records import AS_OF, Json, bundle, order, person, rulebook, setting

RULE = "opioid.concurrent-on-record"
LOW_DOSE = order("low", "naltrexone 4.5 MG Oral Capsule")
FIRST = order("first", "tramadol hydrochloride 50 MG Oral Tablet")
SECOND = order("second", "oxycodone hydrochloride 5 MG Oral Tablet")


def keys(*resources: Json, shown: frozenset[str] = frozenset()) -> list[str]:
    """What the rule remembers of its findings on opening the chart."""
    data = json.dumps(bundle(person(), *resources)).encode()
    (chart,) = read_input(data, "input", setting()).charts
    found = review(chart, rulebook(), Hook("patient-view"), AS_OF, shown)
    return [finding.memory for finding in found.findings if finding.rule.id == RULE]


def test_it_speaks_once_of_a_pair() -> None:
    (key,) = keys(LOW_DOSE, FIRST)
    assert keys(LOW_DOSE, FIRST, shown=frozenset({key})) == []


def test_another_pair_is_another_matter() -> None:
    (key,) = keys(LOW_DOSE, FIRST)
    (other,) = keys(LOW_DOSE, FIRST, SECOND, shown=frozenset({key}))
    assert other != key
    assert keys(LOW_DOSE, SECOND) == [other]
