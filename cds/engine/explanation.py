"""Explains a judgement: for each clause its truth, the facts behind it, and what is missing.

It judges by the same compiled sentences as the evaluator, so what is explained is what was judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cds.engine.binding import Scope
from cds.engine.expression import Expression
from cds.engine.fact import Bound, Fact
from cds.engine.trace import Step
from cds.engine.value import Count, Missing, Moment, Spans, Words, render
from cds.rulebook import syntax
from cds.rulebook.model import FactClause
from cds.values.truth import Truth

PassedOver = Callable[[FactClause, Scope], tuple[Fact, ...]]

_NEGATIONS = {syntax.Not: "not", syntax.CouldBe: "could be", syntax.Unsure: "unsure whether"}


class Explanation:
    """Writes traces. ``passed_over`` gives the facts of a clause's class in none of its states."""

    def __init__(self, expression: Expression, passed_over: PassedOver) -> None:
        self._expression = expression
        self._passed_over = passed_over
        # By identity, with the node itself, so that no other can come to have its identity.
        self._mentioned: dict[int, tuple[object, tuple[str, ...], tuple[syntax.Path, ...]]] = {}

    def _names_in(self, test: object) -> tuple[tuple[str, ...], tuple[syntax.Path, ...]]:
        """The fact names that a test asks about by themselves, and the paths that it reads."""
        found = self._mentioned.get(id(test))
        if found is None:
            names = tuple(name for name, _ in syntax.names(test))
            found = self._mentioned[id(test)] = test, names, tuple(syntax.paths(test))
        return found[1], found[2]

    def explain(self, test: object, scope: Scope, text: str = "") -> Step:
        """What was judged, down to the facts: truth, the facts behind it, and what is missing."""
        truth = self._expression.truth(test, scope)
        match test:
            case syntax.And(tests) | syntax.Or(tests):
                steps = tuple(self.explain(item, scope) for item in tests)
                word = "all of" if isinstance(test, syntax.And) else "any of"
                return Step(text or word, truth, steps)
            case syntax.Not(inner) | syntax.CouldBe(inner) | syntax.Unsure(inner):
                inside = self.explain(inner, scope)
                return Step(text or _NEGATIONS[type(test)], truth, (inside,))
            case syntax.Every(name=name, test=inner):
                each = (scope.narrowed(name, bound) for bound in scope.bounds(name))
                steps = tuple(self.explain(inner, narrowed) for narrowed in each)
                missing = scope.unanswered.get(name, ()) if truth is Truth.UNKNOWN else ()
                return Step(text or syntax.spoken(test), truth, steps, missing=missing)
            case _:
                return self._leaf(test, scope, truth, text)

    def reasons(self, test: object, scope: Scope) -> tuple[str, ...]:
        """What is missing of a test, as its trace has it, without the trace."""
        return tuple(dict.fromkeys(self._reasons(test, scope)))

    def _reasons(self, test: object, scope: Scope) -> Iterator[str]:
        match test:
            case syntax.And(tests) | syntax.Or(tests):
                for item in tests:
                    yield from self._reasons(item, scope)
            case syntax.Not(inner) | syntax.CouldBe(inner) | syntax.Unsure(inner):
                yield from self._reasons(inner, scope)
            case syntax.Every(name=name, test=inner):
                if self._expression.truth(test, scope) is Truth.UNKNOWN:
                    yield from scope.unanswered.get(name, ())
                for bound in scope.bounds(name):
                    yield from self._reasons(inner, scope.narrowed(name, bound))
            case _:
                truth = self._expression.truth(test, scope)
                yield from self._missing(test, scope, truth)

    def _leaf(self, test: object, scope: Scope, truth: Truth, text: str) -> Step:
        asked, paths = self._names_in(test)
        names = dict.fromkeys((*asked, *(path.name for path in paths)))
        bounds = [bound for name in names for bound in scope.bounds(name)]
        sources = tuple(
            dict.fromkeys(str(source) for bound in bounds for source in bound.fact.sources)
        )
        values = self._values(test, scope)
        missing = self._missing(test, scope, truth)
        return Step(text or syntax.spoken(test), truth, (), sources, values, missing)

    def _values(self, test: object, scope: Scope) -> tuple[str, ...]:
        found = []
        names, paths = self._names_in(test)
        for path in paths:
            if path.field and len(scope.bounds(path.name)) == 1:
                value = scope.bounds(path.name)[0].fact.value(path.field)
                found.append(f"{path.text} = {render(value)}")
            elif path.name in scope.lets:
                found.append(f"{path.name} = {render(scope.lets[path.name])}")
        for name in names:
            clause = scope.clauses.get(name)
            if clause is not None and clause.concepts:
                found += [f"not so: {_state(fact)}" for fact in self._passed_over(clause, scope)]
        return tuple(dict.fromkeys(found))

    def _missing(self, test: object, scope: Scope, truth: Truth) -> tuple[str, ...]:
        """Plain reasons why the answer is unknown (also of a test that asks for just that)."""
        if truth is not Truth.UNKNOWN:
            return ()
        found: list[str] = []
        names, paths = self._names_in(test)
        for path in paths:
            for bound in scope.bounds(path.name):
                found += _doubt(bound.fact, path.field)
                if bound.truth is Truth.UNKNOWN and path.name not in scope.single:
                    found += self._doubts_of(bound, scope.clauses.get(path.name), scope)
            value = scope.lets.get(path.name)
            if isinstance(value, Missing):
                found.append(value.reason)
        for name in (*names, *(path.name for path in paths)):
            found += scope.unanswered.get(name, ())
        if isinstance(test, syntax.Is) and not test.value.field:
            for bound in scope.bounds(test.value.name):
                found += self._unsure_of(bound.fact, test.words, scope)
        if isinstance(test, syntax.Exists | syntax.No):
            for bound in scope.bounds(test.name):
                found += self._doubts_of(bound, scope.clauses.get(test.name), scope)
        return tuple(dict.fromkeys(found))

    def _doubts_of(self, bound: Bound, clause: FactClause | None, scope: Scope) -> list[str]:
        """Why it is not certain that a fact is what its clause asks for."""
        found = _reasons_of(bound)
        words = (*clause.concepts, *clause.terms, *clause.also) if clause is not None else ()
        found += self._unsure_of(bound.fact, words, scope)
        return found + (self._conditions(clause, bound.fact, scope) if clause is not None else [])

    def _unsure_of(self, fact: Fact, words: Iterable[str], scope: Scope) -> list[str]:
        """Why it is not known whether a fact is this or that; of the words that are open, only."""
        return [
            reason
            for word in words
            if self._expression.word_test(scope, fact, word) is Truth.UNKNOWN
            for reason in scope.sheet.reasons(fact, word)
        ]

    def _conditions(self, clause: FactClause, fact: Fact, scope: Scope) -> list[str]:
        """Why a clause's own conditions are unknown of a fact: its values, or facts they name."""
        found: list[str] = []
        inner = scope.inner({clause.name: Bound(fact, Truth.YES)})
        for condition in clause.where:
            if self._expression.truth(condition.test, inner) is not Truth.UNKNOWN:
                continue
            found += self.reasons(condition.test, inner)
            names, paths = self._names_in(condition.test)
            for other in sorted({*names, *(path.name for path in paths)} - {clause.name}):
                for bound in inner.bounds(other):
                    if bound.truth is Truth.UNKNOWN:
                        found += self._doubts_of(bound, scope.clauses.get(other), scope)
        return found


