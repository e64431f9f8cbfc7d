"""Findings read back from their lines, one in memory: what the derived files are made from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from cds.audit.line import FINDING_FIELDS, Said
from cds.audit.results import FINDINGS


class FindingLine(msgspec.Struct, frozen=True, rename={"as_of": "asOf"}):
    """One line of ``findings.ndjson`` (``cds.audit.line``); ``trace`` as the JSON that it is."""

    patient: str
    input: str
    rule: str
    version: str
    indicator: str
    card: Said
    problem: str
    subject: str
    summary: str
    facts: list[dict[str, Any]]
    sources: list[str]
    trace: msgspec.Raw
    missing: list[str]
    as_of: str
    rulebook: str
    order: str | None = None
    line: int | None = None

    @property
    def speaks(self) -> str:
        """``card``, ``line`` or ``silent``: one type for the field ``card``, which has two."""
        return "line" if self.card == "line" else "card" if self.card is True else "silent"

    def field(self, name: str) -> object:
        """What stands in a column of a table, by the field's name in the line."""
        if name == "card":
            return self.speaks
        if name == "trace":
            return bytes(self.trace).decode()
        return getattr(self, "as_of" if name == "asOf" else name)


_read = msgspec.json.Decoder(FindingLine).decode

FIELDS = FINDING_FIELDS
"""The columns of tables of findings: the fields of a line, in their order."""


def read_findings(folder: Path) -> Iterator[FindingLine]:
    """The findings in ``folder``, in their order. Raises OSError."""
    with (folder / FINDINGS).open("rb") as file:
        for line in file:
            yield _read(line)


def read_blocks(folder: Path, count: int) -> Iterator[list[FindingLine]]:
    """The same, so many at a time; nothing where there are none."""
    findings = read_findings(folder)
    while block := list(islice(findings, count)):
        yield block
