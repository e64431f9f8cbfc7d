"""`cds docs`: reads the pack, makes the pages, writes the folder."""

from __future__ import annotations

import sys
from pathlib import Path

from cds.book.book import read_book
from cds.book.output import FolderError, check_folder, write_book
from cds.book.site import book_files
from cds.rulebook.pack import RulebookError, shipped_pack
from cds.rulebook.site import Site

DONE, UNUSABLE = 0, 2


def write_docs(rules: Path | None, site: Site, folder: Path) -> int:
    """Writes the rule book and prints where it begins; 2 for a pack or folder that is unusable."""
    try:
        check_folder(folder)
        files = book_files(read_book(rules or shipped_pack(), site))
        write_book(folder, files)
    except FolderError as error:
        sys.stderr.write(f"cds: {error}\n")
        return UNUSABLE
    except RulebookError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem.render()}\n")
        sys.stderr.write(f"cds: the rules cannot be used: {error}\n")
        return UNUSABLE
    pages = sum(name.endswith(".html") for name in files)
    sys.stdout.write(f"{pages} pages: {folder / 'index.html'}\n")
    return DONE
