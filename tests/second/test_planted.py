"""Bugs planted on purpose in either engine's logic: the comparison finds every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from cds.engine import binding, combination, expression, meaning, review
from cds.engine.binding import Scope
from cds.second import delivery, network, plan, planes, wiring
from cds.second.formula import Any as AnyOf
from cds.second.formula import Enough, Formula, Row, Without
from cds.second.planes import Planes
from cds.values.truth import Truth, any_of
from tests.second.durable import differences, needs_durable
from tests.second.durable import engine as second
from tests.second.generated import pack
from tests.second.test_agreement import made

pytestmark = needs_durable

Patch = Callable[[pytest.MonkeyPatch], None]


def patched(where: Any, name: str, value: Any) -> Patch:
    return lambda patch: patch.setattr(where, name, value)


def first_word(truths: Iterable[Truth]) -> Truth:
    return next(iter(truths), Truth.NO)


def certain(truths: Iterable[Truth]) -> Truth:
    """Unknown as no."""
    return Truth.YES if any_of(truths) is Truth.YES else Truth.NO


def with_formula(change: Callable[[Formula], Formula]) -> Patch:
    """Every formula of a rule's tests is changed before it becomes rows."""
    original = network.Builder.conclude

    def conclude(self: network.Builder, names: tuple[str, ...], formula: Formula) -> int:
        return original(self, names, deep(change, formula))

    return patched(network.Builder, "conclude", conclude)


def deep(change: Callable[[Formula], Formula], formula: Formula) -> Formula:
    match formula:
        case Row() | Enough():
            return change(formula)
        case Without(name, inner):
            return change(Without(name, deep(change, inner)))
    parts = getattr(formula, "parts", None)
    if parts is not None:
        return change(type(formula)(tuple(deep(change, part) for part in parts)))  # type: ignore[call-arg, arg-type]
    return formula


def without_joins(row: Row, places: dict[str, tuple[str, str]]) -> dict[str, object]:
    return PATTERN(row, {})


BINDING = plan._binding
PATTERN = wiring._pattern
LIMITED = planes.limited
CLAUSE = delivery.Delivery.clause
RULE = delivery.Delivery._rule
FORMULA = Planes.formula
EACH = delivery.Delivery.each


def not_swapped(self: Planes, test: Any, *, upper: bool, positive: bool = True) -> Formula:
    """A negation that stays in its plane: what may be no is taken for no."""
    return FORMULA(self, test, upper=upper if positive else not upper, positive=positive)


def go_first(self: Any, *args: Any) -> Any:
    return sorted(RULE(self, *args), key=lambda row: bool(row[1] or row[2]))


def one_more(formula: Formula) -> Formula:
    return replace(formula, number=formula.number + 1) if isinstance(formula, Enough) else formula


def first_part(formula: Formula) -> Formula:
    return formula.parts[0] if isinstance(formula, AnyOf) and formula.parts else formula


def one_way(self: Any, *args: Any) -> Any:
    """Only the first of what the last name stands for is joined."""
    rows = EACH(self, *args)
    return rows[:-2]


IN_DURABLE: dict[str, Patch] = {
    "joins are not made": patched(wiring, "_pattern", without_joins),
    "a negation stays in its plane": patched(Planes, "formula", not_swapped),
    "silence is an answer": patched(Planes, "_or_unanswered", lambda _, found, *__: found),
    "what may be is what is": patched(
        planes, "limited", lambda row, upper, positive, column=0: LIMITED(row, True, positive, column)
    ),
    "a go comes first": patched(delivery.Delivery, "_rule", go_first),
    "a count is one too high": with_formula(one_more),
    "of alternatives the first counts": with_formula(first_part),
    "what is excluded is not looked at": patched(
        plan, "_binding", lambda clause, *args, **more: BINDING(replace(clause, excluded=()), *args, **more)
    ),
    "rows are lost": patched(delivery.Delivery, "each", one_way),
}  # fmt: skip


def exists(self: Scope, name: str) -> Truth:
    return any_of(bound.truth for bound in self.bounds(name))


def some_bindings(*args: Any) -> Any:
    return islice(BINDINGS(*args), 1)


BINDINGS = combination.combinations
IN_REFERENCE: dict[str, Patch] = {
    "joins stop at the first": patched(review, "combinations", some_bindings),
    "not unknown is yes": patched(
        expression, "negate", lambda truth: Truth.NO if truth is Truth.YES else Truth.YES
    ),
    "silence is an answer": patched(binding.Scope, "exists", exists),
    "silence is an answer to a test": patched(
        expression, "_or_unanswered", lambda found, *_: found
    ),
    "of a set unknown is no": patched(expression, "any_of", certain),
    "every is any": patched(expression, "all_of", any_of),
    "of a binding the concept is enough": patched(
        meaning.Meanings, "_in_state", lambda self, clause, scope, fact: Truth.YES
    ),
}


@pytest.fixture(scope="module")
def numbers() -> tuple[int, ...]:
    """Packs that show them all, within a few charts."""
    return tuple(range(63, 72))


def found(numbers: Iterable[int]) -> bool:
    for number in numbers:
        chance = Random(number)
        with second(pack(chance)) as by:
            if any("disagree" in text for text in differences(made(chance, 12), by)):
                return True
    return False


@pytest.mark.parametrize("bug", IN_DURABLE)
def test_a_bug_in_the_second_engine_is_found(
    bug: str, numbers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    IN_DURABLE[bug](monkeypatch)
    assert found(numbers)


@pytest.mark.parametrize("bug", IN_REFERENCE)
def test_a_bug_in_the_first_engine_is_found(
    bug: str, numbers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    IN_REFERENCE[bug](monkeypatch)
    assert found(numbers)


def test_without_a_bug_nothing_is_found(numbers: tuple[int, ...]) -> None:
    assert not found(numbers[:3])
