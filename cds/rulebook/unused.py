"""What a pack defines and nothing uses: parameters, value sets, templates, override reasons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from cds.rulebook.document import Node
from cds.rulebook.model import Parameter, Rulebook, Sentence
from cds.rulebook.reading import Author, first
from cds.rulebook.syntax import Path
from cds.values.problem import Place

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def check_unused(rulebook: Rulebook, head: Node, sets: Mapping[str, Node], author: Author) -> None:
    """Advises on every definition that no rule, no other definition and no text asks for.

    ``rulebook`` holds all rules, those that are off included; ``head`` is pack.yaml.
    """
    used = {
        *_words(rulebook.rules),
        *_words(rulebook.definitions.values()),
        *_words(rulebook.pack),
        *(parameter.follows for parameter in rulebook.parameters.values()),
        *_placeholders(head.get("templates")),
    }
    for name, parameter in rulebook.parameters.items():
        if name not in used:
            _advise(author, parameter.place, "parameter", name)
    for name, place in first(head.get("templates")).keys.items():
        if name not in used:
            _advise(author, place, "template", name)
    for name, place in first(head.get("overrides")).keys.items():
        if name not in used:
            _advise(author, place, "override reason", name)
    used |= {item.text for node in sets.values() for item in _relations(node)}
    for name, node in sets.items():
        # An entry is a statement by being in such a set, whether or not a rule names it.
        if name not in used and first(node.get("kind")).text != "statement":
            _advise(author, node.place, "value set", name)


def _advise(author: Author, place: Place, what: str, name: str) -> None:
    author.advise(place, f"the {what} '{name}' is used nowhere", "", "unused")


def _relations(node: Node) -> Iterator[Node]:
    for key in ("includes", "unless-with", "words-unless-coded"):
        yield from first(node.get(key)).items


def _words(value: object) -> Iterator[str]:
    """Every word that a rulebook's parts name things by, and what their texts have filled in."""
    if isinstance(value, str):
        yield value
        yield from (found.partition(".")[0] for found in _PLACEHOLDER.findall(value))
    elif isinstance(value, Path):
        yield value.name
        yield value.field
    elif isinstance(value, Sentence):
        yield from _words(value.test)
    elif isinstance(value, Parameter | Place):
        return
    elif isinstance(value, Mapping):
        yield from _words(tuple(value.values()))
        yield from (word for key in value for word in _PLACEHOLDER.findall(str(key)))
    elif isinstance(value, Iterable):
        for item in value:
            yield from _words(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _words(getattr(value, name))


def _placeholders(node: Node | None) -> Iterator[str]:
    for below in first(node).walk():
        if isinstance(below.value, str):
            yield from (found.partition(".")[0] for found in _PLACEHOLDER.findall(below.value))
