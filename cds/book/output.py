"""The folder of a rule book: written whole over an older one, never over anything else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

MARKER = ".rule-book"
"""Lists the files of a book, so that the next one may replace exactly those."""


class FolderError(Exception):
    """The folder cannot be used; the text says why and what would do."""


def write_book(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files below ``folder``; those of an older book that are no more are removed.

    Raises FolderError for a folder that holds anything else, or that cannot be written.
    """
    before = check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # First of all, so that a book that was begun and not finished can be written again.
        _write_marker(folder, {*before, *files})
        for name in sorted(before - set(files)):
            _remove(folder, name)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _write_marker(folder, set(files))
    except OSError as error:
        raise FolderError(f"--out: {folder} cannot be written: {error.strerror}") from error


def check_folder(folder: Path) -> set[str]:
    """The files of the older book in ``folder``; none where it is empty or not there.

    Raises FolderError for a folder that holds something else.
    """
    accepted = "accepted: a folder that is empty, not there yet, or a rule book"
    try:
        if not folder.exists():
            return set()
        if not folder.is_dir():
            raise FolderError(f"--out: {folder} is no folder; {accepted}")
        marker = folder / MARKER
        if marker.is_file():
            return {name for name in marker.read_text("utf-8").splitlines() if _is_inside(name)}
        if next(folder.iterdir(), None) is not None:
            raise FolderError(f"--out: {folder} is not empty and no rule book; {accepted}")
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"--out: {folder} cannot be used; {accepted}") from error
    return set()


def _write_marker(folder: Path, names: set[str]) -> None:
    (folder / MARKER).write_text("".join(f"{name}\n" for name in sorted(names)), "utf-8")


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts


def _remove(folder: Path, name: str) -> None:
    """Removes a file of an older book, and the folder that it leaves empty."""
    path = folder / name
    path.unlink(missing_ok=True)
    with suppress(OSError):
        if path.parent != folder:
            path.parent.rmdir()
