"""What the page of a running service shows beside itself; light for whoever only names it.

Both are called in a process of their own (``cds.hooks.annex``), so they are plain functions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cds.rulebook.site import Site


def book_pages(rules: Path | None, site: Site) -> dict[str, bytes]:
    """The files of the rule book by path. Raises RulebookError."""
    from cds.book.book import read_book
    from cds.book.site import book_files
    from cds.rulebook.pack import shipped_pack

    return book_files(read_book(rules or shipped_pack(), site))


def requests_to_try(rules: Path | None, site: Site) -> list[dict[str, Any]]:
    """The example requests of a pack. Raises RulebookError."""
    from cds.book.examples import example_requests

    return example_requests(rules, site)
