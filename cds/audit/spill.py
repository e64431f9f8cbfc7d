"""Lines of an export by patient, on disk: written once by each reader, read back by partition.

A reader writes one file of runs, each sorted by rank and patient, and when it is done an index of
where each partition's piece of each run stands. So there are as many files as readers whatever
the number of partitions, memory does not grow with the export, and a file without an index is not
whole.
"""

from __future__ import annotations

import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from cds.chart.export import LeftOut, Lines

BUDGET = 8 * 1024 * 1024
"""Bytes of lines that a reader holds before it writes them."""
_WHOLE = 16 * 1024 * 1024
_BITS = 32
_WIDTH = 8
_PREFIX = "Patient/"


def _lists() -> defaultdict[str, list[bytes]]:
    return defaultdict(list)


def rank(key: bytes) -> int:
    """A patient's place in the order of an audit: a 32-bit digest of the id."""
    return zlib.crc32(key)


def index_path(path: Path) -> Path:
    """Where the index of a spill stands."""
    return path.with_name(f"{path.name}.index")


class Spill(msgspec.Struct):
    """Writes lines by patient to ``path``, about ``budget`` bytes in memory; `close` ends it.

    ``held`` has the lines not written yet by whose they are: ``Patient/<id>`` or ``urn:…``, without
    tab or line end. ``left`` has, by type and in the same way, those that no rule asks for: an id
    without a tab, the line, and so on. Whoever adds lines tells `grow` of their bytes. Methods
    raise OSError.
    """

    path: Path
    bits: int
    budget: int = BUDGET
    held: defaultdict[str, list[bytes]] = msgspec.field(default_factory=_lists)
    left: dict[str, defaultdict[str, list[bytes]]] = msgspec.field(default_factory=dict)
    _size: int = 0
    _pieces: dict[int, array[int]] = msgspec.field(default_factory=dict)
    _file: IO[bytes] | None = None

    def add_block(self, block: bytes) -> None:
        """Adds what another spill holds of some patients (`Partition.block`), as it is."""
        if self._file is None:
            self._file = self.path.open("wb")
        place, start = self._file.tell(), 0
        self._file.write(block)
        while start < len(block):
            end = block.index(b"\n", start)
            key, size, _ = block[start:end].split(b"\t")
            length = end - start + int(size) + 2
            self._note(rank(key), place + start, length)
            start += length

    def grow(self, size: int) -> None:
        """Writes what is held if with so many bytes more there is enough of it."""
        self._size += size
        if self._size > self.budget:
            self._flush()

    def close(self) -> None:
        """Writes the rest, and the index."""
        self._flush()
        if self._file is None:
            return
        self._file.close()
        numbers = range(1 << self.bits)
        starts = array("Q", [0])
        for number in numbers:
            starts.append(starts[-1] + len(self._pieces.get(number, ())))
        with index_path(self.path).open("wb") as file:
            file.write(starts.tobytes())
            file.writelines(self._pieces[number].tobytes() for number in sorted(self._pieces))

    def _flush(self) -> None:
        if self._file is None:
            self._file = self.path.open("wb")
        ranked = sorted(
            (rank(key := owner.removeprefix(_PREFIX).encode()), key, kind, lines)
            for kind, held in (("", self.held), *self.left.items())
            for owner, lines in held.items()
        )
        place = self._file.tell()
        for order, key, kind, lines in ranked:
            body = b"\n".join(lines if not kind else (b"\t".join(lines[::2]), *lines[1::2]))
            head = b"%b\t%d\t%b\n" % (key, len(body), kind.encode())
            length = self._file.write(b"%b%b\n" % (head, body))
            self._note(order, place, length)
            place += length
        self.held.clear()
        for held in self.left.values():
            held.clear()
        self._size = 0

    def _note(self, order: int, place: int, length: int) -> None:
        """Notes where something of a patient of that rank stands."""
        pieces = self._pieces.setdefault(order >> (_BITS - self.bits), array("Q"))
        if pieces and pieces[-2] + pieces[-1] == place:
            pieces[-1] += length
        else:
            pieces.extend((place, length))


class Stored(msgspec.Struct, frozen=True):
    """Where some lines of a patient stand: in which spill, from where, how many bytes.

    ``kind`` is the type of lines that nobody asks for, else empty; ``data`` is there once read.
    """

    path: Path
    offset: int
    length: int
    kind: bytes = b""
    data: bytes | None = None

    def read(self) -> bytes:
        """The bytes. Raises OSError."""
        if self.data is not None:
            return self.data
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.length)


