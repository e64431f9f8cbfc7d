"""Sentences compiled into functions, each once per rulebook, when first needed.

A compiled test takes a scope and answers yes, no or unknown; a compiled value gives a value,
Missing with a reason where a part of it is not known. Both are pure: nothing is kept from one scope
to the next. What is explained (``cds.engine.explanation``) is judged by these same functions.
"""

from __future__ import annotations

from collections.abc import Callable

from cds.engine.arithmetic import compared, has_word, matches, ordered, picked, reckoned
from cds.engine.binding import Scope
from cds.engine.fact import Fact
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
    within,
)
from cds.rulebook import syntax
from cds.rulebook.vocabulary import CALL, COVERAGE
from cds.values.truth import Truth, all_of, any_of, known, negate

WordTest = Callable[[Scope, Fact, str], Truth]
Judged = Callable[[Scope], Truth]
Valued = Callable[[Scope], Value]


class Expression:
    """The sentences of one rulebook, ready to be judged.

    ``word_test`` answers ``fact is word`` for terms, flags and value sets.
    """

    def __init__(self, word_test: WordTest) -> None:
        self.word_test = word_test
        # By identity, with the node itself, so that no other can come to have its identity.
        self._tests: dict[int, tuple[object, Judged]] = {}
        self._values: dict[int, tuple[object, Valued]] = {}

    def truth(self, test: object, scope: Scope) -> Truth:
        """Yes, no or unknown."""
        return self.test(test)(scope)

    def value(self, node: syntax.Value, scope: Scope) -> Value:
        """The value; Missing with a reason where a part of it is not known."""
        return self.valued(node)(scope)

    def test(self, test: object) -> Judged:
        """The function of a test. Raises TypeError for what is none."""
        found = self._tests.get(id(test))
        if found is None:
            found = self._tests[id(test)] = test, self._compiled(test)
        return found[1]

    def valued(self, node: syntax.Value) -> Valued:
        """The function of a value."""
        found = self._values.get(id(node))
        if found is None:
            found = self._values[id(node)] = node, self._compiled_value(node)
        return found[1]

    # -- tests ------------------------------------------------------------------------------------

    def _compiled(self, test: object) -> Judged:
        match test:
            case syntax.And(tests):
                return _conjunction(tuple(self.test(item) for item in tests))
            case syntax.Or(tests):
                return _disjunction(tuple(self.test(item) for item in tests))
            case syntax.Not(inner):
                judge = self.test(inner)
                return lambda scope: negate(judge(scope))
            case syntax.CouldBe(inner):
                judge = self.test(inner)
                return lambda scope: known(judge(scope) is not Truth.NO)
            case syntax.Unsure(inner):
                judge = self.test(inner)
                return lambda scope: known(judge(scope) is Truth.UNKNOWN)
            case syntax.Exists(name=name):
                return lambda scope: scope.exists(name)
            case syntax.No(name=name):
                return lambda scope: negate(scope.exists(name))
            case syntax.Every():
                return self._every(test)
            case syntax.Count():
                return _count(test)
            case syntax.Otherwise():
                return lambda _: Truth.YES
            case syntax.Is(value=path) if not path.field and path.name not in CALL:
                return self._is(test)
            case _:
                return self._each(test)

    def _is(self, test: syntax.Is) -> Judged:
        name, wanted, word_test = test.value.name, test.words, self.word_test

        def of(scope: Scope, fact: Fact) -> Truth:
            found = Truth.NO
            for word in wanted:
                truth = word_test(scope, fact, word)
                if truth is Truth.YES:
                    return truth
                if truth is Truth.UNKNOWN:
                    found = truth
            return found

        def judge(scope: Scope) -> Truth:
            single = scope.single.get(name)
            if single is not None:
                return of(scope, single.fact)
            found = any_of(
                min(bound.truth, of(scope, bound.fact)) for bound in scope.sets.get(name, ())
            )
            return _or_unanswered(found, name, scope)

        return judge

    def _every(self, test: syntax.Every) -> Judged:
        name, inner = test.name, self.test(test.test)

        def judge(scope: Scope) -> Truth:
            found = all_of(
                max(negate(bound.truth), inner(scope.narrowed(name, bound)))
                for bound in scope.bounds(name)
            )
            return min(found, Truth.UNKNOWN) if name in scope.unanswered else found

        return judge

    def _each(self, test: object) -> Judged:
        """A test on values: for a set of facts, whether it holds for any of them."""
        compare = self._comparison(test)
        names = tuple(dict.fromkeys(path.name for path in syntax.single_paths(test)))

        def judge(scope: Scope) -> Truth:
            sets = scope.sets
            for name in names:
                if name in sets:
                    found = any_of(
                        min(bound.truth, judge(scope.narrowed(name, bound))) for bound in sets[name]
                    )
                    return _or_unanswered(found, name, scope)
            return compare(scope)

        return judge

    def _comparison(self, test: object) -> Judged:
        value = self.valued
        match test:
            case syntax.Is(value=path, words=wanted):
                of = value(path)
                return lambda scope: has_word(of(scope), wanted)
            case syntax.IsKnown(value=node):
                of = value(node)
                return lambda scope: known(not isinstance(of(scope), Missing | Never))
            case syntax.Compared(node, comparison, bound):
                of, limit = value(node), value(bound)
                return lambda scope: compared(of(scope), comparison, limit(scope))
            case syntax.Between(node, low, high):
                return _between(value(node), value(low), value(high))
            case syntax.Window():
                return self._window(test)
            case syntax.Ordered(node, direction, anchor):
                of, other = value(node), value(anchor)
                return lambda scope: ordered(of(scope), direction, other(scope))
            case syntax.Matches(left, right):
                of, other = value(left), value(right)
                return lambda scope: matches(of(scope), other(scope))
            case syntax.Includes(node, element):
                return _includes(value(node), value(element), element)
            case _:
                raise TypeError(f"not a test: {test!r}")

    def _window(self, test: syntax.Window) -> Judged:
        of, anchor = self.valued(test.value), self.valued(test.anchor)
        low, high = self.valued(test.low), self.valued(test.high)
        backwards = test.direction == "before"
        between = days_between if test.unit == "days" else hours_between

        def judge(scope: Scope) -> Truth:
            value, other = of(scope), anchor(scope)
            if isinstance(value, Never) or isinstance(other, Never):
                return Truth.NO
            if not (isinstance(value, Moment) and isinstance(other, Moment)):
                return Truth.UNKNOWN
            least, most = low(scope), high(scope)
            if not (isinstance(least, Count) and isinstance(most, Count)):
                return Truth.UNKNOWN
            span = between(value, other) if backwards else between(other, value)
            return Truth.UNKNOWN if isinstance(span, Missing) else within(span, least, most)

        return judge

    # -- values -----------------------------------------------------------------------------------

    def _compiled_value(self, node: syntax.Value) -> Valued:
        match node:
            case syntax.Path():
                return _path(node)
            case syntax.Number(number, unit):
                constant = amount(number, unit)
                return lambda _: constant
            case syntax.Arithmetic(left, sign, right):
                first, second = self.valued(left), self.valued(right)
                return lambda scope: reckoned(first(scope), sign, second(scope))
            case syntax.Elapsed(unit, start, end):
                return _elapsed(unit, self.valued(start), self.valued(end))
            case syntax.Picked(pick, path):
                return lambda scope: picked(
                    pick,
                    [bound.fact.value(path.field) for bound in scope.bounds(path.name)],
                    path.text,
                )


