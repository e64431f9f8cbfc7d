"""Every clause of a pack that scenarios should have shown yes, no and unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from cds.authoring.certainty import Certainty, Names
from cds.rulebook import syntax
from cds.rulebook.model import EvidenceRow, FactClause, KindDefinition, Rule, Sentence, Term
from cds.values.problem import Place
from cds.values.truth import Truth

_ALL = frozenset({Truth.YES, Truth.NO, Truth.UNKNOWN})
_YES = frozenset({Truth.YES})
_YES_NO = frozenset({Truth.YES, Truth.NO})


class Clause(msgspec.Struct, frozen=True):
    """One clause: where it stands, its words, the nodes that tell of it, what is asked of it.

    ``offset`` is where it begins in the scalar at ``place``, whose whole text is ``within``;
    ``exempt`` says why it is not asked for unknown, "" where it is.
    """

    owner: str
    text: str
    place: Place
    within: str
    offset: int
    nodes: tuple[object, ...]
    asked: frozenset[Truth]
    exempt: str = ""


class Listing(msgspec.Struct, frozen=True):
    """Lists clauses of one owner, a rule or a kind's definition."""

    owner: str
    certainty: Certainty

    def sentence(self, what: str, sentence: Sentence, names: Names) -> Iterator[Clause]:
        """A sentence and, where it is made of several, its parts."""
        for test in _with_parts(sentence.test):
            clause = names.clauses.get(test.name) if isinstance(test, syntax.Exists) else None
            nodes = (test, clause) if clause is not None else (test,)
            why = self.certainty.why_known(test, names)
            asked = _YES if isinstance(test, syntax.Otherwise) else _YES_NO if why else _ALL
            whole = test is sentence.test
            text = sentence.text if whole else syntax.spoken(test)
            offset = 0 if whole else _column(test)
            yield Clause(
                self.owner,
                f"{what}: {text}",
                sentence.place,
                sentence.text,
                offset,
                nodes,
                asked,
                why,
            )

    def fact(self, what: str, clause: FactClause, names: Names) -> Iterator[Clause]:
        """A clause of facts, and its conditions."""
        why = self.certainty.clause(clause, names)
        asked = _YES_NO if why else _ALL
        yield Clause(self.owner, what, clause.place, "", 0, (clause,), asked, why)
        inner = replace(names, single=names.single | {clause.name})
        for item in clause.where:
            yield from self.sentence(f"{what}, where", item, inner)

    def row(self, what: str, row: EvidenceRow) -> Clause:
        """A line of a table: it is about an entry or not."""
        words = ", ".join(f"{name} {'/'.join(sorted(found))}" for name, found in row.conditions)
        why = "a line is about an entry or it is not"
        text = f"{what}: {words or 'everything else'} counts as {row.counts_as}"
        asked = _YES_NO if row.conditions or row.concepts else _YES
        return Clause(self.owner, text, row.place, "", 0, (row,), asked, why)


def _with_parts(test: syntax.Test) -> Iterator[syntax.Test]:
    yield test
    if isinstance(test, syntax.And | syntax.Or):
        for item in test.tests:
            yield from _with_parts(item)
    elif isinstance(test, syntax.Not | syntax.CouldBe | syntax.Unsure) and isinstance(
        test.test, syntax.And | syntax.Or
    ):
        yield from _with_parts(test.test)


def _column(test: object) -> int:
    found = [path.column for path in syntax.paths(test)]
    found += [column for _, column in syntax.names(test)]
    return min(found, default=0)


# -- rules ---------------------------------------------------------------------------------------


def rule_clauses(rule: Rule, certainty: Certainty) -> Iterator[Clause]:
    """The clauses of a rule: its facts, its sentences, levels, wordings, suggestions."""
    listing = Listing(rule.id, certainty)
    names = replace(Names.of(rule.facts, rule.per), lets={let.name: let.value for let in rule.lets})
    everywhere = Names.of(rule.facts)
    for clause in rule.facts:
        yield from listing.fact(f"facts.{clause.name}", clause, everywhere)
    for sentence in rule.when:
        yield from listing.sentence("when", sentence, names)
    levels = rule.card.levels
    for level in levels if len(levels) > 1 else ():
        yield from listing.sentence(f"level {level.indicator}", level.sentence, names)
    for name, choices in rule.card.wordings.items():
        for _, sentence in choices:
            yield from listing.sentence(f"wording {name}", sentence, names)
    for offer in rule.card.suggestions:
        if offer.condition is not None:
            yield from listing.sentence("suggestion if", offer.condition, names)


# -- definitions ---------------------------------------------------------------------------------


def definition_clauses(definition: KindDefinition, certainty: Certainty) -> Iterator[Clause]:
    """The clauses of a kind's definition: terms, labels, lines of tables, profiles, unseen."""
    kind = definition.kind
    listing = Listing(f"definitions of {kind}", certainty)
    it = Names().about(kind)
    for term in definition.terms.values():
        yield from _term(term, kind, listing)
    for label in definition.labels.values():
        for word, sentence in label.choices:
            yield from listing.sentence(f"label {label.name}, {word}", sentence, it)
    for row in definition.evidence:
        yield listing.row("evidence", row)
    for row in definition.caps:
        yield listing.row("cap", row)
    yield from _profiles(definition, listing, it)
    if definition.unseen is not None:
        names = Names.of(definition.unseen_facts)
        for clause in definition.unseen_facts:
            yield from listing.fact(f"unseen-facts.{clause.name}", clause, names)
        yield from listing.sentence("unseen", definition.unseen, names)


def _term(term: Term, kind: str, listing: Listing) -> Iterator[Clause]:
    names = Names.of(term.facts).about(kind)
    for clause in term.facts:
        yield from listing.fact(f"term {term.name}, facts.{clause.name}", clause, names)
    why = "" if listing.certainty.word(kind, term.name) else "its words always have an answer"
    asked = _YES_NO if why else _ALL
    yield Clause(
        listing.owner,
        f"term {term.name}",
        term.means.place,
        term.means.text,
        0,
        (term,),
        asked,
        why,
    )
    for test in listing.sentence(f"term {term.name}", term.means, names):
        if test.nodes != (term.means.test,) or term.unsure is not None:
            yield test
    if term.unsure is not None:
        yield from listing.sentence(f"term {term.name}, unsure when", term.unsure, names)


def _profiles(definition: KindDefinition, listing: Listing, it: Names) -> Iterator[Clause]:
    for profile in definition.profiles:
        about = ", ".join(profile.concepts)
        # One without a condition is every fact's of its class that has come so far.
        asked = _YES_NO if profile.condition or "alone-for" in profile.values else _YES
        why = "a profile is a fact's or it is not"
        yield Clause(
            listing.owner, f"profile for {about}", profile.place, "", 0, (profile,), asked, why
        )
        if profile.condition is not None:
            yield from listing.sentence(f"profile for {about}, if", profile.condition, it)


def all_clauses(
    rules: Iterable[Rule], definitions: Iterable[KindDefinition], certainty: Certainty
) -> Iterator[Clause]:
    """The clauses of rules and definitions."""
    for rule in rules:
        yield from rule_clauses(rule, certainty)
    for definition in definitions:
        yield from definition_clauses(definition, certainty)
