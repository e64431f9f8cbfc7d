"""Small changes to a YAML document that is already read: one node replaced or left out."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cds.rulebook.document import Node
from cds.values.problem import Place

Steps = tuple[str | int, ...]
"""The way to a node: keys of mappings and positions in lists."""


class Edit(msgspec.Struct, frozen=True):
    """What becomes of the node that the steps lead to; None leaves it out."""

    steps: Steps
    new: Node | None

    def on(self, root: Node) -> Node:
        """The document with the change; whatever lies beside the way is shared, not copied."""
        return _edited(root, self.steps, self.new)


def _edited(node: Node, steps: Steps, new: Node | None) -> Node:
    if not steps:
        assert new is not None, "a whole document cannot be left out"
        return new
    step, rest = steps[0], steps[1:]
    if isinstance(node.value, list):
        assert isinstance(step, int)
        items = list(node.value)
        if rest or new is not None:
            items[step] = _edited(items[step], rest, new)
        else:
            del items[step]
        return Node(items, node.place, node.keys)
    assert isinstance(node.value, dict)
    assert isinstance(step, str)
    entries = dict(node.value)
    if rest or new is not None:
        entries[step] = _edited(entries[step], rest, new)
        return Node(entries, node.place, node.keys)
    del entries[step]
    keys = {key: place for key, place in node.keys.items() if key != step}
    return Node(entries, node.place, keys)


def at(root: Node, steps: Steps) -> Node:
    """The node that the steps lead to. Raises KeyError, IndexError."""
    for step in steps:
        root = root.mapping[step] if isinstance(step, str) else root.items[step]
    return root


def items_at(root: Node, *steps: str | int) -> list[tuple[Steps, Node]]:
    """The items of a list with the way to each; a scalar or mapping is a list of itself."""
    try:
        found = at(root, steps)
    except (KeyError, IndexError, TypeError):
        return []
    if isinstance(found.value, list):
        return [((*steps, number), item) for number, item in enumerate(found.value)]
    return [(steps, found)] if found.value != "" else []


def entries_at(root: Node, *steps: str | int) -> list[tuple[Steps, str, Node]]:
    """The entries of a mapping, each with its way and its key; none where there is no mapping."""
    try:
        found = at(root, steps)
    except (KeyError, IndexError, TypeError):
        return []
    return [((*steps, key), key, item) for key, item in found.mapping.items()]


class Page(msgspec.Struct, frozen=True):
    """One file of a pack: its name within the pack, its document, its lines as they are written."""

    name: str
    node: Node
    lines: tuple[str, ...]

    @staticmethod
    def read(path: Path, name: str, node: Node) -> Page:
        """The page of a file that was read before."""
        return Page(name, node, tuple(path.read_text("utf-8-sig").splitlines()))

    def place(self, node: Node, offset: int = 0) -> Place:
        """Where a letter of a scalar's text stands, quotes and folded lines looked through.

        The scalar's own place where the letter cannot be found again.
        """
        if not node.place.line or not isinstance(node.value, str):
            return node.place
        line, column = node.place.line - 1, node.place.column - 1
        position = 0
        for word in node.text.split(" "):
            found = self._next(word, line, column)
            if found is None:
                return node.place
            line, column = found
            if position + len(word) >= offset:
                return Place(self.name, line + 1, column + max(offset - position, 0) + 1)
            position += len(word) + 1
            column += len(word)
        return node.place

    def _next(self, word: str, line: int, column: int) -> tuple[int, int] | None:
        while line < len(self.lines):
            found = self.lines[line].find(word, column)
            if found >= 0:
                return line, found
            line, column = line + 1, 0
        return None
