"""The folder that an audit writes: every file whole under its name, or not there at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

FINDINGS, SUMMARY, PROBLEMS = "findings.ndjson", "summary.json", "problems.ndjson"
DISAGREEMENTS = "disagreements.ndjson"
"""What two engines say differently; there only if they do."""


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
    """Files under temporary names until ``finish``; a context manager that leaves no half of them.

    ``scratch`` is a folder beside them, readable by its owner only, for whatever a run spills.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = False
        self._files: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Output:
        check_folder(self.folder)
        try:
            self._made = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            self.scratch = Path(tempfile.mkdtemp(prefix=".audit-", dir=self.folder))
            for name in (FINDINGS, PROBLEMS, DISAGREEMENTS, SUMMARY):
                file = (self.scratch / name).open("wb")
                self._files[name] = self._stack.enter_context(file)
        except OSError as error:
            self.__exit__(None, None, None)
            raise AuditError(f"--out: {self.folder} cannot be written: {error.strerror}") from error
        return self

    def write(self, name: str, lines: list[bytes]) -> None:
        """Adds lines to a file. Raises OSError."""
        self._files[name].writelines(lines)

    def finish(self) -> None:
        """Gives the files their names; the summary last, so that where it is, all is."""
        self._stack.close()
        for name in self._files:
            file = self.scratch / name
            if name != DISAGREEMENTS or file.stat().st_size:
                file.replace(self.folder / name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._stack.close()
        scratch = getattr(self, "scratch", None)
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        if self._made:
            with suppress(OSError):
                # Only if nothing is in it: an audit that ended early leaves no trace.
                self.folder.rmdir()
