"""Words with links: what a page says, before it is HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Piece(msgspec.Struct, frozen=True):
    """A run of text. ``href`` is relative to the site's top, or begins with # on the same page.

    ``kind`` is a class for the style sheet ("" for plain text), ``title`` what hovering tells.
    """

    text: str
    href: str = ""
    kind: str = ""
    title: str = ""


Phrase = tuple[Piece, ...]


class Saying(msgspec.Struct, frozen=True):
    """A sentence; with ``parts`` it introduces a list of further ones."""

    phrase: Phrase
    parts: tuple[Saying, ...] = ()

    @property
    def text(self) -> str:
        """The sentence without links, its parts behind it: for a search, a title, a test."""
        inner = "; ".join(part.text for part in self.parts)
        return plain(self.phrase) + (f" {inner}" if inner else "")


def plain(phrase: Phrase) -> str:
    """The text of a phrase."""
    return "".join(piece.text for piece in phrase)


def said(*parts: str | Piece | Phrase) -> Phrase:
    """A phrase of texts, pieces and phrases, put together as they are."""
    found: list[Piece] = []
    for part in parts:
        if isinstance(part, str):
            found.append(Piece(part))
        elif isinstance(part, Piece):
            found.append(part)
        else:
            found.extend(part)
    return tuple(piece for piece in found if piece.text)


def listed(phrases: Sequence[Phrase], last: str = "or") -> Phrase:
    """``a, b or c``; an empty phrase for none."""
    found: Phrase = ()
    for number, phrase in enumerate(phrases):
        if number == 0:
            found = phrase
        else:
            found = said(found, f" {last} " if number == len(phrases) - 1 else ", ", phrase)
    return found


def unhyphened(name: str) -> str:
    """A name of the rule language as words: ``not-expected`` is "not expected"."""
    return name.replace("-", " ")


def joined(phrases: Iterable[Phrase], between: str) -> Phrase:
    """The phrases with a text between each two."""
    found: Phrase = ()
    for phrase in phrases:
        found = said(found, between, phrase) if found else phrase
    return found
