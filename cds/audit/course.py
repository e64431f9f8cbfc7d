"""The course of a run: what is given to workers, and in which order it comes to the journal.

One record of the journal for the inputs together, one for each chunk of records, and for an export
one for its sorting and one for each of its partitions. How many there are follows from the inputs
alone, so a run that is resumed knows by their number where it was.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import msgspec
from msgspec.structs import replace

from cds.audit.export import Sorting, missing_files, needed, parts_of, read_size, states_of
from cds.audit.grouping import Export, ExportFile
from cds.audit.hands import Everyone, Hands
from cds.audit.inputs import Gathered, Record
from cds.audit.journal import Journal
from cds.audit.outcome import Outcome
from cds.audit.output import Output
from cds.audit.progress import Bar
from cds.audit.sorting import Part, Sorted
from cds.audit.source import reason_of
from cds.audit.stream import DamageError, TooLong, read_lines
from cds.cards.judge import Setting
from cds.engine.needs import resource_types
from cds.values.problem import Place, Problem, Severity

# A chunk of records: so many bytes or records at least and at most; between them the inputs make
# this many chunks, enough for many workers. What each costs by itself is then paid seldom.
_LEAST_BYTES, _MOST_BYTES = 1024 * 1024, 16 * 1024 * 1024
_LEAST_RECORDS, _MOST_RECORDS = 16, 256
_CHUNKS = 128


class Course(msgspec.Struct):
    """Judges what the journal does not hold yet."""

    setting: Setting
    supplied: frozenset[str]
    output: Output
    journal: Journal[Outcome]
    hands: Hands
    bar: Bar
    wanted: frozenset[str] = frozenset()
    done: int = 0
    exports: int = 0

    def run(self, gathered: Gathered) -> None:
        """Judges everything; what came of it stands in the journal. Raises OSError, JobError."""
        self.wanted = frozenset(resource_types(self.setting.rulebook, self.setting.hook))
        self.done = self.journal.count
        if not self._is_done():
            self.journal.append(_told(gathered))
        for is_export, items in groupby(gathered.items, lambda item: isinstance(item, Export)):
            if not is_export:
                self._records([item for item in items if isinstance(item, Record)])
                continue
            for item in items:
                assert isinstance(item, Export)
                self._export(item)

    def _is_done(self, count: int = 1) -> bool:
        """Whether the next steps are in the journal already; they are then counted off."""
        found = self.done >= count
        self.done -= count if found else 0
        return found

    def _append(self, outcome: Outcome) -> None:
        self.journal.append(outcome)
        self.output.keep = True

    # -- records ----------------------------------------------------------------------------------

    def _records(self, records: list[Record]) -> None:
        sizes: deque[int] = deque()
        self.bar.begin("judging", sum(record.size for record in records))
        for chunk in self.hands.records(self._left(_chunks(records), sizes)):
            self._append(chunk)
            self.bar.advance(sizes.popleft(), chunk.tally.judged)

    def _left(
        self, chunks: Iterator[tuple[Record, ...]], sizes: deque[int]
    ) -> Iterator[tuple[Record, ...]]:
        """The chunks that are not judged yet; the size of each is added to ``sizes``."""
        for chunk in chunks:
            size = sum(item.size for item in chunk)
            if self._is_done():
                self.bar.skip(size)
                continue
            sizes.append(size)
            yield chunk

    # -- an export --------------------------------------------------------------------------------

    def _export(self, export: Export) -> None:
        files = needed(export, self.wanted)
        size = read_size(files)
        bits = self.hands.bits(size)
        folder = self.output.scratch / f"export-{self.exports}"
        self.exports += 1
        if self._is_done(1 + (1 << bits)):
            return
        folder.mkdir(exist_ok=True)
        budget = self.hands.budget
        parts = [
            replace(part, bits=bits)
            for part in parts_of(files, folder, self.wanted, self._patient(), budget)
        ]
        self.bar.begin("sorting", size)
        found = self._sorted(parts, folder, size)
        sorting = self._told_sorting(export, files, parts, found)
        if not self._is_done():
            self._append(sorting.outcome)
        states = states_of(export, self.wanted, sorting.failed, self.supplied)
        share = size >> bits
        skipped, self.done = self.done, 0
        self.bar.begin("judging", size)
        self.bar.skip(skipped * share)
        pairs = list(zip(parts, found, strict=True))
        everyone = Everyone(export.name, states, export.whole)
        for chunk in self.hands.patients(everyone, range(skipped, 1 << bits), pairs):
            self._append(chunk)
            self.bar.advance(share, chunk.tally.judged)
        shutil.rmtree(folder)

    def _patient(self) -> str:
        return self.setting.patient.removeprefix("Patient/")

    def _sorted(self, parts: list[Part], folder: Path, size: int) -> list[Sorted]:
        """What sorting each part gave; what a run before this one has sorted stays as it is.

        A worker answers when its part is whole on disk, and only then it is in the journal.
        """
        share = size // max(1, len(parts))
        if not self.hands.keeps:
            (folder / "sorted").unlink(missing_ok=True)
        with Journal(folder / "sorted", Sorted) as journal:
            self.bar.skip(journal.count * share)
            left = parts[journal.count :]
            for found in self.hands.sort(left):
                journal.append(found)
                self.output.keep = True
                self.bar.advance(share)
            return list(journal.read())

    def _told_sorting(
        self, export: Export, files: list[ExportFile], parts: list[Part], found: list[Sorted]
    ) -> Sorting:
        sorting = Sorting(export)
        if export.manifest is not None:
            for problem in export.manifest.problems():
                sorting.outcome.tell(problem, export.name)
        for kind, problem in missing_files(export, self.wanted):
            sorting.miss(kind, problem)
        results: dict[str, list[Sorted]] = {}
        for part, result in zip(parts, found, strict=True):
            results.setdefault(part.source.name, []).append(result)
        for file in files:
            sorting.add(file, results.get(file.name, []))
        return sorting


def _told(gathered: Gathered) -> Outcome:
    """What is told of the inputs before any is read."""
    outcome = Outcome()
    for name, problem in gathered.problems:
        outcome.tell(problem, name)
        if problem.severity is Severity.ERROR:
            outcome.tally.inputs += 1
            outcome.tally.unreadable += 1
    return outcome


def _lines(source: Record) -> Iterator[Record]:
    """The lines of a source of which each is a record."""
    number = 0
    share = 10 if source.is_packed() else 1
    try:
        for lines in read_lines(source):
            for line in lines:
                number += 1
                if isinstance(line, TooLong):
                    where = Place(source.name, number)
                    long = Problem(where, "this line is too long", "at most 64 MiB", "json")
                    yield Record(source.name, line=number, problem=long)
                elif line.strip():
                    yield Record(source.name, len(line) // share, data=line, line=number)
    except (OSError, DamageError) as error:
        what = str(error) if isinstance(error, DamageError) else reason_of(error)
        found = Problem(Place(source.name), what, "gzip or plain NDJSON", "file")
        yield Record(source.name, problem=found)


def _chunks(records: Sequence[Record]) -> Iterator[tuple[Record, ...]]:
    """Records together; how many follows from all of them, whoever judges them."""
    total = sum(record.size for record in records)
    most_bytes = min(_MOST_BYTES, max(_LEAST_BYTES, total // _CHUNKS))
    most_records = min(_MOST_RECORDS, max(_LEAST_RECORDS, len(records) // _CHUNKS))
    chunk: list[Record] = []
    size = 0
    every = (line for item in records for line in (_lines(item) if item.each else (item,)))
    for record in every:
        chunk.append(record)
        unpacked = len(record.data) if record.data is not None else record.size
        size += unpacked * (8 if record.data is None and record.title.endswith(".gz") else 1)
        # Lines travel with their chunk, and whoever gets it holds them all.
        most = most_bytes if record.data is None else _LEAST_BYTES
        if size >= most or len(chunk) >= most_records:
            yield tuple(chunk)
            chunk, size = [], 0
    if chunk:
        yield tuple(chunk)