# What says most of a fact's state, by kind.
_TELLING = {
    "medication": ("exposure", "drafted"),
    "procedure": ("evidence", "start"),
    "condition": ("clinical", "verification"),
    "allergy": ("clinical", "verification"),
    "result": ("status", "date", "value"),
}


def _state(fact: Fact) -> str:
    """A fact with what it is known by: ``drug-a 5 mg (exposure 21 May 2026 to 30 May 2026)``."""
    told = [(name, render(fact.value(name))) for name in _TELLING.get(fact.kind, ())]
    words = ", ".join(f"{name} {text}" for name, text in told if text)
    return f"{fact.name} ({words})" if words else fact.name


def _doubt(fact: Fact, field: str) -> list[str]:
    """Why a property cannot settle a question: it is missing, or known only as a range."""
    if not field:
        return []
    value = fact.value(field)
    if isinstance(value, Missing):
        return [value.reason]
    inexact = (
        (isinstance(value, Moment) and not value.days.certain)
        or (isinstance(value, Count) and value.low != value.high)
        or (isinstance(value, Spans) and any(not span.exact for span in value.spans))
    )
    return [f"{fact.name}: its {field} is only known as {render(value)}"] if inexact else []


def _reasons_of(bound: Bound) -> list[str]:
    value = bound.fact.value("because")
    words = sorted(value.words) if isinstance(value, Words) else []
    return [f"{bound.fact.name}: {word}" for word in words]
