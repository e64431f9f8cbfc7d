"""Binds names to facts: which facts a clause is about, each with how surely."""

from __future__ import annotations

from collections.abc import Mapping

from cds.engine.fact import Bound
from cds.engine.sheet import Sheet
from cds.engine.value import Value
from cds.rulebook.model import FactClause
from cds.values.truth import Truth

_NO_CLAUSES: Mapping[str, FactClause] = {}


class Scope:
    """The names of a sentence: single facts, sets of facts, computed values.

    ``unanswered`` are names for which silence is no answer, with what was not seen; ``clauses`` are
    the clauses behind the sets, for explanations.
    """

    __slots__ = ("clauses", "lets", "sets", "sheet", "single", "unanswered")

    def __init__(
        self,
        sheet: Sheet,
        single: Mapping[str, Bound] | None = None,
        clauses: Mapping[str, FactClause] = _NO_CLAUSES,
    ) -> None:
        self.sheet = sheet
        self.single: Mapping[str, Bound] = {} if single is None else single
        self.sets: dict[str, tuple[Bound, ...]] = {}
        self.unanswered: dict[str, tuple[str, ...]] = {}
        self.lets: dict[str, Value] = {}
        self.clauses = clauses

    def bounds(self, name: str) -> tuple[Bound, ...]:
        single = self.single.get(name)
        return (single,) if single is not None else self.sets.get(name, ())

    def exists(self, name: str) -> Truth:
        """Yes, no, or unknown: also when nothing was found and nobody answered."""
        found = Truth.NO
        for bound in self.bounds(name):
            if bound.truth is Truth.YES:
                return Truth.YES
            if bound.truth is Truth.UNKNOWN:
                found = Truth.UNKNOWN
        if found is Truth.NO and name in self.unanswered:
            return Truth.UNKNOWN
        return found

    def inner(self, single: Mapping[str, Bound]) -> Scope:
        """The scope with more single facts; sets and computed values are shared, not copied."""
        scope = Scope(self.sheet, {**self.single, **single}, self.clauses)
        scope.sets, scope.unanswered, scope.lets = self.sets, self.unanswered, self.lets
        return scope

    def narrowed(self, name: str, bound: Bound) -> Scope:
        """The scope in which a name of a set stands for one of its facts."""
        scope = self.inner({name: bound})
        scope.sets = {other: found for other, found in self.sets.items() if other != name}
        return scope
