"""What a service answers by at a time, and where the next of it is read from.

A reload never changes an application. It reads a new edition, and new processes answer by it
(see ``cds.hooks.supervisor``), so whatever ``create_app`` makes may rely on one edition for life.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import _lru_cache_wrapper
from pathlib import Path
from zoneinfo import ZoneInfo

from cds.engine.review import evaluator
from cds.hooks.discovery import services
from cds.hooks.settings import Settings
from cds.rulebook.model import Rulebook

# What the parent process holds, or what was decided by it at the start.
FIXED = {
    "public_url": "public-url",
    "issuers": "issuers",
    "store": "store",
    "proxies": "proxies",
    "workers": "workers",
    "grace_ms": "grace",
    "notice_ms": "notice",
}


class UnloadableError(Exception):
    """An edition that cannot be put in force; ``errors`` are lines that each name their place."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Edition:
    """A rulebook bound to its site, the zone in which days are counted, how the service is run."""

    rulebook: Rulebook
    zone: ZoneInfo
    settings: Settings

    @property
    def key(self) -> tuple[object, ...]:
        """The same for editions that answer alike."""
        rulebook = self.rulebook
        return rulebook.digest, rulebook.pack.version, str(self.zone), repr(self.settings)

    def check_after(self, before: Edition) -> None:
        """Raises UnloadableError if this cannot follow on ``before`` without a restart."""
        errors = [
            f"service.{told}: this changes only when the service is started anew"
            for name, told in FIXED.items()
            if getattr(self.settings, name) != getattr(before.settings, name)
        ]
        if not services(self.rulebook):
            errors.append("no rule that is on speaks on a hook: nothing would be offered")
        if errors:
            raise UnloadableError(errors)


@dataclass(frozen=True, slots=True)
class Source:
    """Where editions come from. ``read`` raises UnloadableError; ``failing`` runs the scenarios of
    what lies there now and gives a line for each that fails; ``watched`` are files and folders.
    """

    read: Callable[[], Edition]
    failing: Callable[[], Sequence[str]]
    watched: tuple[Path, ...] = ()


def compile_edition(edition: Edition) -> None:
    """Does before a fork what every process would do after it."""
    evaluator(edition.rulebook)


def forget_editions() -> None:
    """Empties this product's caches: they hold on to rulebooks that nobody answers by any more."""
    gc.unfreeze()  # what is frozen is not listed
    for item in gc.get_objects():
        if isinstance(item, _lru_cache_wrapper) and item.__module__.startswith("cds."):
            item.cache_clear()
    gc.collect()


class Watch:
    """Tells when files, or anything in folders, were written and have then been left alone."""

    def __init__(self, watched: Sequence[Path]) -> None:
        self._watched = watched
        self._seen = _fingerprint(watched)
        self._changed: tuple[object, ...] | None = None

    def has_settled(self) -> bool:
        """Whether there is a change that has not been told, and none since the last time asked."""
        found = _fingerprint(self._watched)
        if found == self._changed:
            self._seen, self._changed = found, None
            return True
        self._changed = found if found != self._seen else None
        return False


def _fingerprint(watched: Sequence[Path]) -> tuple[object, ...]:
    """What changes when files, or folders with all below them, are written."""
    found: list[object] = []
    for path in watched:
        inside = [path, *path.rglob("*")] if path.is_dir() else [path]
        for item in sorted(inside):
            try:
                status = item.stat()
            except OSError:
                continue
            found.append((str(item), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


assert FIXED.keys() <= {field.name for field in fields(Settings)}
