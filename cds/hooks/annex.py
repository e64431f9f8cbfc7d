"""What the service's page shows beside itself: the rule book, and example requests.

Both are made from the whole pack with its scenarios, which takes seconds of pure Python: a process
of its own makes them when somebody asks for the first time, so that calls are never slower for it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any, TypeVar, cast

Files = Mapping[str, bytes]
Made = TypeVar("Made")
_SECONDS = 120
_LOOK_SECONDS = 0.05
_DATE = re.compile(r'"(\d{4}-\d\d-\d\d)(?=["T])')


class AnnexError(Exception):
    """What was asked for cannot be made; the text is for whoever looks at the page."""


@dataclass(frozen=True, slots=True)
class Example:
    """A request about an invented patient; ``title`` is what its rule is about.

    ``document`` is JSON as of ``day``.
    """

    rule: str
    title: str
    name: str
    hook: str
    day: date
    document: str

    def on(self, day: date) -> str:
        """The request as if it came on that day: every whole date in it moves along."""
        return moved(self.document, day - self.day)


def moved(document: str, by: timedelta) -> str:
    """JSON text whose strings that begin as a date are so much later; what is no date stays."""

    def move(found: re.Match[str]) -> str:
        try:
            return f'"{(date.fromisoformat(found[1]) + by).isoformat()}'
        except (ValueError, OverflowError):
            return found[0]

    return _DATE.sub(move, document)


@dataclass(frozen=True, slots=True)
class Annex:
    """How both are made. The two must be picklable: another process calls them.

    ``book`` gives the files of the rule book by path, ``examples`` what an ``Example`` is made of.
    """

    book: Callable[[], Files]
    examples: Callable[[], Sequence[Mapping[str, Any]]]


@dataclass(slots=True)
class Shelf:
    """What was made so far, each once; raises AnnexError for what cannot be made."""

    annex: Annex | None
    _book: Files | None = None
    _examples: tuple[Example, ...] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def book(self) -> Files:
        """The files of the rule book by path."""
        async with self._lock:
            if self._book is None:
                self._book = await _made(self._annexed().book)
            return self._book

    async def examples(self) -> tuple[Example, ...]:
        """The example requests, by rule."""
        async with self._lock:
            if self._examples is None:
                made = await _made(self._annexed().examples)
                self._examples = tuple(Example(**item) for item in made)
            return self._examples

    def _annexed(self) -> Annex:
        if self.annex is None:
            raise AnnexError("this service was started without its rule book")
        return self.annex


async def _made(work: Callable[[], Made]) -> Made:
    """What ``work`` returns, done by a new process that ends with us; raises AnnexError."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(theirs, work), name="annex", daemon=True)
    child.start()
    theirs.close()
    try:
        good, found = await _received(ours)
    finally:
        ours.close()
        child.kill()
        await asyncio.to_thread(child.join)
    if not good:
        raise AnnexError(f"it could not be made ({found})")
    return cast("Made", found)


async def _received(link: Connection) -> tuple[bool, Any]:
    until = monotonic() + _SECONDS
    try:
        while not link.poll():
            if monotonic() > until:
                return False, "TimeoutError"
            await asyncio.sleep(_LOOK_SECONDS)
        good, found = await asyncio.to_thread(link.recv)
    except (EOFError, OSError) as error:
        return False, type(error).__name__
    return good, found


def _work(link: Connection, work: Callable[[], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever stops the service ends this as well
    try:
        link.send((True, work()))
    except Exception as error:  # noqa: BLE001 - told by its name
        link.send((False, type(error).__name__))
    link.close()
