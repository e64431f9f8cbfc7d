"""The shared Medications of an export, by id, on disk: every patient's orders may refer to them."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

_TABLE = """
CREATE TABLE IF NOT EXISTS medication
(id TEXT, version INTEGER, updated TEXT, line BLOB, PRIMARY KEY (id, line)) WITHOUT ROWID
"""
_PUT = "INSERT OR IGNORE INTO medication VALUES (?, ?, ?, ?)"
# Of several versions the highest numbered stands, else the latest.
_RANKED = (
    "SELECT version, updated, line FROM medication WHERE id = ? ORDER BY 1 DESC, 2 DESC, 3 LIMIT ?"
)
_STANDING = """
SELECT id, line FROM medication AS one WHERE (version, updated) =
(SELECT version, updated FROM medication WHERE id = one.id ORDER BY 1 DESC, 2 DESC LIMIT 1)
ORDER BY id, line
"""
# So many copies of one Medication that contradict each other are looked at; who reads them tells.
_MOST_COPIES = 10


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Has what the database says of its disk raised as what it is: OSError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


class Writer:
    """Puts Medications on the shelf at ``path``; `close` makes them stay.

    All of it raises OSError where the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _written(path):
            self._base = sqlite3.connect(path, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = OFF")
            self._base.execute("PRAGMA synchronous = OFF")
            self._base.execute(_TABLE)
            self._base.execute("BEGIN")

    def put(self, line: bytes) -> None:
        """Keeps the Medication on a line. Raises ValueError when it has no id."""
        resource: Any = msgspec.json.decode(line)
        name = resource.get("id")
        if not isinstance(name, str) or not name:
            raise ValueError("a Medication without an id")
        meta = resource.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        version, updated = str(meta.get("versionId", "")), meta.get("lastUpdated")
        number = int(version[:18]) if version.isdecimal() else -1
        stamp = updated if isinstance(updated, str) else ""
        with _written(self._path):
            self._base.execute(_PUT, (name, number, stamp, line))

    def close(self) -> None:
        with _written(self._path):
            self._base.execute("COMMIT")
            self._base.close()


def read_shelf(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every Medication on the shelf at ``path`` that stands: its id and its line, by id."""
    base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        for name, line in base.execute(_STANDING):
            yield name, bytes(line)
    finally:
        base.close()


class Shelf:
    """Gives Medications back by id, from the shelves at ``paths``: the version that stands.

    That is none, one, or several that nothing tells apart but what they say; in whatever order the
    files were, they come in the same.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._bases = [
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) for path in paths
        ]

    def __call__(self, name: str) -> list[bytes]:
        asked = (name, _MOST_COPIES)
        rows = [row for base in self._bases for row in base.execute(_RANKED, asked)]
        best = max((row[:2] for row in rows), default=None)
        return sorted({bytes(row[2]) for row in rows if row[:2] == best})[:_MOST_COPIES]

    def close(self) -> None:
        for base in self._bases:
            base.close()
