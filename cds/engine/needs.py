"""What a rulebook's rules read: the FHIR resource types behind their facts.

Nothing is listed by hand: the answer follows from the clauses that a rule binds and from whatever
the definitions of their words ask for in turn, so another pack gets its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache

import msgspec

from cds.chart.interest import Interest
from cds.chart.kinds import ALL_TYPES, TYPES_BEHIND, TYPES_OF
from cds.chart.model import Coverage
from cds.engine.finding import Review
from cds.engine.review import speaks_on
from cds.rulebook.model import FactClause, KindDefinition, Rule, Rulebook, Sentence, Term
from cds.rulebook.syntax import Count, Every, Is, nodes, paths
from cds.rulebook.vocabulary import COVERAGE

_PLACEHOLDER = re.compile(r"\{([^{}.]+)\.([^{}.]+)\}")
_EMPTY = KindDefinition("")
# A card tells every label of a fact of this kind, whether or not a rule asks for it.
_LABELS_TOLD = frozenset({"procedure"})

Names = Mapping[str, str]
"""The kind of fact that each name of a sentence stands for."""


@lru_cache(maxsize=64)
def resource_types(rulebook: Rulebook, hook: str = "") -> tuple[str, ...]:
    """The FHIR types that the rules of ``hook`` read (every rule that is on when it is "").

    Patient comes first and is always there: nobody is judged without one. The order is that of
    ``cds.chart.kinds.ALL_TYPES``. (The rulebook counts by identity.)
    """
    needs = _Needs(rulebook)
    for rule in rulebook.rules:
        if not hook or speaks_on(rule, hook):
            needs.rule(rule)
    return tuple(kind for kind in ALL_TYPES if kind == "Patient" or kind in needs.types)


# A day as written may be another day in the site's zone, and a little more room costs nothing.
_MARGIN = timedelta(days=2)


@lru_cache(maxsize=64)
def interest(rulebook: Rulebook, hook: str, today: date) -> Interest:
    """What the rules of ``hook`` (all of them when it is "") ask for of a record, judged today."""
    rules = [rule for rule in rulebook.rules if not hook or speaks_on(rule, hook)]
    kept_for = rulebook.definitions.get("procedure", _EMPTY).kept_for
    since = _earlier(today, timedelta(days=kept_for) + _MARGIN) if kept_for else None
    return Interest(
        types=resource_types(rulebook, hook),
        since=since.isoformat() if since is not None else "",
        dated=frozenset(TYPES_OF["procedure"]) if since is not None else frozenset(),
        classified=frozenset(
            kind
            for name in ("condition", "allergy", "result")
            if all(clause.concepts for clause in _clauses(rulebook, rules) if clause.kind == name)
            for kind in TYPES_OF[name]
        ),
        bystanders=_earlier(today, _MARGIN).isoformat() if _one_is_enough(rulebook, rules) else "",
    )


def _one_is_enough(rulebook: Rulebook, rules: list[Rule]) -> bool:
    """Whether of the medications in no value set it matters only that there is one.

    It does where nobody asks for a medication of any class, and whoever asks for one that could be
    classified asks no more than whether such a one is on the record.
    """
    drugs = [clause for clause in _clauses(rulebook, rules) if clause.kind == "medication"]
    asked = {id(clause) for clause in drugs if "classified" in (*clause.concepts, *clause.excluded)}
    own = {id(clause): rule for rule in rules for clause in rule.facts if id(clause) in asked}
    terms = rulebook.definitions.get("medication", _EMPTY).terms
    return all(clause.concepts for clause in drugs) and all(
        id(clause) in own and _asks_only_whether(clause, own[id(clause)], terms)
        for clause in drugs
        if id(clause) in asked
    )


def _asks_only_whether(clause: FactClause, rule: Rule, terms: Mapping[str, Term]) -> bool:
    """Whether a rule asks of a clause's facts only if there are any, drafts or no drafts."""
    words = (*clause.terms, *clause.also)
    if clause.where or clause.excluded or not all(word in terms for word in words):
        return False
    if not all(terms[word].asks_only_of_drafts for word in words):
        return False
    told = [*rule.when, *(level.sentence for level in rule.card.levels)]
    told += [sentence for choices in rule.card.wordings.values() for _, sentence in choices]
    asked: list[object] = [item.test for item in told]
    asked += [let.value for let in rule.lets]
    looked_at = {path.name for each in asked for path in paths(each)}
    counted = {
        test.name for each in asked for test in nodes(each) if isinstance(test, Every | Count)
    }
    return clause.name not in looked_at | counted | {*rule.per, *rule.card.lists}


def _earlier(day: date, length: timedelta) -> date:
    """The day so much earlier, or the first day there is."""
    return day - length if day - date.min > length else date.min


