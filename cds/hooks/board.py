"""Memory that the processes of a service share: what the parent says, and signs of life.

It is made before any process is forked. The parent alone writes the notice and everybody may read
it; each worker writes its own beat.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from cds.cards.wire import encode

_NOTICE = 64 * 1024
_HEAD = struct.Struct("<II")
_BEAT = struct.Struct("<d")
_TRIES = 100


class Board:
    """A notice (a JSON object), and ``seats`` beats (seconds of the monotonic clock)."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self._memory = mmap.mmap(-1, _NOTICE + seats * _BEAT.size)

    def post(self, notice: Mapping[str, object]) -> None:
        """Puts up a notice in place of the one before. Raises ValueError for one of over 64 KiB."""
        text = encode(notice)
        if len(text) > _NOTICE - _HEAD.size:
            raise ValueError("a notice is too long")
        self._memory[_HEAD.size : _HEAD.size + len(text)] = text
        self._memory[: _HEAD.size] = _HEAD.pack(len(text), zlib.crc32(text))

    def read(self) -> dict[str, Any]:
        """The notice as it hangs; {} where there is none. One half written is read again."""
        for _ in range(_TRIES):
            size, check = _HEAD.unpack_from(self._memory)
            text = self._memory[_HEAD.size : _HEAD.size + min(size, _NOTICE)]
            if text and zlib.crc32(text) == check:
                found: dict[str, Any] = msgspec.json.decode(text)
                return found
        return {}

    def beat(self, seat: int, at: float) -> None:
        """Says that whoever has the seat was alive at that moment."""
        _BEAT.pack_into(self._memory, _NOTICE + seat * _BEAT.size, at)

    def beat_of(self, seat: int) -> float:
        found: float = _BEAT.unpack_from(self._memory, _NOTICE + seat * _BEAT.size)[0]
        return found
