"""Kleene tables, held against their definition: what every way of settling the unknowns says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.values.truth import Truth, all_of, any_of, known, negate

TRUTHS = st.sampled_from(Truth)

SETTLED = {Truth.NO: (False,), Truth.UNKNOWN: (False, True), Truth.YES: (True,)}


def settle(decide: Callable[[Iterable[bool]], bool], truths: Sequence[Truth]) -> Truth:
    """What `decide` says whichever way each unknown turns out; unknown when that differs."""
    outcomes = {decide(choice) for choice in product(*(SETTLED[truth] for truth in truths))}
    return known(outcomes.pop()) if len(outcomes) == 1 else Truth.UNKNOWN


@given(st.lists(TRUTHS, max_size=6))
def test_all_of_is_what_every_settling_says(truths: list[Truth]) -> None:
    assert all_of(truths) is settle(all, truths)


@given(st.lists(TRUTHS, max_size=6))
def test_any_of_is_what_every_settling_says(truths: list[Truth]) -> None:
    assert any_of(truths) is settle(any, truths)


@pytest.mark.parametrize("truth", Truth)
def test_negation_is_what_every_settling_says(truth: Truth) -> None:
    assert negate(truth) is settle(lambda choice: not any(choice), [truth])
    assert negate(negate(truth)) is truth


@given(st.lists(TRUTHS, max_size=6))
def test_de_morgan(truths: list[Truth]) -> None:
    assert negate(all_of(truths)) is any_of(negate(truth) for truth in truths)


def test_nothing_to_hold_holds_and_nothing_to_choose_from_does_not() -> None:
    assert all_of([]) is Truth.YES
    assert any_of([]) is Truth.NO


def test_labels() -> None:
    assert [truth.label for truth in Truth] == ["no", "unknown", "yes"]


@pytest.mark.parametrize("truth", Truth)
def test_a_truth_is_no_condition(truth: Truth) -> None:
    with pytest.raises(TypeError, match="three values"):
        bool(truth)
