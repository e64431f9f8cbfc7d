"""Checks a whole pack: every name used means something, every rule has its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from cds.rulebook.model import (
    PSEUDO_CONCEPTS,
    EvidenceRow,
    FactClause,
    KindDefinition,
    ProblemOrder,
    Rule,
    Rulebook,
    Sentence,
)
from cds.rulebook.reading import Author
from cds.rulebook.syntax import Includes, Is, Path, names, nodes, paths
from cds.rulebook.vocabulary import CALL, COVERAGE, MOMENTS, meaning_of, properties_of
from cds.values.problem import Place

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ALWAYS = frozenset({"always", "same-day", "look-back", ""})


class _Scope(msgspec.Struct, frozen=True):
    """What the names of a sentence stand for."""

    facts: Mapping[str, str]
    lets: frozenset[str] = frozenset()


class _Checker(msgspec.Struct, frozen=True):
    rulebook: Rulebook
    author: Author
    concepts: frozenset[str]

    def definition(self, kind: str) -> KindDefinition | None:
        return self.rulebook.definitions.get(kind)

    # -- sentences ------------------------------------------------------------------------------

    def sentence(self, sentence: Sentence, scope: _Scope) -> None:
        self.expression(sentence.test, sentence.place, scope)

    def expression(self, node: object, place: Place, scope: _Scope) -> None:
        lone = set()
        for test in nodes(node):
            if isinstance(test, Is):
                self.words(test, place, scope)
            if isinstance(test, Is) and not test.value.field:
                lone.add(test.value)
            if (
                isinstance(test, Includes)
                and isinstance(test.element, Path)
                and not self.is_name(test.element, scope)
            ):
                # A word that the property may hold, as in `it.topics includes word`.
                lone.add(test.element)
        for name, column in names(node):
            if name not in scope.facts:
                self.unknown_name(name, place.right(column), scope.facts)
        for path in paths(node):
            if path not in lone:
                self.path(path, place, scope)

    def is_name(self, path: Path, scope: _Scope) -> bool:
        known = {*scope.facts, *scope.lets, *MOMENTS, *CALL, *self.rulebook.parameters}
        return path.name in known

    def path(self, path: Path, place: Place, scope: _Scope) -> None:
        if path.name == COVERAGE:
            return
        if path.name in scope.facts:
            kind = scope.facts[path.name]
            allowed = properties_of(kind, self.definition(kind))
            if path.field and path.field not in allowed:
                what = f"a {kind} has no '{path.field}'"
                self.author.error(
                    place.right(path.column), what, ", ".join(sorted(allowed)), "name"
                )
            return
        known = scope.lets | MOMENTS | CALL | frozenset(self.rulebook.parameters)
        if path.field or path.name not in known:
            self.unknown_name(path.name, place.right(path.column), [*scope.facts, *known])

    def words(self, test: Is, place: Place, scope: _Scope) -> None:
        """``X is word``: a term, a flag or a value set; of a property any word will do."""
        if test.value.field or test.value.name in CALL:
            return
        kind = scope.facts.get(test.value.name)
        if kind is None:
            self.unknown_name(test.value.name, place.right(test.column), scope.facts)
            return
        for word in test.words:
            self.word(word, kind, place.right(test.column))

    def word(self, word: str, kind: str, place: Place) -> None:
        definition = self.definition(kind)
        if meaning_of(word, definition, self.concepts) is None:
            known = sorted(definition.terms) if definition is not None else []
            self.author.error(
                place, f"a {kind} cannot be '{word}'", ", ".join(known) + ", or a value set", "name"
            )

    def unknown_name(self, name: str, place: Place, known: Iterable[str]) -> None:
        self.author.error(
            place, f"'{name}' is not known here", ", ".join(sorted(set(known))), "name"
        )

    # -- facts ------------------------------------------------------------------------------------

    def fact(self, fact: FactClause, scope: _Scope) -> None:
        for concept in (*fact.concepts, *fact.excluded):
            if not self.is_concept(concept, fact.kind):
                known = ", ".join(sorted(self.concepts))
                self.author.error(fact.place, f"'{concept}' is no value set", known, "name")
        for word in (*fact.terms, *fact.also):
            self.word(word, fact.kind, fact.place)
        for sentence in fact.where:
            self.sentence(sentence, scope)

    def is_concept(self, concept: str, kind: str) -> bool:
        if kind in ("source", "patient"):
            return True
        definition = self.definition(kind)
        term = definition is not None and concept in definition.terms
        return concept in self.concepts or concept in PSEUDO_CONCEPTS or term

    # -- definitions ------------------------------------------------------------------------------

    def kind(self, definition: KindDefinition) -> None:
        scope = _Scope({"it": definition.kind})
        for row in (*definition.evidence, *definition.caps):
            self.row(row)
        for profile in definition.profiles:
            for concept in profile.concepts:
                if concept not in self.concepts:
                    self.author.error(profile.place, f"'{concept}' is no value set", "", "name")
            if profile.condition is not None:
                self.sentence(profile.condition, scope)
            for word in profile.values.values():
                self.duration(word, profile.place)
        for label in definition.labels.values():
            for _, sentence in label.choices:
                self.sentence(sentence, scope)
        for term in definition.terms.values():
            inner = _Scope({"it": definition.kind, **{fact.name: fact.kind for fact in term.facts}})
            for fact in term.facts:
                self.fact(fact, inner)
            self.sentence(term.means, inner)
            if term.unsure is not None:
                self.sentence(term.unsure, inner)
        if definition.unseen is not None:
            inner = _Scope({fact.name: fact.kind for fact in definition.unseen_facts})
            for fact in definition.unseen_facts:
                self.fact(fact, inner)
            self.sentence(definition.unseen, inner)
        self.cycles(definition)

    def row(self, row: EvidenceRow) -> None:
        for concept in row.concepts:
            if concept not in self.concepts:
                self.author.error(row.place, f"'{concept}' is no value set", "", "name")
        for word in (row.open_for, row.lasts, row.then_for):
            self.duration(word, row.place)

    def duration(self, word: str, place: Place) -> None:
        if (
            word in _ALWAYS
            or word[:1].isdigit()
            or word in self.rulebook.parameters
            or word.isalpha()
        ):
            return
        self.author.error(
            place, f"'{word}' is no duration", "a parameter, a number of days, always", "name"
        )

    def cycles(self, definition: KindDefinition) -> None:
        uses = {
            name: {
                word
                for sentence in (term.means, term.unsure)
                if sentence is not None
                for test in nodes(sentence.test)
                if isinstance(test, Is) and test.value.text == "it"
                for word in test.words
                if word in definition.terms
            }
            for name, term in definition.terms.items()
        }
        for name, term in definition.terms.items():
            seen, ahead = set(), list(uses[name])
            while ahead:
                word = ahead.pop()
                if word == name:
                    self.author.error(
                        term.means.place, f"'{name}' is defined by itself", "no circle", "cycle"
                    )
                    break
                if word not in seen:
                    seen.add(word)
                    ahead += uses[word]

    # -- rules ------------------------------------------------------------------------------------

    def rule(self, rule: Rule) -> None:
        scope = _Scope(
            {fact.name: fact.kind for fact in rule.facts}, frozenset(let.name for let in rule.lets)
        )
        for fact in rule.facts:
            self.fact(fact, scope)
        for let in rule.lets:
            self.expression(let.value, let.place, scope)
        for sentence in rule.when:
            self.sentence(sentence, scope)
        for level in rule.card.levels:
            self.sentence(level.sentence, scope)
        for name in (*rule.per, *rule.card.lists):
            if name not in scope.facts:
                self.unknown_name(name, rule.place, scope.facts)
        for name in rule.remembered_by:
            if name not in rule.per:
                self.author.error(
                    rule.place,
                    f"'{name}' is remembered, but no finding is about one",
                    f"one of per: {', '.join(rule.per) or 'nothing'}",
                    "name",
                )
        self.bound(rule)
        self.card(rule, scope)
        self.place(rule)

    def bound(self, rule: Rule) -> None:
        card = rule.card
        told = [*rule.when, *(level.sentence for level in card.levels)]
        told += [sentence for choices in card.wordings.values() for _, sentence in choices]
        told += [offer.condition for offer in card.suggestions if offer.condition is not None]
        asked = {name for sentence in told for name, _ in names(sentence.test)}
        asked |= {path.name for sentence in told for path in paths(sentence.test)}
        asked |= {path.name for let in rule.lets for path in paths(let.value)}
        for fact in rule.facts:
            named = [path.name for sentence in fact.where for path in paths(sentence.test)]
            named += [name for sentence in fact.where for name, _ in names(sentence.test)]
            asked |= {name for name in named if name != fact.name}
        for fact in rule.facts:
            if fact.name not in asked and fact.name not in rule.per:
                self.author.error(
                    fact.place, f"the fact '{fact.name}' is never asked for", "", "unused"
                )

    def card(self, rule: Rule, scope: _Scope) -> None:
        card = rule.card
        for choices in card.wordings.values():
            for _, sentence in choices:
                self.sentence(sentence, scope)
        scope = replace(scope, lets=scope.lets | frozenset(card.wordings))
        for text in (card.summary, card.why, card.uncertain, card.options):
            for word in _PLACEHOLDER.findall(text):
                self.placeholder(word, rule.place, scope)
        if len(_PLACEHOLDER.sub("", card.summary)) >= 140:
            self.author.error(
                rule.place,
                "the summary is too long without its values",
                "below 140 characters",
                "card",
            )
        for suggestion in card.suggestions:
            if suggestion.condition is not None:
                self.sentence(suggestion.condition, scope)
            if suggestion.action == "create":
                if suggestion.target not in self.rulebook.templates:
                    known = ", ".join(sorted(self.rulebook.templates))
                    self.author.error(
                        suggestion.place, f"'{suggestion.target}' is no template", known, "name"
                    )
            elif suggestion.target not in scope.facts:
                self.unknown_name(suggestion.target, suggestion.place, scope.facts)
        for word in card.overrides:
            if word not in self.rulebook.overrides:
                self.author.error(
                    rule.place, f"'{word}' is no override reason", "those of pack.yaml", "name"
                )

    def placeholder(self, word: str, place: Place, scope: _Scope) -> None:
        name, _, field = word.partition(".")
        if word in ("missing", "also") or name in scope.lets or name in self.rulebook.parameters:
            return
        if name in scope.facts:
            if field:
                self.path(Path(name, field), Place(place.file, place.line), scope)
            return
        self.author.error(
            place,
            f"'{{{word}}}' is nothing this rule knows",
            "a fact, a let or a parameter",
            "name",
        )

    def place(self, rule: Rule) -> None:
        """Evidence with a source, a problem with an order, an unknown that somebody answers."""
        if not rule.evidence:
            self.author.error(rule.place, "no evidence", "evidence: [{statement: …}]", "missing")
        for entry in rule.evidence:
            if entry.source not in self.rulebook.sources:
                known = ", ".join(sorted(self.rulebook.sources))
                self.author.error(rule.place, f"'{entry.source}' is no source", known, "name")
        order = self.rulebook.precedence.problems.get(rule.problem)
        if order is None:
            known = ", ".join(sorted(self.rulebook.precedence.problems))
            self.author.error(rule.place, f"'{rule.problem}' is no problem", known, "name")
        elif rule.id not in order.rules:
            self.author.error(
                rule.place, f"'{rule.id}' is not in the order of '{rule.problem}'", "", "name"
            )
        elif order.by and order.by not in rule.per:
            what = f"'{rule.problem}' has one card for each '{order.by}', which is not in 'per'"
            self.author.error(rule.place, what, f"per: [{order.by}]", "name")
        known_ids = {other.id for other in self.rulebook.rules}
        if rule.unknown.defer and rule.unknown.defer not in known_ids:
            self.author.error(
                rule.place,
                f"defers to '{rule.unknown.defer}', which is not in the pack",
                "",
                "name",
            )

    def order(self, order: ProblemOrder) -> None:
        """A finding can replace only another of its problem, about facts that both are about."""
        for item in order.replaces:
            for rule_id in (item.rule, item.replaced):
                if rule_id not in order.rules:
                    what = f"'{rule_id}' is not in the order of '{order.id}'"
                    self.author.error(item.place, what, ", ".join(order.rules), "name")
            for rule in self.rulebook.rules:
                missing = set(item.same) - set(rule.per)
                if rule.id in (item.rule, item.replaced) and missing:
                    what = f"'{min(missing)}' is not in 'per' of '{rule.id}'"
                    self.author.error(item.place, what, ", ".join(rule.per), "name")


def check_rulebook(rulebook: Rulebook, author: Author, concepts: frozenset[str]) -> None:
    """Reports every name that means nothing, every rule without a place, every circle."""
    checker = _Checker(rulebook, author, concepts)
    for definition in rulebook.definitions.values():
        checker.kind(definition)
    for order in rulebook.precedence.problems.values():
        checker.order(order)
    seen: dict[str, Rule] = {}
    for rule in rulebook.rules:
        checker.rule(rule)
        other = seen.setdefault(rule.id, rule)
        if other is not rule:
            what = f"'{rule.id}' stands in {other.place.file} as well"
            author.error(rule.place, what, "each id once", "duplicate")
