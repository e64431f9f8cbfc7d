"""YAML documents that remember where everything stood.

A document is read into plain :class:`Node` values: mappings, lists and **strings**. Nothing is
guessed from a scalar's looks (YAML 1.1 would turn ``03`` into 3, ``NO`` into false and ``12:30``
into 750), and a key that stands twice in one mapping is an error, not a silent overwrite.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml

from cds.values.problem import Place, Problem

# libyaml's parser is some ten times faster; the pure one gives the same events where it is missing.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 40


class _Untyped(LOADER):  # type: ignore[misc, valid-type]
    """Guesses no scalar's type, which takes a third of the time: everything is text here."""

    def descend_resolver(self, *_: object) -> None:
        """Nothing depends on where it stands."""

    def ascend_resolver(self) -> None:
        """Nothing depends on where it stands."""

    # The tag of a node that has none of its own: nobody reads it. It is asked for at every scalar,
    # so it is a method that runs no Python.
    resolve = staticmethod("tag:yaml.org,2002:str".format)


class Node(msgspec.Struct, frozen=True):
    """One YAML node: ``value`` is a str, a list of nodes, or a dict from key to node."""

    value: str | list[Node] | dict[str, Node]
    place: Place
    keys: dict[str, Place] = msgspec.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The scalar's text, whitespace folded; empty for a mapping or a list."""
        return " ".join(self.value.split()) if isinstance(self.value, str) else ""

    @property
    def mapping(self) -> dict[str, Node]:
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The list's nodes; a single scalar or mapping counts as a list of one."""
        if isinstance(self.value, list):
            return self.value
        return [] if self.value == "" else [self]

    def get(self, key: str) -> Node | None:
        return self.mapping.get(key)

    def plain(self) -> object:
        """The node without places: str, list, dict."""
        return _plain(self.value)

    def walk(self) -> Iterator[Node]:
        yield self
        children = self.value.values() if isinstance(self.value, dict) else self.value
        if not isinstance(children, str):
            for child in children:
                yield from child.walk()


def _plain(value: str | list[Node] | dict[str, Node]) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {key: _plain(node.value) for key, node in value.items()}
    return [_plain(node.value) for node in value]


def read_document(path: Path, name: str, problems: list[Problem]) -> Node | None:
    """The document in ``path`` as a node, or None (with a problem added) when it is unreadable.

    ``name`` is how the file is called in messages, relative to the pack.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(Place(name), f"cannot be read: {error}", "UTF-8 text", "file"))
        return None
    return parse_document(text, name, problems)


def parse_document(text: str, name: str, problems: list[Problem]) -> Node | None:
    """The YAML text as a node; syntax errors become problems with line and column."""
    try:
        root = yaml.compose(text, Loader=_Untyped)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        problems.append(Problem(place, f"not YAML: {error.problem}", "one YAML document", "yaml"))
        return None
    except (yaml.YAMLError, RecursionError) as error:
        problems.append(Problem(Place(name), f"not YAML: {error}", "one YAML document", "yaml"))
        return None
    if root is None:
        problems.append(Problem(Place(name, 1, 1), "the file is empty", "a mapping", "yaml"))
        return None
    return _convert(root, name, problems, 0)


def _convert(node: yaml.Node, name: str, problems: list[Problem], depth: int) -> Node:
    place = Place(name, node.start_mark.line + 1, node.start_mark.column + 1)
    if depth > _MAX_DEPTH:
        problems.append(Problem(place, "nested too deeply", f"{_MAX_DEPTH} levels", "yaml"))
        return Node("", place)
    if isinstance(node, yaml.MappingNode):
        return _convert_mapping(node, place, name, problems, depth)
    if isinstance(node, yaml.SequenceNode):
        return Node([_convert(item, name, problems, depth + 1) for item in node.value], place)
    return Node(str(node.value), place)


def _convert_mapping(
    node: yaml.MappingNode, place: Place, name: str, problems: list[Problem], depth: int
) -> Node:
    value: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    for key_node, value_node in node.value:
        where = Place(name, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(Problem(where, "a key must be a word", "a scalar key", "yaml"))
            continue
        key = str(key_node.value)
        if key in value:
            what = f"the key '{key}' stands twice; first in line {keys[key].line}"
            problems.append(Problem(where, what, "each key once", "yaml"))
            continue
        value[key] = _convert(value_node, name, problems, depth + 1)
        keys[key] = where
    return Node(value, place, keys)
