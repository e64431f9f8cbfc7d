"""The pack's words at work: terms, flags, value sets, labels and profiles of a fact."""

from __future__ import annotations

from itertools import count

import msgspec

from cds.engine.binding import Scope
from cds.engine.context import contextual_readers
from cds.engine.course import stands_alone
from cds.engine.explanation import Explanation
from cds.engine.expression import Expression
from cds.engine.fact import Bound, Fact
from cds.engine.record import Reader
from cds.engine.sheet import Lexicon, Sheet
from cds.engine.value import Count, Missing, Value, Words
from cds.rulebook.model import PSEUDO_CONCEPTS, FactClause, KindDefinition, Profile, Rulebook, Term
from cds.rulebook.vocabulary import Meaning, meaning_of
from cds.values.truth import Truth, all_of, negate

# A clause whose conditions name another fact is asked once for each such fact: of very many
# entries only so many pairs are looked at, and the rest is no answer.
_MOST_PAIRS = 20_000
_LEAST_LOOKED_AT = 10

# A number for whatever clauses ask, the same in every rulebook: sheets keep answers by it.
_NUMBERS: dict[tuple[object, ...], int] = {}
_UNUSED = count()


class Look(msgspec.Struct, frozen=True):
    """What holds of a clause on every sheet.

    ``number`` is the same for clauses that ask the same, and negative where its own conditions
    decide; ``listed`` says that its classes are but value sets,
    which every fact knows of itself, ``answered`` that no source can leave it open.
    """

    clause: FactClause
    number: int
    listed: bool
    answered: bool


class _Meanings(dict[tuple[str, str], Meaning | None]):
    """How the words of each kind are understood, looked up when first asked for."""

    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__()
        self._definitions = rulebook.definitions
        self._concepts = frozenset(rulebook.terminology.valuesets)

    def __missing__(self, key: tuple[str, str]) -> Meaning | None:
        kind, word = key
        definition = self._definitions.get(kind)
        known = definition is not None
        found = self[key] = meaning_of(word, definition, self._concepts) if known else None
        return found


