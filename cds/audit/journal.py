"""The journal of a run: what came of each chunk, in order, in one file that only grows.

A frame is the length and the CRC-32 of what follows, then an ``Outcome`` in MessagePack. A run that
was killed leaves whole frames, and at most one that is not: reading ends before it.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from cds.audit.outcome import Outcome

_HEAD = struct.Struct("<QI")
_encode = msgspec.msgpack.Encoder().encode


def _counter(kind: type, value: Any) -> Any:
    """A Counter, which MessagePack knows as a map."""
    if getattr(kind, "__origin__", kind) is Counter:
        return Counter(value)
    raise NotImplementedError


_decode = msgspec.msgpack.Decoder(Outcome, dec_hook=_counter).decode


class Journal:
    """Appends outcomes to ``path``; a context manager. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def append(self, outcome: Outcome) -> None:
        """Adds what came of the next chunk."""
        data = _encode(outcome)
        self._file.write(_HEAD.pack(len(data), zlib.crc32(data)) + data)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_outcomes(path: Path) -> Iterator[Outcome]:
    """The outcomes in the journal, one at a time, up to the first that is not whole."""
    with path.open("rb") as file:
        while (data := _frame(file)) is not None:
            yield _decode(data)


def _frame(file: IO[bytes]) -> bytes | None:
    """The content of the next frame; None at the end, or where it is damaged."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, check = _HEAD.unpack(head)
    data = file.read(length)
    return data if len(data) == length and zlib.crc32(data) == check else None
