"""A rule's verdict and its trace are the same whatever other rules were asked before it."""

from __future__ import annotations

import pytest

from cds.cards.judge import read_input
from cds.cards.wire import encode
from cds.engine.frame import Clock, Hook
from cds.engine.review import evaluator
from cds.engine.sheet import Sheet
from tests.records import AS_OF, Json, bundle, draft, order, person, resource, rulebook, setting

OPIOID = order("o", "oxycodone 5 MG Oral Tablet")
LDN = order("n", "naltrexone 4.5 MG Oral Capsule")
SURGERY = resource(
    "ServiceRequest", "s", status="active", intent="order", code={"text": "appendectomy"},
    occurrenceDateTime="2026-06-12",
)  # fmt: skip
RECORDS: dict[str, list[Json]] = {
    "nothing": [],
    "an opioid": [OPIOID],
    "naltrexone": [LDN],
    "both and an operation": [LDN, OPIOID, SURGERY],
    "a draft": [draft("d", "naltrexone 4.5 MG Oral Capsule", 4.5), OPIOID],
    "something unreadable": [order("x", "")],
}


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("name", RECORDS)
def test_a_rule_says_alone_what_it_says_among_others(name: str, truncated: bool) -> None:
    book = rulebook()
    judge, hook = evaluator(book), Hook("audit")
    # A page that is missing leaves open what else there is.
    more = {"link": [{"relation": "next", "url": "https://ehr.example/2"}]} if truncated else {}
    data = encode(bundle(person(), *RECORDS[name], **more))
    (chart,) = read_input(data, "input", setting(hook="audit")).charts
    agendas = judge.agendas("audit")

    def fresh() -> Sheet:
        return Sheet(chart, book, hook, Clock(AS_OF), judge.meanings)

    together = judge.judge_all(agendas, fresh(), frozenset())
    alone = [judge.judge_all((each,), fresh(), frozenset())[0] for each in agendas]
    for one, other in zip(together, alone, strict=True):
        assert (one.rule.id, one.truth, one.undecided) == (
            other.rule.id,
            other.truth,
            other.undecided,
        )
        assert (one.missing, one.traces) == (other.missing, other.traces)
        assert [item.key for item in one.findings] == [item.key for item in other.findings]
