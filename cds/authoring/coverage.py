"""`cds test --coverage`: which clauses no scenario has shown yes, no or unknown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from cds.authoring.clauses import Clause
from cds.authoring.terminal import write_line
from cds.engine.observation import Log
from cds.values.problem import Place
from cds.values.truth import Truth

_ORDER = (Truth.YES, Truth.NO, Truth.UNKNOWN)


class Seen(msgspec.Struct, frozen=True):
    """A clause, where it stands to the letter, and what was seen of it."""

    clause: Clause
    place: Place
    truths: frozenset[Truth]

    @property
    def missing(self) -> tuple[Truth, ...]:
        """What is asked of it and was never seen."""
        return tuple(truth for truth in _ORDER if truth in self.clause.asked - self.truths)

    def render(self) -> str:
        """``file:line:col: clause: never unknown``"""
        never = ", ".join(f"never {truth.label}" for truth in self.missing)
        clause = self.clause
        return f"{self.place.render()}: {clause.owner}: {clause.text}: {never}"

    def as_json(self) -> dict[str, Any]:
        """The clause as a JSON object."""
        found: dict[str, Any] = {
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "in": self.clause.owner,
            "clause": self.clause.text,
            "seen": [truth.label for truth in _ORDER if truth in self.truths],
            "never": [truth.label for truth in self.missing],
        }
        return {**found, "exempt": self.clause.exempt} if self.clause.exempt else found


class Coverage(msgspec.Struct, frozen=True):
    """What scenarios have shown of a pack, clause by clause, by place."""

    seen: tuple[Seen, ...]

    @property
    def asked(self) -> int:
        """How many answers are asked for, over all clauses."""
        return sum(len(item.clause.asked) for item in self.seen)

    @property
    def shown(self) -> int:
        """How many of them were seen."""
        return self.asked - sum(len(item.missing) for item in self.seen)

    @property
    def percent(self) -> float:
        return 100 * self.shown / self.asked if self.asked else 100.0


def coverage_of(clauses: Iterable[Clause], log: Log, place: Callable[[Clause], Place]) -> Coverage:
    """The coverage of clauses by what a log has seen; ``place`` gives the letter of a clause."""
    seen = [
        Seen(clause, place(clause), frozenset().union(*(log.of(node) for node in clause.nodes)))
        for clause in clauses
    ]
    return Coverage(tuple(sorted(seen, key=lambda item: (item.place, item.clause.text))))


def print_coverage(found: Coverage, format_name: str, *, verbose: bool) -> None:
    """Prints what was never seen, then a figure; with ``verbose`` also what is not asked for."""
    for item in found.seen:
        if format_name == "json":
            write_line(item.as_json())
        elif item.missing:
            sys.stdout.write(_line(item, format_name) + "\n")
        elif verbose and item.clause.exempt:
            told = f"{item.place.render()}: {item.clause.owner}: {item.clause.text}"
            sys.stdout.write(f"{told}: cannot be unknown, {item.clause.exempt}\n")
    exempt = sum(bool(item.clause.exempt) for item in found.seen)
    figure = (
        f"coverage: {found.shown} of {found.asked} answers of {len(found.seen)} clauses seen"
        f" ({percent(found.shown, found.asked)} %); {exempt} clauses cannot be unknown"
    )
    (sys.stderr if format_name == "json" else sys.stdout).write(figure + "\n")


def _line(item: Seen, format_name: str) -> str:
    if format_name != "github":
        return item.render()
    place = item.place
    where = f"file={place.file},line={place.line or 1},col={place.column or 1}"
    never = ", ".join(f"never {truth.label}" for truth in item.missing)
    return f"::warning {where}::{item.clause.owner}: {item.clause.text}: {never}"


def percent(part: int, whole: int) -> str:
    """The share in percent with one decimal, rounded down: 100.0 is all of it, and nothing else."""
    tenths = 1000 * part // whole if whole else 1000
    return f"{tenths // 10}.{tenths % 10}"
