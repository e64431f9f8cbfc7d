"""Checks the value sets of a pack: their heads, their codes, and what they say of each other.

The terminology takes what it can read and leaves the rest out; here the author is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date

import msgspec

from cds.rulebook.document import Node
from cds.rulebook.model import KINDS
from cds.rulebook.reading import Author, first
from cds.terminology.codeform import Form, FormError, forms
from cds.terminology.system import Systems
from cds.terminology.text import normalise
from cds.terminology.valueset import (
    PATTERN_KEYS,
    SYSTEM_KEYS,
    VALUESET_KEYS,
    CodeRules,
    ValueSet,
    fold_code,
    read_valueset,
)
from cds.values.problem import Place

# What else a value set may be of: a part of a record that is no fact of its own.
OTHER_KINDS = ("answer", "service", "wording", "route", "form", "qualifying")
_HEAD = ("title", "kind", "version", "date", "licence")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_RELATIONS = ("includes", "unless-with", "words-unless-coded")
_LISTS = ("ingredients", "all-ingredients", *_RELATIONS, "releases")


class _Checker(msgspec.Struct, frozen=True):
    """One pack's value sets under check; ``sets`` are what the terminology makes of them."""

    author: Author
    nodes: Mapping[str, Node]
    sets: Mapping[str, ValueSet]
    systems: Mapping[str, Node]
    forms: Mapping[str, Form]
    retired: Mapping[str, Mapping[str, Node]]

    def all(self) -> None:
        for name, node in self.nodes.items():
            self.head(name, node)
            self.relations(name, node)
            for system, rules in self.entries(node, "systems"):
                self.system(name, system, rules)
            self.words(node)
            self.aside(name, node)

    def entries(self, node: Node, key: str) -> list[tuple[str, Node]]:
        return self.author.entries(node, key)

    # -- the head ---------------------------------------------------------------------------------

    def head(self, name: str, node: Node) -> None:
        author = self.author
        author.only(node, VALUESET_KEYS, "a value set")
        for key in _HEAD:
            author.text(node, key, required=True)
        author.words(node, "source", required=True)
        if author.text(node, "id", required=True) not in ("", name):
            place = first(node.get("id")).place
            author.error(place, "rules know a value set by its file's name", name, "name")
        kind = first(node.get("kind"))
        if kind.text and kind.text not in (*KINDS, *OTHER_KINDS):
            accepted = ", ".join((*KINDS, *OTHER_KINDS))
            author.error(kind.place, f"'{kind.text}' is no kind", accepted, "value")
        day = first(node.get("date"))
        if day.text and not _is_date(day.text):
            author.error(day.place, f"'{day.text}' is no date", "year-month-day", "value")

    def relations(self, name: str, node: Node) -> None:
        for key in _RELATIONS:
            for item in first(node.get(key)).items:
                if item.text not in self.nodes:
                    known = ", ".join(sorted(self.nodes))
                    self.author.error(item.place, f"'{item.text}' is no value set", known, "name")
                elif item.text == name:
                    self.author.error(item.place, f"'{name}' stands in its own '{key}'", "", "name")

    # -- codes ------------------------------------------------------------------------------------

    def system(self, name: str, system: str, node: Node) -> None:
        author = self.author
        if system not in self.systems:
            known = ", ".join(sorted(self.systems))
            author.error(node.place, f"'{system}' is no code system", known, "name")
        author.only(node, SYSTEM_KEYS, f"the codes of '{system}'")
        rules = self.sets[name].systems.get(system)
        if rules is None:
            return
        form = self.forms.get(system)
        for key in ("codes", "prefixes"):
            seen: dict[str, Place] = {}
            for code, place in _codes(node.get(key)):
                if form is not None:
                    self.form(code, place, form, is_prefix=key == "prefixes")
                self.once(code, place, seen)
                self.covered(code, place, rules, is_prefix=key == "prefixes")
                self.is_retired(name, system, code, place)
        self.ranges(node)

    def form(self, code: str, place: Place, form: Form, *, is_prefix: bool) -> None:
        found: FormError | None
        if is_prefix and form.prefix is None:
            found = FormError(
                f"'{code}': codes of this system have no beginnings in common", "codes"
            )
        else:
            found = (form.prefix if is_prefix and form.prefix else form.code)(code)
        if found is not None:
            self.author.error(place, found.what, found.accepted, "code")

    def once(self, code: str, place: Place, seen: dict[str, Place]) -> None:
        before = seen.setdefault(fold_code(code), place)
        if before is not place:
            what = f"'{code}' stands in line {before.line} too"
            self.author.error(place, what, "each code once", "duplicate")

    def covered(self, code: str, place: Place, rules: CodeRules, *, is_prefix: bool) -> None:
        folded = fold_code(code)
        if any(gap.holds(folded) for gap in rules.exceptions) and not is_prefix:
            self.author.error(
                place, f"'{code}' is excepted below", "one of the two", "contradiction"
            )
        shorter = [each for each in rules.prefixes if folded.startswith(each) and each != folded]
        if not is_prefix and folded in rules.prefixes:
            shorter.append(folded)
        if shorter and rules.admits(folded):
            what = f"'{code}' is in the set by the beginning '{shorter[0]}' already"
            self.author.advise(place, what, "one of the two", "duplicate")

    def is_retired(self, name: str, system: str, code: str, place: Place) -> None:
        """A retired code may stand beside what replaced it, since old records have it."""
        entry = self.retired.get(system, {}).get(fold_code(code))
        if entry is None:
            return
        successors = [item.text for item in first(entry.get("by")).items]
        rules = self.sets[name].systems[system]
        if any(_holds(rules, successor) for successor in successors):
            return
        since = first(entry.get("since")).text or "some time"
        what = f"'{code}' is retired since {since}, and what replaced it is not in the set"
        self.author.error(place, what, ", ".join(successors) or "another code", "retired")

    def ranges(self, node: Node) -> None:
        for key in ("ranges", "except"):
            for item in first(node.get(key)).items:
                ends = [end.text for end in item.items]
                low, high = fold_code(ends[0] if ends else ""), fold_code(ends[-1] if ends else "")
                if len(ends) not in (1, 2) or len(low) != len(high) or low > high:
                    what = f"'{' to '.join(ends)}' is no range of codes"
                    accepted = "[low, high], of one length"
                    self.author.error(item.place, what, accepted, "value")

    # -- words ------------------------------------------------------------------------------------

    def words(self, node: Node) -> None:
        for key in _LISTS:
            self.distinct(node.get(key))
        for key in ("phrases", "shapes"):
            patterns = node.get(key)
            if patterns is None:
                continue
            self.author.only(patterns, PATTERN_KEYS, f"'{key}'")
            wanted = self.distinct(patterns.get("any"))
            for item in first(patterns.get("unless")).items:
                if normalise(item.text) in wanted:
                    what = f"'{item.text}' is wanted in line {wanted[normalise(item.text)].line}"
                    self.author.error(item.place, what, "one of the two", "contradiction")
            self.distinct(patterns.get("unless"))

    def distinct(self, node: Node | None) -> dict[str, Place]:
        """The words of a list, folded, with where they stand first; a second time is told."""
        seen: dict[str, Node] = {}
        for item in first(node).items:
            before = seen.setdefault(normalise(item.text) or item.text, item)
            if before is not item:
                what = f"'{item.text}' says what '{before.text}' in line {before.place.line} says"
                self.author.advise(item.place, what, "each once", "duplicate")
        return {word: item.place for word, item in seen.items()}

    def aside(self, name: str, node: Node) -> None:
        """What the set says it leaves out must not be in it."""
        for code, item in self.entries(node, "not-for-rule"):
            for system, rules in self.sets[name].systems.items():
                if _holds(rules, code):
                    what = f"'{code}' is said to be left out, but the codes of '{system}' have it"
                    self.author.error(item.place, what, "one of the two", "contradiction")


