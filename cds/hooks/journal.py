"""The log: each event one line of JSON on standard error, with its moment and level.

Nobody waits for whoever reads it. In a process that answers calls a thread writes what others put
into a short queue; what does not fit is dropped, counted, and the number told once there is room.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from queue import Full, Queue

from cds.cards.wire import encode

Log = Callable[[Mapping[str, object]], None]
"""Takes one event: ids, counts, durations; never anything of a record."""

MAX_WAITING = 4_000
"""So many lines wait to be written."""
# A pipe takes this much in one piece, so that lines of several processes do not mix (POSIX).
MAX_LINE = 4_096
_LAST_SECONDS = 1.0
_LOUD = logging.WARNING


class Journal:
    """Writes events to a file descriptor. ``clock`` is asked for the moment of each.

    Until ``start`` is called there is no thread: a line is written at once if the descriptor takes
    it, and dropped if it does not. A process that forks must not have threads.
    """

    def __init__(self, clock: Callable[[], datetime], to: int = 2) -> None:
        self.dropped = 0
        self._clock, self._to = clock, to
        self._told = 0
        self._queue: Queue[bytes | None] = Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None

    def write(self, event: Mapping[str, object]) -> None:
        """Takes an event; never waits, never raises."""
        line = self._line(event)
        if self._thread is None:
            self._write_if_taken(line)
            return
        try:
            self._queue.put_nowait(line)
        except Full:
            self.dropped += 1

    def start(self) -> None:
        """Has a thread write from now on."""
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Writes what still waits, as far as it is taken within a second."""
        if self._thread is None:
            return
        try:
            self._queue.put_nowait(None)
        except Full:
            return
        self._thread.join(_LAST_SECONDS)

    def _line(self, event: Mapping[str, object]) -> bytes:
        now = self._clock().astimezone(UTC)
        head = {
            "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": "warning" if "error" in event else "info",
        }
        line = encode({**head, **event}) + b"\n"
        if len(line) <= MAX_LINE:
            return line
        short = {key: value for key, value in event.items() if isinstance(value, int | float)}
        return encode({**head, "event": event.get("event", ""), **short, "shortened": True}) + b"\n"

    def _work(self) -> None:
        while (line := self._queue.get()) is not None:
            self._put(line)
            lost = self.dropped - self._told
            if lost and self._queue.qsize() < MAX_WAITING // 2:
                self._told += lost
                self._put(self._line({"event": "log", "level": "warning", "dropped": lost}))

    def _write_if_taken(self, line: bytes) -> None:
        try:
            _, ready, _ = select.select([], [self._to], [], 0)
        except (OSError, ValueError):
            ready = []
        if ready:
            self._put(line)
        else:
            self.dropped += 1

    def _put(self, line: bytes) -> None:
        try:
            while line:
                line = line[os.write(self._to, line) :]
        except OSError:  # nobody reads any more
            self.dropped += 1


class _OneLine(logging.Handler):
    """Turns what libraries log into events: class names and the server's own texts alone, of
    everybody else the logger's name, since a text may quote a record or a token.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(_LOUD)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, object] = {"event": "server", "level": record.levelname.lower()}
        if record.exc_info and record.exc_info[0] is not None:
            event["error"] = record.exc_info[0].__name__
        elif not record.name.startswith("uvicorn"):
            event["logger"] = record.name
        else:
            event["message"] = str(record.msg).partition("\n")[0][:200]
        self._log(event)


def take_over_logging(log: Log) -> None:
    """Has the logs of the server and of every library written as events; warnings and worse."""
    root, server = logging.getLogger(), logging.getLogger("uvicorn")
    root.handlers, server.handlers = [_OneLine(log)], []
    server.propagate = True
    for logger in (root, server):
        logger.setLevel(_LOUD)
