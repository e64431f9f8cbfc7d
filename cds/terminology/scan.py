"""One pass over a product's name: which of its words are known, and as what."""

from __future__ import annotations

import re

import msgspec

from cds.terminology.lexicon import Entry, Lexicon
from cds.terminology.strength import (
    Strength,
    is_number,
    is_unit,
    read_strengths,
    share_denominator,
)
from cds.terminology.text import fold

_TOKEN = re.compile(
    r"(?P<word>\d+(?:[.,]\d+)*|(?<![^\W_])\.\d+|[^\W\d_]+|[#?%])"
    r"|(?P<glue>(?<=[^\W_])[-/](?=[^\W_]))"
    r"|(?P<mark>[-/+,;\n]|\.(?=\s|$))"
)
_DASH = " - "
_CLAUSE_MARKS = frozenset((*",;.\n", _DASH))
_CLAUSE_WORDS = frozenset({"but", "however"})
# Marks that a known phrase may run across: "m/r", "long-acting", "no. 3".
_WITHIN_PHRASES = frozenset({"", "-", "/", "."})
SEGMENT = " / "
_LOOSE_MARKS = {"/": SEGMENT, "-": _DASH}


class Found(msgspec.Struct):
    """Ingredients named at one place, by their own name or, if ``brand`` is said, by a brand."""

    names: tuple[str, ...]
    start: int
    end: int
    brand: str = ""


class Segment(msgspec.Struct):
    """What stands between two " / ": the ingredients, their strengths, and other words.

    ``named`` are the positions of words that may be the name of a drug that is in no table.
    ``combined``: strengths are joined ("5-325"), as those of a combination are. ``partial``: a
    combination of which not every part is known.
    """

    found: list[Found] = msgspec.field(default_factory=list)
    strengths: list[Strength] = msgspec.field(default_factory=list)
    named: list[int] = msgspec.field(default_factory=list)
    combined: bool = False
    partial: bool = False


class Scan(msgspec.Struct):
    """The parts of one name. ``joins[i]`` is the mark before ``words[i]``: "-" and "/" are glue.

    ``known[i]`` is False for a word that no table has; ``negated``: an ingredient was taken back.
    """

    words: list[str]
    joins: list[str]
    known: list[bool]
    segments: list[Segment]
    forms: list[Entry] = msgspec.field(default_factory=list)
    negated: bool = False

    @property
    def found(self) -> list[Found]:
        return [found for segment in self.segments for found in segment.found]


def scan_name(text: str, lexicon: Lexicon, *, negations: bool = True) -> Scan:
    """The parts of a name without its brackets. Linear in the length of the text.

    With ``negations`` off, "no drug-a" names drug-a.
    """
    scanner = _Scanner(text, lexicon, negations)
    while scanner.place < len(scanner.words):
        scanner.step()
    return scanner.result()