class Partition(msgspec.Struct, frozen=True):
    """The patients of one ``number`` in some spills; ``only`` narrows it to those keys."""

    number: int
    bits: int
    paths: tuple[Path, ...]
    only: tuple[bytes, ...] | None = None

    def groups(self, largest: int = 1 << 62) -> Iterator[tuple[bytes, Lines | None]]:
        """Each patient's key and lines, by rank.

        None for more than ``largest`` bytes of lines, or than there is memory for. A small
        partition is read at once, of a large one a patient after the other. Raises OSError.
        """
        places = {path: self._pieces(path) for path in self.paths}
        size = sum(sum(pieces[1::2]) for pieces in places.values())
        found = _read(places) if size <= _WHOLE else _found(places)
        for key in self._chosen(found):
            yield key, _lines(found[key], largest)

    def patients(self) -> list[bytes]:
        """The patients' keys, by rank. Raises OSError."""
        return self._chosen(_found({path: self._pieces(path) for path in self.paths}))

    def halves(self) -> tuple[Partition, Partition] | None:
        """The patients in two; None when there is one only."""
        keys = self.patients()
        middle = len(keys) // 2
        if not middle:
            return None
        first, second = tuple(keys[:middle]), tuple(keys[middle:])
        make = msgspec.structs.replace
        return make(self, only=first), make(self, only=second)

    def block(self) -> bytes:
        """All that the spills hold of it, as `Spill.add_block` takes it. Raises OSError."""
        found = []
        for path in self.paths:
            pieces = self._pieces(path)
            with path.open("rb") as file:
                for offset, length in zip(pieces[::2], pieces[1::2], strict=True):
                    file.seek(offset)
                    found.append(file.read(length))
        return b"".join(found)

    def _chosen(self, found: Iterable[bytes]) -> list[bytes]:
        chosen = found if self.only is None else set(self.only) & set(found)
        return sorted(chosen, key=lambda key: (rank(key), key))

    def _pieces(self, path: Path) -> array[int]:
        """Offset and length of each of the partition's pieces in a spill."""
        pieces = array("Q")
        with index_path(path).open("rb") as file:
            file.seek(self.number * _WIDTH)
            bounds = array("Q", file.read(2 * _WIDTH))
            file.seek(((1 << self.bits) + 1 + bounds[0]) * _WIDTH)
            pieces.frombytes(file.read((bounds[1] - bounds[0]) * _WIDTH))
        return pieces


def _lines(parts: list[Stored], largest: int) -> Lines | None:
    if sum(part.length for part in parts) > largest:
        return None
    found = Lines()
    try:
        for part in parts:
            _add(found, part.kind.decode(), part.read())
    except MemoryError:
        return None
    return found


def _add(found: Lines, kind: str, data: bytes) -> None:
    if not kind:
        found.asked.extend(data.split(b"\n"))
        return
    names, _, lines = data.partition(b"\n")
    left = found.left.setdefault(kind, LeftOut([], []))
    left.names.extend(names.split(b"\t"))
    left.lines.append(lines)


def _read(places: dict[Path, array[int]]) -> dict[bytes, list[Stored]]:
    """The lines of each patient, read."""
    found: dict[bytes, list[Stored]] = {}
    for path, pieces in places.items():
        with path.open("rb") as file:
            for offset, length in zip(pieces[::2], pieces[1::2], strict=True):
                file.seek(offset)
                data = file.read(length)
                place = 0
                while place < length:
                    end = data.index(b"\n", place)
                    key, size, kind = data[place:end].split(b"\t")
                    start, place = end + 1, end + 1 + int(size)
                    part = Stored(path, offset + start, int(size), kind, data[start:place])
                    found.setdefault(key, []).append(part)
                    place += 1
    return found


def _found(places: dict[Path, array[int]]) -> dict[bytes, list[Stored]]:
    """Where the lines of each patient stand."""
    found: dict[bytes, list[Stored]] = {}
    for path, pieces in places.items():
        with path.open("rb") as file:
            for offset, length in zip(pieces[::2], pieces[1::2], strict=True):
                place = offset
                while place < offset + length:
                    file.seek(place)
                    head = file.readline()
                    key, size, kind = head[:-1].split(b"\t")
                    place += len(head)
                    found.setdefault(key, []).append(Stored(path, place, int(size), kind))
                    place += int(size) + 1
    return found


def partitions(bits: int, paths: Iterable[Path]) -> list[Partition]:
    """All partitions of some spills, those without a patient too, in order."""
    there = tuple(paths)
    return [Partition(number, bits, there) for number in range(1 << bits)]


def bits_for(size: int) -> int:
    """How many bits number the partitions of an export of ``size`` bytes: about 2 MiB in each."""
    return min(11, max(4, (size // (2 * 1024 * 1024)).bit_length()))
