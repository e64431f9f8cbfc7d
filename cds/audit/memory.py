"""How much memory a run may use, and what becomes of it: shares of workers, budgets of readers.

No result depends on it, but for an input that is larger than a worker's share: that is a problem,
and the rest goes on. What is bounded is what each process has for itself; pages that workers share
with their parent (the rulebook) count once.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

MIB = 1024 * 1024
_PARENT, _LEAST_SHARE = 128 * MIB, 64 * MIB
_LEAST = _PARENT + _LEAST_SHARE
_LARGEST_BUDGET, _LEAST_BUDGET = 32 * MIB, MIB
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?([KMGT]?)(?:i?B)?", re.IGNORECASE)
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Memory(msgspec.Struct, frozen=True):
    """``total`` bytes for a parent and so many ``workers``, each with its ``share``."""

    total: int
    workers: int

    @property
    def share(self) -> int:
        """Bytes that a worker may use beside what it starts with."""
        return max(_LEAST_SHARE, (self.total - _PARENT) // self.workers)

    @property
    def budget(self) -> int:
        """Bytes of lines that a reader of an export may hold before it writes them."""
        return max(_LEAST_BUDGET, min(_LARGEST_BUDGET, self.share // 8))


def read_size(text: str) -> int:
    """Bytes of ``512M``, ``2G``, ``1.5GiB``. Raises ValueError, with what is accepted."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"'{text}' is no size; accepted: a number with K, M, G or T, such as 2G")
    whole, part, unit = found[1], found[2] or "0", found[3].upper()
    size: int = int(whole + part) * _UNITS[unit] // 10 ** len(part)
    if size < _LEAST:
        raise ValueError(f"'{text}' is too little; accepted: at least {_LEAST // MIB}M")
    return size


def memory_of(workers: int, size: int = 0) -> Memory:
    """Memory of a run of so many workers, or of fewer where it is too little for them.

    Without a ``size``, half of what the machine, or the container, has.
    """
    total = max(size or available() // 2, _LEAST)
    return Memory(total, max(1, min(workers, (total - _PARENT) // _LEAST_SHARE)))


def available() -> int:
    """Bytes of memory of this machine, or of the container if that has fewer; 2 GiB if unknown."""
    found = []
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for name in _CGROUPS:
        with suppress(OSError, ValueError):
            found.append(int(Path(name).read_text()))
    return min(found, default=2048 * MIB)


def limit_to(share: int) -> None:
    """Has this process refused more memory than ``share`` bytes beside what it has, on Linux.

    What asks for more gets MemoryError.
    """
    if not sys.platform.startswith("linux"):
        return
    import resource

    with suppress(OSError, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        own = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = own + share
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
