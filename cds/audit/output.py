"""The folder that an audit writes: every file whole under its name, or not there at all.

While a run goes on, and after it was killed, whatever it has made stands in ``.audit`` in there: a
plan (``cds.audit.plan``), the journal, spilled exports, results that are not whole. It is locked as
long as the run or one of its workers lives.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from cds.audit.plan import PLAN
from cds.audit.results import DISAGREEMENTS, PATIENTS, SUMMARY

SCRATCH = ".audit"
_LOCK = "lock"
_WAIT, _STEP = 30.0, 0.05


class AuditError(Exception):
    """The call cannot be used, or the run cannot go on; the text says why and what would do."""


class InterruptedRun(AuditError):  # noqa: N818 - it is how a user ends a run
    """The user ended the run."""


def check_folder(path: Path) -> None:
    """Raises ``AuditError`` unless ``path`` is an empty folder, can become one, or has a run."""
    accepted = "accepted: a folder that is empty or not there yet"
    try:
        if not path.exists():
            return
        if not path.is_dir():
            raise AuditError(f"--out: {path} is no folder; {accepted}")
        names = [item.name for item in path.iterdir()]
        if names and SCRATCH not in names:
            raise AuditError(f"--out: {path} is not empty; {accepted}")
    except OSError as error:
        raise AuditError(f"--out: {path} cannot be used: {error.strerror}; {accepted}") from error


def finished_summary(path: Path) -> bytes | None:
    """The summary in a folder whose audit is whole; None in any other."""
    try:
        if not (path / SUMMARY).is_file() or (path / SCRATCH / PLAN).exists():
            return None
        # What the audit did not get to remove.
        shutil.rmtree(path / SCRATCH, ignore_errors=True)
        return (path / SUMMARY).read_bytes()
    except OSError as error:
        raise AuditError(f"--out: {path} cannot be used: {error.strerror}") from error


class Output:
    """A folder for results; a context manager that holds the lock, and cleans up.

    ``scratch`` is a folder inside it, readable by its owner only; ``results`` one in there for what
    will be results. It stays there after an error where ``keep`` was set, and is gone otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scratch = folder / SCRATCH
        self.results = self.scratch / "results"
        self.keep = False
        self._lock = -1
        self._made = False

    def __enter__(self) -> Output:
        check_folder(self.folder)
        try:
            self._made = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
        except (OSError, KeyboardInterrupt) as error:
            if self._made:
                shutil.rmtree(self.scratch, ignore_errors=True)
            self._leave()
            if isinstance(error, KeyboardInterrupt):
                raise
            raise AuditError(f"--out: {self.folder} cannot be written: {error.strerror}") from error
        return self

    def clear(self) -> None:
        """Empties the scratch folder, but for the lock, the plan first. Raises OSError."""
        (self.scratch / PLAN).unlink(missing_ok=True)
        for path in self.scratch.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()

    def clear_results(self) -> None:
        """Begins the results anew. Raises OSError."""
        if self.results.exists():
            shutil.rmtree(self.results)
        self.results.mkdir()

    def holds_more(self) -> bool:
        """Whether something else stands in the folder."""
        return any(path.name != SCRATCH for path in self.folder.iterdir())

    def finish(self) -> None:
        """Gives the results their place; the summary last, so that where it is, all is."""
        names = sorted(path.name for path in self.results.iterdir())
        for name in (*(name for name in names if name != SUMMARY), SUMMARY):
            file = self.results / name
            if name != PATIENTS and (name != DISAGREEMENTS or file.stat().st_size):
                file.replace(self.folder / name)
        self.keep = False

    def __exit__(self, *_: object) -> None:
        if not self.keep:
            # The lock last: until then nobody else begins.
            with suppress(OSError):
                self.clear()
            shutil.rmtree(self.scratch, ignore_errors=True)
        self._leave()

    def _leave(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        if self._made:
            with suppress(OSError):
                # Only if nothing is in it: an audit that ended early leaves no trace.
                self.folder.rmdir()

    def _locked(self) -> int:
        """The lock's file, which workers inherit: of a parent that was killed they are the last."""
        waited = 0.0
        while True:
            self.scratch.mkdir(mode=0o700, exist_ok=True)
            try:
                file = os.open(self.scratch / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:  # it was removed meanwhile
                continue
            if _lock(file):
                if self._stands(file):
                    os.ftruncate(file, 0)
                    os.write(file, str(os.getpid()).encode())
                    return file
                os.close(file)
                continue
            holder = os.read(file, 32).decode("ascii", "replace")
            os.close(file)
            if _lives(holder) or waited >= _WAIT:
                raise AuditError(
                    f"--out: another audit (process {holder or '?'}) writes into {self.folder};"
                    " accepted: a folder of its own, or this one when that has ended"
                )
            time.sleep(_STEP)
            waited += _STEP

    def _stands(self, file: int) -> bool:
        """Whether the locked file is the one that others find."""
        with suppress(OSError):
            there, ours = (self.scratch / _LOCK).stat(), os.fstat(file)
            return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)
        return False


def _lock(file: int) -> bool:
    """Takes the lock if it is free; a system without such locks has none."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - depends on the system
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(process: str) -> bool:
    """Whether a process of that id runs; a holder that has not written its own yet does."""
    if not process.isdecimal():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
