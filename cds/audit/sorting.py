"""An export's lines by patient: what a worker makes of a part of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from cds.audit.shelf import Writer
from cds.audit.source import Source, reason_of
from cds.audit.spill import BUDGET, Spill, index_path
from cds.audit.stream import DamageError, Line, TooLong, read_lines
from cds.chart.export import documents_of, is_plain, owners_of_line, subject_element
from cds.values.problem import Place, Problem, Severity

MAX_TOLD_LINES = 100
"""So many bad lines of one file are told one by one; of more their number."""

_SMALLER = "shorter lines, a larger --memory or fewer workers"


class Part(msgspec.Struct, frozen=True):
    """Some lines of one file of an export: those that begin from ``start`` before ``end``."""

    source: Source
    number: int
    folder: Path
    bits: int
    wanted: frozenset[str]
    start: int = 0
    end: int | None = None
    patient: str = ""
    budget: int = BUDGET


class Sorted(msgspec.Struct):
    """What sorting a part gave: how many lines there were, what was bad.

    Lines of ``bad`` are counted from the part's first; ``untold`` are more of them. ``damage``
    says why the file ends early; ``lost`` that the part could not be sorted at all, ``shelf`` that
    Medications were found.
    """

    lines: int = 0
    good: int = 0
    bad: list[tuple[int, Problem]] = msgspec.field(default_factory=list)
    untold: int = 0
    damage: Problem | None = None
    ignored: dict[str, int] = msgspec.field(default_factory=dict)
    lost: bool = False
    shelf: bool = False

    def tell(self, line: int, problem: Problem) -> None:
        if len(self.bad) < MAX_TOLD_LINES:
            self.bad.append((line, problem))
        else:
            self.untold += 1


def spill_path(part: Part) -> Path:
    """Where the part's lines by patient go."""
    return part.folder / f"lines-{part.number}"


def shelf_path(part: Part) -> Path:
    """Where the part's Medications go, if it has any."""
    return part.folder / f"shelf-{part.number}.db"


def sort_part(part: Part) -> Sorted:
    """Writes each line of the part under its patients. Raises OSError when it cannot write."""
    # What a process that died may have left behind.
    for path in (spill_path(part), index_path(spill_path(part)), shelf_path(part)):
        path.unlink(missing_ok=True)
    sorter = _Sorter(part)
    for lines in _read_part(part, sorter.found):
        sorter.sort_all(lines)
    sorter.close()
    return sorter.found


def _read_part(part: Part, found: Sorted) -> Iterator[list[Line]]:
    """The part's lines; why the file cannot be read, or ends early, goes to ``damage``."""
    reading = read_lines(part.source, part.start, part.end)
    while True:
        try:
            lines = next(reading, None)
        except DamageError as error:
            found.damage = Problem(
                Place(part.source.name), str(error), "gzip or plain NDJSON", "file"
            )
            return
        except MemoryError:
            what = "has a line that needs more memory than there is: not read further"
            found.damage = Problem(Place(part.source.name), what, _SMALLER, "memory")
            return
        except OSError as error:
            found.damage = Problem(
                Place(part.source.name), reason_of(error), "a readable file", "file"
            )
            return
        if lines is None:
            return
        yield lines


class _Sorter:
    """Puts the lines of one part where they belong."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.found = Sorted()
        self._spill = Spill(spill_path(part), part.bits, part.budget)
        self._elements = {kind: subject_element(kind) for kind in part.wanted - {"Patient"}}
        self._shelf: Writer | None = None

    def sort_all(self, lines: list[Line]) -> None:
        """Lines one after the other: those written the common way quickly, any other by itself."""
        texts = [line if isinstance(line, bytes) and line else b"null" for line in lines]
        try:
            documents = documents_of(texts) or [None] * len(lines)
        except MemoryError:
            documents = [None] * len(lines)
        held, elements, first = self._spill.held, self._elements, self.found.lines
        for number, (line, document) in enumerate(zip(texts, documents, strict=True), 1):
            try:
                kind = document["resourceType"]
                held[document[elements[kind]]["reference"]].append(line)
            except (KeyError, TypeError, ValueError, AttributeError):
                self.found.lines = first + number
                self._sort_other(lines[number - 1], document)
            else:
                self.found.good += 1
        self.found.lines = first + len(lines)
        self._spill.grow(sum(map(len, texts)))

    def _sort_other(self, line: Line, document: Any) -> None:
        """A line whose patient is not held, or that is written in another way."""
        try:
            owner = document[self._elements[document["resourceType"]]]["reference"]
        except (KeyError, TypeError, ValueError, AttributeError):
            owner = None
        if isinstance(line, bytes) and is_plain(owner):
            self.found.good += 1
            if self.part.patient in ("", owner.removeprefix("Patient/")):
                self._spill.add(owner, line)
        elif isinstance(line, TooLong):
            what = "this line is too long"
            self._tell(what, "at most 64 MiB", "json")
        elif line and not line.isspace():
            self._sort_slowly(line)

    def _sort_slowly(self, line: bytes) -> None:
        """One line of any kind: to its patients, to the shelf, or told."""
        found = self.found
        try:
            kind, keys = owners_of_line(line)
            if kind == "Medication":
                self._put(line)
                return
        except MemoryError:
            self._tell("this line needs more memory than there is", _SMALLER, "memory")
            return
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else _reason(error)
            self._tell(f"this line is no resource: {reason}", "one FHIR resource a line", "json")
            return
        found.good += 1
        if kind == "Bundle":
            what = "this line is a Bundle among resources: not read"
            self._tell(what, "a file of Bundles, or one of resources", "json")
            return
        if kind not in self.part.wanted:
            ignored = f"{kind}: no rule reads this type"
            found.ignored[ignored] = found.ignored.get(ignored, 0) + 1
            return
        if not keys:
            self._tell(f"{kind} names no patient: not judged", "a subject", "subject")
        for key in keys:
            if "/" in key:
                what = f"{kind} belongs to {key}, who is no patient: not judged"
                self._tell(what, "a patient", "subject", Severity.WARNING)
            elif self.part.patient in ("", key):
                self._spill.add(key if key.startswith("urn:") else f"Patient/{key}", line)

    def _tell(
        self, what: str, accepted: str, kind: str, severity: Severity = Severity.ERROR
    ) -> None:
        problem = Problem(Place(self.part.source.name), what, accepted, kind, severity)
        self.found.tell(self.found.lines, problem)

    def _put(self, line: bytes) -> None:
        if self._shelf is None:
            self._shelf = Writer(shelf_path(self.part))
            self.found.shelf = True
        self._shelf.put(line)
        self.found.good += 1

    def close(self) -> None:
        self._spill.close()
        if self._shelf is not None:
            self._shelf.close()


def _reason(error: Exception) -> str:
    """Why a line is not JSON, without the explanations of a parser for its programmers."""
    text = str(error).partition(". ")[0].partition("\n")[0]
    return text if len(text) < 120 else "not JSON"
