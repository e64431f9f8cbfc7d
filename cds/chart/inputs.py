"""Inputs named on the command line: files, folders, globs, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from cds.values.problem import Place, Problem

SUFFIXES = (".json", ".ndjson", ".json.gz", ".ndjson.gz")


@dataclass(frozen=True, slots=True)
class Input:
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
                str(item) for item in Path(path).rglob("*") if item.name.endswith(SUFFIXES)
            )
            found += inside or [path]
        elif path != "-" and has_magic(path) and not Path(path).exists():
            found += sorted(glob(path, recursive=True)) or [path]  # noqa: PTH207 - absolute globs too
        else:
            found.append(path)
    return found


def read_inputs(names: list[str]) -> Iterator[Input]:
    """Each input's bytes, read when its turn comes."""
    for name in names:
        try:
            yield Input(name, sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
        except OSError as error:
            accepted = "a file of FHIR JSON, or a folder with " + ", ".join(SUFFIXES)
            what = f"cannot be read: {error.strerror or type(error).__name__}"
            if Path(name).is_dir():
                what = "holds no record files"
            yield Input(name, problem=Problem(Place(name), what, accepted, "file"))
