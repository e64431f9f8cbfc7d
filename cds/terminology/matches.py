"""Matches of one concept as they are found, and which of them stand."""

from __future__ import annotations

from collections.abc import Iterable

from cds.terminology.concept import Certainty, Match
from cds.terminology.scope import Scope


class Matches:
    """Matches as they are found: the best certainty for each set."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._found: dict[str, Match] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def names(self) -> Iterable[str]:
        return self._found

    def add(self, name: str, certainty: Certainty, evidence: str) -> None:
        """Adds a match for the set and all that include it, unless a better one is there."""
        for each in self.scope.expanded(name):
            known = self._found.get(each)
            if known is None or certainty.rank < known.certainty.rank:
                self._found[each] = Match(each, certainty, evidence)

    def mark(self, names: Iterable[str], evidence: str) -> None:
        """Lowers the matches of these sets to a conflict."""
        for name in names:
            self._found[name] = Match(name, Certainty.CONFLICT, evidence)

    def settled(self) -> tuple[Match, ...]:
        """The matches in order of set, without those that a product of another set cannot have."""
        sure = {
            name for name, match in self._found.items() if match.certainty is not Certainty.CONFLICT
        }
        return tuple(
            self._found[name]
            for name in sorted(self._found)
            if sure.isdisjoint(self.scope.sets[name].unless_with)
        )
