"""What one sentence of the rule language becomes when it is changed in the small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from cds.rulebook import syntax
from cds.rulebook.syntax import spoken

_OTHER_PICK: dict[str, syntax.Pick] = {
    "latest": "earliest",
    "earliest": "latest",
    "largest": "smallest",
    "smallest": "largest",
}
_STRICT: dict[str, syntax.Comparison] = {
    "at most": "less than",
    "less than": "at most",
    "at least": "more than",
    "more than": "at least",
}
# Of whole numbers `less than 3` is `at most 2`: only the other direction is a change of its own.
_OTHER_WAY = {"at most": 1, "less than": -1, "at least": -1, "more than": 1}
_WHOLE = frozenset({"", "days", "hours", "a"})


class Names(msgspec.Struct, frozen=True):
    """What the words of a sentence stand for.

    ``sets`` are names of several facts; ``numbers`` those of the pack's parameters, which are
    changed where they are defined; ``other_set`` gives another value set of the same kind, or "".
    """

    sets: frozenset[str]
    numbers: frozenset[str]
    other_set: Callable[[str], str]


N = TypeVar("N", bound=syntax.Test | syntax.Value)


class Change(msgspec.Struct, Generic[N], frozen=True):
    """A changed test or value, with the words that are replaced and where in the sentence."""

    node: N
    before: str
    after: str
    column: int

    @property
    def text(self) -> str:
        return spoken(self.node)


def changed_tests(
    test: syntax.Test, names: Names, *, unknown: bool
) -> Iterator[Change[syntax.Test]]:
    """Every small change of a test, each different from the test and from the others.

    ``unknown``: also the test with its unknown turned to no, where that is another answer.
    """
    more = _unknown_as_no(test) if unknown else ()
    yield from _once(spoken(test), (*_tests(test, names), *more))


def changed_values(value: syntax.Value, names: Names) -> Iterator[Change[syntax.Value]]:
    """Every small change of a computed value."""
    yield from _once(spoken(value), _values(value, names))


def _once(original: str, changes: Iterable[Change[N]]) -> Iterator[Change[N]]:
    seen = {original}
    for change in changes:
        if change.text not in seen:
            seen.add(change.text)
            yield change


def _unknown_as_no(test: syntax.Test) -> tuple[Change[syntax.Test], ...]:
    """The test with its unknown turned to no."""
    new = syntax.Not(syntax.CouldBe(syntax.Not(test)))
    return (Change(new, spoken(test), "(unknown as no)", column(test)),)


# -- tests ---------------------------------------------------------------------------------------


def _tests(test: syntax.Test, names: Names) -> Iterator[Change[syntax.Test]]:
    match test:
        case syntax.And(tests) | syntax.Or(tests):
            yield from _junction(test, tests, names)
        case syntax.Not(inner):
            yield Change(inner, spoken(test), spoken(inner), column(test))
            for change in _tests(inner, names):
                # What turns round within a negation is the negation left out.
                if not isinstance(change.node, syntax.Not) or change.node.test is not inner:
                    yield replace(change, node=syntax.Not(change.node))
        case syntax.CouldBe(inner):
            yield Change(inner, spoken(test), spoken(inner), column(test))
            for change in _tests(inner, names):
                yield replace(change, node=syntax.CouldBe(change.node))
        case syntax.Unsure(inner):
            yield Change(inner, spoken(test), spoken(inner), column(test))
            for change in _tests(inner, names):
                # Whoever is unsure of something is as unsure of its opposite.
                if not isinstance(change.node, syntax.Not) or change.node.test is not inner:
                    yield replace(change, node=syntax.Unsure(change.node))
        case syntax.Otherwise():
            return
        case _:
            yield from _single(test, names)


def _junction(
    test: syntax.And | syntax.Or, tests: tuple[syntax.Test, ...], names: Names
) -> Iterator[Change[syntax.Test]]:
    kind: type[syntax.And | syntax.Or] = type(test)
    other = syntax.Or if kind is syntax.And else syntax.And
    word = "and -> or" if kind is syntax.And else "or -> and"
    before, after = word.split(" -> ")
    yield Change(other(tests), f"{spoken(test)}", f"{before} as {after}", column(tests[0]))
    for number, item in enumerate(tests):
        rest = (*tests[:number], *tests[number + 1 :])
        left = rest[0] if len(rest) == 1 else kind(rest)
        yield Change(left, spoken(item), "(dropped)", column(item))
        for change in _tests(item, names):
            new = (*tests[:number], change.node, *tests[number + 1 :])
            yield replace(change, node=kind(new))


def _single(test: syntax.Test, names: Names) -> Iterator[Change[syntax.Test]]:
    """Changes of a test that holds no other."""
    here = column(test)

    def to(new: syntax.Test) -> Change[syntax.Test]:
        return Change(new, spoken(test), spoken(new), here)

    match test:
        case syntax.Exists(name=name):
            yield to(syntax.No(name, here))
        case syntax.No(name=name):
            yield to(syntax.Exists(name, here))
        case syntax.Count(at_least=number):
            yield to(replace(test, at_least=number + 1))
            if number > 1:
                yield to(replace(test, at_least=number - 1))
        case syntax.Every(test=inner):
            yield to(inner)
            for change in _tests(inner, names):
                if isinstance(change.node, syntax.Is):
                    yield replace(change, node=replace(test, test=change.node))
        case _:
            yield to(syntax.Not(test))
            for new in _related(test, names):
                yield to(new)


def _related(test: syntax.Test, names: Names) -> Iterator[syntax.Test]:
    """Changes of a test on values."""
    match test:
        case syntax.Is():
            yield from _words(test, names)
        case syntax.Compared(value, comparison, bound):
            yield replace(test, comparison=_STRICT[comparison])
            for new in _limits(comparison, bound, names):
                yield replace(test, bound=new)
            for change in _values(value, names):
                yield replace(test, value=change.node)
        case syntax.Between() | syntax.Window():
            yield from _ranges(test, names)
        case syntax.Ordered(value, direction, anchor):
            # The day itself counts too, or no longer.
            other: syntax.Direction = "after" if direction == "before" else "before"
            yield syntax.Not(syntax.Ordered(value, other, anchor))
        case syntax.Matches() | syntax.Includes() | syntax.IsKnown():
            return
        case _:
            return


def _words(test: syntax.Is, names: Names) -> Iterator[syntax.Test]:
    if len(test.words) > 1:
        for number in range(len(test.words)):
            yield replace(test, words=(*test.words[:number], *test.words[number + 1 :]))
    elif other := names.other_set(test.words[0]):
        yield replace(test, words=(other,))
    if not test.value.field and test.value.name in names.sets:
        yield syntax.Every(test.value.name, test, test.column)


def _limits(comparison: str, bound: syntax.Value, names: Names) -> Iterator[syntax.Value]:
    if isinstance(bound, syntax.Number) and _is_whole(bound):
        yield from _shifted(bound, _OTHER_WAY[comparison])
        return
    yield from (change.node for change in _values(bound, names))


def _ranges(test: syntax.Between | syntax.Window, names: Names) -> Iterator[syntax.Test]:
    for low in _end(test.low, names):
        if not _is_empty(low, test.high):
            yield replace(test, low=low)
    for high in _end(test.high, names):
        if not _is_empty(test.low, high):
            yield replace(test, high=high)


def _is_empty(low: syntax.Value, high: syntax.Value) -> bool:
    both = isinstance(low, syntax.Number) and isinstance(high, syntax.Number)
    return both and low.value > high.value  # type: ignore[union-attr]


def _end(end: syntax.Value, names: Names) -> Iterator[syntax.Value]:
    """The end of a range a step further, and a step less far."""
    if isinstance(end, syntax.Number):
        yield from _shifted(end, 1)
        yield from _shifted(end, -1)
    elif isinstance(end, syntax.Path) and end.text not in names.numbers:
        one = syntax.Number(Decimal(1), "", end.column)
        yield syntax.Arithmetic(end, "+", one)
        yield syntax.Arithmetic(end, "-", one)
    else:
        yield from (change.node for change in _values(end, names))


def _is_whole(number: syntax.Number) -> bool:
    return number.unit in _WHOLE and number.value == number.value.to_integral_value()


# -- values --------------------------------------------------------------------------------------


def step_of(value: Decimal, unit: str) -> Decimal:
    """The smallest meaningful step of a number: one of what is counted, else its last digit."""
    if unit in _WHOLE:
        return Decimal(1)
    exponent = value.as_tuple().exponent
    return Decimal(1).scaleb(min(exponent, 0) if isinstance(exponent, int) else 0)


def _shifted(number: syntax.Number, steps: int) -> Iterator[syntax.Value]:
    value = number.value + steps * step_of(number.value, number.unit)
    if value >= 0:
        yield replace(number, value=value)
    elif number.unit in _WHOLE:
        # There are no negative numbers in the language; nought less one is one.
        yield syntax.Arithmetic(number, "-", replace(number, value=-value))


def _values(value: syntax.Value, names: Names) -> Iterator[Change[syntax.Value]]:
    """The value with one of its numbers a step up or down, or another one picked."""
    match value:
        case syntax.Number():
            for steps in (1, -1):
                for new in _shifted(value, steps):
                    yield Change(new, spoken(value), spoken(new), value.column)
        case syntax.Arithmetic(left, _, right):
            for change in _values(left, names):
                yield replace(change, node=replace(value, left=change.node))
            for change in _values(right, names):
                if not isinstance(change.node, syntax.Arithmetic):
                    yield replace(change, node=replace(value, right=change.node))
        case syntax.Elapsed(start=start, end=end):
            for change in _values(start, names):
                yield replace(change, node=replace(value, start=change.node))
            for change in _values(end, names):
                yield replace(change, node=replace(value, end=change.node))
        case syntax.Picked(pick, path) if pick in _OTHER_PICK:
            new_pick = replace(value, pick=_OTHER_PICK[pick])
            yield Change(new_pick, spoken(value), spoken(new_pick), path.column)
        case _:
            return


def column(node: object) -> int:
    """Where a test or value begins in its sentence, as near as its words tell."""
    found = [path.column for path in syntax.paths(node)]
    found += [column for _, column in syntax.names(node)]
    return min(found, default=0)
