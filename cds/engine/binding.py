"""Binds names to facts: which facts a clause is about, each with how surely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cds.engine.fact import Fact
from cds.engine.sheet import Sheet
from cds.engine.value import Value
from cds.values.truth import Truth, any_of


@dataclass(frozen=True, slots=True)
class Bound:
    """A fact that a clause is or may be about."""

    fact: Fact
    truth: Truth


@dataclass(slots=True)
class Scope:
    """The names of a sentence: single facts, sets of facts, computed values.

    ``states`` are the words that a name's facts were asked for; ``passed`` are facts of the right
    class that are in none of them (for explanations); ``unanswered`` are names for which silence is
    no answer, with what was not seen.
    """

    sheet: Sheet
    single: dict[str, Bound] = field(default_factory=dict)
    sets: dict[str, tuple[Bound, ...]] = field(default_factory=dict)
    unanswered: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lets: dict[str, Value] = field(default_factory=dict)
    passed: dict[str, tuple[Fact, ...]] = field(default_factory=dict)
    states: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def bounds(self, name: str) -> tuple[Bound, ...]:
        single = self.single.get(name)
        return (single,) if single is not None else self.sets.get(name, ())

    def exists(self, name: str) -> Truth:
        """Yes, no, or unknown: also when nothing was found and nobody answered."""
        found = any_of(bound.truth for bound in self.bounds(name))
        if found is Truth.NO and name in self.unanswered:
            return Truth.UNKNOWN
        return found

    def inner(self, single: Mapping[str, Bound]) -> Scope:
        """The scope with more single facts; everything else is shared."""
        return replace(self, single={**self.single, **single})
