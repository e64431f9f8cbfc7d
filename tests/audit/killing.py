"""An audit that kills itself: at the n-th thing that it does to its folder, wherever that is."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from functools import cache
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cds.audit.journal import Journal
from cds.audit.output import AuditError
from cds.audit.run import Options, audit
from cds.cards.judge import Setting
from cds.rulebook.pack import load_rulebook, shipped_pack

ZONE = ZoneInfo("America/New_York")
WHEN = datetime(2026, 6, 10, 10, tzinfo=ZONE)
REFUSED, KILLED = 9, -9
_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}


@cache
def setting() -> Setting:
    return Setting(load_rulebook(shipped_pack()), WHEN, ZONE, "audit")


def run(inputs: list[str], options: Options) -> int:
    """The exit code of an audit in this process, its streams shut; `REFUSED` for a refusal."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            return audit(inputs, setting(), options)
        except AuditError:
            return REFUSED


def steps_of(inputs: list[str], options: Options) -> int:
    """How many steps there are at which such a run can be killed."""
    told = options.out.with_suffix(".steps")
    run_and_die(inputs, options, -1, told)
    return int(told.read_text())


def run_and_die(inputs: list[str], options: Options, step: int, steps: Path | None = None) -> int:
    """How a child ended that was to be killed at a step: -9, or its exit code if it came through.

    Steps are what it does to its folder, and before each record of the journal and in its middle;
    their number goes to ``steps``.
    """
    setting()
    child = os.fork()
    if not child:
        code = 99
        try:
            numbers = _arm(options.out, step)
            code = run(inputs, options)
            if steps is not None:
                steps.write_text(str(next(numbers)))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_when_judged(inputs: list[str], options: Options) -> int:
    """How a child ended that was to be killed when its first chunk was in the journal."""
    setting()
    child = os.fork()
    if not child:
        append = Journal.append

        def last(self: Journal[Any], record: object) -> None:
            append(self, record)
            os.kill(os.getpid(), signal.SIGKILL)

        Journal.append = last  # type: ignore[method-assign]
        os._exit(run(inputs, options))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _arm(folder: Path, step: int) -> Iterator[int]:
    steps, own = count(), os.getpid()

    def reach() -> bool:
        return os.getpid() == own and next(steps) == step

    def watch(event: str, values: tuple[object, ...]) -> None:
        if event in _EVENTS and str(values[0]).startswith(f"{folder}/") and reach():
            os.kill(own, signal.SIGKILL)

    append = Journal.append

    def torn(self: Journal[Any], record: object) -> None:
        if reach():
            os.kill(own, signal.SIGKILL)
        before = self.path.stat().st_size
        append(self, record)
        if reach():
            os.truncate(self.path, (before + self.path.stat().st_size) // 2)
            os.kill(own, signal.SIGKILL)

    Journal.append = torn  # type: ignore[method-assign]
    sys.addaudithook(watch)
    return steps
