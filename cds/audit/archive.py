"""The members of a zip archive that an audit reads, and what keeps it from reading others.

Nothing is extracted: a member is read where it stands, in bounded memory, whatever its name says.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from cds.audit.source import DAMAGE, Source, reason_of
from cds.values.problem import Place, Problem, Severity

SUFFIX = ".zip"
_ENCRYPTED = 0x1
_MOST_TIMES, _SMALL = 400, 64 * 1024 * 1024
_ACCEPTED = "an archive of Bundles or of an export"


def members(source: Source, suffixes: tuple[str, ...]) -> tuple[list[Source], list[Problem]]:
    """The members with these suffixes, by name, and what is wrong with others."""
    found: list[Source] = []
    problems: list[Problem] = []
    try:
        with zipfile.ZipFile(source.place) as archive:
            listed = archive.infolist()
        packed = sum(item.compress_size for item in listed)
        if packed > source.place.stat().st_size:
            return [], [_problem(source.name, "is a bomb: its members overlap")]
    except (OSError, ValueError, *DAMAGE) as error:
        return [], [_problem(source.name, reason_of(error))]
    for number, item in enumerate(listed):
        name = f"{source.name}!{item.filename}"
        if item.is_dir() or item.filename.startswith("__MACOSX/"):
            continue
        if item.filename.endswith(SUFFIX):
            what = "is an archive inside an archive: not opened"
            problems.append(_problem(name, what, Severity.WARNING))
        elif item.filename.endswith(suffixes):
            wrong = _wrong(item)
            if wrong:
                problems.append(_problem(name, wrong))
            else:
                path = str(source.place)
                found.append(Source(name, item.file_size, path, number, item.filename))
    if not found and not problems:
        problems.append(_problem(source.name, "holds no record files"))
    return sorted(found, key=lambda item: (item.name, item.member)), problems


def _wrong(item: zipfile.ZipInfo) -> str:
    """Why a member is not read; "" for one that is."""
    if item.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if item.file_size > max(_SMALL, _MOST_TIMES * item.compress_size):
        return f"is a bomb: it unpacks to more than {_MOST_TIMES} times its size"
    return ""


def _problem(name: str, what: str, severity: Severity = Severity.ERROR) -> Problem:
    return Problem(Place(name), what, _ACCEPTED, "file", severity)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive by its content. False if it cannot be read."""
    try:
        return zipfile.is_zipfile(path)
    except OSError:
        return False
