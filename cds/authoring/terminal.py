"""What the author's commands write to: a terminal for people, lines of JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from cds.cards.markdown import harmless
from cds.cards.wire import encode

DONE, FAILED, UNUSABLE = 0, 1, 2
T = TypeVar("T")


def out() -> Console:
    """Standard output for people; plain and 100 wide where it is not a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 100, emoji=False)


def err() -> Console:
    """Standard error for people: what went wrong, and notes beside lines of JSON."""
    return Console(stderr=True, highlight=False, emoji=False)


def said(text: str, style: str = "") -> Text:
    """Text for a terminal that may come from a record: nothing in it can steer the terminal."""
    return Text(harmless(text), style=style)


def write_line(value: object) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(encode(value).decode() + "\n")


def progress(items: Iterable[T], total: int, what: str = "judging") -> Iterator[T]:
    """The items, with a bar on a terminal's standard error when there are many."""
    if total < 2 or not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import Progress

    with Progress(console=err(), transient=True) as bar:
        yield from bar.track(items, total=total, description=what)
