"""What a Bulk Data export says of itself: the manifest (FHIR Bulk Data Access, "Complete status").

A JSON object with an `output` list of `{type, url}`; `request` may name the types that were asked
for (`_type`), a start (`_since`) or a selection (`_typeFilter`).
"""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from cds.audit.source import DAMAGE, Source
from cds.values.problem import Place, Problem, Severity

_LARGEST = 16 * 1024 * 1024


class Manifest(msgspec.Struct, frozen=True):
    """``files`` by type as named; ``asked`` types of the request; ``partial``: not all was asked.

    ``partial`` holds the types that a `_typeFilter` narrows, and ``*`` after a `_since`.
    """

    source: Source
    files: tuple[tuple[str, str], ...] = ()
    asked: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()
    errors: int = 0
    deleted: int = 0

    @property
    def path(self) -> str:
        return self.source.name

    def types(self) -> list[str]:
        return sorted({kind for kind, _ in self.files})

    def names(self, kind: str) -> list[str]:
        """File names (the last part of each URL) of a type."""
        return [name for listed, name in self.files if listed == kind]

    def problems(self) -> list[Problem]:
        """What the exporting server itself reports as missing."""
        place, found = Place(self.path), []
        if self.errors:
            what = f"the server reports {self.errors} files of errors: the export may be incomplete"
            found.append(Problem(place, what, "an export without errors", "export", _WARNING))
        if self.deleted:
            what = f"{self.deleted} files of deletions are not applied"
            found.append(Problem(place, what, "a full export", "export", _WARNING))
        if "*" in self.partial:
            what = "only what changed since a moment was exported (_since): all types are truncated"
            found.append(Problem(place, what, "a full export", "export", _WARNING))
        return found


_WARNING = Severity.WARNING


def read_manifest(source: Source) -> Manifest | None:
    """The manifest in ``source``; None when it is anything else (a record, not JSON, huge)."""
    try:
        size = source.size if source.inner else source.place.stat().st_size
        if not source.place.is_file() or size > _LARGEST:
            return None
        with source.open() as file:
            head = file.read(4096)
            if b'"resourceType"' in head or b'"output"' not in (data := head + file.read()):
                return None
        value = msgspec.json.decode(data)
    except (OSError, *DAMAGE, msgspec.DecodeError, RecursionError, ValueError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("output"), list):
        return None
    request = value.get("request")
    query = parse_qs(urlsplit(request).query) if isinstance(request, str) else {}
    return Manifest(
        source=source,
        files=tuple(_files(value["output"])),
        asked=frozenset(_words(query.get("_type"))),
        partial=frozenset(_partial(query)),
        errors=_count(value.get("error")),
        deleted=_count(value.get("deleted")),
    )


def _files(output: list[object]) -> list[tuple[str, str]]:
    found = []
    for item in output:
        if not isinstance(item, dict):
            continue
        kind, url = item.get("type"), item.get("url")
        if isinstance(kind, str) and isinstance(url, str):
            name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
            found.append((kind, name))
    return found


def _count(value: object) -> int:
    return len(value) if isinstance(value, list) else 0


def _words(values: list[str] | None) -> list[str]:
    return [word for value in values or () for word in value.split(",") if word]


def _partial(query: dict[str, list[str]]) -> list[str]:
    filters = [word.partition("?")[0] for word in _words(query.get("_typeFilter"))]
    return [*filters, *(["*"] if query.get("_since") else [])]
