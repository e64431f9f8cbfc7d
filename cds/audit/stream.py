"""Lines of an NDJSON file, block by block: plain or gzip, of any size, a block in memory.

A plain file can be read in parts by several processes: a part owns the lines that begin in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cds.audit.source import DAMAGE, Source, reason_of

BLOCK = 128 * 1024
MAX_LINE = 64 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"


class DamageError(Exception):
    """The file ends or breaks off here; lines before it were good."""


class TooLong(msgspec.Struct, frozen=True):
    """Stands for a line longer than ``MAX_LINE``, which was skipped."""


Line = bytes | TooLong


def read_lines(path: Path | Source, start: int = 0, end: int | None = None) -> Iterator[list[Line]]:
    """Lists of lines without their line ends, blank ones included, so that they can be counted.

    ``start`` and ``end`` bound, in bytes, where lines begin (plain files only). A byte order mark
    is left out. Raises OSError, and ``DamageError`` after the lines before the damage.
    """
    fresh = start == 0
    for lines in _read_lines(path, start, end):
        if fresh and isinstance(lines[0], bytes):
            lines[0] = lines[0].removeprefix(_MARK)
        fresh = False
        yield lines


def _read_lines(path: Path | Source, start: int, end: int | None) -> Iterator[list[Line]]:
    pending: list[bytes] = []
    size = 0
    skipping = start > 0
    for block in _blocks(path, start, end):
        parts = block.split(b"\n")
        if skipping:
            # The line that the part before this one owns.
            skipping = len(parts) == 1
            pending, size = parts[-1:], len(parts[-1])
            if not skipping and len(parts) > 2:
                yield list(parts[1:-1])
            continue
        size += len(parts[0])
        pending = [*pending, parts[0]] if size <= MAX_LINE else []
        if len(parts) > 1:
            yield [_line(pending, size), *parts[1:-1]]
            pending, size = parts[-1:], len(parts[-1])
    if size and not skipping:
        yield [_line(pending, size)]


def _line(parts: list[bytes], size: int) -> Line:
    return b"".join(parts) if size <= MAX_LINE else TooLong()


def _blocks(path: Path | Source, start: int, end: int | None) -> Iterator[bytes]:
    """Blocks of the unpacked file, up to the part's last line end."""
    try:
        yield from _blocks_of(path, start, end)
    except DAMAGE as error:
        raise DamageError(reason_of(error)) from error


def _blocks_of(path: Path | Source, start: int, end: int | None) -> Iterator[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        # From one byte before, so that a line that begins just here is not taken for a rest.
        file.seek(max(0, start - 1))
        raw = iter(lambda: file.read(BLOCK), b"")
        yield from _unpacked(raw) if packed else _bounded(raw, max(0, start - 1), end)


def _bounded(blocks: Iterator[bytes], place: int, end: int | None) -> Iterator[bytes]:
    """The blocks, which begin at ``place``, up to the end of the line that holds ``end - 1``."""
    for block in blocks:
        if end is not None and place + len(block) >= end:
            cut = block.find(b"\n", max(0, end - 1 - place))
            if cut >= 0:
                yield block[: cut + 1]
                return
        place += len(block)
        yield block


def _unpacked(packed: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks unpacked, members one after another; raises ``DamageError``."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    fresh = True
    for chunk in packed:
        data = chunk
        while data:
            if fresh and not data.lstrip(b"\0"):
                break
            try:
                block = unpacker.decompress(data, BLOCK)
            except zlib.error as error:
                raise DamageError(f"damaged gzip data: {error}") from error
            fresh = False
            if block:
                yield block
            if unpacker.eof:
                data = unpacker.unused_data.lstrip(b"\0")
                unpacker, fresh = zlib.decompressobj(zlib.MAX_WBITS | 16), True
            else:
                data = unpacker.unconsumed_tail
    if not fresh:
        raise DamageError("damaged gzip data: it ends too early")
