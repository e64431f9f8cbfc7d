"""What an audit is given: records of their own, and exports, told apart by their content.

A path names a file, a folder, a glob or, as ``-``, standard input; ``.gz`` is read everywhere, and
of a ``.zip`` its members, as if it were a folder. Standard input and pipes are copied into the
scratch folder first, so that they need no memory and a resumed run has them. A file is a record of
its own unless it is part of an export (``cds.audit.grouping``); but

- of NDJSON whose first line is a Bundle (or a hook request) each line is a record of its own;
- NDJSON of resources that is no export is one record of all its patients, as an array is. Where it
  is large it is sorted by patient first: the same is found, in the order of an export.

Inside a folder, links to folders are not followed, and said.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path

import msgspec

from cds.audit.archive import SUFFIX, is_archive, members
from cds.audit.grouping import Export, ExportFile, Sort, exports_of, is_ndjson, lines_of
from cds.audit.source import Source, spelled
from cds.chart.inputs import SUFFIXES
from cds.values.problem import Place, Problem, Severity

_ALL_SUFFIXES = (*SUFFIXES, SUFFIX)
_LARGE, _LARGE_PACKED = 32 * 1024 * 1024, 4 * 1024 * 1024
_LOST = -1
_ACCEPTED = "a file of FHIR JSON, or a folder with " + ", ".join(_ALL_SUFFIXES)


class Record(Source, frozen=True):
    """One input that is a record of its own; a ``line`` of NDJSON from 1 comes with its ``data``.

    With ``each`` it is no record yet, but each of its lines is one; a line that is none comes with
    a ``problem``.
    """

    data: bytes | None = None
    line: int = 0
    each: bool = False
    problem: Problem | None = None


class Gathered(msgspec.Struct):
    """Everything that an audit is to read, in the order given; ``problems`` by input name."""

    items: list[Record | Export] = msgspec.field(default_factory=list)
    problems: list[tuple[str, Problem]] = msgspec.field(default_factory=list)


def gather(paths: list[str], scratch: Path) -> Gathered:
    """Records and exports that the paths name; pipes are copied to ``scratch``.

    Raises OSError only where that cannot be written: whatever else is wrong is a problem.
    """
    found = Gathered()
    seen: dict[str, str] = {}
    named = []
    for name in (name for path in paths for name in _expanded(path, found)):
        key = name if name == "-" else os.path.realpath(name)
        if key in seen:
            what = "is given twice: judged once"
            _tell(found, name, what, "each input once", "file", Severity.WARNING)
            continue
        seen[key] = name
        named.append(name)
    sources = [item for name in named for item in _sources(name, scratch, found)]
    _tell_unpacked(sources, found)
    sorts = {item: Sort.of(item) for item in sources if is_ndjson(item)}
    exports = exports_of(sources, sorts)
    _place(sources, sorts, exports, found)
    return found


def _tell(
    found: Gathered,
    name: str,
    what: str,
    accepted: str,
    kind: str = "file",
    severity: Severity = Severity.ERROR,
) -> None:
    name = spelled(name)
    found.problems.append((name, Problem(Place(name), what, accepted, kind, severity)))


def _tell_unpacked(sources: list[Source], found: Gathered) -> None:
    """Tells of archives that are given beside what was unpacked from them: both are judged."""
    plain = {(item.title, item.size) for item in sources if not item.inner}
    twice: dict[str, int] = {}
    for item in sources:
        if item.inner and (item.title, item.size) in plain:
            archive = item.name.removesuffix(f"!{item.inner}")
            twice[archive] = twice.get(archive, 0) + 1
    for archive, count in twice.items():
        what = f"has {count} members of the name and size of other inputs: all are judged"
        _tell(found, archive, what, "an archive, or what is in it", "file", Severity.WARNING)


# -- names ---------------------------------------------------------------------------------------


def _expanded(path: str, found: Gathered) -> list[str]:
    """The files that a path names."""
    if path == "-" or not Path(path).is_dir():
        if path != "-" and has_magic(path) and not os.path.lexists(path):
            matches = sorted(glob(path, recursive=True))  # noqa: PTH207 - absolute globs too
            if not matches:
                _tell(found, path, "matches no file", _ACCEPTED)
            return [name for match in matches for name in _expanded(match, found)]
        return [path]
    names = sorted(_walked(path, found))
    if not names:
        _tell(found, path, "holds no record files", _ACCEPTED)
    return names


def _walked(root: str, found: Gathered) -> Iterator[str]:
    def refused(error: OSError) -> None:
        _tell(found, str(error.filename), f"cannot be read: {error.strerror}", _ACCEPTED)

    for folder, folders, files in os.walk(root, onerror=refused):
        for name in folders:
            path = str(Path(folder) / name)
            if Path(path).is_symlink():
                what = "is a link to a folder: not followed"
                _tell(found, path, what, "a folder", "file", Severity.WARNING)
        yield from (str(Path(folder) / name) for name in files if name.endswith(_ALL_SUFFIXES))


def _sources(name: str, scratch: Path, found: Gathered) -> Iterator[Source]:
    """The file of a name, or the members of an archive; told if it is neither."""
    source = _source(name, scratch, found)
    if source is None:
        return
    if not (name.endswith(SUFFIX) or (_is_pipe(source) and is_archive(source.place))):
        yield source
        return
    inside, problems = members(source, SUFFIXES)
    found.problems += [(problem.where.file, problem) for problem in problems]
    yield from inside


def _source(name: str, scratch: Path, found: Gathered) -> Source | None:
    """What a name stands for; what is no plain file (a pipe) is copied here and now."""
    if name == "-":
        return _copied(name, scratch)
    try:
        status = Path(name).stat()
        if stat.S_ISREG(status.st_mode):
            return Source.at(name, status.st_size)
        if stat.S_ISFIFO(status.st_mode) and name.startswith("/dev/"):
            return _copied(name, scratch)
        what = "is no file"
    except (OSError, ValueError) as error:
        what = f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"
        if is_ndjson(Source(name)):
            return Source.at(name, _LOST)  # an export may lack it
    _tell(found, name, what, _ACCEPTED)
    return None


def _copied(name: str, scratch: Path) -> Source:
    """A copy of a pipe. One that a run before this one has made whole is not read again."""
    path = scratch / f"piped{name.replace('/', '-')}"
    if not path.exists():
        draft = path.with_name(f"{path.name}.new")
        with draft.open("wb") as target:
            if name == "-":
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with Path(name).open("rb") as stream:
                    shutil.copyfileobj(stream, target)
        draft.replace(path)
    return Source(name, path.stat().st_size, str(path))


def _is_pipe(source: Source) -> bool:
    """Whether it is a copy of what came through a pipe, whose name says nothing."""
    return source.member < 0 and (source.name == "-" or source.name.startswith("/dev/"))


# -- in order ------------------------------------------------------------------------------------


def _place(
    sources: list[Source],
    sorts: dict[Source, Sort],
    exports: dict[Source, Export],
    found: Gathered,
) -> None:
    """The records and exports in the order of their first file."""
    placed: set[int] = set()
    for source in sources:
        export = exports.get(source)
        if export is None:
            if source.size == _LOST:
                _tell(found, source.name, "cannot be read: there is no such file", _ACCEPTED)
            else:
                found.items.append(_record(source, sorts.get(source)))
        elif id(export) not in placed:
            placed.add(id(export))
            found.items.append(export)


def _record(source: Source, sort: Sort | None) -> Record | Export:
    """A source that is part of no export: one record, or as many as it has lines or patients."""
    fields = source.fields()
    if sort is None and _is_pipe(source):
        sort = lines_of(source)  # a pipe has no suffix that would tell
    if sort is not None and sort.each:
        return Record(*fields, each=True)
    if sort is not None and sort.lines:
        packed = source.is_packed()
        if source.size > (_LARGE_PACKED if packed and source.member < 0 else _LARGE):
            file = ExportFile(*fields, kind=sort.kind, packed=packed)
            return Export(source.name, (file,), whole=True)
    return Record(*fields)
