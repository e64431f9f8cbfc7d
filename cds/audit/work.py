"""What a worker judges: records, and patients of an export that ``cds.audit.sorting`` sorted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from cds.audit.inputs import Record
from cds.audit.outcome import Outcome, not_judged
from cds.audit.shelf import Shelf
from cds.audit.source import DAMAGE, reason_of
from cds.audit.spill import Partition
from cds.cards.judge import Setting, read_input, reader_of
from cds.chart.document import MAX_BYTES
from cds.chart.export import Lines, read_record
from cds.chart.interest import before
from cds.chart.model import Coverage
from cds.chart.reader import Charts
from cds.values.problem import Place, Problem


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
        outcome.judge(charts, record.name, setting, record.line)
    return outcome


def _charts(record: Record, setting: Setting) -> Charts:
    if record.problem is not None:
        return Charts((), None, (record.problem,))
    try:
        data = _read(record)
    except (OSError, *DAMAGE) as error:
        what = reason_of(error)
        return Charts((), None, (Problem(Place(record.name), what, "a readable file", "file"),))
    if data is None:
        what = f"is larger than {MAX_BYTES // (1024 * 1024)} MiB"
        accepted = "one record; a population as an export or in several files"
        return Charts((), None, (Problem(Place(record.name), what, accepted, "file"),))
    found = read_input(data, record.name, setting)
    if not record.line:
        return found
    lined = [replace(item, where=item.where.on(record.line)) for item in found.problems]
    return replace(found, problems=tuple(lined))


def _read(record: Record) -> bytes | None:
    """The record's bytes; None where there are too many. Raises OSError."""
    if record.data is not None:
        return record.data if len(record.data) <= MAX_BYTES else None
    with record.open() as file:
        if record.member >= 0:
            # Its size is what the archive says.
            data = file.read(min(record.size, MAX_BYTES) + 1)
            return data if len(data) <= MAX_BYTES else None
        # To ask for so many bytes at most would have memory made for as many.
        return file.read() if os.fstat(file.fileno()).st_size <= MAX_BYTES else None


def lost_records(records: tuple[Record, ...]) -> Outcome:
    """What is told of records whose every worker died."""
    outcome = Outcome()
    for record in records:
        outcome.tally.inputs += 1
        outcome.tally.unreadable += 1
        outcome.tell(_died(Place(record.name)), record.name, line=record.line)
    return outcome


def _died(where: Place) -> Problem:
    what = "the process that judged it died, and died again when it was tried once more"
    return Problem(where, what, "a record that fits into memory, or a larger --memory", "worker")


def halve_records(records: tuple[Record, ...]) -> list[tuple[Record, ...]]:
    """The records in two; nothing for a single one."""
    middle = len(records) // 2
    return [records[:middle], records[middle:]] if middle else []


# -- an export: its patients ---------------------------------------------------------------------


class Patients(msgspec.Struct, frozen=True):
    """Some patients of an export, and what holds for all of them."""

    name: str
    partition: Partition
    states: Mapping[str, Coverage]
    shelves: tuple[Path, ...] = ()
    drafts: bool = False


def judge_patients(setting: Setting, patients: Patients) -> Outcome:
    """What comes of the patients, by rank. Raises OSError when their lines are gone."""
    outcome = Outcome()
    shelf = Shelf(patients.shelves)
    try:
        for key, lines in patients.partition.groups(MAX_BYTES):
            charts = _charts_of(key.decode(), lines, patients, setting, shelf)
            outcome.judge(charts, patients.name, setting)
    finally:
        shelf.close()
    return outcome


def _charts_of(
    name: str, lines: Lines | None, patients: Patients, setting: Setting, shelf: Shelf
) -> Charts:
    """The charts of a patient's lines; None of them were too many."""
    where = Place(patients.name, resource=f"Patient/{name}")
    if lines is None:
        most = f"{MAX_BYTES // (1024 * 1024)} MiB"
        what = f"the lines of this patient are more than {most}, or than a worker's memory"
        return Charts((), None, (Problem(where, what, "one patient's record", "memory"),))

    def read(data: bytes, source: str) -> Charts:
        return read_input(data, source, setting)

    interest = reader_of(setting).interest
    left = {
        kind: replace(item, reason=before(interest.since)) if kind in interest.dated else item
        for kind, item in lines.left.items()
    }
    try:
        found = read_record(
            *(replace(lines, left=left), name, patients.name),
            read=read,
            states=patients.states,
            shelf=shelf,
            drafts=patients.drafts,
        )
    except Exception as error:  # noqa: BLE001 - one bad record never stops the rest
        return Charts((), None, (not_judged(where, error),))
    nothing = not found.charts and not found.problems
    return replace(found, problems=(_no_chart(where),)) if nothing else found


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
