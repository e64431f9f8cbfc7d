"""Three-valued truth (strong Kleene logic): no < unknown < yes, so *and* is min and *or* is max."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NoReturn


class Truth(IntEnum):
    """Whether something holds of a patient, as far as the record tells."""

    NO = 0
    UNKNOWN = 1
    YES = 2

    @property
    def label(self) -> str:
        """The word for people and for JSON: ``no``, ``unknown`` or ``yes``."""
        return self.name.lower()

    def __bool__(self) -> NoReturn:
        # The trap: as an int, UNKNOWN is truthy, so that `if truth:` would turn unknown into yes.
        raise TypeError("a Truth has three values: compare it (`is Truth.YES`), it is no condition")


def all_of(truths: Iterable[Truth]) -> Truth:
    """The conjunction: the least certain of ``truths``; YES when there are none.

    Stops at the first NO: no later one can change the answer.
    """
    found = Truth.YES
    for truth in truths:
        if truth is Truth.NO:
            return truth
        if truth is Truth.UNKNOWN:
            found = truth
    return found


def any_of(truths: Iterable[Truth]) -> Truth:
    """The disjunction: the most certain of ``truths``; NO when there are none.

    Stops at the first YES: no later one can change the answer.
    """
    found = Truth.NO
    for truth in truths:
        if truth is Truth.YES:
            return truth
        if truth is Truth.UNKNOWN:
            found = truth
    return found


_NEGATED = (Truth.YES, Truth.UNKNOWN, Truth.NO)


def negate(truth: Truth) -> Truth:
    """The negation: YES and NO change places, UNKNOWN stays unknown."""
    return _NEGATED[truth]


def known(flag: bool) -> Truth:
    """YES or NO for something that is known."""
    return Truth.YES if flag else Truth.NO
