"""Inputs named on the command line: files, folders, globs, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path

import msgspec

from cds.chart.document import MAX_BYTES
from cds.values.problem import Place, Problem

SUFFIXES = (".json", ".ndjson", ".json.gz", ".ndjson.gz")


class Input(msgspec.Struct, frozen=True):
    """One input as it was named, with its bytes or the problem that kept them away."""

    name: str
    data: bytes = b""
    problem: Problem | None = None


def expand_paths(paths: list[str]) -> list[str]:
    """The names of all inputs: a folder's record files, a glob's matches, else the path itself."""
    found: list[str] = []
    for path in paths:
        if path != "-" and Path(path).is_dir():
            inside = sorted(
                str(item)
                for item in Path(path).rglob("*")
                if item.name.endswith(SUFFIXES) and not item.is_dir()
            )
            found += inside or [path]
        elif path != "-" and has_magic(path) and not Path(path).exists():
            found += sorted(glob(path, recursive=True)) or [path]  # noqa: PTH207 - absolute globs too
        else:
            found.append(path)
    return found


def read_inputs(names: list[str]) -> Iterator[Input]:
    """Each input's bytes, read when its turn comes; of a pipe or device no more than MAX_BYTES."""
    accepted = "a file of FHIR JSON, or a folder with " + ", ".join(SUFFIXES)
    for name in names:
        try:
            data = _read(name)
        except (OSError, ValueError) as error:
            # ValueError: a name that no file can have.
            what = f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"
            if "\0" not in name and Path(name).is_dir():
                what = "holds no record files"
            yield Input(name, problem=Problem(Place(name), what, accepted, "file"))
            continue
        if data is None:
            yield Input(name, problem=Problem(Place(name), "is no file", accepted, "file"))
        elif len(data) > MAX_BYTES and (name == "-" or not Path(name).is_file()):
            what = f"is longer than {MAX_BYTES // (1024 * 1024)} MiB"
            yield Input(name, problem=Problem(Place(name), what, accepted, "file"))
        else:
            yield Input(name, data)


def _read(name: str) -> bytes | None:
    """The bytes; None where waiting for them could take for ever. Raises OSError, ValueError."""
    if name == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    path = Path(name)
    if path.is_file():
        return path.read_bytes()
    # A pipe that the shell made, or a device; any other may have nobody who writes into it.
    if path.is_fifo() and not name.startswith(("/dev/", "/proc/")):
        return None
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
