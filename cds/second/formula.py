"""Formulas without *not*: what a two-valued engine can match, over rows with small columns.

A negation is pushed down to the columns while a formula is made; what is left of it is a
``Without`` (nothing such is there) and a ``Fewer``. Every formula is hashable: equal ones are one
cell.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Bound(msgspec.Struct, frozen=True):
    """A limit that a column keeps: at least, or at most, a value."""

    column: int
    at_least: bool
    value: int


class Row(msgspec.Struct, frozen=True):
    """There is a row of a table for these names; of each group of limits one is kept."""

    table: int
    names: tuple[str, ...]
    limits: tuple[tuple[Bound, ...], ...] = ()


class All(msgspec.Struct, frozen=True):
    """Each part holds; true without parts."""

    parts: tuple[Formula, ...]


class Any(msgspec.Struct, frozen=True):
    """A part holds; false without parts."""

    parts: tuple[Formula, ...]


class Some(msgspec.Struct, frozen=True):
    """Something that the name can stand for makes the inner formula hold."""

    name: str
    inner: Formula


class Without(msgspec.Struct, frozen=True):
    """Nothing that the name can stand for makes the inner formula hold."""

    name: str
    inner: Formula


class Enough(msgspec.Struct, frozen=True):
    """At least ``number`` rows (two or more) are there."""

    number: int
    row: Row


class Fewer(msgspec.Struct, frozen=True):
    """Fewer than ``number`` rows are there."""

    number: int
    row: Row


Formula = Row | All | Any | Some | Without | Enough | Fewer

TRUE, FALSE = All(()), Any(())


def all_of(parts: Iterable[Formula]) -> Formula:
    """The conjunction, flat and without what says nothing."""
    found: dict[Formula, None] = {}
    for part in parts:
        if part == FALSE:
            return FALSE
        found |= dict.fromkeys(part.parts if isinstance(part, All) else (part,))
    return next(iter(found)) if len(found) == 1 else All(tuple(found))


def any_of(parts: Iterable[Formula]) -> Formula:
    """The disjunction, flat and without what cannot hold."""
    found: dict[Formula, None] = {}
    for part in parts:
        if part == TRUE:
            return TRUE
        found |= dict.fromkeys(part.parts if isinstance(part, Any) else (part,))
    return next(iter(found)) if len(found) == 1 else Any(tuple(found))


def some(name: str, inner: Formula) -> Formula:
    """Some such thing; false where the inner formula cannot hold."""
    return FALSE if inner == FALSE else Some(name, inner)


def without(name: str, inner: Formula) -> Formula:
    """No such thing; true where the inner formula cannot hold."""
    return TRUE if inner == FALSE else Without(name, inner)


def free(formula: Formula) -> tuple[str, ...]:
    """The names that a formula speaks of, in the order of their first mention."""
    match formula:
        case Row(names=names):
            return names
        case All(parts) | Any(parts):
            return tuple(dict.fromkeys(name for part in parts for name in free(part)))
        case Some(name, inner) | Without(name, inner):
            return tuple(other for other in free(inner) if other != name)
        case Enough() | Fewer():
            return ()