def _conjunction(tests: tuple[Judged, ...]) -> Judged:
    def judge(scope: Scope) -> Truth:
        found = Truth.YES
        for test in tests:
            truth = test(scope)
            if truth is Truth.NO:
                return truth
            if truth is Truth.UNKNOWN:
                found = truth
        return found

    return judge


def _disjunction(tests: tuple[Judged, ...]) -> Judged:
    def judge(scope: Scope) -> Truth:
        found = Truth.NO
        for test in tests:
            truth = test(scope)
            if truth is Truth.YES:
                return truth
            if truth is Truth.UNKNOWN:
                found = truth
        return found

    return judge


def _count(test: syntax.Count) -> Judged:
    name, wanted = test.name, test.at_least

    def judge(scope: Scope) -> Truth:
        bounds = scope.bounds(name)
        if sum(bound.truth is Truth.YES for bound in bounds) >= wanted:
            return Truth.YES
        open_ended = name in scope.unanswered
        return Truth.UNKNOWN if open_ended or len(bounds) >= wanted else Truth.NO

    return judge


def _between(of: Valued, low: Valued, high: Valued) -> Judged:
    def judge(scope: Scope) -> Truth:
        value = of(scope)
        return min(compared(value, "at least", low(scope)), compared(value, "at most", high(scope)))

    return judge


def _includes(of: Valued, element: Valued, node: syntax.Value) -> Judged:
    word = (node.text,) if isinstance(node, syntax.Path) else ()

    def judge(scope: Scope) -> Truth:
        value = of(scope)
        if isinstance(value, Spans):
            moment = element(scope)
            return value.contains(moment.days) if isinstance(moment, Moment) else Truth.UNKNOWN
        if isinstance(value, Words) and word:
            return has_word(value, word)
        return Truth.UNKNOWN if isinstance(value, Missing) else Truth.NO

    return judge


def _or_unanswered(found: Truth, name: str, scope: Scope) -> Truth:
    return Truth.UNKNOWN if found is Truth.NO and name in scope.unanswered else found


def _path(path: syntax.Path) -> Valued:
    """A property of a fact, a computed value, or a word of the moment, the call or the pack."""
    name, prop = path.name, path.field or "name"
    elsewhere = _named(path)

    def value(scope: Scope) -> Value:
        single = scope.single.get(name)
        if single is not None:
            return single.fact.value(prop)
        found = scope.lets.get(name)
        return found if found is not None else elsewhere(scope)

    return value


def _named(path: syntax.Path) -> Valued:
    name, prop = path.name, path.field or "name"
    if name == COVERAGE:
        return lambda scope: scope.sheet.coverage(path.field)
    if name in ("today", "now"):
        return lambda scope: scope.sheet.now
    if name in CALL:
        return lambda scope: Words(frozenset({scope.sheet.hook.name}))

    def value(scope: Scope) -> Value:
        number = scope.sheet.number(name)
        if number is not None:
            return number
        bounds = scope.bounds(name)
        return bounds[0].fact.value(prop) if bounds else Missing(f"{path.text} is not known")

    return value


def _elapsed(unit: syntax.Unit, start: Valued, end: Valued) -> Valued:
    between = days_between if unit == "days" else hours_between

    def value(scope: Scope) -> Value:
        first, last = start(scope), end(scope)
        for side in (first, last):
            if isinstance(side, Missing):
                return side
        if not (isinstance(first, Moment) and isinstance(last, Moment)):
            return Missing("there is no such day")
        return between(first, last)

    return value
