"""The value sets that one kind of fact is matched against, compiled for lookup."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from cds.terminology.lexicon import Lexicon
from cds.terminology.text import Negations, PhraseIndex, Words, normalise
from cds.terminology.valueset import CodeIndex, ValueSet, compile_shapes

# Kinds of fact that are matched against value sets of more kinds than their own.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "allergy": ("allergy", "medication"),
    "answer": ("answer", "result", "condition"),
}


class _Phrases(msgspec.Struct, frozen=True):
    """A half of the phrase table: for each normalised phrase, the sets that list it."""

    listed: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, listed: Iterable[tuple[str, str]]) -> _Phrases:
        found: dict[str, tuple[str, ...]] = {}
        for phrase, name in listed:
            key = normalise(phrase)
            found[key] = (*found.get(key, ()), name)
        return cls(found)


class Scope:
    """The sets of a kind and all that they include, with one index for each way to match."""

    def __init__(self, kind: str, valuesets: Mapping[str, ValueSet], lexicon: Lexicon) -> None:
        kinds = _KINDS.get(kind, (kind,))
        chosen = [name for name, item in valuesets.items() if item.kind in kinds]
        self.sets = {name: valuesets[name] for name in _with_included(chosen, valuesets)}
        self.codes = CodeIndex(self.sets.values())
        self._including = _including(self.sets)
        canonical = lexicon.canonical
        self._own = {n: frozenset(map(canonical, s.ingredients)) for n, s in self.sets.items()}
        self._all = {n: frozenset(map(canonical, s.all_ingredients)) for n, s in self.sets.items()}
        self.ingredients = self._all_ingredients()
        self._any = _Phrases.of(
            (phrase, name)
            for name, item in self.sets.items()
            for phrase in item.phrases.any
            if not self._is_read_better(phrase, name, lexicon)
        )
        self._unless = _Phrases.of(
            (p, n) for n, item in self.sets.items() for p in item.phrases.unless
        )
        self._yields = [
            (name, frozenset(item.words_unless_coded))
            for name, item in self.sets.items()
            if item.words_unless_coded
        ]
        self._index = PhraseIndex([*self._any.listed, *self._unless.listed])
        self._shapes = [
            (name, pattern, PhraseIndex(item.shapes.unless))
            for name, item in self.sets.items()
            if (pattern := compile_shapes(item.shapes.any)) is not None
        ]

    def expanded(self, name: str) -> tuple[str, ...]:
        """The set itself and every set that includes it, directly or through others."""
        return self._including[name]

    def yielding(self, coded: Collection[str]) -> frozenset[str]:
        """The sets whose words say nothing beside a code that is in the sets ``coded``."""
        return frozenset(name for name, sets in self._yields if not sets.isdisjoint(coded))

    def with_ingredients(self, names: frozenset[str], release: str) -> Iterator[tuple[str, str]]:
        """Each set that a product is in by its canonical ingredients, and those that decided."""
        for name, own in self._own.items():
            releases = self.sets[name].releases
            if releases and release not in releases:
                continue
            if not own.isdisjoint(names):
                yield name, min(own & names)
            elif self._all[name] and self._all[name] <= names:
                yield name, " / ".join(sorted(self._all[name]))

    def with_phrases(self, words: Words, negations: Negations | None) -> Iterator[tuple[str, str]]:
        """Each set with a phrase in the text that is not taken back, and the phrase."""
        hits = list(self._index.find(words))
        if not hits:
            return
        negated = negations.read(words) if negations is not None else None
        barred = {name for hit in hits for name in self._unless.listed.get(hit.phrase, ())}
        for hit in hits:
            names = self._any.listed.get(hit.phrase, ())
            if negated is not None and negated.covers(hit.start, hit.end):
                continue
            yield from ((name, hit.phrase) for name in names if name not in barred)

    def with_shapes(self, words: Words, negations: Negations | None) -> Iterator[tuple[str, str]]:
        """Each set whose shape of words the text has, and the words."""
        text = " ".join(words.words)
        negated = negations.read(words) if negations is not None and self._shapes else None
        for name, pattern, unless in self._shapes:
            if any(True for _ in unless.find(words)):
                continue
            for found in pattern.finditer(text):
                start = text.count(" ", 0, found.start())
                end = start + found.group().count(" ") + 1
                if negated is None or not negated.covers(start, end):
                    yield name, found.group()
                    break

    def _is_read_better(self, phrase: str, name: str, lexicon: Lexicon) -> bool:
        """Whether the phrase is but an ingredient of the set, which a product's name is read for.

        The name tells a whole ingredient from a part of another ("sub-drug-a"); phrases do not.
        """
        plain = not self.sets[name].releases
        return plain and lexicon.knows(phrase) and lexicon.canonical(phrase) in self._own[name]

    def _all_ingredients(self) -> dict[str, frozenset[str]]:
        """Canonical ingredients by set, those of the sets that it includes among them."""
        found = {name: set(own) for name, own in self._own.items()}
        for name, own in self._own.items():
            for including in self._including[name]:
                found[including] |= own
        return {name: frozenset(own) for name, own in found.items()}


def _with_included(names: Iterable[str], valuesets: Mapping[str, ValueSet]) -> list[str]:
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in valuesets and name not in found:
            found[name] = None
            waiting.extend(valuesets[name].includes)
    return sorted(found)


def _including(sets: Mapping[str, ValueSet]) -> dict[str, tuple[str, ...]]:
    """For each set, itself and the sets that include it; a circle of includes does no harm."""
    parents: dict[str, list[str]] = {name: [] for name in sets}
    for name, item in sets.items():
        for included in item.includes:
            if included in parents:
                parents[included].append(name)
    return {name: tuple(_reachable(name, parents)) for name in sets}


def _reachable(name: str, parents: Mapping[str, list[str]]) -> list[str]:
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = None
            waiting.extend(parents[each])
    return list(found)
