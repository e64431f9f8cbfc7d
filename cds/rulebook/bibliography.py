"""Reads `sources.yaml`, the bibliography of a pack."""

from __future__ import annotations

import re

from cds.rulebook.document import Node
from cds.rulebook.reading import Author, first
from cds.rulebook.source import CONFIDENCE, READ, Source, Work

_SOURCE_KEYS = ("cite", "kind", "confidence", "read", "works", "note")
_SHAPES = {
    "year": (re.compile(r"(?:19|20)\d\d"), "four digits, such as 2019"),
    "doi": (re.compile(r"10\.\d{4,9}/\S+"), "10.NNNN/…, without https://doi.org/"),
    "pubmed": (re.compile(r"\d{1,8}"), "digits, such as 12345678"),
    "pmc": (re.compile(r"PMC\d{1,8}"), "PMC and digits"),
    "trial": (re.compile(r"NCT\d{8}"), "NCT and eight digits"),
}
_WORK_KEYS = ("authors", "title", "in", *_SHAPES)


def read_sources(node: Node, author: Author) -> dict[str, Source]:
    """The entries of sources.yaml, in their order; errors go to ``author``."""
    return {name: _source(name, item, author) for name, item in node.mapping.items()}


def _source(name: str, node: Node, author: Author) -> Source:
    if isinstance(node.value, str):
        if not node.text:
            author.error(node.place, f"'{name}' cites nothing", f"{name}: {{cite: …}}", "missing")
        return Source(name, node.text, place=node.place)
    author.only(node, _SOURCE_KEYS, "a source")
    return Source(
        id=name,
        cite=author.text(node, "cite", required=True),
        kind=author.text(node, "kind", required=True),
        confidence=_word(node, "confidence", CONFIDENCE, author),
        read=_word(node, "read", READ, author),
        works=tuple(_work(item, author) for item in first(node.get("works")).items),
        note=author.text(node, "note"),
        place=node.place,
    )


def _word(node: Node, key: str, allowed: tuple[str, ...], author: Author) -> str:
    author.text(node, key, required=True)
    return author.choice(node, key, allowed, "")


def _work(node: Node, author: Author) -> Work:
    author.only(node, _WORK_KEYS, "a work")
    for key, (shape, accepted) in _SHAPES.items():
        found = node.get(key)
        if found is not None and not shape.fullmatch(found.text):
            author.error(found.place, f"'{found.text}' is no {key}", accepted, "value")
    return Work(
        title=author.text(node, "title", required=True),
        authors=author.text(node, "authors"),
        published_in=author.text(node, "in"),
        year=author.text(node, "year"),
        doi=author.text(node, "doi"),
        pubmed=author.text(node, "pubmed"),
        pmc=author.text(node, "pmc"),
        trial=author.text(node, "trial"),
    )
