"""What the service says when it does not answer with cards: FHIR R4 OperationOutcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cds.cards.wire import encode

IssueCode = Literal[
    "invalid", "required", "value", "structure", "not-found", "not-supported", "too-long",
    "too-costly", "throttled", "transient", "timeout", "exception",
]  # fmt: skip
_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why there are no cards. ``place`` is a path into the request, ``accepted`` what would do."""

    status: int
    code: IssueCode
    what: str
    accepted: str = ""
    place: str = ""

    def body(self) -> bytes:
        """The OperationOutcome as JSON, without anything empty."""
        return encode({"resourceType": "OperationOutcome", "issue": [self.issue("error")]})

    def issue(self, severity: str) -> dict[str, object]:
        """The one issue of it."""
        text = f"{self.what}; accepted: {self.accepted}" if self.accepted else self.what
        issue: dict[str, object] = {
            "severity": severity,
            "code": self.code,
            "diagnostics": f"{self.place}: {text}" if self.place else text,
        }
        if self.place:
            issue["expression"] = [self.place]
        return issue


def outcomes(found: Sequence[Outcome]) -> bytes:
    """What could not be taken of a call that was, as one OperationOutcome of warnings."""
    issues = [outcome.issue("warning") for outcome in found]
    return encode({"resourceType": "OperationOutcome", "issue": issues})


class Refused(Exception):  # noqa: N818 - a request that is turned down is no error of ours
    """A request that gets an outcome and no cards."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.what)
        self.outcome = outcome


def quoted(value: object) -> str:
    """A short, printable rendering of what a caller sent, safe to repeat to that caller."""
    text = value if isinstance(value, str) else type(value).__name__
    shown = text.encode("ascii", "backslashreplace").decode()
    return f"'{shown[:_QUOTED]}…'" if len(shown) > _QUOTED else f"'{shown}'"