class _Scanner:
    """The pass itself: where it is, and what the words so far imply for the next."""

    __slots__ = (
        *("_after_strength", "_clause", "_ends", "_heed", "_lexicon", "_negating", "_scan"),
        *("_segment", "joins", "place", "words"),
    )

    def __init__(self, text: str, lexicon: Lexicon, negations: bool) -> None:
        self.words, self.joins = _tokens(text)
        self.place = 0
        self._heed = negations
        self._lexicon = lexicon
        self._ends = _phrase_ends(self.joins)
        self._segment = Segment()
        self._scan = Scan(self.words, self.joins, [True] * len(self.words), [self._segment])
        self._negating = False
        self._clause: list[Found] = []
        self._after_strength = -1

    def step(self) -> None:
        """Reads one strength, one known phrase or one unknown word."""
        self._cross(self.joins[self.place])
        word = self.words[self.place]
        if is_number(word) and self._read_strength():
            return
        entry, length = self._lexicon.longest(self.words, self.place, self._ends[self.place])
        if length:
            self._note(entry, length)
        elif is_number(word):
            self._skip_amount()
        else:
            self._note_unknown(word)

    def result(self) -> Scan:
        """The scan, without ingredients that are but a part of a hyphenated word."""
        for segment in self._scan.segments:
            for found in list(segment.found):
                if self._is_whole(found, segment):
                    continue
                segment.found.remove(found)
                segment.named = sorted({*segment.named, *range(found.start, found.end)})
        return self._scan

    def _cross(self, mark: str) -> None:
        if mark == SEGMENT and self.place:
            self._segment = Segment()
            self._scan.segments.append(self._segment)
        if mark in _CLAUSE_MARKS or self.words[self.place] in _CLAUSE_WORDS:
            self._negating = False
            self._clause = []

    def _read_strength(self) -> bool:
        read = read_strengths(self.words, self.joins, self.place)
        if read is None:
            return False
        strengths = self._segment.strengths
        joined = self._after_strength == self.place and self.joins[self.place] in ("-", "/")
        self._segment.combined = self._segment.combined or joined or len(read.found) > 1
        if joined and read.found[-1].per is not None:
            strengths[:] = share_denominator([*strengths, *read.found])
        else:
            strengths.extend(read.found)
        self.place += read.length
        self._after_strength = self.place
        return True

    def _note(self, entry: Entry, length: int) -> None:
        start, self.place = self.place, self.place + length
        if entry.negates_previous and self._heed:
            self._take_back()
        if entry.ingredient or entry.brand_of:
            names = (entry.ingredient,) if entry.ingredient else entry.brand_of
            self._found(Found(names, start, self.place, "" if entry.ingredient else entry.brand))
        elif entry.is_form:
            self._scan.forms.append(entry)
        elif entry.is_salt:
            self._segment.named.extend(range(start, self.place))
        self._negating = self._negating or (entry.negates_next and self._heed)

    def _found(self, found: Found) -> None:
        if self._negating:
            self._scan.negated = True
            return
        self._segment.found.append(found)
        self._clause.append(found)

    def _take_back(self) -> None:
        for found in self._clause:
            self._scan.negated = True
            for segment in self._scan.segments:
                if found in segment.found:
                    segment.found.remove(found)
        self._clause = []

    def _note_unknown(self, word: str) -> None:
        if word[0].isalpha():
            self._scan.known[self.place] = False
            self._segment.named.append(self.place)
        self.place += 1

    def _skip_amount(self) -> None:
        """A number that is no strength, with its unit: "0.3 ML", "200 ACTUAT"."""
        following = self.place + 1
        self.place = following
        if following < len(self.words) and is_unit(self.words[following]):
            _, length = self._lexicon.longest(self.words, following, following + 1)
            self.place += 0 if length else 1

    def _is_whole(self, found: Found, segment: Segment) -> bool:
        """Whether the words are an ingredient, and no part of a hyphenated name of another.

        Hyphens join known ingredients. They may join an unknown one too where the name is surely a
        list: it has a second known ingredient, or several joined strengths.
        """
        start, end = found.start, found.end
        while start > 0 and self.joins[start] == "-":
            start -= 1
        while end < len(self.words) and self.joins[end] == "-":
            end += 1
        if all(self._scan.known[start:end]):
            return True
        others = any(start <= each.start < end for each in segment.found if each is not found)
        if others or segment.combined:
            segment.partial = True
            return True
        return False


def _tokens(text: str) -> tuple[list[str], list[str]]:
    words: list[str] = []
    joins: list[str] = []
    mark = ""
    for match in _TOKEN.finditer(fold(text)):
        part = match.group()
        if match.lastgroup == "word":
            words.append(part)
            joins.append(mark)
            mark = ""
        elif match.lastgroup == "glue":
            mark = part
        else:
            mark = _LOOSE_MARKS.get(part, part)
    return words, joins


def _phrase_ends(joins: list[str]) -> list[int]:
    """For each word, the position at which a phrase that begins there has to end."""
    ends = [len(joins)] * len(joins)
    for place in range(len(joins) - 2, -1, -1):
        ends[place] = ends[place + 1] if joins[place + 1] in _WITHIN_PHRASES else place + 1
    return ends
