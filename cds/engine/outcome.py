"""What a rule found: its facts, its level, the words and offers of its card, what was not seen."""

from __future__ import annotations

from collections.abc import Mapping

from cds.engine.binding import Scope
from cds.engine.fact import Bound
from cds.engine.finding import Finding
from cds.engine.meaning import Meanings
from cds.engine.trace import Step
from cds.engine.value import Words
from cds.rulebook.model import Level, Rule, SuggestionTemplate
from cds.values.truth import Truth


def finding_of(meanings: Meanings, rule: Rule, scope: Scope, trace: Step) -> Finding:
    """What a rule found about the facts of a scope, of which it is sure."""
    level, passed_over = _level(meanings, rule, scope)
    bound = {clause.name: _certain_first(scope.bounds(clause.name)) for clause in rule.facts}
    order = meanings.rulebook.precedence.problems[rule.problem]
    subject = scope.single[order.by].fact.key if order.by else scope.sheet.chart.patient.id
    return Finding(
        rule=rule,
        indicator=level.indicator,
        bound=bound,
        lets=dict(scope.lets),
        wordings=_wordings(meanings, rule, scope),
        offers=_offers(meanings, rule, scope),
        subject=subject,
        missing=_missing(trace, bound, scope),
        passed_over=passed_over,
        trace=trace,
    )


def _missing(trace: Step, bound: Mapping[str, tuple[Bound, ...]], scope: Scope) -> tuple[str, ...]:
    """What a fired rule could not see: unknown parts, and why its facts are uncertain."""
    found = list(trace.reasons())
    for name, bounds in bound.items():
        for item in bounds:
            if name in scope.single:
                continue
            because = item.fact.value("because")
            if isinstance(because, Words):
                named = item.fact.kind not in ("source", "statement")
                found += [
                    f"{item.fact.name}: {word}" if named else word for word in sorted(because.words)
                ]
    return tuple(dict.fromkeys(found))


def _level(meanings: Meanings, rule: Rule, scope: Scope) -> tuple[Level, tuple[str, ...]]:
    """The first level that is yes; one that is unknown is passed over, with what is missing."""
    passed: list[str] = []
    for level in rule.card.levels:
        truth = meanings.expression.truth(level.sentence.test, scope)
        if truth is Truth.YES:
            return level, tuple(passed)
        if truth is Truth.UNKNOWN:
            step = meanings.explain(level.sentence.test, scope)
            why = "; ".join(step.reasons()) or "the record does not say enough"
            passed.append(f"whether this is {level.indicator} cannot be told: {why}")
    return rule.card.levels[-1], tuple(passed)


def _wordings(meanings: Meanings, rule: Rule, scope: Scope) -> dict[str, str]:
    holds = meanings.expression.truth
    return {
        name: next(words for words, item in choices if holds(item.test, scope) is Truth.YES)
        for name, choices in rule.card.wordings.items()
    }


def _offers(meanings: Meanings, rule: Rule, scope: Scope) -> tuple[SuggestionTemplate, ...]:
    """The suggestions whose condition is certain."""
    holds = meanings.expression.truth
    return tuple(
        offer
        for offer in rule.card.suggestions
        if offer.condition is None or holds(offer.condition.test, scope) is Truth.YES
    )


def _certain_first(bounds: tuple[Bound, ...]) -> tuple[Bound, ...]:
    return tuple(sorted(bounds, key=lambda bound: (-bound.truth, bound.fact.name, bound.fact.key)))
