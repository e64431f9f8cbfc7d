"""What an executor does: the jobs of a local run, with their data brought by Spark.

Judging happens in a child of the executor's Python process, as in a local run: an input that kills
its process costs itself, not the task. Whatever a task writes goes to a folder of its own, which is
gone when it ends: a task that runs twice doubles nothing.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from cds.audit.hands import Everyone, Local, jobs_of
from cds.audit.inputs import Record
from cds.audit.journal import counter, encode
from cds.audit.memory import memory_of
from cds.audit.outcome import Outcome
from cds.audit.pool import Job, Pool
from cds.audit.shelf import Writer, read_shelf
from cds.audit.sorting import Part, Sorted, shelf_path, spill_path
from cds.audit.source import Source
from cds.audit.spark.edition import Edition, MismatchError
from cds.audit.spark.plan import INNER, Plan
from cds.audit.spill import Spill, partitions
from cds.chart.export import medications_named

LINES, SHELVED, PUT, ASK = "lines", "shelved", "put", "ask"
Piece = tuple[int, tuple[str, Any]]
"""What goes through the shuffle, with the number of its partition: ``LINES``, a block of a spill;
``SHELVED``, lines of Medications for patients; ``PUT``, lines of Medications for their shelf;
``ASK``, pairs: the id of a Medication, the partitions of patients that ask for it."""

Tell = Callable[[dict[int, "Told | Refused"]], None]
"""Takes what is to be told of each part by its number; twice told is told once."""


class Refused(msgspec.Struct, frozen=True):
    """Stands where a result would: this executor cannot do the work, and says why."""

    why: str


class Told(msgspec.Struct, frozen=True):
    """What came of sorting a part: ``medications`` how many, ``nested`` if some name others."""

    sorted: Sorted
    medications: int = 0
    nested: bool = False


class Parcel(msgspec.Struct, frozen=True):
    """A broadcast ``Edition``, and what tells it from others."""

    key: str
    broadcast: Any

    def hands(self) -> Local:
        """The hands of this process, made when first asked for. Raises ``MismatchError``."""
        if self.key not in _hands:
            edition: Edition = self.broadcast.value
            jobs: dict[str, Job] = {
                name: partial(_inside, edition.folder, job)
                for name, job in jobs_of(edition.opened()).items()
            }
            # Never left: the child goes when this process is gone and the pipe to it closes.
            memory = memory_of(*((1, edition.memory) if edition.memory else (_neighbours(), 0)))
            _hands[self.key] = Local(Pool(jobs, 1, memory.share).__enter__(), memory)
        return _hands[self.key]

    def hidden(self, sources: Iterable[Source]) -> str:
        """A folder of the sources that this machine does not see; "" if it sees all."""
        base = Path(self.broadcast.value.folder)
        folders = {str((base / source.place).parent) for source in sources}
        return next((name for name in sorted(folders) if not Path(name).is_dir()), "")


_hands: dict[str, Local] = {}


def _neighbours() -> int:
    """How many processes like this one there may be on this machine: one a core."""
    return os.cpu_count() or 1


def _inside(folder: str, job: Job, item: Any) -> Any:
    """Does a job where the driver was started, so that names mean the same."""
    with suppress(OSError):
        os.chdir(folder)
    return job(item)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for what one run of one task writes, where Spark keeps such things."""
    base = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0]
    with tempfile.TemporaryDirectory(prefix="cds-task-", dir=base or None) as name:
        yield Path(name)


def _unseen(folder: str) -> Refused:
    return Refused(
        f"an executor does not see the folder {folder}; accepted: inputs in a file system that"
        " every executor has at the same place"
    )


# -- records ---------------------------------------------------------------------------------------


def judge_chunks(parcel: Parcel, chunks: Iterable[tuple[Record, ...]]) -> Iterator[bytes | Refused]:
    """For each chunk of records its outcome, packed; or why there is none."""
    try:
        hands = parcel.hands()
    except MismatchError as error:
        yield Refused(str(error))
        return
    for chunk in chunks:
        hidden = parcel.hidden(record for record in chunk if record.data is None)
        if hidden:
            yield _unseen(hidden)
        else:
            yield from map(packed, hands.records([chunk]))


_decode = msgspec.msgpack.Decoder(Outcome, dec_hook=counter).decode


def packed(outcome: Outcome) -> bytes:
    """An outcome as it travels: a tenth of its size."""
    return zlib.compress(encode(outcome), 1)


