"""Problems with where they are: what authors and operators are told. Formatting comes last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How much a problem matters: an error fails the run or drops the thing it is about."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Place(msgspec.Struct, frozen=True, order=True):
    """Where something stands: a file with line and column from 1, a resource; "" and 0: absent."""

    file: str = ""
    line: int = 0
    column: int = 0
    resource: str = ""

    def right(self, columns: int) -> Place:
        """The place so many columns further in its line."""
        return Place(self.file, self.line, self.column + columns, self.resource)

    def on(self, line: int) -> Place:
        """The same place in another line."""
        return Place(self.file, line, self.column, self.resource)

    def render(self) -> str:
        """``file:line:column: Type/id`` without what is absent; "" for no place at all."""
        spot = self.file
        if self.line:
            spot += f":{self.line}"
            spot += f":{self.column}" if self.column else ""
        return ": ".join(part for part in (spot, self.resource) if part)


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong, in the order in which problems are shown: by place."""

    where: Place
    what: str
    accepted: str = ""
    kind: str = "input"
    severity: Severity = Severity.ERROR

    def render(self) -> str:
        """One line for people: ``file:line:col: what; accepted: … (kind)``."""
        line = f"{self.what}; accepted: {self.accepted}" if self.accepted else self.what
        line = f"{line} ({self.kind})" if self.kind else line
        where = self.where.render()
        return " ".join((f"{where}: {line}" if where else line).splitlines())

    def as_json(self) -> dict[str, str | int]:
        """The problem as a JSON object; what is absent is left out."""
        values: dict[str, str | int] = {
            "file": self.where.file,
            "line": self.where.line,
            "column": self.where.column,
            "resource": self.where.resource,
            "what": self.what,
            "accepted": self.accepted,
            "kind": self.kind,
            "severity": self.severity.value,
        }
        return {name: value for name, value in values.items() if value}


MOST_TOLD = 100
"""So many problems of one kind are told one by one; of more their number."""


class Problems:
    """The problems of one input while it is read: each once, and bounded however bad it is."""

    __slots__ = ("_more", "_told")

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._told: dict[tuple[str, Severity], dict[Problem, None]] = {}
        self._more: Counter[tuple[str, Severity]] = Counter()
        self.extend(problems)

    def __bool__(self) -> bool:
        return bool(self._told)

    def append(self, problem: Problem) -> None:
        told = self._told.setdefault((problem.kind, problem.severity), {})
        if problem in told:
            return
        if len(told) < MOST_TOLD:
            told[problem] = None
        else:
            self._more[problem.kind, problem.severity] += 1

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.append(problem)

    def merge(self, other: Problems) -> None:
        """Takes those of another, the number of those that it did not tell one by one included."""
        for told in other._told.values():
            self.extend(told)
        self._more += other._more

    def told(self, name: str) -> tuple[Problem, ...]:
        """All of them by place; ``name`` is the input's. What stands for many comes last."""
        found = sorted(problem for told in self._told.values() for problem in told)
        for (kind, severity), count in sorted(self._more.items()):
            what = f"{count} more problems like these ({kind})"
            found.append(Problem(Place(name), what, "", kind, severity))
        return tuple(found)
