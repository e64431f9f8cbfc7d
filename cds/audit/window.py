"""The stretches of days that matter for a finding: those that its rule's own sentences measure.

``it.end is 0 to it.look-back days before today``, ``days from today to it.start is at most
hold-days`` and ``first: operation.start - hold-days`` each name two days. They are looked up in the
words that the rule's clauses ask for, in its tests and in what it computes, and worked out for what
the finding is bound to, by the functions that judged it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import TypeGuard

import msgspec

from cds.engine.binding import Scope
from cds.engine.fact import Bound
from cds.engine.finding import Finding, Review
from cds.engine.review import evaluator
from cds.engine.sheet import Sheet
from cds.engine.value import Count, Moment, Value, render
from cds.rulebook import syntax
from cds.rulebook.model import Rule, Rulebook
from cds.values.moment import DayRange
from cds.values.truth import Truth

_MOST_BOUNDS = 3
_LONGEST_NAME = 60
_ENDLESS = (date.min, date.max)
_ZERO = Decimal(0)


class Window(msgspec.Struct, frozen=True):
    """Days from ``start`` to ``end``, both included, and what they are, in words.

    ``kind`` is "window" for one that a test asks for, "span" for days that a rule counts, and "day"
    for one that it works out.
    """

    kind: str
    start: DayRange
    end: DayRange
    label: str


class _Asked(msgspec.Struct, frozen=True):
    """A test that measures days. ``word``: the pack's word that says so, of facts of ``clause``."""

    clause: str
    word: str
    test: syntax.Test


def windows(finding: Finding, review: Review, rulebook: Rulebook) -> Iterator[Window]:
    """What a finding's rule measures, most telling first; nothing where it asks for no days."""
    meanings = evaluator(rulebook).meanings
    sheet = Sheet(review.chart, rulebook, review.hook, review.clock, meanings)
    whole = Scope(sheet, {name: found[0] for name, found in finding.bound.items() if found})
    whole.lets = dict(finding.lets)
    view = _View(whole, {let.name: let.value for let in finding.rule.lets})
    for asked in _asked_by(rulebook).get(finding.rule.id, ()):
        if not asked.clause:
            yield from view.of_test(asked.word, asked.test)
            continue
        for bound in finding.bound.get(asked.clause, ())[:_MOST_BOUNDS]:
            yield from view.about(bound).of_test(asked.word, asked.test)
    for kind in ("window", "span", "day"):
        for let in finding.rule.lets:
            yield from (item for item in view.of_let(let.name, let.value) if item.kind == kind)


@lru_cache(maxsize=8)
def _asked_by(rulebook: Rulebook) -> Mapping[str, tuple[_Asked, ...]]:
    """The tests of each rule that measure days, its words first (by identity of the rulebook)."""
    return {rule.id: tuple(_asked(rule, rulebook)) for rule in rulebook.rules}


def _asked(rule: Rule, rulebook: Rulebook) -> Iterator[_Asked]:
    for clause in rule.facts:
        definition = rulebook.definitions.get(clause.kind)
        for word in (*clause.terms, *clause.also) if definition is not None else ():
            term = definition.terms.get(word) if definition is not None else None
            if term is not None and _measures(term.means.test):
                yield _Asked(clause.name, word, term.means.test)
    for sentence in (*(item for clause in rule.facts for item in clause.where), *rule.when):
        if _measures(sentence.test):
            yield _Asked("", "", sentence.test)


def _measures(test: object) -> bool:
    return any(
        isinstance(node, syntax.Window | syntax.Between | syntax.Compared)
        for node in syntax.nodes(test)
    )