def _codes(node: Node | None) -> Iterator[tuple[str, Place]]:
    """Codes with their places: the keys of a mapping, or a plain list."""
    if node is None:
        return
    if node.mapping:
        yield from node.keys.items()
    else:
        yield from ((item.text, item.place) for item in node.items)


def _holds(rules: CodeRules, code: str) -> bool:
    folded = fold_code(code)
    if folded in rules.exact:
        return True
    wide = any(folded.startswith(prefix) for prefix in rules.prefixes)
    return (wide or any(each.holds(folded) for each in rules.ranges)) and rules.admits(folded)


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text)) and date.fromisoformat(text) is not None
    except ValueError:
        return False


def check_valuesets(sets: Mapping[str, Node], tables: Mapping[str, Node], author: Author) -> None:
    """Reports what is wrong in the value sets, each with its file, line and column.

    ``tables`` are those of words beside them; of them systems and retired codes are read.
    """
    systems = first(tables.get("systems")).mapping
    plain = {name: node.plain() for name, node in systems.items()}
    retired = {
        system: {fold_code(code): entry for code, entry in node.mapping.items()}
        for system, node in first(tables.get("retired")).mapping.items()
    }
    read = {name: node.plain() for name, node in sets.items()}
    known = {
        name: read_valueset(name, data) for name, data in read.items() if isinstance(data, dict)
    }
    nodes = {name: node for name, node in sets.items() if name in known}
    for system, codes in first(tables.get("retired")).mapping.items():
        if system not in systems:
            known_names = ", ".join(sorted(systems))
            author.error(codes.place, f"'{system}' is no code system", known_names, "name")
        for entry in codes.mapping.values():
            author.only(entry, ("since", "by", "source", "because"), "a retired code")
            author.words(entry, "by", required=True)
            author.text(entry, "source", required=True)
    checker = _Checker(author, nodes, known, systems, forms(Systems.from_data(plain)), retired)
    checker.all()
