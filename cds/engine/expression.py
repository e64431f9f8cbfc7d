"""Sentences compiled into tests and values, once per rulebook.

A compiled test judges (`truth`) and explains (`explain`); both read the same facts, so what is
explained is what was judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cds.engine.arithmetic import compared, has_word, matches, ordered, picked, reckoned
from cds.engine.binding import Bound, Scope
from cds.engine.fact import Fact
from cds.engine.trace import Step
from cds.engine.value import (
    Count,
    Missing,
    Moment,
    Never,
    Spans,
    Value,
    Words,
    amount,
    days_between,
    hours_between,
    render,
    within,
)
from cds.rulebook import syntax
from cds.rulebook.vocabulary import CALL, COVERAGE
from cds.values.truth import Truth, all_of, any_of, known, negate

WordTest = Callable[[Scope, Fact, str], Truth]


@dataclass(frozen=True, slots=True)
class Expression:
    """A test or value in the author's words, ready to be judged.

    ``word_test`` answers ``fact is word`` for terms, flags and value sets.
    """

    word_test: WordTest

    # -- tests ------------------------------------------------------------------------------------

    def truth(self, test: object, scope: Scope) -> Truth:
        """Yes, no or unknown."""
        match test:
            case syntax.And(tests):
                return all_of(self.truth(item, scope) for item in tests)
            case syntax.Or(tests):
                return any_of(self.truth(item, scope) for item in tests)
            case syntax.Not(inner):
                return negate(self.truth(inner, scope))
            case syntax.Is():
                return self._is(test, scope)
            case syntax.Exists(name=name):
                return scope.exists(name)
            case syntax.No(name=name):
                return negate(scope.exists(name))
            case syntax.CouldBe(inner):
                return known(self.truth(inner, scope) is not Truth.NO)
            case syntax.Unsure(inner):
                return known(self.truth(inner, scope) is Truth.UNKNOWN)
            case syntax.Every():
                return self._every(test, scope)
            case syntax.Count():
                return self._count(test, scope)
            case syntax.Otherwise():
                return Truth.YES
            case _:
                return self._each(test, scope)

    def _each(self, test: object, scope: Scope) -> Truth:
        """A test on values: for a set of facts, whether it holds for any of them."""
        name = next(
            (path.name for path in syntax.single_paths(test) if path.name in scope.sets), None
        )
        if name is None:
            return self._compare(test, scope)
        found = [
            min(bound.truth, self._each(test, _narrowed(scope, name, bound)))
            for bound in scope.sets[name]
        ]
        return _any_or_unanswered(found, name, scope)

    def _is(self, test: syntax.Is, scope: Scope) -> Truth:
        path = test.value
        if path.field or path.name in CALL:
            return self._each(test, scope)
        single = scope.single.get(path.name)
        if single is not None:
            return any_of(self.word_test(scope, single.fact, word) for word in test.words)
        found = [
            min(bound.truth, any_of(self.word_test(scope, bound.fact, word) for word in test.words))
            for bound in scope.sets.get(path.name, ())
        ]
        return _any_or_unanswered(found, path.name, scope)

    def _every(self, test: syntax.Every, scope: Scope) -> Truth:
        found = all_of(
            max(negate(bound.truth), self.truth(test.test, _narrowed(scope, test.name, bound)))
            for bound in scope.bounds(test.name)
        )
        return min(found, Truth.UNKNOWN) if test.name in scope.unanswered else found

    def _count(self, test: syntax.Count, scope: Scope) -> Truth:
        bounds = scope.bounds(test.name)
        if sum(bound.truth is Truth.YES for bound in bounds) >= test.at_least:
            return Truth.YES
        open_ended = test.name in scope.unanswered
        return Truth.UNKNOWN if open_ended or len(bounds) >= test.at_least else Truth.NO

    def _compare(self, test: object, scope: Scope) -> Truth:
        match test:
            case syntax.Is(value=path, words=wanted):
                return has_word(self.value(path, scope), wanted)
            case syntax.IsKnown(value=value):
                return known(not isinstance(self.value(value, scope), Missing | Never))
            case syntax.Compared(value, comparison, bound):
                return compared(self.value(value, scope), comparison, self.value(bound, scope))
            case syntax.Between(value, low, high):
                found = self.value(value, scope)
                return min(
                    compared(found, "at least", self.value(low, scope)),
                    compared(found, "at most", self.value(high, scope)),
                )
            case syntax.Window():
                return self._window(test, scope)
            case syntax.Ordered(value, direction, anchor):
                return ordered(self.value(value, scope), direction, self.value(anchor, scope))
            case syntax.Matches(left, right):
                return matches(self.value(left, scope), self.value(right, scope))
            case syntax.Includes(value, element):
                return self._includes(self.value(value, scope), element, scope)
            case _:
                raise TypeError(f"not a test: {test!r}")

    def _window(self, test: syntax.Window, scope: Scope) -> Truth:
        value, anchor = self.value(test.value, scope), self.value(test.anchor, scope)
        low, high = self.value(test.low, scope), self.value(test.high, scope)
        if any(isinstance(item, Never) for item in (value, anchor)):
            return Truth.NO
        if not (isinstance(value, Moment) and isinstance(anchor, Moment)):
            return Truth.UNKNOWN
        if not (isinstance(low, Count) and isinstance(high, Count)):
            return Truth.UNKNOWN
        start, end = (value, anchor) if test.direction == "before" else (anchor, value)
        between = days_between(start, end) if test.unit == "days" else hours_between(start, end)
        return Truth.UNKNOWN if isinstance(between, Missing) else within(between, low, high)

    def _includes(self, value: Value, element: syntax.Value, scope: Scope) -> Truth:
        if isinstance(value, Spans):
            moment = self.value(element, scope)
            return value.contains(moment.days) if isinstance(moment, Moment) else Truth.UNKNOWN
        if isinstance(value, Words) and isinstance(element, syntax.Path):
            return has_word(value, (element.text,))
        return Truth.UNKNOWN if isinstance(value, Missing) else Truth.NO

    # -- values -----------------------------------------------------------------------------------

    def value(self, node: syntax.Value, scope: Scope) -> Value:
        """The value; Missing with a reason where a part of it is not known."""
        match node:
            case syntax.Path():
                return self._path(node, scope)
            case syntax.Number(value, unit):
                return amount(value, unit)
            case syntax.Arithmetic(left, sign, right):
                return reckoned(self.value(left, scope), sign, self.value(right, scope))
            case syntax.Elapsed(unit, start, end):
                return self._elapsed(unit, self.value(start, scope), self.value(end, scope))
            case syntax.Picked(pick, path):
                values = [bound.fact.value(path.field) for bound in scope.bounds(path.name)]
                return picked(pick, values, path.text)

    def _path(self, path: syntax.Path, scope: Scope) -> Value:
        sheet = scope.sheet
        bounds = scope.bounds(path.name)
        if path.name in scope.single:
            return bounds[0].fact.value(path.field or "name")
        if path.name in scope.lets:
            return scope.lets[path.name]
        if path.name == COVERAGE:
            return sheet.coverage(path.field)
        if path.name in ("today", "now"):
            now = sheet.clock.now
            return Moment(sheet.clock.today, now, now)
        if path.name in CALL:
            return Words(frozenset({sheet.hook.name}))
        number = sheet.number(path.name)
        if number is not None:
            return number
        return (
            Missing(f"{path.text} is not known")
            if not bounds
            else bounds[0].fact.value(path.field or "name")
        )

    def _elapsed(self, unit: str, start: Value, end: Value) -> Value:
        for side in (start, end):
            if isinstance(side, Missing):
                return side
        if not (isinstance(start, Moment) and isinstance(end, Moment)):
            return Missing("there is no such day")
        return days_between(start, end) if unit == "days" else hours_between(start, end)

    # -- explanation ------------------------------------------------------------------------------

    def explain(self, test: object, scope: Scope, text: str = "") -> Step:
        """What was judged, down to the facts: truth, the facts behind it, and what is missing."""
        truth = self.truth(test, scope)
        match test:
            case syntax.And(tests) | syntax.Or(tests):
                steps = tuple(self.explain(item, scope) for item in tests)
                return Step(
                    text or ("all of" if isinstance(test, syntax.And) else "any of"), truth, steps
                )
            case syntax.Not(inner) | syntax.CouldBe(inner) | syntax.Unsure(inner):
                words = {
                    syntax.Not: "not",
                    syntax.CouldBe: "could be",
                    syntax.Unsure: "unsure whether",
                }
                return Step(text or words[type(test)], truth, (self.explain(inner, scope),))
            case _:
                return self._leaf(test, scope, truth, text)

    def _leaf(self, test: object, scope: Scope, truth: Truth, text: str) -> Step:
        names = dict.fromkeys(
            [name for name, _ in syntax.names(test)] + [path.name for path in syntax.paths(test)]
        )
        bounds = [bound for name in names for bound in scope.bounds(name)]
        sources = tuple(
            dict.fromkeys(str(source) for bound in bounds for source in bound.fact.sources)
        )
        values = self._values(test, scope)
        missing = self._missing(test, scope, truth, bounds)
        return Step(text or syntax.spoken(test), truth, (), sources, values, missing)

    def _values(self, test: object, scope: Scope) -> tuple[str, ...]:
        found = []
        for path in syntax.paths(test):
            if path.field and len(scope.bounds(path.name)) == 1:
                value = scope.bounds(path.name)[0].fact.value(path.field)
                found.append(f"{path.text} = {render(value)}")
            elif path.name in scope.lets:
                found.append(f"{path.name} = {render(scope.lets[path.name])}")
        for name, _ in syntax.names(test):
            found += [f"not so: {_state(fact)}" for fact in scope.passed.get(name, ())]
        return tuple(dict.fromkeys(found))

    def _missing(
        self, test: object, scope: Scope, truth: Truth, bounds: list[Bound]
    ) -> tuple[str, ...]:
        """Plain reasons why the answer is unknown (also of a test that asks for just that)."""
        if truth is not Truth.UNKNOWN:
            return ()
        found: list[str] = []
        for path in syntax.paths(test):
            for bound in scope.bounds(path.name):
                found += _doubt(bound.fact, path.field)
            value = scope.lets.get(path.name)
            if isinstance(value, Missing):
                found.append(value.reason)
        for name, _ in [*syntax.names(test), *((path.name, 0) for path in syntax.paths(test))]:
            found += scope.unanswered.get(name, ())
        if isinstance(test, syntax.Is) and not test.value.field:
            for bound in bounds:
                for word in test.words:
                    found += scope.sheet.reasons(bound.fact, word)
        if isinstance(test, syntax.Exists):
            for bound in bounds:
                found += _reasons_of(bound)
                for word in scope.states.get(test.name, ()):
                    if self.word_test(scope, bound.fact, word) is Truth.UNKNOWN:
                        found += scope.sheet.reasons(bound.fact, word)
        return tuple(dict.fromkeys(found))


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
    inexact = (isinstance(value, Moment) and not value.days.certain) or (
        isinstance(value, Count) and value.low != value.high
    )
    return [f"{fact.name}: its {field} is only known as {render(value)}"] if inexact else []


def _reasons_of(bound: Bound) -> list[str]:
    value = bound.fact.value("because")
    words = sorted(value.words) if isinstance(value, Words) else []
    return [f"{bound.fact.name}: {word}" for word in words]


def _narrowed(scope: Scope, name: str, bound: Bound) -> Scope:
    inner = scope.inner({name: bound})
    inner.sets = {other: found for other, found in scope.sets.items() if other != name}
    return inner


def _any_or_unanswered(found: list[Truth], name: str, scope: Scope) -> Truth:
    truth = any_of(found)
    return Truth.UNKNOWN if truth is Truth.NO and name in scope.unanswered else truth
