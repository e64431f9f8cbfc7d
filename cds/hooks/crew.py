"""The worker processes of a service: started, listened to, told to end, and their end noted.

What is decided about them is ``cds.hooks.supervisor``'s.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

from cds.hooks.app import Options, Seat
from cds.hooks.board import Board
from cds.hooks.edition import Edition
from cds.hooks.gate import Gate
from cds.hooks.journal import Journal
from cds.hooks.worker import RETIRE, Place, work

START_SECONDS = 60.0
SILENT_SECONDS = 30.0
"""A worker that gave no sign of life for so long hangs, and is killed."""
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGCHLD")
    if hasattr(signal, name)
)
_LEAVING_SECONDS = 5.0
_IDLE_SECONDS = 6.0


@dataclass(slots=True)
class Worker:
    """A process that answers, or will.

    ``line`` is our end of a pipe from it: it writes there once it serves, and the other end is
    closed as soon as it accepts no more calls, however that came; then ours is None.
    ``deadline`` is when it has to be gone, 0 while nobody told it to go.
    """

    pid: int
    seat: int
    began: float
    line: int | None
    serves: bool = False
    deadline: float = 0.0
    is_killed: bool = False

    @property
    def accepts(self) -> bool:
        return self.line is not None

    def hang_up(self) -> None:
        if self.line is not None:
            os.close(self.line)
            self.line = None


@dataclass(frozen=True, slots=True)
class Running:
    """How the service is run: on which socket, by what clock, and whether files are watched."""

    listener: socket.socket
    clock: Callable[[], datetime]
    options: Options
    watch: bool = False


class Crew:
    """All workers: ``serving`` by the edition in force, ``coming`` for the next, ``leaving``."""

    def __init__(self, running: Running, board: Board, journal: Journal) -> None:
        self.serving: list[Worker] = []
        self.coming: list[Worker] = []
        self.leaving: list[Worker] = []
        self.heard: list[int] = []
        self._running, self._board, self._journal = running, board, journal

    def all(self) -> list[Worker]:
        return [*self.serving, *self.coming, *self.leaving]

    def wait(self, seconds: float) -> None:
        """Returns when a signal came, a worker began or ceased to accept, or the time is over."""
        lines = [worker.line for worker in self.all() if worker.line is not None]
        found, _, _ = select.select([self._wake, *lines], [], [], seconds)
        if self._wake in found:
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
        for worker in self.all():
            if worker.line is None or worker.line not in found:
                continue
            if os.read(worker.line, 1):
                worker.serves = True
                self._board.beat(worker.seat, monotonic())
                self.say(state="ready", process=worker.pid)
            else:
                worker.hang_up()

    def fork(self, edition: Edition) -> Worker:
        """A new worker for that edition."""
        taken = {worker.seat for worker in self.all()}
        seat = next(number for number in range(self._board.seats) if number not in taken)
        reading, writing = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:  # pragma: no cover - another process
                os.close(reading)
                self._become_worker(edition, seat, writing)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(writing)
        return Worker(pid, seat, monotonic(), reading)

    def _become_worker(self, edition: Edition, seat: int, writing: int) -> None:
        """Answers, and ends the process."""  # pragma: no cover - another process
        code, journal, running = 3, self._journal, self._running
        try:
            self.alone()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            place = Place(
                seat=Seat(Gate(), self._board),
                ready=lambda: os.write(writing, b"r"),
                closed=lambda: os.close(writing),
                pulse=lambda: self._board.beat(seat, monotonic()),
                life=self._life[0],
            )
            options = replace(running.options, settings=edition.settings)
            work(edition, running.clock, running.listener, options, journal, place)
            code = 0
        except BaseException as error:  # noqa: BLE001 - it is the end of the process
            journal.write({"event": "worker", "level": "error", "error": type(error).__name__})
            journal.close()
        finally:
            os._exit(code)

    def alone(self) -> None:
        """In a process that was just forked: lets go of what is the parent's."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for end in (self._life[1], self._wake, self._waker):
            os.close(end)
        for worker in self.all():
            worker.hang_up()

    def ended(self) -> Iterator[tuple[Worker, int]]:
        """Each worker that ended since, and how; it is still in its list."""
        for worker in self.all():
            code = ended(worker.pid)
            if code is not None:
                worker.hang_up()
                yield worker, code

    def kill_late(self) -> None:
        """Ends workers that hang: at their start, at their work, or on their way out."""
        now = monotonic()
        for worker in self.all():
            silent = now - max(self._board.beat_of(worker.seat), worker.began)
            late = worker.deadline and now > worker.deadline
            if worker.is_killed:
                continue
            if late or silent > (SILENT_SECONDS if worker.serves else START_SECONDS):
                worker.is_killed = True
                self.say("warning", state="killed", process=worker.pid)
                _tell(worker, signal.SIGKILL)

    def exchange(self, grace: float) -> None:
        """Those that come take the place of those that serve; these finish what they took."""
        for worker in self.serving:
            _tell(worker, RETIRE)
            worker.deadline = monotonic() + grace + _IDLE_SECONDS + _LEAVING_SECONDS
        self.leaving += self.serving
        self.serving, self.coming = self.coming, []

    def stop(self, grace: float) -> None:
        """Tells all to end in order."""
        for worker in self.all():
            _tell(worker, signal.SIGTERM)
            worker.deadline = monotonic() + grace + _LEAVING_SECONDS
        self.leaving, self.serving, self.coming = self.all(), [], []

    def dismiss_coming(self) -> None:
        """Ends those that were to come."""
        for worker in self.coming:
            _tell(worker, signal.SIGKILL)
        self.leaving += self.coming
        self.coming = []

    def kill_all(self) -> None:
        for worker in self.all():
            _tell(worker, signal.SIGKILL)

    def say(self, level: str = "info", **what: object) -> None:
        """One line of log."""
        self._journal.write({"event": "worker", "level": level, **what})

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While it lasts, signals are gathered in ``heard``, and workers know that we live."""
        self._wake, self._waker = os.pipe()
        self._life = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)

        def hear(number: int, _: object) -> None:
            self.heard.append(number)

        before = {number: signal.signal(number, hear) for number in SIGNALS}
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in (self._wake, self._waker, *self._life):
                os.close(end)


def _tell(worker: Worker, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(worker.pid, number)


def ended(pid: int) -> int | None:
    """How a child ended (its code, or minus the signal's number); None while it runs."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return -1
    return os.waitstatus_to_exitcode(status) if found else None
