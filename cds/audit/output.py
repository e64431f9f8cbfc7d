"""The folder that an audit writes: every file whole under its name, or not there at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from cds.audit.results import DISAGREEMENTS, PATIENTS, SUMMARY


class AuditError(Exception):
    """The call cannot be used, or the run cannot go on; the text says why and what would do."""


def check_folder(path: Path) -> None:
    """Raises ``AuditError`` unless ``path`` is an empty folder or can become one."""
    accepted = "accepted: a folder that is empty or not there yet"
    try:
        if not path.exists():
            return
        if not path.is_dir():
            raise AuditError(f"--out: {path} is no folder; {accepted}")
        if next(path.iterdir(), None) is not None:
            raise AuditError(f"--out: {path} is not empty; {accepted}")
    except OSError as error:
        raise AuditError(f"--out: {path} cannot be used: {error.strerror}; {accepted}") from error


class Output:
    """A folder for results, whole or not there; a context manager that leaves no half of them.

    ``scratch`` is a folder inside it, readable by its owner only, for whatever a run spills;
    ``results`` one in there for what will be results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = False

    def __enter__(self) -> Output:
        check_folder(self.folder)
        try:
            self._made = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            self.scratch = Path(tempfile.mkdtemp(prefix=".audit-", dir=self.folder))
            self.results = self.scratch / "results"
            self.results.mkdir()
        except OSError as error:
            self.__exit__(None, None, None)
            raise AuditError(f"--out: {self.folder} cannot be written: {error.strerror}") from error
        return self

    def finish(self) -> None:
        """Gives the results their place; the summary last, so that where it is, all is."""
        names = sorted(path.name for path in self.results.iterdir())
        for name in (*(name for name in names if name != SUMMARY), SUMMARY):
            file = self.results / name
            if name != PATIENTS and (name != DISAGREEMENTS or file.stat().st_size):
                file.replace(self.folder / name)

    def __exit__(self, *_: object) -> None:
        scratch = getattr(self, "scratch", None)
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        if self._made:
            with suppress(OSError):
                # Only if nothing is in it: an audit that ended early leaves no trace.
                self.folder.rmdir()
