"""Everything of a pack that a rule comes to: words, properties, numbers and value sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cds.rulebook.model import FactClause, KindDefinition, Rule, Rulebook, Sentence
from cds.rulebook.syntax import Includes, Is, Path, Test, Value, nodes, paths
from cds.rulebook.vocabulary import COVERAGE

Names = Mapping[str, str]
_EMPTY = KindDefinition("")


class Use(msgspec.Struct, frozen=True):
    """What reads a property or a value set: a sentence, a clause of facts, or a computed value.

    ``word`` is ``kind.term`` where it stands in a definition, "" in the rule itself.
    """

    word: str
    names: Names
    sentence: Sentence | None = None
    clause: FactClause | None = None


class Reach(msgspec.Struct):
    """What a rule reads, in the order in which it comes to it; each with its first uses."""

    words: dict[tuple[str, str], None] = msgspec.field(default_factory=dict)
    labels: dict[tuple[str, str], None] = msgspec.field(default_factory=dict)
    properties: dict[tuple[str, str], list[Use]] = msgspec.field(default_factory=dict)
    valuesets: dict[str, list[Use]] = msgspec.field(default_factory=dict)
    parameters: dict[str, None] = msgspec.field(default_factory=dict)
    kinds: dict[str, None] = msgspec.field(default_factory=dict)


def reach_of(rule: Rule, rulebook: Rulebook) -> Reach:
    """What ``rule`` reads, the definitions of its words and of their words included."""
    walk = _Walk(rulebook)
    card = rule.card
    names = {clause.name: clause.kind for clause in rule.facts}
    walk.clauses(rule.facts, names, "")
    walk.sentences(rule.when, names, "")
    walk.sentences([level.sentence for level in card.levels], names, "")
    choices = [sentence for choice in card.wordings.values() for _, sentence in choice]
    walk.sentences(choices, names, "")
    conditions = [offer.condition for offer in card.suggestions if offer.condition is not None]
    walk.sentences(conditions, names, "")
    for let in rule.lets:
        walk.expression(let.value, names, Use("", names))
    return walk.found


class _Walk(msgspec.Struct):
    rulebook: Rulebook
    found: Reach = msgspec.field(default_factory=Reach)
    asked: set[tuple[str, str]] = msgspec.field(default_factory=set)

    def definition(self, kind: str) -> KindDefinition:
        return self.rulebook.definitions.get(kind, _EMPTY)

    def clauses(self, clauses: Iterable[FactClause], names: Names, word: str) -> None:
        for clause in clauses:
            self.kind(clause.kind)
            use = Use(word, names, clause=clause)
            for concept in (*clause.concepts, *clause.excluded):
                self.named(concept, clause.kind, use)
            for term in (*clause.terms, *clause.also):
                self.named(term, clause.kind, use)
            self.sentences(clause.where, names, word)

    def kind(self, kind: str) -> None:
        """A kind of fact: whether its sources were answered is asked of each."""
        if kind in self.found.kinds:
            return
        self.found.kinds[kind] = None
        definition = self.definition(kind)
        if definition.unseen is not None:
            names = {clause.name: clause.kind for clause in definition.unseen_facts}
            self.clauses(definition.unseen_facts, names, f"{kind}.unseen")
            self.sentences([definition.unseen], names, f"{kind}.unseen")

    def named(self, name: str, kind: str, use: Use) -> None:
        """A word that something can be: a term, a flag or a value set."""
        definition = self.definition(kind)
        if name in definition.terms:
            self.term(name, kind)
        elif name in self.rulebook.terminology.valuesets:
            self.found.valuesets.setdefault(name, []).append(use)
        elif any(name in profile.flags for profile in definition.profiles):
            self.profiles(kind, name)

    def term(self, name: str, kind: str) -> None:
        if (kind, name) in self.found.words:
            return
        self.found.words[kind, name] = None
        term = self.definition(kind).terms[name]
        names = {"it": kind, **{clause.name: clause.kind for clause in term.facts}}
        self.clauses(term.facts, names, f"{kind}.{name}")
        told = [term.means] if term.unsure is None else [term.means, term.unsure]
        self.sentences(told, names, f"{kind}.{name}")

    def profiles(self, kind: str, name: str) -> None:
        """A flag or value that classes bring along: of the profiles those that have it."""
        if (kind, f"profiles.{name}") in self.asked:
            return
        self.asked.add((kind, f"profiles.{name}"))
        for profile in self.definition(kind).profiles:
            if name not in profile.flags and name not in profile.values:
                continue
            if profile.condition is not None:
                self.sentences([profile.condition], {"it": kind}, f"{kind}.profiles")
            for key in (name, "alone-for"):
                self.number(profile.values.get(key, ""))

    def sentences(self, sentences: Iterable[Sentence], names: Names, word: str) -> None:
        for sentence in sentences:
            self.expression(sentence.test, names, Use(word, names, sentence=sentence))

    def expression(self, node: Test | Value, names: Names, use: Use) -> None:
        for path in paths(node):
            self.path(path, names, use)
        for test in nodes(node):
            if isinstance(test, Is):
                self.being(test, names, use)
            elif isinstance(test, Includes) and isinstance(test.element, Path):
                self.held(test.element.name, use)

    def being(self, test: Is, names: Names, use: Use) -> None:
        kind = names.get(test.value.name, "")
        for word in test.words:
            if test.value.field:
                self.held(word, use)
            elif kind:
                self.named(word, kind, use)

    def held(self, word: str, use: Use) -> None:
        """A word that a property may hold: it may name a value set."""
        if word in self.rulebook.terminology.valuesets:
            self.found.valuesets.setdefault(word, []).append(use)

    def path(self, path: Path, names: Names, use: Use) -> None:
        if path.name == COVERAGE:
            return
        if path.name in names and path.field:
            self.property(names[path.name], path.field, use)
        elif path.name not in names:
            self.number(path.name)

    def number(self, name: str) -> None:
        if name in self.rulebook.parameters:
            self.found.parameters[name] = None

    def property(self, kind: str, name: str, use: Use) -> None:
        """A property; a label of the pack is decided by sentences of its own."""
        known = (kind, name) in self.found.properties
        self.found.properties.setdefault((kind, name), []).append(use)
        if known:
            return
        definition = self.definition(kind)
        label = definition.labels.get(name)
        if label is not None:
            self.found.labels[kind, name] = None
            told = [sentence for _, sentence in label.choices]
            self.sentences(told, {"it": kind}, f"{kind}.{name}")
        if any(name in profile.values for profile in definition.profiles):
            self.profiles(kind, name)
