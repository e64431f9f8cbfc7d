"""An export's lines by patient: what a worker makes of a part of a file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from cds.audit.coded import UNLIKE, is_clear, reader_of_lines
from cds.audit.shelf import Writer
from cds.audit.source import Source, reason_of
from cds.audit.spill import BUDGET, Spill, index_path
from cds.audit.stream import DamageError, Line, TooLong, read_lines
from cds.cards.judge import Setting, reader_of
from cds.chart.document import decode
from cds.chart.export import (
    documents_of,
    is_hidden,
    is_plain,
    line_type,
    owners_of_line,
    subject_element,
)
from cds.chart.kin import Left
from cds.chart.medication import MEDICATION_TYPES
from cds.chart.operation import OPERATION_TYPES
from cds.chart.reader import Reader
from cds.chart.references import identity
from cds.chart.sieve import PARTS, Sieve
from cds.values.problem import Place, Problem, Severity

MAX_TOLD_LINES = 100
"""So many bad lines of one file are told one by one; of more their number."""

_MOST_KNOWN = 100_000
_REFERENCE = re.compile(rb'"reference":"([A-Z][A-Za-z]*)/[A-Za-z0-9.-]+"')
_OPERATIONS = frozenset(kind.encode() for kind in OPERATION_TYPES)
_PARTS = {kind: name.encode() for kind, (name, _) in PARTS.items()}
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


def sort_part(setting: Setting, part: Part) -> Sorted:
    """Writes each line of the part under its patients, apart where no rule asks for it.

    Raises OSError when it cannot write.
    """
    # What a process that died may have left behind.
    for path in (spill_path(part), index_path(spill_path(part)), shelf_path(part)):
        path.unlink(missing_ok=True)
    sorter = _Sorter(part, reader_of(setting))
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

    def __init__(self, part: Part, reader: Reader) -> None:
        self.part = part
        self.found = Sorted()
        self._spill = Spill(spill_path(part), part.bits, part.budget)
        self._elements = {kind: subject_element(kind) for kind in part.wanted - {"Patient"}}
        self._sieve = Sieve(reader.interest, exact=False, asked=reader.asked)
        # Of the types asked for by value set alone: by the text of a code whether any set has it.
        self._codes: dict[str, dict[bytes, bool]] = {
            kind: {} for kind in reader.interest.classified & part.wanted
        }
        drugs = MEDICATION_TYPES if reader.interest.bystanders else frozenset()
        for kind in part.wanted & {*self._codes, *reader.interest.dated, *drugs}:
            self._spill.left[kind] = defaultdict(list)
        self._plain: set[str] = set()
        self._shelf: Writer | None = None

    def sort_all(self, lines: list[Line]) -> None:
        """Lines one after the other: those written the common way quickly, any other by itself."""
        kind = line_type(lines[0]) if isinstance(lines[0], bytes) else ""
        if kind in self._codes and TooLong() not in lines:
            texts = cast(list[bytes], lines)
            if is_clear(b"".join(texts)):
                self._sort_coded(kind, texts)
                return
        self._sort_mixed(lines)

    def _sort_coded(self, kind: str, lines: list[bytes]) -> None:
        """Lines of a type that is asked for by value set alone; one of another type by itself."""
        held, left, codes = self._spill.held, self._spill.left[kind], self._codes[kind]
        read, plain, first, good = reader_of_lines(kind), self._plain, self.found.lines, 0
        for number, line in enumerate(lines, first):
            try:
                found = read(line)
                owner, name = found.owner.reference, found.id
                if found.kind != kind:
                    raise ValueError
                if owner in plain or self._learn(owner):
                    asked = codes.get(code := bytes(found.code))
                    if asked is None:
                        asked = self._told(kind, code)
                    if not asked and found.parts:
                        asked = any(self._told(kind, bytes(part.code)) for part in found.parts)
                    if not asked and name and name.isascii() and name.isprintable():
                        left[owner] += (name.encode(), line)
                    else:
                        held[owner].append(line)
                good += 1
            except UNLIKE:
                self.found.lines = number
                self._sort_mixed([line])
        self.found.lines = first + len(lines)
        self.found.good += good
        self._spill.grow(sum(map(len, lines)))

    def _told(self, kind: str, code: bytes) -> bool:
        """Whether a code is in a value set; ValueError for one that is no object."""
        asked = self._codes[kind].get(code)
        if asked is not None:
            return asked
        if not code.startswith(b"{"):
            raise ValueError
        return self._remembered(kind, code, decode(code))

    def _sort_mixed(self, lines: list[Line]) -> None:
        """Lines of any types."""
        texts = [line if isinstance(line, bytes) and line else b"null" for line in lines]
        try:
            documents = documents_of(texts) or [None] * len(lines)
        except MemoryError:
            documents = [None] * len(lines)
        held, elements, first = self._spill.held, self._elements, self.found.lines
        plain, left = self._plain, self._spill.left
        for number, (line, document) in enumerate(zip(texts, documents, strict=True), 1):
            try:
                kind = document["resourceType"]
                if kind == "Patient":
                    owner = "Patient/" + document["id"]
                else:
                    owner = document[elements[kind]]["reference"]
                if owner not in plain and not self._learn(owner):
                    pass  # another patient than the one who is asked for
                elif kind in left and (name := self._left_out(kind, document, line)):
                    left[kind][owner] += (name, line)
                else:
                    held[owner].append(line)
            except (KeyError, TypeError, ValueError, AttributeError):
                self.found.lines = first + number
                self._sort_other(lines[number - 1])
            else:
                self.found.good += 1
        self.found.lines = first + len(lines)
        self._spill.grow(sum(map(len, texts)))

    def _learn(self, owner: str) -> bool:
        """Whether to keep lines of a patient, named the common way; ValueError for any other."""
        if not is_plain(owner):
            raise ValueError
        if self.part.patient not in ("", owner.removeprefix("Patient/")):
            return False
        if len(self._plain) >= _MOST_KNOWN:
            self._plain.clear()
        self._plain.add(owner)
        return True

    def _left_out(self, kind: str, document: Any, line: bytes) -> bytes:
        """The id of a resource that no rule asks for; empty for any other.

        Empty too where that is not plain to see, or where it may belong to what is asked for by
        more than its type and id (``cds.chart.kin``).
        """
        try:
            name: str = document["id"]
            if kind in self._codes:
                left = not self._is_asked(kind, document["code"])
                left = left and not ((part := _PARTS.get(kind)) and part in line)
            else:
                found = self._sieve.left_out(kind, document, "")
                left = found is not None and not self._may_bind(found)
        except (KeyError, AttributeError):
            return b""
        if not left or is_hidden(line):
            return b""
        return name.encode() if name.isascii() and name.isprintable() else b""

    def _is_asked(self, kind: str, code: Any) -> bool:
        """Whether a code is in a value set, remembered by its text."""
        text: bytes = code.mini
        asked = self._codes[kind].get(text)
        return asked if asked is not None else self._remembered(kind, text, code)

    def _remembered(self, kind: str, text: bytes, code: object) -> bool:
        codes = self._codes[kind]
        if len(codes) >= _MOST_KNOWN:
            codes.clear()
        asked = codes[text] = self._sieve.asked.is_asked(kind, code)
        return asked

    @staticmethod
    def _may_bind(left: Left) -> bool:
        """Whether what is left out may be linked to another operation or medication."""
        if not left.links:
            return False
        if left.kind not in OPERATION_TYPES:
            return True
        resource: Any = left.resource
        text: bytes = resource["reasonReference"].mini
        named = _REFERENCE.findall(text)
        return len(named) != text.count(b"{") or not _OPERATIONS.isdisjoint(named)

    def _sort_other(self, line: Line) -> None:
        """A line that is written in another way."""
        if isinstance(line, TooLong):
            self._tell("this line is too long", "at most 64 MiB", "json")
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
            what = f"{kind} names no patient: not judged"
            self._tell(what, "a subject", "subject", resource=_named(line))
        for key in keys:
            if "/" in key:
                what = f"{kind} belongs to {key}, who is no patient: not judged"
                self._tell(what, "a patient", "subject", Severity.WARNING, _named(line))
            elif self.part.patient in ("", key):
                owner = key if key.startswith("urn:") else f"Patient/{key}"
                self._spill.held[owner].append(line)

    def _tell(
        self,
        what: str,
        accepted: str,
        kind: str,
        severity: Severity = Severity.ERROR,
        resource: str = "",
    ) -> None:
        where = Place(self.part.source.name, resource=resource)
        problem = Problem(where, what, accepted, kind, severity)
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


def _named(line: bytes) -> str:
    """``Type/id`` of the resource on a line that could be read; "" without an id."""
    return identity(msgspec.json.decode(line))


def _reason(error: Exception) -> str:
    """Why a line is not JSON, without the explanations of a parser for its programmers."""
    text = str(error).partition(". ")[0].partition("\n")[0]
    return text if len(text) < 120 else "not JSON"