class _View:
    """Sentences seen from one finding. ``formulas`` are what the rule's names stand for."""

    def __init__(self, scope: Scope, formulas: Mapping[str, syntax.Value]) -> None:
        self.scope, self.formulas = scope, formulas
        self._expression = evaluator(scope.sheet.rulebook).meanings.expression

    def about(self, bound: Bound) -> _View:
        """The same for a sentence about ``it``."""
        return _View(self.scope.inner({"it": bound}), self.formulas)

    def value(self, node: syntax.Value) -> Value:
        return self._expression.value(node, self.scope)

    def of_test(self, word: str, test: syntax.Test) -> Iterator[Window]:
        """The windows of the parts of a test that hold, or may; not of what stands under a not."""
        if self._expression.truth(test, self.scope) is Truth.NO:
            return
        match test:
            case syntax.And(tests) | syntax.Or(tests):
                for item in tests:
                    yield from self.of_test(word, item)
            case syntax.CouldBe(inner) | syntax.Unsure(inner):
                yield from self.of_test(word, inner)
            case syntax.Window() | syntax.Between() | syntax.Compared():
                found = self._window(word, test)
                if found is not None:
                    yield found

    def _window(self, word: str, test: syntax.Test) -> Window | None:
        match test:
            case syntax.Window(_, low, high, unit, direction, anchor):
                return self._beside(word, low, high, unit, direction == "before", anchor)
            case syntax.Between(value, low, high):
                elapsed = self._elapsed(value)
                if elapsed is not None:
                    return self._beside(word, low, high, elapsed.unit, True, elapsed.end)
            case syntax.Compared(value, "at most" | "less than", bound):
                elapsed = self._elapsed(value)
                if elapsed is not None:
                    return self._beside(word, None, bound, elapsed.unit, True, elapsed.end)
        return None

    def _elapsed(self, value: syntax.Value) -> syntax.Elapsed | None:
        if isinstance(value, syntax.Path) and not value.field:
            value = self.formulas.get(value.name, value)
        return value if isinstance(value, syntax.Elapsed) else None

    def _beside(
        self,
        word: str,
        low: syntax.Value | None,
        high: syntax.Value,
        unit: str,
        before: bool,
        anchor: syntax.Value,
    ) -> Window | None:
        """The days from ``low`` to ``high`` before or after a day."""
        at, least, most = self.value(anchor), Count(_ZERO, _ZERO), self.value(high)
        if low is not None:
            found = self.value(low)
            least = found if isinstance(found, Count) else least
        if not (isinstance(at, Moment) and isinstance(most, Count)) or not _is_real(at):
            return None
        near, far = _days(least, unit), _days(most, unit)
        start, end = (at.days - far, at.days - near) if before else (at.days + near, at.days + far)
        length = f"{render(least)} to " if near else "up to "
        said = f"{length}{_counted(most, unit)}{self._parameter(high)}"
        said += " before" if before else " after"
        name = f"{word.replace('-', ' ')}: " if word else ""
        return Window("window", start, end, f"{name}{said} {self._named(anchor)}")

    def _parameter(self, node: syntax.Value) -> str:
        """`` (look-back)`` for a number that the pack has a name for."""
        if not isinstance(node, syntax.Path):
            return ""
        return f" ({node.field or node.name})"

    def of_let(self, name: str, node: syntax.Value) -> Iterator[Window]:
        """What a computed value spans: days that are counted, or those from a day to another."""
        value = self.scope.lets.get(name)
        if isinstance(node, syntax.Elapsed):
            start, end = self.value(node.start), self.value(node.end)
            if isinstance(value, Count) and _is_real(start) and _is_real(end):
                said = f"{_counted(value, node.unit)} from {self._named(node.start)}"
                yield _ordered("span", start, end, f"{said} to {self._named(node.end)}")
        elif isinstance(value, Moment) and _is_real(value):
            base = _base(node)
            at = self.value(base)
            if base is node or not _is_real(at):
                yield Window("day", value.days, value.days, f"{name}: {self._named(node)}")
                return
            days = abs((value.days.earliest - at.days.earliest).days)
            side = "before" if value.days.earliest < at.days.earliest else "after"
            said = f"{name}: {_plural(days, 'days')} {side} {self._named(base)}"
            yield _ordered("window", at, value, said)

    def _named(self, node: syntax.Value) -> str:
        """A day in words: the day judged for, or what a name is bound to with its property."""
        if isinstance(node, syntax.Picked):
            return self._named(node.path)
        if not isinstance(node, syntax.Path):
            return syntax.spoken(node)
        if node.name in ("today", "now"):
            return "the day judged for"
        if node.name in self.formulas and not node.field:
            return self._named(self.formulas[node.name])
        bound = self.scope.single.get(node.name)
        if bound is None or not node.field:
            return node.text
        return f"{_short(bound.fact.name)} ({node.field})"


def _base(node: syntax.Value) -> syntax.Value:
    """The day that a sum of days begins with."""
    while isinstance(node, syntax.Arithmetic) and node.sign != "×":
        node = node.left
    return node


def _days(count: Count, unit: str) -> int:
    """Whole days; hours take up the days that they lie in."""
    return int(count.high) if unit == "days" else -(-int(count.high) // 24)


def _counted(count: Count, unit: str) -> str:
    return _plural(render(count), unit)


def _plural(number: object, unit: str) -> str:
    """``3 days``, ``1 day``."""
    return f"{number} {unit.removesuffix('s') if str(number) == '1' else unit}"


def _ordered(kind: str, one: Moment, other: Moment, label: str) -> Window:
    first, last = sorted((one.days, other.days), key=lambda days: (days.earliest, days.latest))
    return Window(kind, first, last, label)


def _is_real(value: Value) -> TypeGuard[Moment]:
    """Whether it is a day that comes, and not one that stands for never or always."""
    return (
        isinstance(value, Moment)
        and value.days.earliest not in _ENDLESS
        and value.days.latest not in _ENDLESS
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"
