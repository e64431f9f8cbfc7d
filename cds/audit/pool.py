"""Worker processes that may die: results in order, a lost process costs one input at most.

Processes, since judging is Python. On Linux they are forked before anything here starts a thread,
so that a worker begins with the compiled rulebook in shared memory and costs milliseconds instead
of a start of the interpreter; elsewhere they are spawned and get their jobs pickled.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

import msgspec

from cds.audit.memory import limit_to

Job = Callable[[Any], Any]
Halve = Callable[[Any], "Sequence[Any]"]
_TRIES = 2
# A record is let go soon after it was read: to look for what refers to itself seldom is enough.
_GARBAGE = 20_000
_PR_SET_PDEATHSIG = 1
_METHOD = "fork" if sys.platform == "linux" else "spawn"


class JobError(Exception):
    """A job failed in a way that is no input's fault (a full disk): the run cannot go on."""


class Lost(msgspec.Struct, frozen=True):
    """Stands where a result would: every process that took this up died."""

    item: Any


class _Task(msgspec.Struct):
    """One item on its way: ``index`` of the item it came from, ``path`` of halves to it."""

    index: int
    path: tuple[int, ...]
    item: Any
    deaths: int = 0


class _Worker(msgspec.Struct):
    process: Any
    link: Connection
    task: _Task | None = None


class Pool(msgspec.Struct):
    """``size`` processes that do the named ``jobs``; a context manager that ends them.

    Each may use ``share`` bytes of memory of its own; 0: any.
    """

    jobs: Mapping[str, Job]
    size: int
    share: int = 0
    deaths: int = 0
    _workers: list[_Worker] = msgspec.field(default_factory=list)

    def __enter__(self) -> Pool:
        # What was loaded before the fork is never looked at by the collectors of the workers, so
        # that its pages stay shared.
        gc.collect()
        gc.freeze()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            with suppress(OSError):
                worker.link.close()
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()
        gc.unfreeze()

    def run(self, job: str, items: Iterable[Any], halve: Halve) -> Iterator[list[Any]]:
        """For each item, in order, its results: one, or several where it had to be halved.

        A process that dies is replaced and the item tried once more; then its halves are. ``halve``
        gives (item, item), or nothing for one that cannot be divided: ``Lost`` stands for it. Items
        are taken as they are needed. Raises ``JobError``.
        """
        todo, again = enumerate(items), deque[_Task]()
        done: dict[int, list[tuple[tuple[int, ...], Any]]] = {}
        open_tasks: dict[int, int] = {}
        next_out, taken, exhausted = 0, 0, False

        def fill() -> None:
            nonlocal taken, exhausted
            while len(self._busy()) < self.size and (again or not exhausted):
                if not again:
                    if taken - next_out >= 4 * self.size:
                        return
                    index, item = next(todo, (-1, None))
                    if index < 0:
                        exhausted = True
                        return
                    taken, open_tasks[index] = index + 1, 1
                    again.append(_Task(index, (), item))
                self._send(job, again.popleft())

        while True:
            fill()
            if not self._busy():
                return
            for task, result in self._received():
                if isinstance(result, _Died):
                    self._divide(task, halve, again, open_tasks, done)
                else:
                    open_tasks[task.index] -= 1
                    done.setdefault(task.index, []).append((task.path, result))
            # Whoever takes the results takes their time: the workers go on meanwhile.
            fill()
            while open_tasks.get(next_out) == 0:
                del open_tasks[next_out]
                yield [result for _, result in sorted(done.pop(next_out), key=_path)]
                next_out += 1

    def _divide(
        self,
        task: _Task,
        halve: Halve,
        again: deque[_Task],
        open_tasks: dict[int, int],
        done: dict[int, list[tuple[tuple[int, ...], Any]]],
    ) -> None:
        task.deaths += 1
        if task.deaths < _TRIES:
            again.appendleft(task)
            return
        parts = halve(task.item)
        open_tasks[task.index] += len(parts) - 1
        if not parts:
            done.setdefault(task.index, []).append((task.path, Lost(task.item)))
        again.extendleft(
            _Task(task.index, (*task.path, number), part)
            for number, part in reversed(list(enumerate(parts)))
        )

    # -- processes --------------------------------------------------------------------------------

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task is not None]

    def _send(self, job: str, task: _Task) -> None:
        worker = next((item for item in self._workers if item.task is None), None)
        if worker is None:
            worker = self._start()
        worker.task = task
        # A worker that died while idle shows as dead when its answer is awaited.
        with suppress(OSError):
            worker.link.send((job, task.item))

    def _start(self) -> _Worker:
        context: Any = multiprocessing.get_context(_METHOD)
        ours, theirs = context.Pipe()
        others = [item.link for item in self._workers] if _METHOD == "fork" else []
        if _METHOD == "fork":
            others.append(ours)
        process = context.Process(target=_serve, args=(theirs, dict(self.jobs), others, self.share))
        process.daemon = True
        worker = _Worker(process, ours)
        with _undisturbed():
            process.start()
            self._workers.append(worker)
        theirs.close()
        return worker

    def _received(self) -> Iterator[tuple[_Task, Any]]:
        """Answers that are there, and deaths; waits for at least one."""
        busy = {worker.link: worker for worker in self._busy()}
        for link in wait(list(busy)):
            worker = busy[link]  # type: ignore[index]
            task = worker.task
            assert task is not None
            worker.task = None
            try:
                good, result = worker.link.recv()
            except (EOFError, OSError):
                self._bury(worker)
                yield task, _Died()
                continue
            if not good:
                raise JobError(result)
            yield task, result

    def _bury(self, worker: _Worker) -> None:
        self.deaths += 1
        self._workers.remove(worker)
        worker.link.close()
        worker.process.kill()
        worker.process.join()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds Ctrl-C back: a worker is known, and leaves it to its parent, before it can arrive."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with_parent() -> None:
    """Asks Linux to end this process when its parent ends; elsewhere its link tells it, later."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Died:
    """The process ended without an answer."""


def _path(result: tuple[tuple[int, ...], Any]) -> tuple[int, ...]:
    return result[0]


def _serve(
    link: Connection, jobs: Mapping[str, Job], others: Sequence[Connection], share: int
) -> None:
    """A worker's life: takes jobs until the link closes. It leaves Ctrl-C to its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with_parent()
    gc.set_threshold(_GARBAGE, 10, 10)
    if share:
        limit_to(share)
    # Ends of pipes that a fork inherits: held open here, they would hide that the parent is gone.
    for other in others:
        other.close()
    while True:
        try:
            job, item = link.recv()
        except (EOFError, OSError):
            return
        try:
            answer = True, jobs[job](item)
        except Exception as error:  # noqa: BLE001 - told to the parent, which stops
            answer = (
                False,
                f"{type(error).__name__}: {error}"
                if isinstance(error, OSError)
                else type(error).__name__,
            )
        with suppress(OSError):
            link.send(answer)
