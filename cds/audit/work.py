"""What a worker does: judges records, sorts an export's lines by patient, judges patients of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from cds.audit.inputs import Record
from cds.audit.outcome import Outcome, not_judged
from cds.audit.shelf import Shelf, Writer
from cds.audit.spill import Partition, Runs, Spill
from cds.audit.stream import DamageError, Line, TooLong, read_lines
from cds.cards.judge import Setting, read_input, reader_of
from cds.chart.document import MAX_BYTES
from cds.chart.export import marked, owners_of_line, read_record, tell_each
from cds.chart.model import Coverage
from cds.chart.reader import Charts, Reader
from cds.chart.sieve import Sieve
from cds.values.problem import Place, Problem, Severity

MAX_TOLD_LINES = 100
"""So many bad lines of one file are told one by one; of more their number."""


def _no_chart(where: Place) -> Problem:
    return Problem(where, "no record comes of these lines: not judged", "a patient id", "patient")


# -- records -------------------------------------------------------------------------------------


def judge_records(setting: Setting, records: tuple[Record, ...]) -> Outcome:
    """What comes of some records, in their order."""
    outcome = Outcome()
    for record in records:
        outcome.tally.inputs += 1
        try:
            charts = _charts(record, setting)
        except Exception as error:  # noqa: BLE001 - one bad record never stops the rest
            charts = Charts((), None, (not_judged(Place(record.name), error),))
        outcome.tally.unreadable += not charts.charts and bool(charts.problems)
        outcome.judge(charts, record.name, setting)
    return outcome


def _charts(record: Record, setting: Setting) -> Charts:
    try:
        data = _read(record)
    except OSError as error:
        what = f"cannot be read: {error.strerror or type(error).__name__}"
        return Charts((), None, (Problem(Place(record.name), what, "a readable file", "file"),))
    if data is None:
        what = f"is larger than {MAX_BYTES // (1024 * 1024)} MiB"
        accepted = "one record; a population as an export or in several files"
        return Charts((), None, (Problem(Place(record.name), what, accepted, "file"),))
    return read_input(data, record.name, setting)


def _read(record: Record) -> bytes | None:
    """The record's bytes; None where there are too many. Raises OSError."""
    if record.data is not None:
        return record.data if len(record.data) <= MAX_BYTES else None
    with Path(record.name).open("rb") as file:
        # To ask for so many bytes at most would have memory made for as many.
        return file.read() if os.fstat(file.fileno()).st_size <= MAX_BYTES else None


def lost_records(records: tuple[Record, ...]) -> Outcome:
    """What is told of records whose every worker died."""
    outcome = Outcome()
    for record in records:
        outcome.tally.inputs += 1
        outcome.tally.unreadable += 1
        outcome.tell(_died(Place(record.name)), record.name)
    return outcome


def _died(where: Place) -> Problem:
    what = "the process that judged it died, and died again when it was tried once more"
    return Problem(where, what, "a record that fits into memory", "worker")


def halve_records(records: tuple[Record, ...]) -> list[tuple[Record, ...]]:
    """The records in two; nothing for a single one."""
    middle = len(records) // 2
    return [records[:middle], records[middle:]] if middle else []


# -- an export: its lines by patient -------------------------------------------------------------


class Part(msgspec.Struct, frozen=True):
    """Some lines of one file of an export: those that begin from ``start`` before ``end``."""

    name: str
    number: int
    folder: Path
    bits: int
    wanted: frozenset[str]
    start: int = 0
    end: int | None = None
    patient: str = ""


class Sorted(msgspec.Struct):
    """What sorting a part gave: where its lines went, how many there were, what was bad.

    Lines of ``bad`` are counted from the part's first; ``untold`` are more of them. ``damage``
    says why the file ends early.
    """

    part: Part
    runs: Runs = msgspec.field(default_factory=dict)
    lines: int = 0
    good: int = 0
    bad: list[tuple[int, Problem]] = msgspec.field(default_factory=list)
    untold: int = 0
    damage: Problem | None = None
    ignored: dict[str, int] = msgspec.field(default_factory=dict)

    def tell(self, problem: Problem) -> None:
        if len(self.bad) < MAX_TOLD_LINES:
            self.bad.append((self.lines, problem))
        else:
            self.untold += 1


def spill_path(part: Part) -> Path:
    """Where the part's lines by patient go."""
    return part.folder / f"lines-{part.number}"


def shelf_path(part: Part) -> Path:
    """Where the part's Medications go, if it has any."""
    return part.folder / f"shelf-{part.number}.db"


def sort_part(setting: Setting, part: Part) -> Sorted:
    """Writes each line of the part under its patients, marked where no rule asks for it.

    Raises OSError when it cannot write.
    """
    # What a process that died may have left behind.
    for path in (spill_path(part), shelf_path(part)):
        path.unlink(missing_ok=True)
    sorter = _Sorter(part, reader_of(setting))
    found = sorter.found
    try:
        for lines in _read_part(part, found):
            sorter.sort_all(lines)
    finally:
        sorter.close()
    found.runs = sorter.spill.runs
    return found


