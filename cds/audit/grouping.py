"""Which files are an export: NDJSON of one folder, told by its names and its lines.

Of the NDJSON files (`.ndjson`, `.ndjson.gz`) of one folder:

- one whose name names a resource type (``Condition.000.ndjson.gz``, ``1.Patient.ndjson``) and whose
  first lines all are of that type is part of the folder's export;
- one whose name says nothing, but all of whose lines are of one type, is part of it too, if no file
  beside it holds a whole record (lines of several types), and if there is more that makes a folder
  an export: a file named for its type, files of two types, or a manifest;
- one whose name names a type, but among whose first lines are some of other types, is part of it
  too if other files make the folder an export, unless a Patient is among them;
- an empty one is part of it whatever its name says;
- any other is a whole record, as a Bundle is.

Bundles and arrays (`.json`) never are parts of an export; a `.json` file that is a manifest
(``cds.audit.manifest``) belongs to the export beside it. Files in a folder that is named for their
type (``Condition/part-0.ndjson``) count as of the folder above. Different folders are different
exports; an archive is a folder.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection
from itertools import islice
from pathlib import Path, PurePosixPath

import msgspec
from msgspec.structs import replace

from cds.audit.manifest import Manifest, read_manifest
from cds.audit.source import Source, spelled
from cds.audit.stream import DamageError, TooLong, read_lines
from cds.chart.export import line_type
from cds.chart.intake import READ_TYPES

_LINES_OF_A_NAMED_FILE = 1000
_LINES_OF_A_PIPE = 20
_BAD_LINES_AT_FIRST = 100
_KNOWN = {kind.casefold(): kind for kind in (*READ_TYPES, "Patient", "Medication")}
_MANIFESTS_LOOKED_FOR = 50
_REQUEST = re.compile(rb'\s*\{[^\n]*"hook"\s*:')


class ExportFile(Source, frozen=True):
    """One NDJSON file of an export, with the type that it holds ("" for several).

    A ``mixed`` one is named for that type, and holds others beside it.
    """

    kind: str = ""
    packed: bool = False
    mixed: bool = False


class Export(msgspec.Struct, frozen=True):
    """The files of one folder that are one record set, in the order of their names.

    A ``whole`` one is no export, but a record of many patients: what is not there is empty, and its
    drafts are drafts.
    """

    name: str
    files: tuple[ExportFile, ...]
    manifest: Manifest | None = None
    whole: bool = False


def is_ndjson(source: Source) -> bool:
    """Whether a source is NDJSON by its name."""
    return (source.inner or source.name).removesuffix(".gz").endswith(".ndjson")


class Sort(msgspec.Struct, frozen=True):
    """What an NDJSON file holds: ``kind`` "" for several types; ``named``: its name says so.

    ``each``: its lines are records of their own; ``lines``: there are lines of resources at all;
    ``empty``: it can be read, and no line stands in it; ``mixed``: of several types the one that
    its name names, where they may be lines of an export.
    """

    kind: str
    named: bool
    folder: tuple[str, str]
    each: bool = False
    lines: bool = False
    empty: bool = False
    mixed: str = ""

    @staticmethod
    def of(source: Source) -> Sort:
        """The sort of a file that is NDJSON by its name."""
        words = {word.casefold() for word in re.split(r"[^A-Za-z]+", source.title)}
        look = _look(source, words)
        kind = look.kind
        top, inside = source.folder
        here = PurePosixPath(inside) if source.inner else Path(top)
        if kind and here.name.casefold() == kind.casefold():
            parent, words = str(here.parent), {kind.casefold()}
            top, inside = (top, parent) if source.inner else (parent, "")
        named = kind.casefold() in words
        return Sort(kind, named, (top, inside), look.each, look.lines, look.empty, look.mixed)


class _Look(msgspec.Struct, frozen=True):
    """What the lines of a file say, without its name or place: see `Sort`."""

    kind: str = ""
    each: bool = False
    lines: bool = False
    empty: bool = False
    mixed: str = ""


def lines_of(source: Source) -> Sort | None:
    """The sort of a file whose name tells nothing; None unless its first lines are resources."""
    kinds = []
    try:
        for lines in read_lines(source):
            for line in lines:
                if isinstance(line, TooLong):
                    return None
                if line.strip():
                    kinds.append(_line_sort(line))
            if len(kinds) >= _LINES_OF_A_PIPE:
                break
    except (OSError, DamageError):
        return None
    if len(kinds) < 2 or "" in islice(kinds, 2):
        return None
    each = kinds[0] == "Bundle"
    return Sort("", named=False, folder=source.folder, each=each, lines=not each)


def _line_sort(line: bytes) -> str:
    """A line's resource type, ``Bundle`` for all that is a record by itself, "" for no resource."""
    kind = line_type(line)
    return kind or ("Bundle" if _REQUEST.match(line) else "")


