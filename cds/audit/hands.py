"""Who does the work of an audit: processes of this machine here, a Spark cluster elsewhere.

Whoever it is, the same jobs (``cds.audit.work``, ``cds.audit.sorting``) give the same outcomes in
the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import msgspec

from cds.audit.inputs import Record
from cds.audit.memory import Memory
from cds.audit.outcome import Outcome
from cds.audit.pool import Job, Lost, Pool
from cds.audit.sorting import Part, Sorted, shelf_path, sort_part, spill_path
from cds.audit.spill import Partition, bits_for
from cds.audit.work import (
    Patients,
    halve_patients,
    halve_records,
    judge_patients,
    judge_records,
    lost_patients,
    lost_records,
)
from cds.cards.judge import Setting, read_input
from cds.chart.model import Coverage
from cds.engine.review import evaluator

Pairs = Sequence[tuple[Part, Sorted]]
"""The parts of an export with what sorting gave."""


class Everyone(msgspec.Struct, frozen=True):
    """What holds for all patients of an export; see ``read_record``."""

    name: str
    states: Mapping[str, Coverage]
    drafts: bool = False


class Hands(Protocol):
    """What a run asks for. Each method may raise ``JobError``: the run cannot go on."""

    @property
    def keeps(self) -> bool:
        """Whether what was sorted is there for a run that is resumed."""

    @property
    def budget(self) -> int:
        """Bytes of lines that whoever sorts a part may hold in memory."""

    def bits(self, size: int) -> int:
        """How many bits number the partitions of an export of so many bytes."""

    def records(self, chunks: Iterable[tuple[Record, ...]]) -> Iterator[Outcome]:
        """What comes of each chunk, in order. Chunks are taken as they are needed."""

    def sort(self, parts: Sequence[Part]) -> Iterator[Sorted]:
        """For each part of an export, in order, what sorting it by patient gave."""

    def patients(self, everyone: Everyone, todo: range, sorting: Pairs) -> Iterator[Outcome]:
        """What comes of each partition, by number, of the export that was sorted last."""


class Local(msgspec.Struct, frozen=True):
    """The hands of this machine; the pool does the jobs of ``jobs_of``."""

    pool: Pool
    memory: Memory

    @property
    def keeps(self) -> bool:
        return True

    @property
    def budget(self) -> int:
        return self.memory.budget

    def bits(self, size: int) -> int:
        return bits_for(size)

    def records(self, chunks: Iterable[tuple[Record, ...]]) -> Iterator[Outcome]:
        for results in self.pool.run("records", chunks, halve_records):
            yield _merged(results, lost_records)

    def sort(self, parts: Sequence[Part]) -> Iterator[Sorted]:
        for (found,) in self.pool.run("sort", parts, _whole):
            yield Sorted(lost=True) if isinstance(found, Lost) else found

    def patients(self, everyone: Everyone, todo: range, sorting: Pairs) -> Iterator[Outcome]:
        shelves = tuple(shelf_path(part) for part, found in sorting if found.shelf)
        paths = tuple(spill_path(part) for part, found in sorting if not found.lost)
        bits = sorting[0][0].bits if sorting else 0
        name, states, drafts = everyone.name, everyone.states, everyone.drafts
        work = (
            Patients(name, Partition(number, bits, paths), states, shelves, drafts)
            for number in todo
        )
        for results in self.pool.run("patients", work, halve_patients):
            yield _merged(results, lost_patients)


@contextmanager
def local_hands(setting: Setting, memory: Memory) -> Iterator[Local]:
    """Hands of this machine, as many as there is memory for."""
    with Pool(jobs_of(setting), memory.workers, memory.share) as pool:
        yield Local(pool, memory)


def jobs_of(setting: Setting) -> dict[str, Job]:
    """The jobs of a run by name, the rulebook compiled: whoever is forked has it."""
    evaluator(setting.rulebook)
    read_input(b"", "", setting)
    return {
        "records": partial(judge_records, setting),
        "sort": partial(sort_part, setting),
        "patients": partial(judge_patients, setting),
    }


def _merged(results: Iterable[Any], lost: Callable[[Any], Outcome]) -> Outcome:
    """One outcome of the results of an item, which may have been halved, or lost in part."""
    whole = Outcome()
    for result in results:
        whole.merge(lost(result.item) if isinstance(result, Lost) else result)
    return whole


def _whole(_: Part) -> list[Part]:
    """A part is not halved: what its reader died of is one line, and no one knows which."""
    return []