def _clauses(rulebook: Rulebook, rules: Iterable[Rule]) -> Iterator[FactClause]:
    """Every clause of the rules, and of the definitions of the words that they may use."""
    for rule in rules:
        yield from rule.facts
    for definition in rulebook.definitions.values():
        yield from definition.unseen_facts
        for term in definition.terms.values():
            yield from term.facts
    for _, clause in rulebook.pack.census:
        yield clause


def coverage_read(review: Review, rulebook: Rulebook) -> dict[str, Coverage]:
    """The coverage manifest of a review: of every type that the hook's rules read, no other."""
    read = resource_types(rulebook, review.hook.name)
    return {kind: state for kind, state in review.chart.coverage.items() if kind in read}


class _Needs(msgspec.Struct):
    """Collects types; each word, property and kind is followed once."""

    rulebook: Rulebook
    types: set[str] = msgspec.field(default_factory=set)
    _seen: set[tuple[str, str, str]] = msgspec.field(default_factory=set)

    def rule(self, rule: Rule) -> None:
        names = {clause.name: clause.kind for clause in rule.facts}
        self._clauses(rule.facts, names)
        card = rule.card
        for let in rule.lets:
            self._expression(let.value, names)
        asked = [*rule.when, *(level.sentence for level in card.levels)]
        asked += [sentence for choices in card.wordings.values() for _, sentence in choices]
        asked += [offer.condition for offer in card.suggestions if offer.condition is not None]
        self._sentences(asked, names)
        said = [card.summary, card.why, card.uncertain, card.options]
        said += [words for choices in card.wordings.values() for words, _ in choices]
        said += [offer.label for offer in card.suggestions]
        for name, asked_for in _PLACEHOLDER.findall("\n".join(said)):
            if name in names:
                self._property(names[name], asked_for)

    # -- clauses and sentences --------------------------------------------------------------------

    def _clauses(self, clauses: Iterable[FactClause], names: Names) -> None:
        for clause in clauses:
            self._kind(clause.kind)
            if clause.kind == "source":
                for kind in clause.concepts:
                    self._unseen(kind)
            for word in (*clause.concepts, *clause.excluded, *clause.terms, *clause.also):
                self._word(clause.kind, word)
            self._sentences(clause.where, names)

    def _sentences(self, sentences: Iterable[Sentence], names: Names) -> None:
        for sentence in sentences:
            self._expression(sentence.test, names)

    def _expression(self, node: object, names: Names) -> None:
        for path in paths(node):
            if path.name == COVERAGE:
                self.types.add(path.field)
            elif path.field and path.name in names:
                self._property(names[path.name], path.field)
        for test in nodes(node):
            if isinstance(test, Is) and not test.value.field and test.value.name in names:
                for word in test.words:
                    self._word(names[test.value.name], word)

    # -- what they stand for ----------------------------------------------------------------------

    def _is_new(self, *key: str) -> bool:
        what, kind, name = key
        known = (what, kind, name) in self._seen
        self._seen.add((what, kind, name))
        return not known

    def _definition(self, kind: str) -> KindDefinition:
        return self.rulebook.definitions.get(kind, _EMPTY)

    def _kind(self, kind: str) -> None:
        """A fact of the kind: where it is read, its profile, whether its sources were answered."""
        if not self._is_new("kind", kind, ""):
            return
        self.types.update(TYPES_OF.get(kind, ()))
        if kind == "dose-step":
            self._kind("medication")
        definition = self._definition(kind)
        conditions = [item.condition for item in definition.profiles if item.condition is not None]
        self._sentences(conditions, {"it": kind})
        if kind in _LABELS_TOLD:
            for label in definition.labels:
                self._property(kind, label)
        self._unseen(kind)

    def _unseen(self, kind: str) -> None:
        definition = self._definition(kind)
        if definition.unseen is None or not self._is_new("unseen", kind, ""):
            return
        names = {clause.name: clause.kind for clause in definition.unseen_facts}
        self._clauses(definition.unseen_facts, names)
        self._sentences([definition.unseen], names)

    def _word(self, kind: str, word: str) -> None:
        """``is word``: a term of the pack; flags and value sets ask for nothing more."""
        term = self._definition(kind).terms.get(word)
        if term is None or not self._is_new("word", kind, word):
            return
        names = {"it": kind, **{clause.name: clause.kind for clause in term.facts}}
        self._clauses(term.facts, names)
        self._sentences([item for item in (term.means, term.unsure) if item is not None], names)

    def _property(self, kind: str, name: str) -> None:
        if not self._is_new("property", kind, name):
            return
        self.types.update(TYPES_BEHIND.get((kind, name), ()))
        definition = self._definition(kind)
        if (kind, name) == ("procedure", "ordered") and definition.orders_of:
            self._kind("medication")
        label = definition.labels.get(name)
        if label is not None:
            self._sentences([sentence for _, sentence in label.choices], {"it": kind})