def unpacked(data: bytes) -> Outcome:
    """The outcome again."""
    return _decode(zlib.decompress(data))


# -- an export: sorting ----------------------------------------------------------------------------


def sort_parts(parcel: Parcel, plan: Plan, tell: Tell, parts: Iterable[Part]) -> Iterator[Piece]:
    """The pieces of each part for the shuffle; what is to be told of it goes to ``tell``."""
    for part in parts:
        hidden = parcel.hidden([part.source])
        if hidden:
            tell({part.number: _unseen(hidden)})
            continue
        try:
            hands = parcel.hands()
        except MismatchError as error:
            tell({part.number: Refused(str(error))})
            continue
        with _folder() as folder:
            here = replace(part, folder=folder, budget=hands.budget)
            (found,) = hands.sort([here])
            shelved = _Shelved(plan)
            if not found.lost:
                for block in partitions(plan.bits, [spill_path(here)]):
                    data = block.block()
                    if data:
                        shelved.ask(block.number, data)
                        yield block.number, (LINES, data)
                yield from shelved.pieces(shelf_path(here))
            tell({part.number: Told(found, shelved.count, shelved.nested)})


class _Shelved:
    """What of a part concerns Medications: who asks for which, and those that it holds."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.count = 0
        self.nested = False
        self._asked: dict[bytes, set[int]] = {}

    def ask(self, number: int, data: bytes) -> None:
        """Notes what the lines of a partition ask for."""
        for name in medications_named(data):
            self._asked.setdefault(name, set()).add(number)

    def pieces(self, shelf: Path) -> Iterator[Piece]:
        yield from asking(self.plan, self._asked)
        if not shelf.exists():
            return
        for name, line in read_shelf(shelf):
            self.count += 1
            self.nested = self.nested or bool(medications_named(line))
            yield self.plan.shelf(name.encode()), (PUT, line)


def asking(plan: Plan, asked: Mapping[bytes, set[int]]) -> Iterator[Piece]:
    """The pieces that ask for Medications, together for each shelf."""
    found: dict[int, list[tuple[str, set[int]]]] = {}
    for raw, numbers in asked.items():
        name = raw.decode("utf-8", "replace")
        found.setdefault(plan.shelf(name.encode()), []).append((name, numbers))
    for number, asks in found.items():
        yield number, (ASK, asks)


# -- an export: shared Medications -----------------------------------------------------------------


def fill(plan: Plan, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """From one shelf: its Medications for all who ask, and what these ask for themselves."""
    with _folder() as folder:
        path = folder / "shelf"
        writer = Writer(path)
        asked: dict[str, set[int]] = {}
        for _, (kind, content) in pieces:
            if kind == PUT:
                writer.put(content)
            else:
                for name, numbers in content:
                    asked.setdefault(name, set()).update(numbers)
        writer.close()
        given: dict[int, list[bytes]] = {}
        further: dict[bytes, set[int]] = {}
        for name, line in read_shelf(path):
            numbers = asked.get(name, set())
            for number in numbers:
                given.setdefault(number, []).append(line)
            for other in medications_named(line) if numbers else ():
                further.setdefault(other, set()).update(numbers)
        for number, lines in given.items():
            yield number, (SHELVED, lines)
        yield from asking(plan, further)


# -- an export: judging ----------------------------------------------------------------------------


def judge_partition(
    parcel: Parcel, plan: Plan, everyone: Everyone, number: int, pieces: Iterable[Piece]
) -> Iterator[bytes | Refused]:
    """The outcome of the patients of one partition, packed."""
    try:
        hands = parcel.hands()
    except MismatchError as error:
        yield Refused(str(error))
        return
    with _folder() as folder:
        part = Part(Source(""), 0, folder, plan.bits + INNER, frozenset())
        spill = Spill(spill_path(part), part.bits)
        shelf: Writer | None = None
        for _, (kind, content) in pieces:
            if kind == LINES:
                spill.add_block(content)
                continue
            shelf = shelf or Writer(shelf_path(part))
            for line in content:
                shelf.put(line)
        spill.close()
        if shelf is not None:
            shelf.close()
        sorting = [(part, Sorted(shelf=shelf is not None))]
        # Of the finer partitions those that are in this one: the others have nobody.
        todo = range(number << INNER, (number + 1) << INNER)
        whole = Outcome()
        for outcome in hands.patients(everyone, todo, sorting):
            whole.merge(outcome)
    yield packed(whole)
