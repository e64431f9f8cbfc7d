"""How far a run is: a bar on a terminal's standard error; a line a minute anywhere else."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

_EVERY, _EVERY_LINE = 0.1, 60.0


class Bar:
    """One phase after the other: what of it is done, how fast, how long it will take.

    On a terminal it is drawn when told of something: it has no thread of its own, since workers are
    forked while it runs. In a log a run that takes minutes says so once a minute; a short one says
    nothing. ``units`` is what it counts.
    """

    def __init__(self, units: str = "patients") -> None:
        self._units = units
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._name, self._total = "", 1
        self._done = self._skipped = self._judged = 0
        self._drawn = self._started = self._told = time.monotonic()
        if sys.stderr.isatty():
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[told]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                auto_refresh=False,
            )

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def begin(self, name: str, total: int) -> None:
        """Begins a phase of so many bytes."""
        self._name, self._total = name, max(total, 1)
        self._done = self._skipped = self._judged = 0
        self._started = time.monotonic()
        if self._progress is not None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(name, total=self._total, told="")

    def skip(self, size: int) -> None:
        """Tells of bytes that a run before this one has done."""
        self._skipped += size
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=size)

    def advance(self, size: int, judged: int = 0) -> None:
        """Tells of bytes that are done, and of patients or orders that were judged."""
        self._done += size
        self._judged += judged
        now = time.monotonic()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=size, told=self._rate(now))
            if now - self._drawn > _EVERY:
                self._drawn = now
                self._progress.refresh()
        elif now - self._told >= _EVERY_LINE:
            self._told = now
            sys.stderr.write(f"{self._line(now)}\n")
            sys.stderr.flush()

    def _rate(self, now: float) -> str:
        seconds = max(now - self._started, 1e-3)
        rate = f"{self._done / seconds / 1e6:,.1f} MB/s"
        if not self._judged:
            return rate
        return f"{self._judged:,} {self._units}, {self._judged / seconds:,.0f}/s, {rate}"

    def _line(self, now: float) -> str:
        done = self._done + self._skipped
        left = (self._total - done) * (now - self._started) / max(self._done, 1)
        return (
            f"{self._name}: {min(100, 100 * done // self._total)} %, {self._rate(now)},"
            f" about {max(1, round(left / 60))} min left"
        )
