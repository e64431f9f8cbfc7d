"""Free text as words, phrases found in it, and whether the text takes them back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

import msgspec

# Longer texts are cut: nothing clinical is named on page five of a coded field.
_LONGEST_TEXT = 20_000
_LONGEST_SHOWN = 160

_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4`"), "'")
_SIMPLER = _DASHES | _APOSTROPHES

_TOKEN = re.compile(r"\d+(?:\.\d+)+|[^\W_]+|\?|[,;\n]|\.(?=\s|$)")
_CLAUSE_MARKS = frozenset(",;.\n")
_CLAUSE_WORDS = frozenset({"but", "however"})


def fold(text: str) -> str:
    """The text without case, accents and typographic dashes and quotes; "µ" becomes "μ"."""
    folded = text.casefold()
    if folded.isascii():
        return folded
    folded = unicodedata.normalize("NFKD", folded.translate(_SIMPLER))
    return "".join(char for char in folded if not unicodedata.combining(char))


class Words(msgspec.Struct, frozen=True):
    """Folded words in order; ``breaks`` are the positions before which a clause ends."""

    words: tuple[str, ...]
    breaks: tuple[int, ...] = ()


def read_words(text: str) -> Words:
    """The words of a text. Punctuation separates words; an apostrophe joins them ("today's")."""
    words: list[str] = []
    breaks: list[int] = []
    for token in _TOKEN.findall(fold(text[:_LONGEST_TEXT]).replace("'", "")):
        if token in _CLAUSE_MARKS:
            breaks.append(len(words))
            continue
        if token in _CLAUSE_WORDS:
            breaks.append(len(words))
        words.append(token)
    return Words(tuple(words), tuple(breaks))


def normalise(text: str) -> str:
    """The words of a text, folded, one space between them."""
    return " ".join(read_words(text).words)


class Hit(msgspec.Struct, frozen=True):
    """A phrase found at the words ``start`` up to and without ``end``."""

    phrase: str
    start: int
    end: int


class PhraseIndex:
    """Many phrases, found in one pass over a text's words (whole words only)."""

    __slots__ = ("_lengths", "_phrases")

    def __init__(self, phrases: Iterable[str]) -> None:
        self._phrases = frozenset(normalise(phrase) for phrase in phrases) - {""}
        lengths: dict[str, set[int]] = {}
        for phrase in self._phrases:
            words = phrase.split(" ")
            lengths.setdefault(words[0], set()).add(len(words))
        self._lengths = {word: tuple(sorted(found)) for word, found in lengths.items()}

    def find(self, words: Words) -> Iterator[Hit]:
        """Every occurrence of every phrase, overlapping ones too, from left to right."""
        for start, word in enumerate(words.words):
            for length in self._lengths.get(word, ()):
                end = start + length
                if end > len(words.words):
                    break
                phrase = " ".join(words.words[start:end])
                if phrase in self._phrases:
                    yield Hit(phrase, start, end)


class Negations:
    """Phrases that take back what follows (``before``) or precedes (``after``) in their clause."""

    __slots__ = ("_after", "_before", "after", "before")

    def __init__(self, before: Iterable[str] = (), after: Iterable[str] = ()) -> None:
        self.before = tuple(before)
        self.after = tuple(after)
        self._before = PhraseIndex(self.before)
        self._after = PhraseIndex(self.after)

    @classmethod
    def from_data(cls, table: Mapping[str, object]) -> Negations:
        """The negations of a table with the lists ``before`` and ``after``."""
        return cls(strings(table.get("before")), strings(table.get("after")))

    def read(self, words: Words) -> Negated:
        """Where the words of a text are taken back. Linear in the length of the text."""
        count = len(words.words)
        ends = {hit.end for hit in self._before.find(words)}
        starts = {hit.start for hit in self._after.find(words)}
        breaks = frozenset(words.breaks)
        following = tuple(_carried(range(count + 1), ends, breaks))
        preceding = tuple(_carried(range(count, -1, -1), starts, breaks))
        return Negated(following, preceding[::-1])

    def asserted(self, text: str) -> str:
        """The text as it is where nothing of it is taken back; else the words that are left."""
        words = read_words(text)
        negated = self.read(words)
        left = [
            word for place, word in enumerate(words.words) if not negated.covers(place, place + 1)
        ]
        return text if len(left) == len(words.words) else " ".join(left)


def _carried(places: Iterable[int], begins: set[int], breaks: frozenset[int]) -> Iterator[bool]:
    """Whether each place has a beginning at or before it, with no break at or after that."""
    on = False
    for place in places:
        on = (on or place in begins) and place not in breaks
        yield on


class Negated(msgspec.Struct, frozen=True):
    """For each position between words: does a negation reach what begins, or what ends, there?"""

    following: tuple[bool, ...]
    preceding: tuple[bool, ...]

    def covers(self, start: int, end: int) -> bool:
        """Whether the words from ``start`` up to ``end`` are taken back.

        A negation inside those words does not count: it is part of what they say.
        """
        return self.following[start] or self.preceding[end]


def strings(value: object) -> tuple[str, ...]:
    """The texts of a list in a data file; () for anything else."""
    items = value if isinstance(value, list | tuple) else ()
    return tuple(item for item in items if isinstance(item, str))


def shown(text: str) -> str:
    """The text for a sentence: cut, with an ellipsis, where it is long."""
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
