"""What one chart gives the network: rows of small numbers, worked out with the shared words.

A fact is an index, a truth is 0, 1 or 2. Nothing else of a record leaves this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import msgspec

from cds.engine.binding import Scope
from cds.engine.combination import most_bindings
from cds.engine.fact import Bound, Fact
from cds.engine.meaning import Meanings
from cds.engine.sheet import Sheet
from cds.rulebook.model import FactClause
from cds.second.plan import ClausePlan, Part, RulePlan
from cds.second.planes import Column, Leaf, Sheets, Unanswered, Word
from cds.values.truth import Truth

Row = tuple[int, tuple[int, ...], tuple[int, ...]]
"""A table, the facts that the row is about, and its columns."""

Matches = Mapping[int, frozenset[tuple[int, ...]]]
"""By table, the facts of each row that the network concluded."""

MAX_ROWS = 60_000


class OversizeError(Exception):
    """The record gives more rows than the second engine is given for one patient."""


class Delivery(msgspec.Struct):
    """Rows of one sheet. ``facts`` are in the order of their indices."""

    sheet: Sheet
    meanings: Meanings
    facts: list[Fact] = msgspec.field(default_factory=list)
    _ids: dict[Fact, int] = msgspec.field(default_factory=dict)
    _rows: int = 0

    def id(self, fact: Fact) -> int:
        found = self._ids.get(fact)
        if found is None:
            found = self._ids[fact] = len(self.facts)
            self.facts.append(fact)
        return found

    def _counted(self, rows: list[Row]) -> list[Row]:
        self._rows += len(rows)
        if self._rows > MAX_ROWS:
            raise OversizeError(f"more than {MAX_ROWS} rows for one patient")
        return rows

    # -- clauses ----------------------------------------------------------------------------------

    def clause(self, plan: ClausePlan, base: Scope) -> list[Row]:
        """The rows of a clause: its candidates, and the facts that its conditions speak of."""
        clause = plan.clause
        facts = [fact for fact in self.candidates(clause) if self._is_candidate(clause, fact)]
        rows = self._bound_rows(plan.others, base.sets)

        def truth(column: Column, single: Mapping[str, Bound]) -> Truth:
            if isinstance(column, Word):
                return self._word(column, single[clause.name].fact)
            if isinstance(column, Unanswered):
                return _truth(column.name in base.unanswered)
            return self._leaf(column, base, single)

        if clause.where:
            facts = [self.sheet.judged(fact) for fact in facts]
        own = {clause.name: tuple(Bound(fact, Truth.YES) for fact in facts)}
        rows += self._sheet_rows(plan.sheets, {**base.sets, **own}, truth)
        return self._counted([*rows, *((table, (), ()) for table in plan.go)]) if facts else []

    def candidates(self, clause: FactClause) -> tuple[Fact, ...]:
        return self.meanings.looked_at(clause, self.sheet)[0]

    def _is_candidate(self, clause: FactClause, fact: Fact) -> bool:
        """Whether any of the clause's classes may fit: of others no state is asked for."""
        if not clause.concepts or clause.kind == "patient":
            return True
        scope = Scope(self.sheet)
        return any(
            self.meanings.concept(scope, fact, word) is not Truth.NO for word in clause.concepts
        )

    def _word(self, column: Word, fact: Fact) -> Truth:
        scope = Scope(self.sheet)
        if column.concept:
            return self.meanings.concept(scope, fact, column.text)
        return self.meanings.is_word(scope, fact, column.text)

    def bound(self, plan: ClausePlan, matches: Matches) -> tuple[Bound, ...]:
        """What the network bound to a clause, in the order of the sheet."""
        lower, upper = matches.get(plan.lower, _NONE), matches.get(plan.upper, _NONE)
        found = []
        for fact in self.candidates(plan.clause):
            index = self._ids.get(fact)
            if index is not None and ((index,) in upper or (index,) in lower):
                truth = Truth.YES if (index,) in lower else Truth.UNKNOWN
                found.append(Bound(self.sheet.judged(fact), truth))
        return tuple(found)

    # -- rules ------------------------------------------------------------------------------------

    def each(self, plan: RulePlan, base: Scope) -> list[Row]:
        """The rows by which a rule is judged for each of the things that it is about."""
        about: dict[str, tuple[Bound, ...]] = {}
        room = most_bindings(plan.rule, base)
        for name in reversed(plan.rule.per):
            # Only so many combinations are judged, the last name changing first.
            about[name] = base.sets[name][:room]
            room = -(-room // len(base.sets[name]))
        others = {name: found for name, found in base.sets.items() if name not in about}
        inner = Scope(self.sheet, None, base.clauses)
        inner.sets, inner.unanswered = others, base.unanswered
        return self._rule(plan, plan.each, inner, {**others, **about})

    def lacking(self, plan: RulePlan, base: Scope) -> list[Row]:
        """The rows by which a rule is judged while there is none of what it is about."""
        return self._rule(plan, plan.lacking, base, base.sets)

    def _rule(
        self, plan: RulePlan, part: Part, scope: Scope, sets: Mapping[str, tuple[Bound, ...]]
    ) -> list[Row]:
        lets = {let.name: let.value for let in plan.rule.lets}

        def truth(column: Column, single: Mapping[str, Bound]) -> Truth:
            if isinstance(column, Unanswered):
                return _truth(column.name in scope.unanswered)
            assert isinstance(column, Leaf)
            about = {name: bound for name, bound in single.items() if name in plan.rule.per}
            inner = scope.inner({} if part is plan.lacking else about)
            inner.lets = {}
            for name in column.lets:
                inner.lets[name] = self.meanings.expression.value(lets[name], inner)
            return self._leaf(column, inner, single)

        rows = self._bound_rows(part.bound, sets) + self._sheet_rows(part.sheets, sets, truth)
        return self._counted([*rows, *((table, (), ()) for table in part.go)])

    def _leaf(self, column: Column, scope: Scope, single: Mapping[str, Bound]) -> Truth:
        """A test on values of these facts, as the reference judges it."""
        assert isinstance(column, Leaf)
        for name, bound in single.items():
            if name not in scope.single:
                scope = scope.narrowed(name, bound)
        return self.meanings.expression.truth(column.test, scope)

    # -- rows -------------------------------------------------------------------------------------

    def _bound_rows(
        self, tables: Mapping[str, int], sets: Mapping[str, tuple[Bound, ...]]
    ) -> list[Row]:
        return [
            (table, (self.id(bound.fact),), (int(bound.truth),))
            for name, table in tables.items()
            for bound in sets.get(name, ())
        ]

    def _sheet_rows(
        self,
        sheets: Sheets,
        sets: Mapping[str, Sequence[Bound]],
        truth: Callable[[Column, Mapping[str, Bound]], Truth],
    ) -> list[Row]:
        """One row of each table for each combination of the facts that it is about."""
        found: list[Row] = []
        for table, columns in sheets.columns.items():
            for single in _combinations(sheets.names[table], sets):
                ids = tuple(self.id(bound.fact) for bound in single.values())
                found.append((table, ids, tuple(int(truth(item, single)) for item in columns)))
                if len(found) > MAX_ROWS:
                    self._counted(found)
        return found


_NONE: frozenset[tuple[int, ...]] = frozenset()


def _truth(flag: bool) -> Truth:
    return Truth.YES if flag else Truth.NO


def _combinations(
    names: tuple[str, ...], sets: Mapping[str, Sequence[Bound]]
) -> Iterator[dict[str, Bound]]:
    for chosen in product(*(sets.get(name, ()) for name in names)):
        yield dict(zip(names, chosen, strict=True))
