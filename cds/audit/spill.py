"""Lines of an export by patient, on disk: written once by each reader, read back by partition.

One file a reader, with an index of where each partition's runs stand in it, so that there are as
many files as readers whatever the number of partitions, and memory does not grow with the export.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

_BUDGET = 8 * 1024 * 1024
_BITS = 32

Runs = dict[int, "array[int]"]
"""By partition: offset and length of each of its runs, one after the other."""


def rank(key: bytes) -> int:
    """A patient's place in the order of an audit: a 32-bit digest of the id."""
    return zlib.crc32(key)


class Spill(msgspec.Struct):
    """Writes keyed lines to ``path`` in runs by partition; ``runs`` says where each stands."""

    path: Path
    bits: int
    runs: Runs = msgspec.field(default_factory=dict)
    _held: dict[int, list[bytes]] = msgspec.field(default_factory=dict)
    _size: int = 0
    _place: int = 0

    def add(self, key: bytes, line: bytes) -> None:
        """Keeps a line for a patient. ``key`` has no tab or line end, ``line`` no line end."""
        held = self._held.setdefault(zlib.crc32(key) >> (_BITS - self.bits), [])
        held += (key, b"\t", line, b"\n")
        self._size += len(line)
        if self._size > _BUDGET:
            self.flush()

    def flush(self) -> None:
        """Writes what is held. Raises OSError when it cannot."""
        if not self._held:
            return
        with self.path.open("ab") as file:
            for partition in sorted(self._held):
                data = b"".join(self._held[partition])
                file.write(data)
                places = self.runs.setdefault(partition, array("Q"))
                places.extend((self._place, len(data)))
                self._place += len(data)
        self._held.clear()
        self._size = 0


class Partition(msgspec.Struct, frozen=True):
    """Where the lines of some patients stand; ``only`` narrows it to those keys (None: all)."""

    runs: tuple[tuple[Path, array[int]], ...]
    only: tuple[bytes, ...] | None = None

    def groups(self) -> list[tuple[bytes, list[bytes]]]:
        """Each patient's key and lines, by rank. Raises OSError."""
        found: dict[bytes, list[bytes]] = {}
        for key, line in self._lines():
            found.setdefault(key, []).append(line)
        chosen = found if self.only is None else set(self.only) & set(found)
        return [(key, found[key]) for key in sorted(chosen, key=_order)]

    def patients(self) -> list[bytes]:
        """The patients' keys, by rank. Raises OSError."""
        return [key for key, _ in self.groups()]

    def halves(self) -> tuple[Partition, Partition] | None:
        """The patients in two; None when there is one only."""
        keys = self.patients()
        middle = len(keys) // 2
        if not middle:
            return None
        first, second = tuple(keys[:middle]), tuple(keys[middle:])
        return Partition(self.runs, first), Partition(self.runs, second)

    def _lines(self) -> Iterator[tuple[bytes, bytes]]:
        for path, runs in self.runs:
            with path.open("rb") as file:
                for offset, length in zip(runs[::2], runs[1::2], strict=True):
                    file.seek(offset)
                    for line in file.read(length).split(b"\n"):
                        key, tab, rest = line.partition(b"\t")
                        if tab:
                            yield key, rest


def _order(key: bytes) -> tuple[int, bytes]:
    return rank(key), key


def partitions(spilled: Iterable[tuple[Path, Runs]]) -> list[Partition]:
    """The partitions of several spills together, in order."""
    found: dict[int, list[tuple[Path, array[int]]]] = {}
    for path, runs in spilled:
        for number, places in runs.items():
            found.setdefault(number, []).append((path, places))
    return [Partition(tuple(found[number])) for number in sorted(found)]


def bits_for(size: int) -> int:
    """How many bits number the partitions of an export of ``size`` bytes: about 2 MiB in each."""
    return min(11, max(4, (size // (2 * 1024 * 1024)).bit_length()))
