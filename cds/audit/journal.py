"""A journal: records in order in one file that only grows, such as what came of each chunk.

A frame is the length and the CRC-32 of what follows, then a record in MessagePack. A run that was
killed leaves whole frames, and at most one that is not: reading ends before it.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import msgspec

_HEAD = struct.Struct("<QI")
encode = msgspec.msgpack.Encoder().encode

Record = TypeVar("Record")


def counter(kind: type, value: Any) -> Any:
    """A Counter, which MessagePack knows as a map."""
    if getattr(kind, "__origin__", kind) is Counter:
        return Counter(value)
    raise NotImplementedError


class Journal(Generic[Record]):
    """The records of one ``kind`` in ``path``, new or as a run that was killed has left it.

    A context manager. ``count`` records are there; what follows them and is not whole is cut off
    when it is opened. Raises OSError.
    """

    def __init__(self, path: Path, kind: type[Record]) -> None:
        self.path, self.count = path, 0
        self._decode = msgspec.msgpack.Decoder(kind, dec_hook=counter).decode
        self._file: IO[bytes] = path.open("ab")
        end = 0
        with path.open("rb") as file:
            while _frame(file) is not None:
                self.count, end = self.count + 1, file.tell()
        self._file.truncate(end)

    @property
    def size(self) -> int:
        """Its bytes."""
        return self._file.tell()

    def append(self, record: Record) -> None:
        """Adds a record."""
        data = encode(record)
        self._file.write(_HEAD.pack(len(data), zlib.crc32(data)))
        self._file.write(data)
        self._file.flush()
        self.count += 1

    def read(self) -> Iterator[Record]:
        """The records, one at a time."""
        with self.path.open("rb") as file:
            while (data := _frame(file)) is not None:
                yield self._decode(data)

    def __enter__(self) -> Journal[Record]:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _frame(file: IO[bytes]) -> bytes | None:
    """The content of the next frame; None at the end, or where it is not whole."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, check = _HEAD.unpack(head)
    data = file.read(length)
    return data if len(data) == length and zlib.crc32(data) == check else None
