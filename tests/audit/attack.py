"""A reader who reckons: whatever a suppressed summary tells, as equations over what it does not.

``secrets`` are the nulls with their true values, ``equations`` and ``bounds`` what a reader knows of
them. ``other_answer`` looks for other whole numbers that fit as well: if there are none for a null,
the reader has found it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Name = tuple[str, ...]
_MOST_TRIES = 20_000
VERDICTS = ("fired", "not_fired", "unknown")


class Law(NamedTuple):
    """The signed sum of some numbers is zero; with ``at_least`` it is not below zero."""

    parts: tuple[tuple[Name, int], ...]
    at_least: bool = False


def numbers(value: Any, path: Name = ()) -> Iterator[tuple[Name, int | None]]:
    """Every number and null of a document with its place."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from numbers(item, (*path, str(name)))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from numbers(item, (*path, str(place)))
    elif value is None or (isinstance(value, int) and not isinstance(value, bool)):
        yield path, value


def laws(summary: Mapping[str, Any]) -> Iterator[Law]:
    """What holds in every summary that has these places for numbers."""
    judged = ("patients", "judged")
    yield _sum(
        [("inputs", "unreadable"), ("patients", "deceased_not_judged"), judged],
        ("inputs", "records"),
    )
    for name, values in summary["strata"].items():
        yield _sum([("strata", name, value) for value in values], judged)
    for place, rule in enumerate(summary["rules"]):
        yield from _laws_of_rule(("rules", str(place)), rule, judged)
    for kind, states in summary["coverage"].items():
        yield _sum([("coverage", kind, state) for state in states], judged)
    cells = [
        ("rules", str(place), "findings", said, level)
        for place, rule in enumerate(summary["rules"])
        for said, levels in rule["findings"].items()
        for level in levels
    ]
    for level in summary["cards"]:
        yield _sum([cell for cell in cells if cell[3:] == ("card", level)], ("cards", level))
    yield _sum([cell for cell in cells if cell[3] == "line"], ("lines",))
    yield _sum(cells, ("findings",))
    yield _sum([("problems", "unclassified", "warning")], ("unclassified", "medications"))


def _laws_of_rule(at: Name, rule: Mapping[str, Any], judged: Name) -> Iterator[Law]:
    yield _sum([(*at, verdict) for verdict in VERDICTS], judged)
    for name, rows in rule["by"].items():
        for value in rows:
            row = [(*at, "by", name, value, verdict) for verdict in VERDICTS]
            yield _sum(row, ("strata", name, value))
        for verdict in VERDICTS:
            yield _sum([(*at, "by", name, value, verdict) for value in rows], (*at, verdict))
    # At most one patient a finding, and at least one reason a patient.
    cells = [
        (*at, "findings", said, level)
        for said, levels in rule["findings"].items()
        for level in levels
    ]
    yield _at_least([(cell, 1) for cell in cells], [((*at, "fired"), -1)])
    yield _at_least([((*at, "fired"), 1)], [((*at, "fired_and_unknown"), -1)])
    undecided = [((*at, "unknown"), 1), ((*at, "fired_and_unknown"), 1)]
    reasons = [(*at, "reasons", reason) for reason in rule["reasons"]]
    yield _at_least([(reason, 1) for reason in reasons], [(name, -1) for name, _ in undecided])
    for reason in reasons:
        yield _at_least(undecided, [(reason, -1)])


def _sum(parts: Sequence[Name], total: Name) -> Law:
    """What is left out altogether, as a dimension may be, adds up to nothing that is known."""
    return Law((*((part, 1) for part in parts), (total, -1)) if parts else ())


def _at_least(ours: list[tuple[Name, int]], theirs: list[tuple[Name, int]]) -> Law:
    return Law((*ours, *theirs), at_least=True)


class Reader:
    """Knows every number that is told, and (which is more than is said) which nulls are not zero."""

    def __init__(self, whole: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        self.truth = {path: count for path, count in numbers(whole) if count is not None}
        self.secrets = {
            path for path, count in numbers(told) if count is None and path in self.truth
        }
        self.laws = [
            Law(tuple((name, sign) for name, sign in law.parts if name in self.truth), law.at_least)
            for law in laws(told)
        ]
        self.about: dict[Name, list[Law]] = {}
        for law in self.laws:
            for name, _ in law.parts:
                self.about.setdefault(name, []).append(law)

    def other_answer(self, name: Name) -> dict[Name, int] | None:
        """Changes to the truth, one of them of ``name``, after which every law holds."""
        for step in (1, -1):
            self._tries = _MOST_TRIES
            found = self._change({}, name, step)
            if found is not None:
                return found
        return None

    def _change(self, made: dict[Name, int], name: Name, step: int) -> dict[Name, int] | None:
        """The changes made so far, this one, and whatever mends the laws that it breaks."""
        self._tries -= 1
        if self._tries < 0 or not self._can(made, name, step):
            return None
        made = {**made, name: step}
        broken = next(self._broken(made), None)
        if broken is None:
            return made
        law, left = broken
        choices = [
            (part, -sign if left > 0 else sign)
            for part, sign in law.parts
            if self._can(made, part, -sign if left > 0 else sign)
        ]
        # What mends most comes first; of these, what is large enough to be changed.
        for part, way in sorted(choices, key=lambda item: self._cost(made, *item)):
            found = self._change(made, part, way)
            if found is not None:
                return found
        return None

    def _can(self, made: Mapping[Name, int], name: Name, step: int) -> bool:
        # A null of a breakdown may be zero; any other is not, and a reader may know that.
        least = 0 if "by" in name else 1
        return name in self.secrets and name not in made and self.truth[name] + step >= least

    def _cost(self, made: Mapping[Name, int], name: Name, step: int) -> tuple[int, int]:
        after = {**made, name: step}
        return sum(self._left(law, after) != 0 for law in self.about[name]), -self.truth[name]

    def _left(self, law: Law, made: Mapping[Name, int]) -> int:
        """By how much the law is broken."""
        left = sum(sign * (self.truth[part] + made.get(part, 0)) for part, sign in law.parts)
        return min(left, 0) if law.at_least else left

    def _broken(self, made: Mapping[Name, int]) -> Iterator[tuple[Law, int]]:
        for name in made:
            for law in self.about.get(name, ()):
                left = self._left(law, made)
                if left:
                    yield law, left
