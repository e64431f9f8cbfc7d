"""A test in three values as two formulas in two: its yes (lower), and its *not no* (upper plane).

A negation swaps the planes: *not X* is surely so where X is not even possible. Which facts a name
can stand for is either one (a fact that the finding is about, or that ``every`` looks at) or a set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from cds.rulebook import syntax
from cds.rulebook.vocabulary import CALL
from cds.second.formula import (
    FALSE,
    TRUE,
    Bound,
    Enough,
    Fewer,
    Formula,
    Row,
    all_of,
    any_of,
    some,
    without,
)
from cds.second.network import MAX_COLUMNS, MAX_NAMES, InexpressibleError, Tables

NO, UNKNOWN, YES = 0, 1, 2


class Leaf(msgspec.Struct, frozen=True):
    """A test on values, judged before: of the facts of ``names``, with the computed ``lets``."""

    test: syntax.Test
    names: tuple[str, ...]
    lets: tuple[str, ...]


class Unanswered(msgspec.Struct, frozen=True):
    """Whether silence about a name is no answer."""

    name: str


class Word(msgspec.Struct, frozen=True):
    """Whether a fact is of a concept or, else, is what a word of the pack says."""

    text: str
    concept: bool


Column = Leaf | Unanswered | Word


class Sheets(msgspec.Struct):
    """The tables of what is judged before: by the names that a row is about, columns of truths."""

    tables: Tables
    columns: dict[int, list[Column]] = msgspec.field(default_factory=dict)
    names: dict[int, tuple[str, ...]] = msgspec.field(default_factory=dict)
    _open: dict[tuple[str, ...], int] = msgspec.field(default_factory=dict)
    _places: dict[object, tuple[int, int]] = msgspec.field(default_factory=dict)

    def table(self, names: tuple[str, ...]) -> int:
        """A table with room for a column about these names."""
        table = self._open.get(names)
        if table is None or len(self.columns[table]) == MAX_COLUMNS:
            if len(names) > MAX_NAMES:
                told = ", ".join(names)
                raise InexpressibleError(f"a test speaks of {told} at once, more than {MAX_NAMES}")
            table = self._open[names] = self.tables.new()
            self.columns[table], self.names[table] = [], names
        return table

    def place(self, column: Column, names: tuple[str, ...]) -> tuple[int, int]:
        """The table and position of a column; given out when first asked for."""
        key = (id(column.test), names) if isinstance(column, Leaf) else column
        found = self._places.get(key)
        if found is None:
            table = self.table(names)
            self.columns[table].append(column)
            found = self._places[key] = table, len(self.columns[table]) - 1
        return found


class Planes(msgspec.Struct, frozen=True):
    """Translates the tests of one rule (or of one clause's conditions).

    ``single`` has for a name that stands for one fact the row that says how surely it is bound
    (None: surely); ``sets`` the same for the others; ``lets`` the computed values by name.
    """

    sheets: Sheets
    single: Mapping[str, Row | None]
    sets: Mapping[str, Row]
    lets: Mapping[str, syntax.Value]

    def formula(self, test: syntax.Test, *, upper: bool, positive: bool = True) -> Formula:
        """Where the test (or its opposite) is surely so; with ``upper`` where it may be."""
        match test:
            case syntax.And(tests) | syntax.Or(tests):
                parts = [self.formula(item, upper=upper, positive=positive) for item in tests]
                return all_of(parts) if isinstance(test, syntax.And) is positive else any_of(parts)
            case syntax.Not(inner):
                return self.formula(inner, upper=upper, positive=not positive)
            case syntax.CouldBe(inner):
                return self.formula(inner, upper=positive, positive=positive)
            case syntax.Unsure(inner):
                # Possible, and its opposite too; the opposite of that: surely so, or surely not.
                sides = [
                    self.formula(inner, upper=positive, positive=side) for side in (True, False)
                ]
                return all_of(sides) if positive else any_of(sides)
            case syntax.Otherwise():
                return TRUE if positive else FALSE
            case syntax.Exists(name=name):
                return self._exists(name, upper, positive)
            case syntax.No(name=name):
                return self._exists(name, upper, not positive)
            case syntax.Every():
                return self._every(test, upper, positive)
            case syntax.Count():
                return self._count(test, upper, positive)
            case _:
                return self._relation(test, upper, positive)

    # -- existence --------------------------------------------------------------------------------

    def _exists(self, name: str, upper: bool, positive: bool) -> Formula:
        if name in self.single:
            return self._bound(name, upper, positive)
        return self._some(name, upper, positive, lambda _planes, _upper: TRUE)

    def _some(
        self,
        name: str,
        upper: bool,
        positive: bool,
        inner: Callable[[Planes, bool], Formula],
    ) -> Formula:
        """Whether something that the name may stand for makes the inner test hold.

        Nothing found is no answer where the name's sources were not answered.
        """
        plane = upper is positive
        within = replace(
            self,
            single={**self.single, name: self.sets[name]},
            sets={other: row for other, row in self.sets.items() if other != name},
        )
        hit = all_of((limited(self.sets[name], plane, True), inner(within, plane)))
        found = some(name, hit) if positive else without(name, hit)
        return self._or_unanswered(found, name, upper, positive)

    def _or_unanswered(self, found: Formula, name: str, upper: bool, positive: bool) -> Formula:
        """What an unanswered source makes of a no (or of the opposite, a yes): unknown."""
        if upper and positive:
            return any_of((found, self._unanswered(name, asked=True)))
        if not upper and not positive:
            return all_of((found, self._unanswered(name, asked=False)))
        return found

    def _unanswered(self, name: str, *, asked: bool) -> Formula:
        table, column = self.sheets.place(Unanswered(name), ())
        limit = Bound(column, at_least=True, value=YES) if asked else Bound(column, False, NO)
        return Row(table, (), ((limit,),))

    def _bound(self, name: str, upper: bool, positive: bool) -> Formula:
        """Whether a single fact is bound, or is not."""
        row = self.single[name]
        if row is None:
            return TRUE if positive else FALSE
        return limited(row, upper, positive)

    def _every(self, test: syntax.Every, upper: bool, positive: bool) -> Formula:
        """No fact of the name of which the inner test does not hold."""
        name, inner = test.name, test.test
        if name not in self.single:
            return self._some(
                name,
                upper,
                not positive,
                lambda planes, plane: planes.formula(inner, upper=plane, positive=False),
            )
        outside = self._bound(name, upper, not positive)
        holds = self.formula(inner, upper=upper, positive=positive)
        found = any_of((outside, holds)) if positive else all_of((outside, holds))
        return self._or_unanswered(found, name, upper, not positive)

    def _count(self, test: syntax.Count, upper: bool, positive: bool) -> Formula:
        number, name = test.at_least, test.name
        if number == 0:
            return TRUE if positive else FALSE
        if number == 1:
            return self._exists(name, upper, positive)
        if name in self.single:
            # One fact is never two; but where nobody answered there may be another.
            found: Formula = FALSE if positive else TRUE
        else:
            row = limited(self.sets[name], upper is positive, True)
            found = Enough(number, row) if positive else Fewer(number, row)
        return self._or_unanswered(found, name, upper, positive)

    # -- values -----------------------------------------------------------------------------------

    def _relation(self, test: syntax.Test, upper: bool, positive: bool) -> Formula:
        """A test on values: for a set of facts, whether it holds for any of them."""
        for name in _looked_at(test):
            if name in self.sets:
                return self._some(
                    name,
                    upper,
                    positive,
                    lambda planes, plane: planes.formula(test, upper=plane),
                )
        names, lets = self._read(test)
        table, column = self.sheets.place(Leaf(test, names, lets), names)
        return limited(Row(table, names), upper, positive, column)

    def _read(self, test: syntax.Test) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The single facts that a test reads, also through computed values; and those values."""
        names: dict[str, None] = {}
        lets: dict[str, None] = {}
        open_paths = syntax.paths(test)
        while open_paths:
            name = open_paths.pop().name
            if name in self.single:
                names.setdefault(name)
            elif name in self.lets and name not in lets:
                lets.setdefault(name)
                open_paths += syntax.paths(self.lets[name])
        return tuple(name for name in self.single if name in names), tuple(
            name for name in self.lets if name in lets
        )


def _looked_at(test: syntax.Test) -> Iterable[str]:
    """The names that a test on values takes one fact at a time of, in their order."""
    if isinstance(test, syntax.Is) and not test.value.field and test.value.name not in CALL:
        return (test.value.name,)
    return dict.fromkeys(path.name for path in syntax.single_paths(test))


def limited(row: Row, upper: bool, positive: bool, column: int = 0) -> Row:
    """The row where its truth is surely yes (positive) or no; with ``upper`` where it may be."""
    if positive:
        limit = Bound(column, at_least=True, value=UNKNOWN if upper else YES)
    else:
        limit = Bound(column, at_least=False, value=UNKNOWN if upper else NO)
    return Row(row.table, row.names, ((limit,),))