class Meanings(Lexicon):
    """Answers what a word means for a fact, by the definitions of one rulebook."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.expression = Expression(self.is_word)
        self.explanation = Explanation(self.expression, self.passed_over)
        self.explain = self.explanation.explain
        self.become(rulebook)

    def become(self, rulebook: Rulebook) -> None:
        """Answers by this rulebook from now on; compiled sentences stay good, since they ask here.

        For whoever tries many rulebooks that differ in little.
        """
        self.rulebook = rulebook
        self._meanings = _Meanings(rulebook)

        # By identity of the clause, which each of them holds, so that no other can come to have it.
        self._looks: dict[int, Look] = {}
        self._unjudged = frozenset(
            ("medication", name)
            for name, term in rulebook.definitions.get("medication", _EMPTY).terms.items()
            if term.asks_only_of_drafts
        )

    # -- words ------------------------------------------------------------------------------------

    def is_word(self, scope: Scope, fact: Fact, word: str) -> Truth:
        """``fact is word``; kept per fact, since many rules ask the same."""
        sheet = scope.sheet
        found = fact.terms.get(word)
        if found is None:
            # Whether a draft counts as one is for the pack's table to say.
            if (fact.kind, word) not in self._unjudged or fact.drafts:
                sheet.judged(fact)
            found = self._is_word(sheet, fact, word)
            fact.terms[word] = found
        return found

    def _is_word(self, sheet: Sheet, fact: Fact, word: str) -> Truth:
        meaning = self._meanings[fact.kind, word]
        if meaning is Meaning.TERM:
            term = self.rulebook.definitions[fact.kind].terms[word]
            return self.term(term, sheet, fact)
        if meaning is Meaning.FLAG:
            return fact.flagged(word)
        return fact.in_concept(word)

    def term(self, term: Term, sheet: Sheet, fact: Fact) -> Truth:
        """Whether a term holds of a fact, worked out anew."""
        scope = self._about(sheet, fact, term.facts)
        if (
            term.unsure is not None
            and self.expression.truth(term.unsure.test, scope) is not Truth.NO
        ):
            return Truth.UNKNOWN
        return self.expression.truth(term.means.test, scope)

    def _about(self, sheet: Sheet, fact: Fact | None, facts: tuple[FactClause, ...] = ()) -> Scope:
        single = {} if fact is None else {"it": Bound(fact, Truth.YES)}
        if not facts:
            return Scope(sheet, single)
        scope = Scope(sheet, single, {clause.name: clause for clause in facts})
        for clause in facts:
            self.bind(clause, scope)
        return scope

    def reasons(self, sheet: Sheet, fact: Fact, word: str) -> tuple[str, ...]:
        """Why a word is unknown of a fact, in plain phrases."""
        definition = self.rulebook.definitions.get(fact.kind)
        term = definition.terms.get(word) if definition is not None else None
        if term is None:
            return fact.doubts(word)
        scope = self._about(sheet, fact, term.facts)
        unsure = Truth.NO if term.unsure is None else self.expression.truth(term.unsure.test, scope)
        if term.unsure is not None and unsure is Truth.YES:
            return (f"{fact.name}: {term.because or term.unsure.text}",)
        inner = self.explanation.reasons(term.means.test, scope)
        if term.unsure is not None and unsure is Truth.UNKNOWN:
            inner = (*self.explanation.reasons(term.unsure.test, scope), *inner)
        return inner or ((f"{fact.name}: {term.because}",) if term.because else ())

    # -- labels and profiles ----------------------------------------------------------------------

    def label(self, sheet: Sheet, fact: Fact, label: str) -> Value:
        """The first choice that is yes; missing when an earlier one cannot be decided."""
        scope = self._about(sheet, fact)
        for word, sentence in self.rulebook.definitions[fact.kind].labels[label].choices:
            truth = self.expression.truth(sentence.test, scope)
            if truth is Truth.YES:
                return Words(frozenset({word}))
            if truth is Truth.UNKNOWN:
                reasons = self.explanation.reasons(sentence.test, scope)
                return Missing("; ".join(reasons) or f"the {label} of {fact.name} is not known")
        return Missing(f"no {label} fits {fact.name}")

    def readers(self, sheet: Sheet, kind: str) -> dict[str, Reader]:
        return contextual_readers(sheet, kind)

    def profile(self, sheet: Sheet, fact: Fact, *, alone: bool) -> Profile | None:
        scope = self._about(sheet, fact)
        for profile in self._profiles_of(fact):
            # Standing alone is judged by intervals, which need a profile: it is asked second.
            gap = sheet.number(profile.values.get("alone-for", ""))
            if isinstance(gap, Count) and not (
                alone and stands_alone(sheet, fact, profile.concepts, int(gap.high))
            ):
                continue
            if profile.condition is None:
                return profile
            if self.expression.truth(profile.condition.test, scope) is Truth.YES:
                return profile
        return None

    def may_stand_alone(self, fact: Fact) -> bool:
        return any("alone-for" in profile.values for profile in self._profiles_of(fact))

    def _profiles_of(self, fact: Fact) -> list[Profile]:
        """The profiles of the classes that the fact is surely of."""
        sure = {name for name, truth in fact.concepts.items() if truth is Truth.YES}
        definition = self.rulebook.definitions.get(fact.kind)
        if not sure or definition is None:
            return []
        return [item for item in definition.profiles if not sure.isdisjoint(item.concepts)]

    def unseen(self, sheet: Sheet, kind: str) -> Truth:
        definition = self.rulebook.definitions[kind]
        if definition.unseen is None:
            return Truth.NO
        return self.expression.truth(
            definition.unseen.test, self._about(sheet, None, definition.unseen_facts)
        )

    # -- binding ----------------------------------------------------------------------------------

    def bind(self, clause: FactClause, scope: Scope) -> None:
        """Binds the clause's name in the scope to every fact that it is or may be about."""
        look, sheet = self._looks.get(id(clause)) or self._look(clause), scope.sheet
        # What a clause binds depends on the sheet alone, unless its own conditions name others.
        found = sheet.bound.get(look.number)
        unseen: tuple[str, ...] = ()
        if found is None:
            candidates = self._candidates(look, sheet)
            if clause.where and candidates:
                candidates, unseen = self._within_bounds(candidates)
            found = tuple(
                [
                    Bound(sheet.judged(fact), truth)
                    for fact in candidates
                    if (truth := self._truth_of(look, scope, fact)) is not Truth.NO
                ]
            )
            if not clause.where:
                sheet.bound[look.number] = found
        scope.sets[clause.name] = found
        if not look.answered or unseen:
            reasons = unseen + self.unanswered(clause, sheet)
            if reasons:
                scope.unanswered[clause.name] = reasons

    def look(self, clause: FactClause) -> Look:
        """What holds of a clause on every sheet; the same each time."""
        return self._looks.get(id(clause)) or self._look(clause)

    def is_closed(self, clause: FactClause, sheet: Sheet) -> bool:
        """Whether it is known at once that the clause is about nothing: the answer is no."""
        look = self.look(clause)
        bound = sheet.bound.get(look.number)
        if bound is None and not look.listed:
            return False
        there = self._candidates(look, sheet) if bound is None else bound
        return not there and not self.unanswered(clause, sheet)

    def _look(self, clause: FactClause) -> Look:
        key = (clause.kind, clause.concepts, clause.excluded, clause.terms, clause.also)
        number = _NUMBERS.setdefault(key, next(_UNUSED)) if not clause.where else -1
        look = Look(clause, number, self._is_listed(clause), self._is_answered(clause))
        self._looks[id(clause)] = look
        return look

    def looked_at(
        self, clause: FactClause, sheet: Sheet
    ) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
        """The facts that a clause is asked of, and what is to be said of those that it is not."""
        candidates = self._candidates(self.look(clause), sheet)
        return self._within_bounds(candidates) if clause.where else (candidates, ())

    @staticmethod
    def _within_bounds(candidates: tuple[Fact, ...]) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
        """Those that a clause is asked of where it names others; what is said of the rest."""
        room = max(_LEAST_LOOKED_AT, _MOST_PAIRS // (len(candidates) or 1))
        if len(candidates) <= room:
            return candidates, ()
        unseen = f"{len(candidates) - room} of {len(candidates)} entries"
        return candidates[:room], (unseen,)

    def passed_over(self, clause: FactClause, scope: Scope) -> tuple[Fact, ...]:
        """The facts of the clause's class that are in none of its states (for explanations)."""
        look = self.look(clause)
        found = scope.sheet.passed.get(look.number)
        if found is None:
            found = self._passed_over(look, scope)
            if not clause.where:
                scope.sheet.passed[look.number] = found
        return found

    def _passed_over(self, look: Look, scope: Scope) -> tuple[Fact, ...]:
        return tuple(
            scope.sheet.judged(fact)
            for fact in self._candidates(look, scope.sheet)
            if self._of_concept(look, scope, fact) is not Truth.NO
            and self._truth_of(look, scope, fact) is Truth.NO
        )

    def _candidates(self, look: Look, sheet: Sheet) -> tuple[Fact, ...]:
        """The facts that can be of the clause's class; all of the kind unless codes decide."""
        kind, concepts = look.clause.kind, look.clause.concepts
        if not look.listed:
            return sheet.facts(kind)
        if len(concepts) == 1:
            return sheet.of_concept(kind, concepts[0])
        found = {fact for concept in concepts for fact in sheet.of_concept(kind, concept)}
        return tuple(fact for fact in sheet.facts(kind) if fact in found) if found else ()

    def _is_listed(self, clause: FactClause) -> bool:
        """Whether its classes are but value sets, which every fact knows of itself."""
        if not clause.concepts or clause.kind in ("patient", "source"):
            return False
        for concept in clause.concepts:
            if concept in PSEUDO_CONCEPTS:
                return False
            if self._meanings[clause.kind, concept] is not Meaning.CONCEPT:
                return False
        return True

    def _truth_of(self, look: Look, scope: Scope, fact: Fact) -> Truth:
        """How surely the clause is about the fact."""
        concept = self._of_concept(look, scope, fact)
        if concept is Truth.NO:
            return concept
        return min(concept, self._in_state(look.clause, scope, fact))

    def _of_concept(self, look: Look, scope: Scope, fact: Fact) -> Truth:
        clause = look.clause
        if not clause.concepts or clause.kind == "patient":
            return Truth.YES
        found = self._any_concept(clause.concepts, scope, fact)
        if found is Truth.NO or not clause.excluded:
            return found
        return min(found, negate(self._any_concept(clause.excluded, scope, fact)))

    def _any_concept(self, concepts: tuple[str, ...], scope: Scope, fact: Fact) -> Truth:
        found = Truth.NO
        for concept in concepts:
            truth = self.concept(scope, fact, concept)
            if truth is Truth.YES:
                return truth
            if truth is Truth.UNKNOWN:
                found = truth
        return found

    def concept(self, scope: Scope, fact: Fact, concept: str) -> Truth:
        """A value set; or a term, where the pack defines the class by more than codes."""
        if self._meanings[fact.kind, concept] is Meaning.TERM:
            return self.is_word(scope, fact, concept)
        return fact.in_concept(concept)

    def _in_state(self, clause: FactClause, scope: Scope, fact: Fact) -> Truth:
        truth = Truth.NO if clause.terms else Truth.YES
        for word in clause.terms:
            found = self.is_word(scope, fact, word)
            if found is Truth.YES:
                truth = found
                break
            if found is Truth.UNKNOWN:
                truth = found
        if truth is Truth.NO or not (clause.also or clause.where):
            return truth
        truth = min(truth, all_of(self.is_word(scope, fact, word) for word in clause.also))
        if truth is Truth.NO or not clause.where:
            return truth
        scope.sheet.judged(fact)
        inner = scope.inner({clause.name: Bound(fact, Truth.YES)})
        return min(truth, all_of(self.expression.truth(item.test, inner) for item in clause.where))

    def unanswered(self, clause: FactClause, sheet: Sheet) -> tuple[str, ...]:
        """What was not seen that could hold such a fact; nothing for facts of the call itself."""
        if self.look(clause).answered:
            return ()
        truth, reasons = sheet.unseen(clause.kind)
        return () if truth is Truth.NO else (reasons or (f"the {clause.kind} list",))

    def _is_answered(self, clause: FactClause) -> bool:
        """Whether no source can leave the clause open: its words are about the call itself."""
        definition = self.rulebook.definitions.get(clause.kind)
        if definition is None or definition.unseen is None:
            return True
        terms = [definition.terms.get(word) for word in clause.terms]
        return bool(terms) and all(term is not None and term.answered for term in terms)


_EMPTY = KindDefinition("medication")
