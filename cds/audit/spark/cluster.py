"""The hands of a Spark cluster, from the driver: work goes out in waves, outcomes come in order.

A wave is one job of Spark. Several are on their way, so that those who are done with one find the
next; its outcomes stay packed until it is their turn. No more is held here than the outcomes of the
waves on their way. What an executor writes nobody else reads: results come through Spark alone,
which takes each task's once, however often it ran.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import Any

from pyspark import RDD, SparkContext
from pyspark.accumulators import AccumulatorParam

from cds.audit.hands import Everyone, Pairs
from cds.audit.inputs import Record
from cds.audit.outcome import Outcome
from cds.audit.pool import JobError
from cds.audit.sorting import Part, Sorted
from cds.audit.spark.failure import why_failed
from cds.audit.spark.plan import Plan, bits_of, itself
from cds.audit.spark.tasks import (
    Parcel,
    Refused,
    Told,
    fill,
    judge_chunks,
    judge_partition,
    sort_parts,
    unpacked,
)
from cds.audit.spill import BUDGET

_MOST_TASKS, _MOST_CHUNKS = 64, 32
_GROUP = "cds-audit"
_DEPTH = 3
_PARTS = 4

Wave = Callable[[], list[Any]]


class Cluster:
    """Hands that are a cluster's; ``slots`` tasks run at a time."""

    def __init__(self, spark: SparkContext, parcel: Parcel) -> None:
        self._spark = spark
        self._parcel = parcel
        self._slots = max(1, int(spark.defaultParallelism))
        self._wave = max(1, min(_MOST_TASKS, self._slots))
        # Two tasks for each slot, at least.
        self._ahead = 1 + -(-2 * self._slots // self._wave)
        self._threads = ThreadPoolExecutor(self._ahead)
        self._lines: RDD[Any] | None = None
        self._told: dict[int, Told] = {}

    def close(self) -> None:
        """Ends whatever is on its way."""
        self._spark.cancelJobGroup(_GROUP)
        self._threads.shutdown(wait=True, cancel_futures=True)

    @property
    def keeps(self) -> bool:
        return False

    @property
    def budget(self) -> int:
        return BUDGET  # whoever sorts takes what its machine has

    def bits(self, size: int) -> int:
        return bits_of(size)

    # -- hands ------------------------------------------------------------------------------------

    def records(self, chunks: Iterable[tuple[Record, ...]]) -> Iterator[Outcome]:
        return self._outcomes(self._record_waves(iter(chunks)))

    def _record_waves(self, chunks: Iterator[tuple[Record, ...]]) -> Iterator[Wave]:
        # Few chunks a task at first: there may be no more of them than there are slots.
        each = 1
        while wave := list(islice(chunks, self._wave * each)):
            work = self._spark.parallelize(wave, -(-len(wave) // each))
            judging = partial(judge_chunks, self._parcel)
            yield partial(self._spark.runJob, work, judging)
            each = min(_MOST_CHUNKS, 2 * each)

    def sort(self, parts: Sequence[Part]) -> Iterator[Sorted]:
        self._told, self._lines = {}, None
        if not parts:
            return
        plan = Plan(parts[0].bits)
        told = self._spark.accumulator({}, _Once())
        sorting = partial(sort_parts, self._parcel, plan, told.add)
        pieces = self._spark.parallelize(parts, self._sorters(len(parts))).mapPartitions(sorting)
        self._lines = pieces.partitionBy(plan.width, itself)
        # Of the last partition, which is empty: what is wanted is that the shuffle happens.
        done = self._start(partial(self._spark.runJob, self._lines, list, [plan.width - 1]))
        for part in parts:
            while part.number not in told.value and not done.done():
                wait([done], timeout=0.1)
            if part.number not in told.value:
                _result(done)
            found = told.value[part.number]
            if isinstance(found, Refused):
                raise JobError(found.why)
            self._told[part.number] = found
            yield found.sorted
        _result(done)

    def _sorters(self, parts: int) -> int:
        """How many tasks sort: one a part, unless the cluster is busy enough with fewer."""
        return max(min(parts, 4 * self._slots), -(-parts // _PARTS))

    def patients(self, everyone: Everyone, todo: range, sorting: Pairs) -> Iterator[Outcome]:
        if self._lines is None:
            return (Outcome() for _ in todo)
        plan = Plan(sorting[0][0].bits)
        judging = partial(judge_partition, self._parcel, plan, everyone)
        judged = self._with_medications(plan, self._lines).mapPartitionsWithIndex(judging)
        waves = (
            partial(self._spark.runJob, judged, list, list(todo[start : start + self._wave]))
            for start in range(0, len(todo), self._wave)
        )
        return self._outcomes(waves)

    def _with_medications(self, plan: Plan, lines: RDD[Any]) -> RDD[Any]:
        """The lines, with the Medications that they ask for in the same partitions.

        A Medication goes once to each partition that asks for it, so that one that everybody takes
        burdens nobody. Lines stay where they are: the two have one partitioner.
        """
        whole = lines
        if any(told.medications for told in self._told.values()):
            nested = any(told.nested for told in self._told.values())
            for _ in range(_DEPTH if nested else 1):
                shelves = _only(whole, plan.shelves())
                given = shelves.mapPartitions(partial(fill, plan)).partitionBy(plan.width, itself)
                whole = lines.union(given)
        return whole

    # -- waves ------------------------------------------------------------------------------------

    def _outcomes(self, waves: Iterator[Wave]) -> Iterator[Outcome]:
        """What comes of the waves, in order, while others are on their way."""
        started: deque[Future[list[Any]]] = deque()
        try:
            while True:
                ahead = self._ahead - len(started)
                started.extend(self._start(wave) for wave in islice(waves, ahead))
                if not started:
                    return
                for item in _result(started.popleft()):
                    if isinstance(item, Refused):
                        raise JobError(item.why)
                    yield unpacked(item)
        finally:
            for future in started:
                future.cancel()

    def _start(self, wave: Wave) -> Future[list[Any]]:
        return self._threads.submit(self._run, wave)

    def _run(self, wave: Wave) -> list[Any]:
        # Of this thread: what is cancelled is ours, and nothing else that the context does.
        self._spark.setJobGroup(_GROUP, "cds audit", interruptOnCancel=False)
        return wave()


def _result(future: Future[list[Any]]) -> list[Any]:
    """What a wave gave. Raises ``JobError``."""
    try:
        return future.result()
    except Exception as error:
        raise JobError(why_failed(error)) from error


class _Once(AccumulatorParam):  # type: ignore[misc]
    """A dictionary that takes each key once: a task that ran twice has told the same."""

    def zero(self, value: dict[int, Any]) -> dict[int, Any]:  # noqa: ARG002
        return {}

    def addInPlace(self, value1: dict[int, Any], value2: dict[int, Any]) -> dict[int, Any]:  # noqa: N802
        value1.update(value2)
        return value1


def _only(whole: RDD[Any], numbers: range) -> RDD[Any]:
    """Those partitions alone: of the others nothing is read."""
    # Python's RDD has no way to say so; a Scala set is a function from an element to a Boolean.
    jvm = whole.ctx._jvm
    chosen = jvm.PythonUtils.toSeq(list(numbers)).toSet()
    pruning = jvm.org.apache.spark.rdd.PartitionPruningRDD
    pruned = pruning.create(whole._jrdd.rdd(), chosen)
    return RDD(pruned.toJavaRDD(), whole.ctx, whole._jrdd_deserializer)