def _look(source: Source, words: set[str]) -> _Look:
    """The one type of a file's lines ("" for several), whether each is a record, if any is good.

    What cannot be read or is empty is of the type that its name names: the export lacks it. Of
    lines before the first resource so many may be bad; whatever they are is told later.
    """
    expected = next((kind for word, kind in _KNOWN.items() if word in words), "")
    kinds: dict[str, None] = {}
    count, bad, whole = 0, 0, False
    try:
        if not stat.S_ISREG(source.place.stat().st_mode):
            return _Look()
        for lines in read_lines(source):
            for line in lines:
                if not isinstance(line, TooLong) and not line.strip():
                    continue
                kind = "" if isinstance(line, TooLong) else _line_sort(line)
                if kind == "Bundle" and not count:
                    return _Look(each=True)
                if not kind or kind == "Bundle":
                    # A line that is no resource is told when the file is read.
                    bad += 1
                    if not count and not expected and bad > _BAD_LINES_AT_FIRST:
                        return _Look()
                    continue
                count += 1
                kinds[kind] = None
            if len(kinds) > 1:
                return _Look(lines=True, mixed=_named(kinds, words))
            if count >= _LINES_OF_A_NAMED_FILE and _named(kinds, words):
                break
        whole = True
    except (OSError, DamageError):
        pass
    found = next(iter(kinds), expected)
    return _Look(found, lines=count > 0, empty=whole and not count and not bad)


def _named(kinds: Collection[str], words: set[str]) -> str:
    """The one of some types that a file's name names; "" where none is, or it may be a record."""
    if len(kinds) > 1 and "Patient" in kinds:
        return ""
    return next((kind for kind in kinds if kind.casefold() in words), "")


def exports_of(sources: list[Source], sorts: dict[Source, Sort]) -> dict[Source, Export]:
    """The export that each source belongs to, or is the manifest of."""
    given: dict[tuple[str, str], list[Source]] = {}
    documents: dict[tuple[str, str], list[Source]] = {}
    for source in sources:
        if source in sorts:
            if not sorts[source].each:
                given.setdefault(sorts[source].folder, []).append(source)
            continue
        documents.setdefault(source.folder, []).append(source)
        if "manifest" in source.title.casefold():
            given.setdefault(source.folder, [])
    found: dict[Source, Export] = {}
    for folder, inside in given.items():
        known = documents.get(folder, [])
        manifest = _manifest(folder, inside, known)
        if manifest is not None:
            _listed(inside, sorts, manifest)
        files = _members(inside, sorts, manifest)
        if files or manifest is not None:
            files = sorted({*files, *(item for item in inside if sorts[item].mixed)}, key=_name)
        if not files and manifest is None:
            continue
        export = Export(_spelled(files, known, folder), _files(files, sorts), manifest)
        found.update(dict.fromkeys(files, export))
        found.update((item, export) for item in known if manifest and item.name == manifest.path)
        found.update((item, export) for item in known if manifest and _is(item, manifest))
    return found


def _is(source: Source, manifest: Manifest) -> bool:
    """Whether a document is the manifest, however its folder was spelled."""
    return not source.inner and source.place.resolve() == manifest.source.place.resolve()


def _listed(inside: list[Source], sorts: dict[Source, Sort], manifest: Manifest) -> None:
    """Files that the manifest names are of the type that it says, whatever they are called."""
    kinds = {name.removesuffix(".gz"): kind for kind, name in manifest.files}
    for source in inside:
        kind = kinds.get(source.title.removesuffix(".gz"))
        if kind is not None:
            sort = sorts[source]
            sorts[source] = replace(sort, kind=sort.kind or kind, named=True)


def _members(
    inside: list[Source], sorts: dict[Source, Sort], manifest: Manifest | None
) -> list[Source]:
    """Those NDJSON files of a folder that are its export."""
    typed = [source for source in inside if sorts[source].kind]
    named = [source for source in typed if sorts[source].named]
    whole = any(_is_record(sorts[source]) for source in inside)
    several = len({sorts[source].kind for source in typed}) > 1
    chosen = typed if not whole and (named or several or manifest is not None) else named
    empty = [item for item in inside if sorts[item].empty and not sorts[item].kind]
    return sorted([*chosen, *(empty if chosen else [])], key=_name)


def _name(source: Source) -> str:
    return source.name


def _is_record(sort: Sort) -> bool:
    """Whether a file of lines holds lines of several types that are no lines of an export."""
    return sort.lines and not sort.kind and not sort.mixed


def _manifest(
    folder: tuple[str, str], inside: list[Source], documents: list[Source]
) -> Manifest | None:
    """The manifest among the `.json` files of a folder, the first by name."""
    top, within = folder
    if within:
        jsons = sorted(documents, key=lambda source: source.name)
    else:
        try:
            paths = sorted(item for item in Path(top).iterdir() if item.name.endswith(".json"))
        except OSError:
            return None
        jsons = [Source.at(str(path)) for path in paths]
    if len(jsons) > _MANIFESTS_LOOKED_FOR or not inside:
        jsons = [item for item in jsons if "manifest" in item.title.casefold()]
    return next((found for item in jsons if (found := read_manifest(item)) is not None), None)


def _spelled(files: list[Source], documents: list[Source], folder: tuple[str, str]) -> str:
    """The folder as the user wrote it, by the first of its files; the archive and its folder."""
    near = (files or documents)[0]
    top, within = folder
    if near.inner:
        archive = near.name.removesuffix(f"!{near.inner}")
        return archive if within == "." else f"{archive}!{within}"
    parent = near.place.parent
    return spelled(str(parent if str(parent.resolve()) == top else parent.parent))


def _files(files: list[Source], sorts: dict[Source, Sort]) -> tuple[ExportFile, ...]:
    return tuple(
        ExportFile(
            *replace(source, size=max(0, source.size)).fields(),
            kind=sorts[source].kind or sorts[source].mixed,
            packed=source.is_packed(),
            mixed=bool(sorts[source].mixed),
        )
        for source in files
    )