def _read_part(part: Part, found: Sorted) -> Iterable[list[Line]]:
    """The part's lines; why the file cannot be read, or ends early, goes to ``damage``."""
    reading = read_lines(Path(part.name), part.start, part.end)
    while True:
        try:
            lines = next(reading, None)
        except DamageError as error:
            found.damage = Problem(Place(part.name), str(error), "gzip or plain NDJSON", "file")
            return
        except OSError as error:
            what = f"cannot be read: {error.strerror or type(error).__name__}"
            found.damage = Problem(Place(part.name), what, "a readable file", "file")
            return
        if lines is None:
            return
        yield lines


class _Sorter:
    """Puts the lines of one part where they belong."""

    def __init__(self, part: Part, reader: Reader) -> None:
        self.part = part
        self._sieve = Sieve(reader.interest, exact=False, asked=reader.asked)
        self.found = Sorted(part)
        self.spill = Spill(spill_path(part), part.bits)
        self._shelf: Writer | None = None

    def sort_all(self, lines: list[Line]) -> None:
        """Lines one after the other: the common ones together, any other by itself."""
        found, wanted, patient = self.found, self.part.wanted, self.part.patient
        texts = [line if isinstance(line, bytes) and line else b"null" for line in lines]
        for line, text, told in zip(lines, texts, tell_each(texts, self._sieve), strict=True):
            found.lines += 1
            if told is None or told.kind not in wanted:
                self.sort(line)
                continue
            found.good += 1
            if patient in ("", told.patient):
                spilled = marked(text, told) if told.reason else text
                self.spill.add(told.patient.encode(), spilled)

    def sort(self, line: Line) -> None:
        """One line: to its patients, to the shelf, or told."""
        if isinstance(line, TooLong):
            what = "this line is too long"
            self.found.tell(Problem(Place(self.part.name), what, "at most 64 MiB", "json"))
        elif line and not line.isspace():
            self._sort(line)

    def _sort(self, line: bytes) -> None:
        name, found = self.part.name, self.found
        try:
            kind, keys = owners_of_line(line)
            if kind == "Medication":
                self._put(line)
                return
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else _reason(error)
            what = f"this line is no resource: {reason}"
            found.tell(Problem(Place(name), what, "one FHIR resource a line", "json"))
            return
        found.good += 1
        if kind not in self.part.wanted:
            ignored = f"{kind}: no rule reads this type"
            found.ignored[ignored] = found.ignored.get(ignored, 0) + 1
            return
        if not keys:
            what = f"{kind} names no patient: not judged"
            found.tell(Problem(Place(name), what, "a subject", "subject"))
        for key in keys:
            if "/" in key:
                what = f"{kind} belongs to {key}, who is no patient: not judged"
                warning = Severity.WARNING
                found.tell(Problem(Place(name), what, "a patient", "subject", warning))
            elif self.part.patient in ("", key):
                self.spill.add(key.encode(), line)

    def _put(self, line: bytes) -> None:
        if self._shelf is None:
            self._shelf = Writer(shelf_path(self.part))
        self._shelf.put(line)
        self.found.good += 1

    def close(self) -> None:
        self.spill.flush()
        if self._shelf is not None:
            self._shelf.close()


def _reason(error: Exception) -> str:
    """Why a line is not JSON, without the explanations of a parser for its programmers."""
    text = str(error).partition(". ")[0].partition("\n")[0]
    return text if len(text) < 120 else "not JSON"


# -- an export: its patients ---------------------------------------------------------------------


class Patients(msgspec.Struct, frozen=True):
    """Some patients of an export, and what holds for all of them."""

    name: str
    partition: Partition
    states: Mapping[str, Coverage]
    shelves: tuple[Path, ...] = ()


def judge_patients(setting: Setting, patients: Patients) -> Outcome:
    """What comes of the patients, by rank. Raises OSError when their lines are gone."""
    outcome = Outcome()
    shelf = Shelf(patients.shelves)

    def read(data: bytes, name: str) -> Charts:
        return read_input(data, name, setting)

    try:
        for key, lines in patients.partition.groups():
            name = key.decode()
            try:
                charts = read_record(
                    lines, name, patients.name, read=read, states=patients.states, shelf=shelf
                )
            except Exception as error:  # noqa: BLE001 - one bad record never stops the rest
                where = Place(patients.name, resource=f"Patient/{name}")
                charts = Charts((), None, (not_judged(where, error),))
            if not charts.charts and not charts.problems:
                where = Place(patients.name, resource=f"Patient/{name}")
                charts = replace(charts, problems=(_no_chart(where),))
            outcome.judge(charts, patients.name, setting)
    finally:
        shelf.close()
    return outcome


def lost_patients(patients: Patients) -> Outcome:
    """What is told of a patient whose every worker died."""
    outcome = Outcome()
    for key in patients.partition.patients():
        name = key.decode()
        where = Place(patients.name, resource=f"Patient/{name}")
        outcome.tell(_died(where), patients.name, name)
    return outcome


def halve_patients(patients: Patients) -> list[Patients]:
    """The patients in two; nothing for a single one."""
    halves = patients.partition.halves() or ()
    return [replace(patients, partition=half) for half in halves]
