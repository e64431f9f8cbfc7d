"""A bar on a terminal's standard error; silence anywhere else."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_EVERY = 0.1


class Bar:
    """Bytes done of ``total``, patients and their rate, time left.

    It has no thread of its own, since workers are forked while it runs: it is drawn when told of
    something.
    """

    def __init__(self, total: int) -> None:
        self._progress: Progress | None = None
        self._patients = 0
        self._drawn = self._started = time.monotonic()
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
            self._task = self._progress.add_task("auditing", total=max(total, 1), told="")

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def skip(self, size: int) -> None:
        """Tells of bytes that a run before this one has done."""
        if self._progress is not None:
            self._progress.update(self._task, advance=size)

    def advance(self, size: int, patients: int = 0) -> None:
        """Tells of bytes and patients that are done."""
        if self._progress is None:
            return
        self._patients += patients
        now = time.monotonic()
        rate = self._patients / max(now - self._started, 1e-3)
        told = f"{self._patients:,} patients, {rate:,.0f}/s"
        self._progress.update(self._task, advance=size, told=told)
        if now - self._drawn > _EVERY:
            self._drawn = now
            self._progress.refresh()
