"""How an export is divided among the partitions of one shuffle.

The first ``2 ** bits`` hold the lines of patients, by rank, so that partition after partition is
the order of an audit; then come those of Medications, by id, with who asks for them; the last
is always empty: to ask for it makes the shuffle happen.
"""

from __future__ import annotations

import zlib

import msgspec

_LARGE = 128 * 1024 * 1024
_LEAST_BITS, _MOST_BITS = 2, 14
INNER = 4
"""Bits more that divide the patients of a partition where they are judged."""


def bits_of(size: int) -> int:
    """How many bits number the partitions of an export of so many bytes: about 128 MiB in each."""
    return min(_MOST_BITS, max(_LEAST_BITS, (size // _LARGE).bit_length()))


class Plan(msgspec.Struct, frozen=True):
    """The partitions of an export whose patients are divided by ``bits``."""

    bits: int

    @property
    def width(self) -> int:
        """How many partitions there are."""
        return self.shelves().stop + 1

    def shelves(self) -> range:
        """The partitions of Medications."""
        first = 1 << self.bits
        return range(first, first + first // 4)

    def shelf(self, medication: bytes) -> int:
        """The partition of a Medication."""
        shelves = self.shelves()
        return shelves[zlib.crc32(medication) % len(shelves)]


def itself(number: int) -> int:
    """The partition of a key that is a partition's number."""
    return number
