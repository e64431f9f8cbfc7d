"""Productions of a Rete network: what must be there, what must not, and the row that follows.

A formula becomes cells: rows that the network adds when a part of the formula holds. What asks that
something is not there waits for a *go* row, which comes when all that it asks about is complete.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cds.second.formula import (
    All,
    Any,
    Bound,
    Enough,
    Fewer,
    Formula,
    Row,
    Some,
    Without,
    free,
)

MAX_NAMES = 4
"""So many facts can one row speak of (the properties a, b, c and d)."""
MAX_COLUMNS = 16
_MOST_PATTERNS = 8


class InexpressibleError(Exception):
    """A rule that the second engine cannot judge; the text says which clause, and why."""


class Production(msgspec.Struct, frozen=True):
    """Adds a row of ``table`` for every match; ``number`` above 1: that many rows of one kind."""

    table: int
    names: tuple[str, ...]
    present: tuple[Row, ...]
    absent: tuple[Row, ...] = ()
    number: int = 1

    @property
    def size(self) -> int:
        return len(self.present) + len(self.absent)


class Tables:
    """Hands out the numbers of tables, each once."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> int:
        self._last += 1
        return self._last


class Builder(msgspec.Struct):
    """Turns formulas into productions. ``ranges`` has for every name the rows it can stand for."""

    tables: Tables
    ranges: dict[str, Row] = msgspec.field(default_factory=dict)
    productions: list[Production] = msgspec.field(default_factory=list)
    meaning: dict[int, Formula] = msgspec.field(default_factory=dict)
    _go: dict[int, int] = msgspec.field(default_factory=dict)
    _stratum: dict[int, int] = msgspec.field(default_factory=dict)
    _cells: dict[Formula, Row] = msgspec.field(default_factory=dict)

    @property
    def go(self) -> tuple[int, ...]:
        """The tables of the go rows, in the order in which they must be added."""
        return tuple(self._go[stratum] for stratum in sorted(self._go))

    def conclude(self, names: tuple[str, ...], formula: Formula) -> int:
        """A table that gets a row for each combination of facts for which the formula holds."""
        table = self.tables.new()
        self._produce(table, names, formula)
        return table

    # -- cells ------------------------------------------------------------------------------------

    def _cell(self, formula: Formula) -> Row:
        if isinstance(formula, Row):
            return formula
        found = self._cells.get(formula)
        if found is None:
            names = free(formula)
            if len(names) > MAX_NAMES:
                told = ", ".join(names)
                raise InexpressibleError(f"a test speaks of {told} at once, more than {MAX_NAMES}")
            found = self._cells[formula] = Row(self.tables.new(), names)
            self.meaning[found.table] = formula
            self._produce(found.table, names, formula)
        return found

    def _produce(self, table: int, names: tuple[str, ...], formula: Formula) -> None:
        match formula:
            case Any(parts):
                for part in parts:
                    self._conjunction(table, names, part)
            case Enough(number, row) if not names:
                self._add(Production(table, (), (row,), (), number))
            case Some(inner=inner):
                self._conjunction(table, names, inner)
            case _:
                self._conjunction(table, names, formula)

    def _conjunction(self, table: int, names: tuple[str, ...], formula: Formula) -> None:
        present, absent = self._parts(formula)
        if len(present) > _MOST_PATTERNS:
            first = self._cell(All(present[: _MOST_PATTERNS - 1]))
            present = (first, *present[_MOST_PATTERNS - 1 :])
            return self._conjunction(table, names, All((*present, *_refusals(formula))))
        spoken = {name for row in present for name in row.names}
        outside = [name for row in absent for name in row.names if name in free(formula)]
        missing = [name for name in dict.fromkeys((*names, *outside)) if name not in spoken]
        present += tuple(self.ranges[name] for name in missing)
        self._add(Production(table, names, _merged(present), absent))
        return None

    def _parts(self, formula: Formula) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """The rows that must be there, and those that must not."""
        present: list[Row] = []
        refusals: list[Without | Fewer] = []
        for part in formula.parts if isinstance(formula, All) else (formula,):
            match part:
                case Row():
                    present.append(part)
                case Any(parts) if (row := _alternatives(parts)) is not None:
                    present.append(row)
                case Without() | Fewer():
                    refusals.append(part)
                case _:
                    present.append(self._cell(part))
        absent: list[Row] = []
        there = {row.table for row in present}
        for refusal in refusals:
            row = self._refused(refusal)
            # A fact that fills one pattern of a rule fills no other of it, not even a *none*: what
            # must be there and must not is asked of two rules.
            if row.table in there:
                present.append(self._cell(refusal))
            else:
                absent.append(row)
        return _merged(present), tuple(absent)

    def _refused(self, refusal: Without | Fewer) -> Row:
        if isinstance(refusal, Fewer):
            return self._cell(Enough(refusal.number, refusal.row))
        name, inner = refusal.name, refusal.inner
        parts = inner.parts if isinstance(inner, All) else (inner,)
        rows = [part for part in parts if isinstance(part, Row)]
        merged = _merged(rows)
        if len(rows) == len(parts) and len(merged) == 1:
            return merged[0]
        return self._cell(Some(name, inner))

    # -- strata -----------------------------------------------------------------------------------

    def _add(self, production: Production) -> None:
        known = self._stratum
        stratum = max((known.get(row.table, 0) for row in production.present), default=0)
        if production.absent or not production.present:
            after = max((known.get(row.table, 0) for row in production.absent), default=0) + 1
            stratum = max(stratum, after)
            go = self._go.get(after)
            if go is None:
                go = self._go[after] = self.tables.new()
            present = (Row(go, ()), *production.present)
            production = Production(production.table, production.names, present, production.absent)
        known[production.table] = max(known.get(production.table, 0), stratum)
        self.productions.append(production)


def _alternatives(parts: tuple[Formula, ...]) -> Row | None:
    """One row that keeps any of the parts' limits, where all of them are of one row."""
    first = parts[0] if parts else None
    if not isinstance(first, Row):
        return None
    limits: list[Bound] = []
    for part in parts:
        if not (isinstance(part, Row) and (part.table, part.names) == (first.table, first.names)):
            return None
        if len(part.limits) != 1:
            return None
        limits += part.limits[0]
    return Row(first.table, first.names, (tuple(limits),))


def _merged(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows, each once: no fact can fill two patterns of one production."""
    found: dict[tuple[int, tuple[str, ...]], tuple[tuple[Bound, ...], ...]] = {}
    for row in rows:
        key = (row.table, row.names)
        found[key] = tuple(dict.fromkeys((*found.get(key, ()), *row.limits)))
    return tuple(Row(table, names, limits) for (table, names), limits in found.items())


def _refusals(formula: Formula) -> tuple[Formula, ...]:
    """What of a conjunction asks that something is not there."""
    parts = formula.parts if isinstance(formula, All) else (formula,)
    return tuple(part for part in parts if isinstance(part, Without | Fewer))
