"""What an audit is given: records of their own, and exports, told apart by their content.

A file is a record of its own unless it is part of an export. Of the NDJSON files (`.ndjson`,
`.ndjson.gz`) of one folder:

- one whose name names a resource type (``Condition.000.ndjson.gz``, ``1.Patient.ndjson``) and whose
  first lines all are of that type is part of the folder's export;
- one whose name says nothing, but all of whose lines are of one type, is part of it too, if no file
  beside it holds a whole record (lines of several types), and if there is more that makes a folder
  an export: a file named for its type, files of two types, or a manifest;
- any other is a whole record, as a Bundle is.

Bundles and arrays (`.json`) never are parts of an export; a `.json` file that is a manifest
(``cds.audit.manifest``) belongs to the export beside it. Files in a folder that is named for their
type (``Condition/part-0.ndjson``) count as of the folder above. Different folders are different
exports. Inside a folder, links to folders are not followed, and said.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path

import msgspec
from msgspec.structs import replace

from cds.audit.manifest import Manifest, read_manifest
from cds.audit.stream import DamageError, TooLong, is_gzip, read_lines
from cds.chart.document import MAX_BYTES
from cds.chart.export import line_type
from cds.chart.inputs import SUFFIXES
from cds.chart.intake import READ_TYPES
from cds.values.problem import Place, Problem, Severity

_LINES_OF_A_NAMED_FILE = 1000
_KNOWN = {kind.casefold(): kind for kind in (*READ_TYPES, "Patient", "Medication")}
_MANIFESTS_LOOKED_FOR = 50
_ACCEPTED = "a file of FHIR JSON, or a folder with " + ", ".join(SUFFIXES)


class Record(msgspec.Struct, frozen=True):
    """One input that is a record of its own; ``data`` where it cannot be read by name (stdin)."""

    name: str
    size: int = 0
    data: bytes | None = None


class ExportFile(msgspec.Struct, frozen=True):
    """One NDJSON file of an export, with the type that it holds."""

    name: str
    kind: str
    size: int
    packed: bool


class Export(msgspec.Struct, frozen=True):
    """The files of one folder that are one record set, in the order of their names."""

    name: str
    files: tuple[ExportFile, ...]
    manifest: Manifest | None = None


class Gathered(msgspec.Struct):
    """Everything that an audit is to read, in the order given; ``problems`` by input name."""

    items: list[Record | Export] = msgspec.field(default_factory=list)
    problems: list[tuple[str, Problem]] = msgspec.field(default_factory=list)


def gather(paths: list[str]) -> Gathered:
    """Records and exports that the paths name: files, folders, globs, ``-``. Never raises."""
    found = Gathered()
    seen: dict[str, str] = {}
    names = []
    for name in (name for path in paths for name in _expanded(path, found)):
        key = name if name == "-" else os.path.realpath(name)
        if key in seen:
            what = "is given twice: judged once"
            _tell(found, name, what, "each input once", "file", Severity.WARNING)
            continue
        seen[key] = name
        names.append(name)
    sorts = {name: _Sort.of(name) for name in names if _is_ndjson(name)}
    exports = _exports(names, sorts)
    _place(names, exports, found)
    return found


def _tell(
    found: Gathered,
    name: str,
    what: str,
    accepted: str,
    kind: str = "file",
    severity: Severity = Severity.ERROR,
) -> None:
    found.problems.append((name, Problem(Place(name), what, accepted, kind, severity)))


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
        yield from (str(Path(folder) / name) for name in files if name.endswith(SUFFIXES))


def _is_ndjson(name: str) -> bool:
    return name.removesuffix(".gz").endswith(".ndjson")


# -- which files are an export -------------------------------------------------------------------


class _Sort(msgspec.Struct, frozen=True):
    """What an NDJSON file holds: ``kind`` "" for a whole record; ``named``: its name says so."""

    kind: str
    named: bool
    folder: str

    @staticmethod
    def of(name: str) -> _Sort:
        path = Path(name)
        words = {word.casefold() for word in re.split(r"[^A-Za-z]+", path.name)}
        kind = _only_type(path, words)
        folder = path.parent
        if kind and folder.name.casefold() == kind.casefold():
            folder, words = folder.parent, {kind.casefold()}
        return _Sort(kind, kind.casefold() in words, os.path.realpath(folder))


def _only_type(path: Path, words: set[str]) -> str:
    """The one type of a file's lines; "" for several, or for a file that is no NDJSON.

    What cannot be read or is empty is of the type that its name names: the export lacks it.
    """
    expected = next((kind for word, kind in _KNOWN.items() if word in words), "")
    found = ""
    count = 0
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return ""
        for lines in read_lines(path):
            for line in lines:
                if isinstance(line, TooLong) or not line.strip():
                    continue
                kind = line_type(line)
                if not kind or kind == "Bundle":
                    # A line that is no resource is told when the file is read.
                    if not count and not expected:
                        return ""
                    continue
                count += 1
                if found and kind != found:
                    return ""
                found = kind
            if count >= _LINES_OF_A_NAMED_FILE and found.casefold() in words:
                break
    except (OSError, DamageError):
        return found or expected
    return found or expected


def _exports(names: list[str], sorts: dict[str, _Sort]) -> dict[str, Export]:
    """The exports by folder; names that are files or manifests of one point to it."""
    given: dict[str, list[str]] = {}
    for name in names:
        if name in sorts:
            given.setdefault(sorts[name].folder, []).append(name)
        elif "manifest" in Path(name).name.casefold():
            given.setdefault(os.path.realpath(Path(name).parent), [])
    found: dict[str, Export] = {}
    for folder, inside in given.items():
        manifest = _manifest(folder, inside)
        if manifest is not None:
            _listed(inside, sorts, manifest)
        members = _members(inside, sorts, manifest)
        if not members and manifest is None:
            continue
        export = _export(folder, members, sorts, manifest, names)
        for name in members:
            found[name] = export
        if manifest is not None:
            found[os.path.realpath(manifest.path)] = export
    return found


def _listed(inside: list[str], sorts: dict[str, _Sort], manifest: Manifest) -> None:
    """Files that the manifest names are of the type that it says, whatever they are called."""
    kinds = {name.removesuffix(".gz"): kind for kind, name in manifest.files}
    for name in inside:
        kind = kinds.get(Path(name).name.removesuffix(".gz"))
        if kind is not None:
            sort = sorts[name]
            sorts[name] = replace(sort, kind=sort.kind or kind, named=True)


def _members(inside: list[str], sorts: dict[str, _Sort], manifest: Manifest | None) -> list[str]:
    """Those NDJSON files of a folder that are its export."""
    typed = [name for name in inside if sorts[name].kind]
    named = [name for name in typed if sorts[name].named]
    whole = len(typed) < len(inside)
    several = len({sorts[name].kind for name in typed}) > 1
    if not whole and (named or several or manifest is not None):
        return sorted(typed)
    return sorted(named)


def _manifest(folder: str, inside: list[str]) -> Manifest | None:
    """The manifest among the `.json` files of a folder, the first by name."""
    path = Path(folder)
    try:
        jsons = sorted(item for item in path.iterdir() if item.name.endswith(".json"))
    except OSError:
        return None
    if len(jsons) > _MANIFESTS_LOOKED_FOR or not inside:
        jsons = [item for item in jsons if "manifest" in item.name.casefold()]
    return next((found for item in jsons if (found := read_manifest(item)) is not None), None)


def _export(
    folder: str,
    members: list[str],
    sorts: dict[str, _Sort],
    manifest: Manifest | None,
    names: list[str],
) -> Export:
    files = tuple(_export_file(name, sorts[name].kind) for name in members)
    # The folder as the user wrote it, by the first of its files.
    near = (
        members[0]
        if members
        else next(name for name in names if os.path.realpath(Path(name).parent) == folder)
    )
    spelled = Path(near).parent
    if os.path.realpath(spelled) != folder:
        spelled = spelled.parent
    return Export(str(spelled), files, manifest)


def _export_file(name: str, kind: str) -> ExportFile:
    try:
        return ExportFile(name, kind, Path(name).stat().st_size, is_gzip(Path(name)))
    except OSError:
        return ExportFile(name, kind, 0, packed=True)


# -- in order ------------------------------------------------------------------------------------


def _place(names: list[str], exports: dict[str, Export], found: Gathered) -> None:
    """The records and exports in the order of their first file."""
    placed: set[int] = set()
    for name in names:
        export = exports.get(name) or exports.get(os.path.realpath(name))
        if export is None:
            record = _record(name, found)
            if record is not None:
                found.items.append(record)
        elif id(export) not in placed:
            placed.add(id(export))
            found.items.append(export)


def _record(name: str, found: Gathered) -> Record | None:
    """The input; what is no plain file (a pipe) is read here and now, once."""
    if name == "-":
        return Record(name, data=sys.stdin.buffer.read(MAX_BYTES + 1))
    path = Path(name)
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            return Record(name, status.st_size)
        if stat.S_ISFIFO(status.st_mode) and name.startswith("/dev/"):
            with path.open("rb") as file:
                return Record(name, data=file.read(MAX_BYTES + 1))
        what = "is no file"
    except OSError as error:
        what = f"cannot be read: {error.strerror or type(error).__name__}"
    _tell(found, name, what, _ACCEPTED)
    return None
