"""The tables behind product names: which words are ingredients, brands, salts, forms, negations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from cds.terminology.text import Negations, fold, strings

# A brand's "#3" keeps its "#": "3" alone is a number of tablets.
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[#?%]")


def key_of(phrase: str) -> str:
    """The key under which the tables hold a phrase: its words and numbers, one space between."""
    return " ".join(_WORD.findall(fold(phrase)))


class Entry(msgspec.Struct, frozen=True):
    """What one phrase of a product's name means; a phrase may stand in several tables."""

    ingredient: str = ""
    brand: str = ""
    brand_of: tuple[str, ...] = ()
    form: str = ""
    route: str = ""
    release: str = ""
    is_form: bool = False
    is_salt: bool = False
    negates_next: bool = False
    negates_previous: bool = False


_NOTHING = Entry()


class Lexicon:
    """Longest-phrase lookup over all tables: one dict for phrases, one for their first words."""

    __slots__ = ("_aliases", "_entries", "_lengths", "_salts")

    def __init__(
        self, ingredients: Iterable[str], tables: Mapping[str, Mapping[str, object]]
    ) -> None:
        self._entries: dict[str, Entry] = {}
        self._salts = frozenset(
            key_of(word) for word in strings(tables.get("salts", {}).get("salts"))
        )
        self._aliases = _aliases(tables.get("lexicon", {}))
        brands = tables.get("brands", {})
        contents = [name for value in brands.values() for name in strings(value)]
        self._add_ingredients({*ingredients, *contents, *self._aliases, *self._aliases.values()})
        self._add_brands(brands)
        self._add_forms(tables.get("forms", {}))
        self._add_negations(Negations.from_data(tables.get("negations", {})))
        for salt in self._salts:
            self._add(salt, is_salt=True)
        self._lengths = _lengths(self._entries)

    def canonical(self, name: str) -> str:
        """The one name of an ingredient: aliases resolved, the salt stripped from a known name."""
        key = key_of(name)
        key = self._aliases.get(key, key)
        base = self._without_salts(key)
        if base != key and self._entries.get(base, _NOTHING).ingredient:
            return self._aliases.get(base, base)
        return key

    def knows(self, name: str) -> bool:
        """Whether a name is an ingredient of some table."""
        return bool(self._entries.get(key_of(name), _NOTHING).ingredient)

    def is_salt(self, word: str) -> bool:
        return word in self._salts

    def longest(self, words: list[str], start: int, end: int) -> tuple[Entry, int]:
        """The entry of the longest phrase that begins at ``start``, and its length; 0 when none."""
        for length in self._lengths.get(words[start], ()):
            if start + length <= end:
                entry = self._entries.get(" ".join(words[start : start + length]))
                if entry is not None:
                    return entry, length
        return _NOTHING, 0

    def _add(self, key: str, **what: object) -> None:
        if key:
            self._entries[key] = replace(self._entries.get(key, _NOTHING), **what)

    def _add_ingredients(self, names: Iterable[str]) -> None:
        keys = {key_of(name) for name in names}
        for key in keys:
            self._add(key, ingredient=key)
        # Only now is it known which names without their salts are ingredients themselves.
        for key in keys:
            self._add(key, ingredient=self.canonical(key))

    def _add_brands(self, brands: Mapping[str, object]) -> None:
        for brand, contents in brands.items():
            names = tuple(dict.fromkeys(self.canonical(name) for name in strings(contents)))
            self._add(key_of(brand), brand=brand, brand_of=names)

    def _add_forms(self, forms: Mapping[str, object]) -> None:
        for phrase, value in forms.items():
            if isinstance(value, Mapping):
                parts = {name: str(value.get(name) or "") for name in ("form", "route", "release")}
                self._add(key_of(phrase), is_form=True, **parts)

    def _add_negations(self, negations: Negations) -> None:
        for phrase in negations.before:
            self._add(key_of(phrase), negates_next=True)
        for phrase in negations.after:
            self._add(key_of(phrase), negates_previous=True)

    def _without_salts(self, key: str) -> str:
        words = key.split(" ")
        while len(words) > 1 and words[-1] in self._salts:
            words.pop()
        return " ".join(words)


def _aliases(table: Mapping[str, object]) -> dict[str, str]:
    """Alias to name, chains followed to their end (a loop ends where it began)."""
    direct = {key_of(alias): key_of(name) for alias, name in table.items() if isinstance(name, str)}
    found = {}
    for alias in direct:
        name, seen = alias, {alias}
        while (following := direct.get(name)) is not None and following not in seen:
            name = following
            seen.add(name)
        found[alias] = name
    return found


def _lengths(keys: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """First word of a phrase to the lengths of the phrases that begin with it, longest first."""
    found: dict[str, set[int]] = {}
    for key in keys:
        words = key.split(" ")
        found.setdefault(words[0], set()).add(len(words))
    return {word: tuple(sorted(lengths, reverse=True)) for word, lengths in found.items()}
