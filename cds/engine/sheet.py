"""The facts of one chart at one moment, worked out when first asked for and then kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache

from cds.chart.model import (
    AllergyRecord,
    Chart,
    ConditionRecord,
    Course,
    Coverage,
    MedicationRecord,
    OperationRecord,
    ResultRecord,
    StatementRecord,
)
from cds.engine.exposure import Judge, exists
from cds.engine.fact import Bound, Fact
from cds.engine.frame import Clock, Hook
from cds.engine.planned import judge_operation, with_bookings
from cds.engine.properties import READERS
from cds.engine.record import Reader, words
from cds.engine.steps import Taken, dose_steps
from cds.engine.value import Moment, Value, Words, amount
from cds.rulebook.model import KindDefinition, Profile, Rulebook
from cds.rulebook.syntax import paths
from cds.terminology.concept import Classification
from cds.values.truth import Truth

_EMPTY = KindDefinition("")


class Sheet:
    """One patient at one moment: facts by kind, coverage, parameters.

    What the rulebook makes of them is compiled once and handed in as ``words``.
    """

    def __init__(
        self, chart: Chart, rulebook: Rulebook, hook: Hook, clock: Clock, words: Lexicon
    ) -> None:
        self.chart, self.rulebook, self.hook, self.clock = chart, rulebook, hook, clock
        self.lexicon = words
        self.now = Moment(clock.today, clock.now, clock.now)
        self.bound: dict[int, tuple[Bound, ...]] = {}
        self.told_of_days: dict[date, dict[str, dict[str, str]]] | None = None
        self.passed: dict[int, tuple[Fact, ...]] = {}
        self.doubts: dict[tuple[Fact, str], tuple[str, ...]] = {}
        self._facts: dict[str, tuple[Fact, ...]] = {}
        self._by_concept: dict[str, dict[str, tuple[Fact, ...]]] = {}
        self._readers: dict[str, dict[str, Reader]] = {}
        self._unseen: dict[str, tuple[Truth, tuple[str, ...]]] = {}

    # -- facts by kind ----------------------------------------------------------------------------

    def facts(self, kind: str) -> tuple[Fact, ...]:
        """Every fact of a kind, in a stable order."""
        found = self._facts.get(kind)
        if found is None:
            found = tuple(sorted(self._build(kind), key=lambda fact: fact.key))
            self._facts[kind] = found
        return found

    def kinds(self) -> tuple[str, ...]:
        """The kinds of which the facts have been asked for."""
        return tuple(self._facts)

    def of_concept(self, kind: str, concept: str) -> tuple[Fact, ...]:
        """The facts of a kind that are, or may be, of a value set; in the order of `facts`."""
        index = self._by_concept.get(kind)
        if index is None:
            lists: dict[str, list[Fact]] = {}
            for fact in self.facts(kind):
                for name in fact.concepts:
                    lists.setdefault(name, []).append(fact)
            index = {name: tuple(found) for name, found in lists.items()}
            self._by_concept[kind] = index
        return index.get(concept, ())

    def definition(self, kind: str) -> KindDefinition:
        return self.rulebook.definitions.get(kind, _EMPTY)

    def _build(self, kind: str) -> Iterable[Fact]:
        chart = self.chart
        match kind:
            case "medication":
                return self._medications()
            case "procedure":
                return self._procedures()
            case "source":
                return [
                    Fact("source", name, name, (), self.readers("source"))
                    for name, definition in self.rulebook.definitions.items()
                    if definition.unseen is not None
                ]
            case "dose-step":
                return self._steps()
            case "patient":
                return [Fact("patient", "patient", chart.patient, (), self.readers("patient"))]
            case _:
                return self._plain(kind)

    def _plain(self, kind: str) -> Iterable[Fact]:
        chart = self.chart
        known: dict[
            str, tuple[ConditionRecord | AllergyRecord | ResultRecord | StatementRecord, ...]
        ] = {
            "condition": chart.conditions,
            "allergy": chart.allergies,
            "result": chart.results,
            "statement": chart.statements,
        }
        for record in known[kind]:
            if record.recorded is not None and record.recorded.first > self.clock.now:
                continue
            found = record.classification
            name = found.name or str(record.source)
            yield Fact(kind, name, record, (record,), self.readers(kind), (found,))

    def readers(self, kind: str) -> Mapping[str, Reader]:
        """The property readers of a kind with those that need this sheet."""
        found = self._readers.get(kind)
        if found is None:
            found = {**READERS[kind], **self.lexicon.readers(self, kind)}
            for label in self.definition(kind).labels:
                found[label] = self._label_reader(label)
            self._readers[kind] = found
        return found

    def _label_reader(self, label: str) -> Reader:
        def read(fact: Fact) -> Value:
            return self.lexicon.label(self, fact, label)

        return read

    # -- medication -------------------------------------------------------------------------------

    def _medications(self) -> Iterator[Fact]:
        """A fact for each course of which an entry was on the record at the moment."""
        for course in self.chart.courses:
            records = tuple(record for record in course.records if exists(record, self.clock))
            if records:
                yield self._medication(course, records)

    def _medication(self, course: Course, records: tuple[MedicationRecord, ...]) -> Fact:
        names = [record.classification.name for record in records if record.classification.name]
        name = (
            min(names, key=lambda text: (len(text), text))
            if names
            else "a medication without a name"
        )
        return Fact(
            "medication",
            name,
            course,
            records,
            self.readers("medication"),
            tuple(record.classification for record in records),
        )

    def judged(self, fact: Fact) -> Fact:
        """The fact with what its course counts as; worked out once, when somebody first asks."""
        if fact.kind != "medication" or fact.exposure is not None:
            return fact
        assert isinstance(fact.subject, Course)
        definition = self.definition("medication")
        judge = Judge(definition, self.rulebook.parameters, self.clock)
        # Whether a dose stands alone changes how long it is looked back on, not its own interval.
        before = self._profile(fact, alone=False)
        fact.judged_as(judge.judge(fact.subject, before))
        alone = self.lexicon.may_stand_alone(fact)
        fact.profile = self._profile(fact, alone=True) if alone else before
        return fact

    def _profile(self, fact: Fact, *, alone: bool) -> Profile | None:
        return self.lexicon.profile(self, fact, alone=alone)

    def _steps(self) -> Iterator[Fact]:
        """The steps that drafts make, of each class of drug of which a rule asks for them."""
        parameter = self.rulebook.parameters.get(self.definition("dose-step").first_after)
        first_after = int(parameter.value) if parameter is not None else None
        for concept in _stepped(self.rulebook):
            facts = self.of_concept("medication", concept)
            if not any(fact.drafts for fact in facts):
                continue
            courses = [self._taken(fact) for fact in facts]
            for step in dose_steps(courses, first_after, self.unseen("medication")[1]):
                fact = Fact("dose-step", step.name, step, step.records, self.readers("dose-step"))
                fact.of_class(concept)
                yield fact

    def _taken(self, fact: Fact) -> Taken:
        exposure = self.judged(fact).exposure
        assert exposure is not None
        start = fact.value("start") if exposure.drafted else self.now
        return Taken(exposure, start.days if isinstance(start, Moment) else self.clock.today)

    # -- procedure --------------------------------------------------------------------------------

    def _procedures(self) -> Iterable[Fact]:
        definition = self.definition("procedure")
        for operation in with_bookings(self.chart.operations, definition):
            plan = judge_operation(operation, definition, self.clock)
            if not plan.entries:
                continue
            records = plan.living or plan.records
            found = tuple(
                item for record in records for item in (*record.classifications, *record.services)
            )
            fact = Fact(
                "procedure",
                _operation_name(records, found),
                operation,
                records,
                self.readers("procedure"),
                found,
            )
            fact.plan = plan
            yield fact

    # -- sources and patient ----------------------------------------------------------------------

    def unseen(self, kind: str) -> tuple[Truth, tuple[str, ...]]:
        """Whether the sources of a kind of fact were not answered, and which, in plain words."""
        found = self._unseen.get(kind)
        if found is None:
            sentence = self.definition(kind).unseen
            # The sentence may itself ask for facts of this kind: they must not wait for its answer.
            self._unseen[kind] = Truth.NO, ()
            if sentence is None:
                found = Truth.NO, ()
            else:
                truth = self.lexicon.unseen(self, kind)
                reasons = self._gaps(sentence.test) if truth is not Truth.NO else ()
                found = truth, reasons
            self._unseen[kind] = found
        return found

    def told_unseen(self, kind: str) -> Truth | None:
        """What `unseen` has answered before; None where nobody asked."""
        found = self._unseen.get(kind)
        return found[0] if found is not None else None

    def reasons(self, fact: Fact, word: str) -> tuple[str, ...]:
        """Why a word is unknown of a fact; kept, since many rules ask the same."""
        found = self.doubts.get((fact, word))
        if found is None:
            found = self.doubts[fact, word] = self.lexicon.reasons(self, fact, word)
        return found

    def _gaps(self, test: object) -> tuple[str, ...]:
        types = dict.fromkeys(path.field for path in paths(test) if path.name == "coverage")
        return tuple(
            f"{kind} {_GAP[state]}"
            for kind in types
            if (state := self.chart.coverage.get(kind, Coverage.ABSENT)) in _GAP
        )

    def coverage(self, kind: str) -> Words:
        return words(self.chart.coverage.get(kind, Coverage.ABSENT).value)

    # -- numbers ----------------------------------------------------------------------------------

    def number(self, word: str) -> Value | None:
        """A parameter by name, or a number with an optional unit; None when it is neither."""
        parameter = self.rulebook.parameters.get(word)
        if parameter is not None:
            return amount(parameter.value, parameter.unit)
        head, _, unit = word.partition(" ")
        return amount(Decimal(head), unit) if head.isdigit() else None


class Lexicon:
    """What the rulebook provides to a sheet: property readers that need it, labels, profiles.

    ``may_stand_alone`` says whether a fact's profile can depend on what else was given;
    ``unseen`` says whether the sources of a kind of fact were answered, ``reasons`` why a word is
    unknown of a fact.
    """

    def readers(self, sheet: Sheet, kind: str) -> dict[str, Reader]:
        raise NotImplementedError

    def label(self, sheet: Sheet, fact: Fact, label: str) -> Value:
        raise NotImplementedError

    def profile(self, sheet: Sheet, fact: Fact, *, alone: bool) -> Profile | None:
        raise NotImplementedError

    def may_stand_alone(self, fact: Fact) -> bool:
        raise NotImplementedError

    def unseen(self, sheet: Sheet, kind: str) -> Truth:
        raise NotImplementedError

    def reasons(self, sheet: Sheet, fact: Fact, word: str) -> tuple[str, ...]:
        raise NotImplementedError


_GAP = {
    Coverage.ABSENT: "was not supplied",
    Coverage.FORBIDDEN: "was refused",
    Coverage.FAILED: "could not be retrieved",
    Coverage.TRUNCATED: "came only in part",
    Coverage.UNRESOLVED: "names a drug that could not be found",
}


@lru_cache(maxsize=8)
def _stepped(rulebook: Rulebook) -> tuple[str, ...]:
    """The classes of which a rule asks for steps of the dose. (The rulebook counts by identity.)"""
    clauses = [clause for rule in rulebook.rules for clause in rule.facts]
    found = (name for item in clauses if item.kind == "dose-step" for name in item.concepts)
    return tuple(dict.fromkeys(found))


def _operation_name(records: Sequence[OperationRecord], found: Iterable[Classification]) -> str:
    for record in records:
        for item in record.classifications:
            if item.name:
                return item.name
    named = (*found, *(item for record in records for item in record.specialties))
    return next((item.name for item in named if item.name), "an operation without a name")
