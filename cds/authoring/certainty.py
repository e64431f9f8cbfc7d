"""Whether a clause of the rules can be unknown at all, and if not, why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from cds.rulebook import syntax
from cds.rulebook.model import PSEUDO_CONCEPTS, FactClause, KindDefinition, Rulebook, Term
from cds.rulebook.vocabulary import CALL, COVERAGE, MOMENTS, TOLD, Meaning, meaning_of

_EMPTY = KindDefinition("")
# Kinds whose codes and names may disagree with each other, or be known by the shape of a word.
_PRODUCTS = frozenset({"allergy"})


class Names(msgspec.Struct, frozen=True):
    """What the names of a sentence stand for: single facts, clauses of facts, computed values."""

    kinds: Mapping[str, str] = msgspec.field(default_factory=dict)
    clauses: Mapping[str, FactClause] = msgspec.field(default_factory=dict)
    single: frozenset[str] = frozenset()
    lets: Mapping[str, syntax.Value] = msgspec.field(default_factory=dict)

    @staticmethod
    def of(clauses: Iterable[FactClause], single: Iterable[str] = ()) -> Names:
        found = {clause.name: clause for clause in clauses}
        return Names({name: item.kind for name, item in found.items()}, found, frozenset(single))

    def about(self, kind: str) -> Names:
        """The same with ``it`` for a fact of a kind."""
        return replace(self, kinds={**self.kinds, "it": kind}, single=self.single | {"it"})


class Certainty:
    """Says of the tests of one rulebook whether they can be unknown."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._concepts = frozenset(rulebook.terminology.valuesets)
        self._words: dict[tuple[str, str], bool] = {}

    def why_known(self, test: object, names: Names) -> str:
        """Why the test is never unknown; "" where it can be."""
        match test:
            case syntax.Otherwise():
                return "it is what holds otherwise"
            case syntax.CouldBe() | syntax.Unsure() | syntax.IsKnown():
                return "it asks whether something is known"
            case syntax.Not(inner):
                return self.why_known(inner, names)
            case syntax.And(tests) | syntax.Or(tests):
                reasons = [self.why_known(item, names) for item in tests]
                return "none of its parts can be" if all(reasons) else ""
            case syntax.Exists(name=name) | syntax.No(name=name) | syntax.Count(name=name):
                return self._why_bound(name, names)
            case syntax.Every(name=name, test=inner):
                inside = self.why_known(inner, replace(names, single=names.single | {name}))
                return "" if not self._why_bound(name, names) or not inside else inside
            case _:
                return self._why_related(test, names)

    def clause(self, clause: FactClause, names: Names) -> str:
        """Why it is always known whether there is such a fact; "" where it is not."""
        definition = self._definition(clause.kind)
        terms = [definition.terms.get(word) for word in clause.terms]
        answered = bool(terms) and all(term is not None and term.answered for term in terms)
        if definition.unseen is not None and not answered:
            return ""
        words = (*clause.concepts, *clause.excluded, *clause.terms, *clause.also)
        if any(self.word(clause.kind, word) for word in words):
            return ""
        inner = replace(names, single=names.single | {clause.name})
        if any(not self.why_known(item.test, inner) for item in clause.where):
            return ""
        return "it is about the call itself" if answered else "its words always have an answer"

    # -- relations --------------------------------------------------------------------------------

    def _why_bound(self, name: str, names: Names) -> str:
        clause = names.clauses.get(name)
        return self.clause(clause, names) if clause is not None else "there always is one"

    def _why_related(self, test: object, names: Names) -> str:
        for path in syntax.paths(test):
            several = path.name in names.clauses and path.name not in names.single
            if several and not self._why_bound(path.name, names):
                return ""
        if isinstance(test, syntax.Is) and not test.value.field and test.value.name in names.kinds:
            kind = names.kinds[test.value.name]
            can = any(self.word(kind, word) for word in test.words)
            return "" if can else "its words always have an answer"
        if any(self._can_miss(path, names) for path in syntax.paths(test)):
            return ""
        return "what it compares is always known"

    def _can_miss(self, path: syntax.Path, names: Names) -> bool:
        if path.name in names.kinds:
            return self._property(names.kinds[path.name], path.field or "name")
        if path.name in names.lets:
            return any(self._can_miss(one, names) for one in syntax.paths(names.lets[path.name]))
        # A moment, a word of the call, a number of the pack, the coverage itself: all are known.
        known = {*MOMENTS, *CALL, COVERAGE, *self._rulebook.parameters}
        return path.name not in known and bool(path.field)

    def _property(self, kind: str, name: str) -> bool:
        """Whether a property can be missing, or known in part."""
        label = self._definition(kind).labels.get(name)
        if label is not None:
            names = Names().about(kind)
            return any(not self.why_known(item.test, names) for _, item in label.choices)
        return name not in TOLD.get(kind, ())

    # -- words ------------------------------------------------------------------------------------

    def word(self, kind: str, word: str) -> bool:
        """Whether ``fact is word`` can be unknown."""
        found = self._words.get((kind, word))
        if found is None:
            self._words[kind, word] = False  # a word that speaks of itself adds nothing
            found = self._words[kind, word] = self._is_open(kind, word)
        return found

    def _is_open(self, kind: str, word: str) -> bool:
        definition = self._definition(kind)
        meaning = meaning_of(word, definition, self._concepts)
        if meaning is Meaning.TERM:
            return self._is_open_term(definition.terms[word], kind)
        if meaning is not Meaning.CONCEPT or kind == "medication" or word in PSEUDO_CONCEPTS:
            return False
        found = self._rulebook.terminology.valuesets.get(word)
        return found is not None and (bool(found.shapes.any) or kind in _PRODUCTS)

    def _is_open_term(self, term: Term, kind: str) -> bool:
        if term.unsure is not None:
            return True
        return not self.why_known(term.means.test, Names.of(term.facts).about(kind))

    def _definition(self, kind: str) -> KindDefinition:
        return self._rulebook.definitions.get(kind, _EMPTY)
