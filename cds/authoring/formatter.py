"""`cds fmt`: the files of a pack in their canonical form, what they say unchanged."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from cds.authoring.canonical import render_source
from cds.authoring.source import SourceError, read_source
from cds.authoring.terminal import DONE, FAILED
from cds.rulebook.document import parse_document
from cds.values.problem import Place, Problem

STDIN = "-"


class Formatted(msgspec.Struct, frozen=True):
    """A file's text as it is and as it should be; with ``problems`` it stays as it is."""

    name: str
    before: str
    after: str
    problems: tuple[Problem, ...] = ()

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def difference(self) -> str:
        """What would change, as a unified diff."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            self.name,
            self.name,
        )
        return "".join(lines)


def format_text(text: str, name: str) -> Formatted:
    """The canonical form of a file's text.

    What cannot be written again without loss (not YAML, an anchor) is a problem and stays as it is.
    The result is read back: it must say the same and have the same comments.
    """
    problems: list[Problem] = []
    before = parse_document(text, name, problems)
    if before is None or problems:
        return Formatted(name, text, text, tuple(problems))
    try:
        source = read_source(text, name)
        after = render_source(source)
        again = parse_document(after, name, problems)
        same = again is not None and again.plain() == before.plain() and not problems
        kept = same and read_source(after, name).comments() == source.comments()
    except SourceError as error:
        problem = Problem(error.place, error.what, error.accepted, "format")
        return Formatted(name, text, text, (problem,))
    if not kept:
        problem = Problem(Place(name), "cannot be written again without a loss", "", "format")
        return Formatted(name, text, text, (problem,))
    return Formatted(name, text, after)


class Formatting(msgspec.Struct, frozen=True):
    """What is done with a file that is not canonical: it is written, listed or shown."""

    check: bool = False
    diff: bool = False


def format_files(paths: Iterable[Path], how: Formatting) -> int:
    """Formats files and tells which; 1 if one was not canonical and nothing was to be written."""
    total = changed = failed = 0
    for path in paths:
        total += 1
        found = _read(path)
        for problem in found.problems:
            sys.stderr.write(problem.render() + "\n")
        failed += bool(found.problems)
        if found.changed:
            changed += 1
            _tell(path, found, how)
    if not how.diff:
        _summarise(total, changed, how)
    return FAILED if failed or (changed and (how.check or how.diff)) else DONE


def format_stream(text: str, how: Formatting) -> int:
    """Standard input in its canonical form, on standard output."""
    found = format_text(text, STDIN)
    for problem in found.problems:
        sys.stderr.write(problem.render() + "\n")
    if how.diff:
        sys.stdout.write(found.difference())
    elif not how.check:
        sys.stdout.write(found.after)
    return FAILED if found.problems or (found.changed and (how.check or how.diff)) else DONE


def _read(path: Path) -> Formatted:
    try:
        # Not read_text: it would hide what kind of line ends a file has.
        return format_text(path.read_bytes().decode("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(Place(str(path)), f"cannot be read: {error}", "UTF-8 text", "file")
        return Formatted(str(path), "", "", (problem,))


def _tell(path: Path, found: Formatted, how: Formatting) -> None:
    if how.diff:
        sys.stdout.write(found.difference())
    elif how.check:
        sys.stdout.write(f"would change: {path}\n")
    else:
        path.write_bytes(found.after.encode())
        sys.stdout.write(f"formatted: {path}\n")


def _summarise(total: int, changed: int, how: Formatting) -> None:
    verb = "would change" if how.check else "formatted"
    sys.stdout.write(f"{changed} {verb}, {total - changed} canonical of {total} files\n")


def pack_files(path: Path) -> Iterator[Path]:
    """The YAML files of packs at or below a folder; a file is itself, wherever it lies.

    What lies in no pack is left alone: a repository has other YAML too.
    """
    if not path.is_dir():
        yield path
        return
    inside = any((folder / "pack.yaml").is_file() for folder in (path, *path.resolve().parents))
    roots = {path} if inside else {found.parent for found in path.rglob("pack.yaml")}
    files = {file for root in roots for file in root.rglob("*.yaml")}
    yield from sorted(file for file in files if not _is_hidden(file.relative_to(path)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
