"""Validates the next edition in a process of its own, at low priority: calls do not notice.

It reads everything, then runs every scenario; whatever is wrong comes back as lines that name their
place. It may crash or hang: then the edition is not valid.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO

import msgspec

from cds.hooks.edition import Edition, Source, UnloadableError

MOST_TOLD = 20
"""So many errors are told; of more their number."""
MOST_SECONDS = 900.0
_NICE = 10


class Verdict(msgspec.Struct, frozen=True):
    """What came of a validation: ``key`` is the edition's, "" where it could not be read.

    ``same``: it is the one that is in force, and nothing was run.
    """

    errors: tuple[str, ...] = ()
    total: int = 0
    key: str = ""
    same: bool = False


def validate(source: Source, before: Edition) -> Verdict:
    """The verdict on what the source holds now, to follow on ``before``."""
    try:
        edition = source.read()
        if edition.key == before.key:
            return Verdict(key=repr(edition.key), same=True)
        edition.check_after(before)
        errors = source.failing()
    except UnloadableError as error:
        return _told(error.errors)
    return _told(errors, repr(edition.key))


def _told(errors: tuple[str, ...] | list[str] | object, key: str = "") -> Verdict:
    lines = tuple(errors) if isinstance(errors, list | tuple) else ()
    return Verdict(tuple(line[:500] for line in lines[:MOST_TOLD]), len(lines), key)


@dataclass(slots=True)
class Validation:
    """One that runs. ``pid`` is its process."""

    pid: int
    began: float
    _answer: IO[bytes]

    @classmethod
    def begin(cls, source: Source, before: Edition, alone: Callable[[], None]) -> Validation:
        """Forks the process that validates; ``alone`` is called in it first."""
        answer = TemporaryFile(dir=_memory())  # noqa: SIM115 - it lives as long as the process
        pid = os.fork()
        if pid == 0:  # pragma: no cover - another process
            code = 1
            try:
                alone()
                _lower_priority()
                answer.write(msgspec.json.encode(validate(source, before)))
                answer.flush()
                code = 0
            finally:
                os._exit(code)
        return cls(pid, monotonic(), answer)

    @property
    def is_late(self) -> bool:
        return monotonic() - self.began > MOST_SECONDS

    def kill(self) -> None:
        """Ends it; it is still to be waited for."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def verdict(self, code: int) -> Verdict:
        """What the process found; ``code`` is how it ended (see ``os.waitstatus_to_exitcode``)."""
        self._answer.seek(0)
        data = self._answer.read()
        self._answer.close()
        with suppress(msgspec.DecodeError):
            if code == 0:
                return msgspec.json.decode(data, type=Verdict)
        return _told([f"the process that validates the rules ended with code {code}"])


def _lower_priority() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError):
        os.nice(_NICE)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - only to be quick
