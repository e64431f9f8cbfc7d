"""What the network can hold, and what it refuses: by name, when a rulebook is loaded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from cds.rulebook.model import FactClause, Rulebook
from cds.second.engine import DurableEngine
from cds.second.network import MAX_COLUMNS
from cds.second.problem import EngineError
from cds.second.wiring import wire
from tests.records import rulebook
from tests.second.durable import HOOKS, engine, needs_durable, opinion, wrong
from tests.second.generated import bare, book, sentence
from tests.second.test_child import CHART, record

pytestmark = needs_durable


def copies(count: int) -> Rulebook:
    """The shipped rules so many times, each copy under ids of its own."""
    original = rulebook()
    rules = [
        replace(rule, id=rule.id if not number else f"{rule.id}-{number}")
        for number in range(count)
        for rule in original.rules
    ]
    problems = {
        name: replace(order, rules=tuple(rule.id for rule in rules if rule.problem == name))
        for name, order in original.precedence.problems.items()
    }
    precedence = replace(original.precedence, problems=problems)
    return replace(original, rules=tuple(rules), precedence=precedence, digest=str(count))


def test_a_pack_of_three_times_forty_five_rules_is_divided_and_judged() -> None:
    many = copies(4)
    assert len(many.rules) >= 3 * 45
    with engine(many) as by:
        wired = wire(by.plan.productions, by.plan.outputs)
        assert len(wired.rulesets) > 9
        assert sum(map(len, wired.rulesets)) == len(by.plan.productions)
        for hook in HOOKS:
            found = opinion(CHART, by, hook)
            assert wrong(found) == []
            if hook == "order-sign":
                fired = [finding.rule.id for finding in found.review.findings]
                assert sum(rule.startswith("opioid.active") for rule in fired) == 4
        assert by.supervisor.started == 1


DRUGS = tuple(FactClause(name, "medication", ("opioid",), terms=("current",)) for name in "abcdef")


def test_a_test_of_more_facts_than_a_row_holds_is_refused_by_name() -> None:
    text = "a.start is before b.start + days from c.start to d.start + days from e.start to f.start"
    with pytest.raises(EngineError) as error:
        DurableEngine(made(DRUGS, text))
    (problem,) = error.value.problems
    assert problem.what == (
        "made.rule: the durable engine cannot judge this rule: "
        f"when: {text}: a test speaks of a, b, c, d, e, f at once, more than 4"
    )
    assert problem.kind == "engine"


def test_a_condition_on_a_later_fact_is_refused_by_name() -> None:
    early = replace(DRUGS[0], where=(sentence("a.start is before b.start"),))
    with pytest.raises(EngineError) as error:
        DurableEngine(made((early, DRUGS[1]), "a and b"))
    assert "facts: a: where: a.start is before b.start: 'b' stands after 'a'" in str(error.value)


def made(facts: tuple[FactClause, ...], *when: str, per: tuple[str, ...] = ()) -> Rulebook:
    return book(bare("made.rule", facts, when, per=per))


@pytest.mark.parametrize("alternatives", [2, 16, 17, 40])
def test_a_test_of_many_alternatives(alternatives: int) -> None:
    """More than a row has columns: they are divided over several."""
    words = [f"a.start is before today - {number} days" for number in range(alternatives)]
    with engine(made(DRUGS[:1], " or ".join(words), per=("a",))) as by:
        found = opinion(CHART, by)
        assert wrong(found) == []
        assert len(found.review.findings) == 1
        columns = by.plan.rules["made.rule"].each.sheets.columns
        assert sum(map(len, columns.values())) == alternatives
        assert max(map(len, columns.values())) <= MAX_COLUMNS


@pytest.mark.parametrize("names", [2, 4, 6])
def test_a_test_that_joins_many_names(names: int) -> None:
    facts = DRUGS[:names]
    pairs = [f"{one.name}.name matches {other.name}.name" for one, other in pairwise(facts)]
    with engine(made(facts, *(clause.name for clause in facts), *pairs)) as by:
        found = opinion(CHART, by)
        assert wrong(found) == []
        assert len(found.review.findings) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_count_alone_makes_a_finding_of_each(count: int) -> None:
    facts = (DRUGS[0], DRUGS[1])
    chart = record("oxycodone 5 MG Oral Tablet", "tramadol 50 MG Oral Tablet")
    with engine(made(facts, f"at least {count} b", per=("a",))) as by:
        found = opinion(chart, by)
        assert wrong(found) == []
        assert len(found.review.findings) == (2 if count < 3 else 0)


def test_alternatives_of_joined_rows_are_joined_each() -> None:
    """The library asks what stands behind alternatives in a pattern only of the last of them."""
    facts = (FactClause("a", "medication", ("opioid",), terms=("current", "drafted")),)
    oxycodone, tramadol = "oxycodone 5 MG Oral Tablet", "tramadol 50 MG Oral Tablet"
    chart = record(oxycodone, tramadol, oxycodone, drafts=(tramadol,))
    either = "a is drafted or a is long-acting or a.dose is known"
    with engine(made(facts, "a", "not a is depot", either, per=("a",))) as by:
        found = opinion(chart, by)
        assert wrong(found) == []
        assert len(found.review.findings) == 1


@pytest.mark.parametrize(
    "test",
    [
        "unsure whether (could be (every b is long-acting))",
        "unsure whether (could be (no b))",
        "unsure whether (could be (at least 2 b))",
        "b and no b",
        "at least 2 b and not at least 2 b",
    ],
)
def test_what_is_there_and_is_not_is_never_so(test: str) -> None:
    """To the library one fact fills one pattern of a rule, a *none* included."""
    chart = record("oxycodone 5 MG Oral Tablet", "tramadol 50 MG Oral Tablet")
    with engine(made(DRUGS[:2], test, per=("a",))) as by:
        found = opinion(chart, by)
        assert wrong(found) == []
        assert found.review.findings == ()
