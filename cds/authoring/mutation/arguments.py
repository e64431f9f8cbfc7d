"""`equivalent-mutants.yaml`: mutants that change nothing to be seen, each with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from cds.authoring.mutation.book import Book
from cds.authoring.mutation.mutant import Mutant
from cds.rulebook.document import Node, read_document
from cds.rulebook.model import Rulebook
from cds.rulebook.reading import Author, first
from cds.values.problem import Place, Problem

FILE = "equivalent-mutants.yaml"
_KEYS = ("in", "clause", "change", "because")

Key = tuple[str, str, str]


class Argument(msgspec.Struct, frozen=True):
    """Why a mutant survives: the mutant's key, the reason, where it is written."""

    key: Key
    because: str
    place: Place

    @property
    def owner(self) -> str:
        return self.key[0]

    def problem(self, what: str) -> Problem:
        """What is wrong with the argument."""
        owner, clause, change = self.key
        return Problem(self.place, f"{owner}: {clause}: {change}: {what}", "", "mutant")


def read_arguments(root: Path, problems: list[Problem]) -> list[Argument]:
    """The arguments of the pack in ``root``, one for each change; none where there is no file."""
    path = root / FILE
    if not path.is_file():
        return []
    node = read_document(path, FILE, problems)
    author = Author(problems)
    if node is None:
        return []
    author.only(node, ("mutants",), FILE)
    return [found for item in first(node.get("mutants")).items for found in _read(item, author)]


def _read(node: Node, author: Author) -> Iterator[Argument]:
    author.only(node, _KEYS, "an argument")
    owner, clause = author.text(node, "in", required=True), author.text(node, "clause")
    because = author.text(node, "because", required=True)
    changes = author.words(node, "change", required=True)
    for change in changes:
        yield Argument((owner, clause, change), because, node.place)


def refused_arguments(root: Path, rulebook: Rulebook) -> list[Problem]:
    """What is wrong with the arguments of a pack that can be read; nothing where there are none."""
    problems: list[Problem] = []
    arguments = read_arguments(root, problems)
    if not arguments:
        return problems
    book = Book(root, rulebook)
    return problems + unknown_arguments(arguments, book.mutants({one.owner for one in arguments}))


def unknown_arguments(arguments: Iterable[Argument], mutants: Iterable[Mutant]) -> list[Problem]:
    """A problem for each argument about a mutant that there is not, or no longer."""
    known = {mutant.key for mutant in mutants}
    return [
        argument.problem("there is no such mutant")
        for argument in arguments
        if argument.key not in known
    ]
