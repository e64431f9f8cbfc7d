"""Which orders the rules of a hook bind as drafted: those that are judged as they were signed.

Which follows from the clauses of the rules and the pack's words; nothing is listed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from cds.chart.history import ORDER_TYPES, Order, entries_of, placed, why_no_order
from cds.chart.model import Chart, MedicationRecord, OperationRecord
from cds.engine.review import speaks_on
from cds.rulebook.model import FactClause, KindDefinition, Rule, Rulebook, Term
from cds.rulebook.syntax import And, CouldBe, Every, Is, Not, Or, Test, Unsure
from cds.terminology.concept import Classification

_ORDERED_AS = {"medication": "medication", "dose-step": "medication", "procedure": "procedure"}
"""The kinds of fact that drafts make, and of what kind the drafts are."""

NAMELESS = "nothing says what it orders"

_EMPTY = KindDefinition("")


class Drafting(msgspec.Struct, frozen=True):
    """The clauses that bind drafts, by kind; ``listed`` are the classes that codes decide."""

    clauses: Mapping[str, tuple[FactClause, ...]]
    listed: frozenset[str]

    def is_open(self, kind: str) -> bool:
        """Whether some clause binds drafts of a kind by more than their codes."""
        return any(not self._is_listed(clause) for clause in self.clauses.get(kind, ()))

    @property
    def needs_all(self) -> bool:
        """Whether an order that a reader may leave out, old or of no class, can be bound."""
        return "procedure" in self.clauses or self.is_open("medication")

    def _is_listed(self, clause: FactClause) -> bool:
        return bool(clause.concepts) and self.listed.issuperset(clause.concepts)

    def binds(self, record: MedicationRecord | OperationRecord) -> bool:
        """Whether some clause binds the record once it is a draft, as far as codes can tell."""
        kind = "medication" if isinstance(record, MedicationRecord) else "procedure"
        sets = {match.valueset for item in _classified(record) for match in item.matches}
        return any(
            not self._is_listed(clause)
            or (not sets.isdisjoint(clause.concepts) and sets.isdisjoint(clause.excluded))
            for clause in self.clauses.get(kind, ())
        )


class Orders(msgspec.Struct, frozen=True):
    """The orders of a chart in the order of their moments, and those not judged, with the reason.

    ``not_judged`` holds orders that a rule would bind, or that nothing classifies.
    """

    orders: tuple[Order, ...]
    not_judged: tuple[tuple[MedicationRecord | OperationRecord, str], ...]


def orders_of(chart: Chart, rulebook: Rulebook, hook: str, until: datetime) -> Orders:
    """What of a chart is to be judged as a draft of the hook, each at its own moment.

    An order that nothing classifies might be of any class: it is among those not judged.
    """
    bound = drafting(rulebook, hook)
    found: list[Order] = []
    refused: list[tuple[MedicationRecord | OperationRecord, str]] = []
    for record in entries_of(chart):
        if record.source.type not in ORDER_TYPES:
            continue
        nameless = isinstance(record, MedicationRecord) and not record.classification.readable
        if not (bound.binds(record) or (nameless and bound.clauses.get("medication"))):
            continue
        order = why_no_order(record) or placed(record, until)
        if isinstance(order, Order) and not bound.binds(record):
            order = NAMELESS
        if isinstance(order, Order):
            found.append(order)
        else:
            refused.append((record, order))
    found.sort(key=lambda item: (item.moment.astimezone(UTC), item.record.source))
    refused.sort(key=lambda item: item[0].source)
    return Orders(tuple(found), tuple(refused))


def _classified(record: MedicationRecord | OperationRecord) -> tuple[Classification, ...]:
    if isinstance(record, MedicationRecord):
        return (record.classification,)
    return (*record.classifications, *record.services, *record.specialties)


@lru_cache(maxsize=64)
def drafting(rulebook: Rulebook, hook: str) -> Drafting:
    """What the rules of a hook bind as drafted. (The rulebook counts by identity.)"""
    clauses: dict[str, list[FactClause]] = {}
    for rule in rulebook.rules:
        if not speaks_on(rule, hook):
            continue
        for clause in rule.facts:
            kind = _ORDERED_AS.get(clause.kind)
            if kind is not None and _binds_drafts(rule, clause, rulebook):
                clauses.setdefault(kind, []).append(clause)
    listed = frozenset(rulebook.terminology.valuesets) - _defined(rulebook)
    return Drafting({kind: tuple(found) for kind, found in clauses.items()}, listed)


def _defined(rulebook: Rulebook) -> set[str]:
    """Words that the pack defines by more than codes."""
    return {word for item in rulebook.definitions.values() for word in item.terms}


def _binds_drafts(rule: Rule, clause: FactClause, rulebook: Rulebook) -> bool:
    """Whether a clause, or a test of its rule on what it binds, asks for drafts."""
    if clause.kind == "dose-step":
        return True
    terms = rulebook.definitions.get(clause.kind, _EMPTY).terms
    words = (*clause.terms, *clause.also)
    tests = [item.test for item in (*clause.where, *rule.when)]
    return any(_means_drafted(word, terms) for word in words) or any(
        _asks(test, clause.name, terms, frozenset(), wanted=True) for test in tests
    )


def _means_drafted(
    word: str, terms: Mapping[str, Term], known: frozenset[str] = frozenset()
) -> bool:
    """Whether a word of the pack can hold of a draft because it is one."""
    term = terms.get(word)
    if term is None or word in known:
        return False
    seen = known | {word}
    sentences = [item.test for item in (term.means, term.unsure) if item is not None]
    return any(_asks(test, "it", terms, seen, wanted=True) for test in sentences)


def _asks(
    test: Test, name: str, terms: Mapping[str, Term], known: frozenset[str], *, wanted: bool
) -> bool:
    """Whether a test can be as ``wanted`` because what the name stands for is a draft."""
    match test:
        case Is():
            return _is_draft(test, name, terms, known, wanted=wanted)
        case Not():
            return _asks(test.test, name, terms, known, wanted=not wanted)
        case And() | Or():
            return any(_asks(item, name, terms, known, wanted=wanted) for item in test.tests)
        case CouldBe() | Every():
            return _asks(test.test, name, terms, known, wanted=wanted)
        case Unsure():
            return any(
                _asks(test.test, name, terms, known, wanted=either) for either in (True, False)
            )
        case _:
            return False


def _is_draft(
    test: Is, name: str, terms: Mapping[str, Term], known: frozenset[str], *, wanted: bool
) -> bool:
    if test.value.text == f"{name}.drafted":
        return ("yes" if wanted else "no") in test.words
    if test.value.text != name or not wanted:
        return False
    return any(_means_drafted(word, terms, known) for word in test.words)
