"""Problems with where they are: what authors and operators are told. Formatting comes last."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a problem matters: an error fails the run or drops the thing it is about."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: a file with line and column from 1, a resource; "" and 0: absent."""

    file: str = ""
    line: int = 0
    column: int = 0
    resource: str = ""

    def render(self) -> str:
        """``file:line:column: Type/id`` without what is absent; "" for no place at all."""
        spot = self.file
        if self.line:
            spot += f":{self.line}"
            spot += f":{self.column}" if self.column else ""
        return ": ".join(part for part in (spot, self.resource) if part)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
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
