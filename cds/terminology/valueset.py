"""Value sets: which codes, ingredients and words put a concept in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from cds.terminology.text import normalise, strings

_LONGEST_PREFIX = 20
# What may stand in a value set's file, in the order in which it stands there.
VALUESET_KEYS = (
    "id", "title", "kind", "version", "date", "licence", "source", "includes", "unless-with",
    "words-unless-coded", "systems", "ingredients", "all-ingredients", "releases", "phrases",
    "shapes", "not-for-rule",
)  # fmt: skip
SYSTEM_KEYS = ("codes", "length", "prefixes", "ranges", "except")
PATTERN_KEYS = ("any", "unless")


class CodeRange(msgspec.Struct, frozen=True):
    """Codes of one length and kind from ``low`` to ``high``, both included."""

    low: str
    high: str

    def holds(self, code: str) -> bool:
        """Whether the code, of the same length and as numeric as the ends, lies between them."""
        same = len(code) == len(self.low) and code.isdecimal() == self.low.isdecimal()
        return same and self.low <= code <= self.high


class CodeRules(msgspec.Struct, frozen=True):
    """The codes of one system that are in a set; keys are folded by `fold_code`.

    ``length``, if not 0, is the only length of code that a prefix or range matches.
    """

    exact: Mapping[str, str]
    prefixes: Mapping[str, str]
    ranges: tuple[CodeRange, ...] = ()
    exceptions: tuple[CodeRange, ...] = ()
    length: int = 0

    @property
    def settles(self) -> bool:
        """Whether a code of the system that does not match is surely not in the set.

        Prefixes and ranges cover a system; a list of codes never does.
        """
        return bool(self.prefixes or self.ranges)

    def admits(self, code: str) -> bool:
        """Whether a folded code that a prefix or range holds is not excepted."""
        if self.length and len(code) != self.length:
            return False
        return not any(gap.holds(code) for gap in self.exceptions)


class Words(msgspec.Struct, frozen=True):
    """Phrases or shapes that put a text in a set, ``unless`` one of those stands in it too."""

    any: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


class ValueSet(msgspec.Struct, frozen=True):
    """One set of a pack, as its data file says it; ingredient names are as written there.

    A product is in it with any of ``ingredients``, or with all of ``all_ingredients``; either way
    only with one of ``releases``, if there are any. Phrases and shapes say nothing where a code of
    the concept is in one of ``words_unless_coded``.
    """

    id: str
    title: str
    kind: str
    includes: tuple[str, ...]
    unless_with: tuple[str, ...]
    words_unless_coded: tuple[str, ...]
    systems: Mapping[str, CodeRules]
    ingredients: tuple[str, ...]
    all_ingredients: tuple[str, ...]
    releases: frozenset[str]
    phrases: Words
    shapes: Words


def read_valueset(name: str, data: Mapping[str, object]) -> ValueSet:
    """The value set of a data file; what is absent, or of a wrong type, is empty."""
    systems = _mapping(data.get("systems"))
    return ValueSet(
        id=name,
        title=_text(data.get("title")),
        kind=_text(data.get("kind")),
        includes=strings(data.get("includes")),
        unless_with=strings(data.get("unless-with")),
        words_unless_coded=strings(data.get("words-unless-coded")),
        systems={key: _read_rules(_mapping(value)) for key, value in systems.items()},
        ingredients=strings(data.get("ingredients")),
        all_ingredients=strings(data.get("all-ingredients")),
        releases=frozenset(strings(data.get("releases"))),
        phrases=_read_words(data.get("phrases")),
        shapes=_read_words(data.get("shapes")),
    )


def fold_code(code: str) -> str:
    """The code without case and dots: A01.2 and A012 are one code."""
    return code.upper().replace(".", "")


def compile_shapes(shapes: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern over normalised text for shapes such as ``*ending`` or ``beginning of *``.

    A star stands for one or more letters of a word, or for a whole word.
    """
    parts = [
        re.escape(words).replace(r"\*", r"\S+")
        for shape in shapes
        if (words := " ".join("*".join(map(normalise, word.split("*"))) for word in shape.split()))
    ]
    return re.compile(rf"(?<!\S)(?:{'|'.join(parts)})(?!\S)") if parts else None


class CodeIndex:
    """The codes of all value sets, looked up by system and code."""

    __slots__ = ("_exact", "_prefixes", "_ranges", "_settled")

    def __init__(self, sets: Iterable[ValueSet]) -> None:
        self._exact: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._prefixes: dict[str, dict[str, list[tuple[str, str, CodeRules]]]] = {}
        self._ranges: dict[str, list[tuple[str, CodeRules]]] = {}
        self._settled: dict[str, set[str]] = {}
        for valueset in sets:
            for system, rules in valueset.systems.items():
                self._add(valueset.id, system, rules)

    def _add(self, name: str, system: str, rules: CodeRules) -> None:
        for code, display in rules.exact.items():
            self._exact.setdefault((system, code), []).append((name, display))
        for prefix, display in rules.prefixes.items():
            by_prefix = self._prefixes.setdefault(system, {})
            by_prefix.setdefault(prefix, []).append((name, display, rules))
        if rules.ranges:
            self._ranges.setdefault(system, []).append((name, rules))
        if rules.settles:
            self._settled.setdefault(system, set()).add(name)

    def settled(self, system: str) -> frozenset[str]:
        """The sets for which the codes of a system say no as surely as yes."""
        return frozenset(self._settled.get(system, ()))

    def find(self, system: str, code: str) -> Iterator[tuple[str, str]]:
        """Each set that the code is in, with the display that the set gives for that very code."""
        folded = fold_code(code)
        yield from self._exact.get((system, folded), ())
        by_prefix = self._prefixes.get(system)
        if by_prefix is not None:
            for end in range(1, min(len(folded), _LONGEST_PREFIX) + 1):
                for name, display, rules in by_prefix.get(folded[:end], ()):
                    if rules.admits(folded):
                        yield name, display if end == len(folded) else ""
        bare = folded.partition("-")[0]  # a procedure code with its modifier: 12345-50
        for name, rules in self._ranges.get(system, ()):
            if rules.admits(bare) and any(one.holds(bare) for one in rules.ranges):
                yield name, ""


def _read_rules(data: Mapping[str, object]) -> CodeRules:
    length = _text(data.get("length"))
    return CodeRules(
        exact=_read_codes(data.get("codes")),
        prefixes=_read_codes(data.get("prefixes")),
        ranges=tuple(_read_ranges(data.get("ranges"))),
        exceptions=tuple(_read_ranges(data.get("except"))),
        length=int(length) if length.isdecimal() else 0,
    )


def _read_codes(value: object) -> dict[str, str]:
    """Codes with displays, or a plain list of codes."""
    if isinstance(value, Mapping):
        return {fold_code(str(code)): _text(display) for code, display in value.items()}
    return {fold_code(code): "" for code in strings(value)}


def _read_ranges(value: object) -> Iterator[CodeRange]:
    """Pairs of codes; a code alone is a range of one."""
    for item in value if isinstance(value, list | tuple) else ():
        ends = strings(item) or strings([item])
        if ends:
            yield CodeRange(fold_code(ends[0]), fold_code(ends[-1]))


def _read_words(value: object) -> Words:
    data = _mapping(value)
    return Words(strings(data.get("any")), strings(data.get("unless")))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
