"""The facts of one chart at one moment, worked out when first asked for and then kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from cds.chart.model import (
    AllergyRecord,
    Chart,
    ConditionRecord,
    Course,
    Coverage,
    MedicationRecord,
    OperationRecord,
    Record,
    ResultRecord,
    StatementRecord,
)
from cds.engine.exposure import Exposure, Judge
from cds.engine.fact import Fact
from cds.engine.frame import Clock, Hook
from cds.engine.planned import judge_operation, same_day, topics_of
from cds.engine.properties import READERS, Reader, birthdays, words
from cds.engine.value import Count, Missing, Span, Spans, Value, Words
from cds.rulebook.model import KindDefinition, Profile, Rulebook
from cds.rulebook.syntax import paths
from cds.terminology.concept import Classification, CodeableConcept
from cds.values.moment import DayRange
from cds.values.quantity import Quantity
from cds.values.truth import Truth

_EMPTY = KindDefinition("")


class Sheet:
    """One patient at one moment: facts by kind, coverage, parameters.

    ``profiles`` and the label and term tests are compiled once per rulebook and handed in.
    """

    def __init__(
        self, chart: Chart, rulebook: Rulebook, hook: Hook, clock: Clock, words: Lexicon
    ) -> None:
        self.chart, self.rulebook, self.hook, self.clock = chart, rulebook, hook, clock
        self.lexicon = words
        self._facts: dict[str, tuple[Fact, ...]] = {}
        self._readers: dict[str, dict[str, Reader]] = {}
        self._unseen: dict[str, tuple[Truth, tuple[str, ...]]] = {}
        self._profiles: dict[str, Profile | None] = {}

    # -- facts by kind ----------------------------------------------------------------------------

    def facts(self, kind: str) -> tuple[Fact, ...]:
        """Every fact of a kind, in a stable order."""
        found = self._facts.get(kind)
        if found is None:
            found = tuple(sorted(self._build(kind), key=lambda fact: fact.key))
            self._facts[kind] = found
        return found

    def definition(self, kind: str) -> KindDefinition:
        return self.rulebook.definitions.get(kind, _EMPTY)

    def _build(self, kind: str) -> Iterable[Fact]:
        chart = self.chart
        match kind:
            case "medication":
                return [self._medication(course) for course in chart.courses]
            case "procedure":
                return self._procedures()
            case "source":
                return [
                    Fact("source", name, name, (), self.readers("source"))
                    for name, definition in self.rulebook.definitions.items()
                    if definition.unseen is not None
                ]
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
            found = {**READERS[kind], **self._contextual(kind)}
            for label in self.definition(kind).labels:
                found[label] = self._label_reader(label)
            self._readers[kind] = found
        return found

    def _contextual(self, kind: str) -> dict[str, Reader]:
        match kind:
            case "medication":
                return {
                    "because": self._because,
                    "route": self._route,
                    "says": self._says,
                    "isolated": self._isolated,
                    **{name: _profile_reader(name, self) for name in _PROFILE_VALUES},
                }
            case "procedure":
                return {
                    "ahead": self._ahead,
                    "topics": lambda fact: words(*self.topics(fact)),
                    "ordered": self._ordered,
                    "says": self._says,
                }
            case "source":
                return {"unseen": self._source_unseen, "because": self._source_because}
            case "patient":
                return {"age": self._age}
            case _:
                return {}

    def _label_reader(self, label: str) -> Reader:
        def read(fact: Fact) -> Value:
            return self.lexicon.label(self, fact, label)

        return read

    # -- medication -------------------------------------------------------------------------------

    def _medication(self, course: Course) -> Fact:
        names = [
            record.classification.name for record in course.records if record.classification.name
        ]
        name = (
            min(names, key=lambda text: (len(text), text))
            if names
            else "a medication without a name"
        )
        fact = Fact(
            "medication",
            name,
            course,
            course.records,
            self.readers("medication"),
            tuple(record.classification for record in course.records),
        )
        return fact

    def judged(self, fact: Fact) -> Fact:
        """The fact with what its course counts as; worked out once, when somebody first asks."""
        if fact.kind != "medication" or fact.exposure is not None:
            return fact
        assert isinstance(fact.subject, Course)
        definition = self.definition("medication")
        judge = Judge(definition, self.rulebook.parameters, self.clock)
        # Whether a dose stands alone changes how long it is looked back on, not its own interval.
        before = self._profile(fact, alone=False)
        fact.exposure = judge.judge(fact.subject, before)
        fact.records = tuple(reading.record for reading in fact.exposure.readings)
        fact.profile = self._profile(fact, alone=True)
        return fact

    def _profile(self, fact: Fact, *, alone: bool) -> Profile | None:
        return self.lexicon.profile(self, fact, alone=alone)

    def is_isolated(self, fact: Fact, concepts: tuple[str, ...]) -> bool:
        """Whether the course is one administration with no other dose of its class near it."""
        exposure = fact.exposure
        if exposure is None:
            return False
        given = [
            reading
            for reading in exposure.readings
            if reading.spans and reading.record.source.type == "MedicationAdministration"
        ]
        told = [reading for reading in exposure.readings if reading.spans]
        if len(given) != 1 or len(told) != 1 or given[0].status != "completed":
            return False
        spans = exposure.taken.spans
        if len(spans) != 1 or spans[0].start is None or spans[0].start != spans[0].end:
            return False
        parameter = self.rulebook.parameters.get("isolated-gap")
        if parameter is None:
            return False
        gap = int(parameter.value)
        near = Span(spans[0].start - gap, spans[0].start + gap)
        return not any(
            other is not fact and self._dosed(other, concepts, near)
            for other in self.facts("medication")
        )

    def _dosed(self, other: Fact, concepts: tuple[str, ...], near: Span) -> bool:
        if not any(other.in_concept(concept) is not Truth.NO for concept in concepts):
            return False
        exposure = self.judged(other).exposure
        assert exposure is not None
        if exposure.drafted:
            return False
        spans = (*exposure.taken.spans, *exposure.possible.spans)
        return any(_overlaps(span, near) for span in spans)

    def _isolated(self, fact: Fact) -> Value:
        return words("yes" if self.is_isolated(fact, self.lexicon.classes(fact)) else "no")

    def _because(self, fact: Fact) -> Value:
        """Why the course is no more than possible today, and what disagrees in its entries."""
        exposure = self.judged(fact).exposure
        assert exposure is not None
        found = [
            span.because
            for span in (*exposure.possible.spans, *exposure.hinted.spans)
            if span.because and span.contains(self.clock.today) is not Truth.NO
        ]
        return words(*found, *exposure.conflicts)

    def _route(self, fact: Fact) -> Value:
        """How it is taken: value sets of its routes, else the product's form, else the usual."""
        found: set[str] = set()
        for record in fact.records:
            if not isinstance(record, MedicationRecord):
                continue
            for route in record.regimen.routes if record.regimen is not None else ():
                read = self.rulebook.terminology.classify(route, "route")
                found |= {match.valueset for match in read.matches} or {"unrecognised"}
        if not found:
            found = {
                record.product.route
                for record in fact.records
                if isinstance(record, MedicationRecord)
                and record.product is not None
                and record.product.route
            }
        usual = fact.profile.values.get("usual-route", "") if fact.profile is not None else ""
        if not found and usual:
            found = {usual}
        return words(*found) if found else Missing(f"how {fact.name} is taken is not recorded")

    def _says(self, fact: Fact) -> Value:
        """Wordings of the pack in the fact's texts, and in tasks that are about it."""
        return words(*self._wordings(fact))

    def _wordings(self, fact: Fact) -> set[str]:
        found: set[str] = set()
        texts = [text for record in fact.records for text in _texts(record)]
        if fact.kind == "medication":
            texts += self._task_texts(fact)
        for text in texts:
            read = self.rulebook.terminology.classify(CodeableConcept((), text), "wording")
            found |= {match.valueset for match in read.matches}
        return found

    def _task_texts(self, fact: Fact) -> list[str]:
        """Texts of living tasks that point at the fact or name its drug."""
        sources = {str(source) for source in fact.sources}
        sets = {match.valueset for item in fact.classifications for match in item.matches}
        found = []
        for task in self.chart.tasks:
            if task.status in ("cancelled", "rejected", "entered-in-error", "failed", "draft"):
                continue
            if task.recorded is not None and task.recorded.first > self.clock.now:
                continue
            about = bool(sources & set(task.links)) or any(
                match.valueset in sets
                for text in task.texts
                for match in self.rulebook.terminology.classify(
                    CodeableConcept((), text), "medication"
                ).matches
            )
            if about:
                found += list(task.texts)
        return found

    # -- procedure --------------------------------------------------------------------------------

    def _procedures(self) -> Iterable[Fact]:
        definition = self.definition("procedure")
        for operation in self.chart.operations:
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

    def _ahead(self, fact: Fact) -> Value:
        plan = fact.plan
        if plan is None or plan.start is None:
            return Missing("its date is not recorded")
        start = plan.start
        if start.first == start.last and start.first is not None:
            return words("yes" if start.first >= self.clock.now else "no")
        if start.days.latest < self.clock.today.earliest:
            return words("no")
        if start.days.earliest >= self.clock.today.earliest:
            return words("yes")
        return Missing("whether its date has passed is not known")

    def topics(self, fact: Fact) -> dict[str, str]:
        """The pack's topics told of the operation: its own entries, and coded ones of its day."""
        plan = fact.plan
        if plan is None:
            return {}
        topics = self.definition("procedure").topics
        own = plan.living or plan.records
        found = topics_of(own, self.rulebook.terminology, topics)
        day = plan.start.days if plan.start is not None else None
        if day is not None and day.certain:
            for other in self.facts("procedure"):
                if other is not fact and other.plan is not None:
                    near = [record for record in other.plan.living if same_day(record, day)]
                    self._coded_topics(near, topics, found)
        return found

    def _coded_topics(
        self, records: Iterable[OperationRecord], topics: tuple[str, ...], found: dict[str, str]
    ) -> None:
        for record in records:
            for item in record.classifications:
                for match in item.matches:
                    if match.valueset in topics:
                        found.setdefault(match.valueset, str(record.source))

    def _ordered(self, fact: Fact) -> Value:
        """Whether a drug that tells of it is ordered for its day, or in a category for it."""
        definition = self.definition("procedure")
        day = (
            fact.plan.start.days if fact.plan is not None and fact.plan.start is not None else None
        )
        for other in self.facts("medication"):
            if not any(other.in_concept(concept) is Truth.YES for concept in definition.orders_of):
                continue
            for reading in (self.judged(other).exposure or _NO_EXPOSURE).readings:
                if reading.record.source.type != "MedicationRequest" or reading.row is None:
                    continue
                if reading.row.counts_as == "nothing" or reading.status not in ("active", "draft"):
                    continue
                if definition.order_categories & set(reading.record.categories):
                    return words("yes")
                if day is not None and day.certain and reading.interval.start == day:
                    return words("yes")
        return words("no")

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

    def reasons(self, fact: Fact, word: str) -> tuple[str, ...]:
        """Why a word is unknown of a fact."""
        return self.lexicon.reasons(self, fact, word)

    def _gaps(self, test: object) -> tuple[str, ...]:
        types = dict.fromkeys(path.field for path in paths(test) if path.name == "coverage")
        return tuple(
            f"{kind} {_GAP[state]}"
            for kind in types
            if (state := self.chart.coverage.get(kind, Coverage.ABSENT)) in _GAP
        )

    def coverage(self, kind: str) -> Words:
        return words(self.chart.coverage.get(kind, Coverage.ABSENT).value)

    def _source_unseen(self, fact: Fact) -> Value:
        truth, reasons = self.unseen(fact.name)
        if truth is Truth.UNKNOWN:
            return Missing("; ".join(reasons))
        return words("yes" if truth is Truth.YES else "no")

    def _source_because(self, fact: Fact) -> Value:
        return words(*self.unseen(fact.name)[1])

    def _age(self, _: Fact) -> Value:
        born = self.chart.patient.born
        if born is None:
            return Missing("the date of birth is not recorded")
        years = birthdays(born.days, self.clock.today)
        return Count(years.low, years.high)

    # -- numbers ----------------------------------------------------------------------------------

    def number(self, word: str) -> Value | None:
        """A parameter by name, or a number with an optional unit; None when it is neither."""
        parameter = self.rulebook.parameters.get(word)
        if parameter is not None:
            return amount(parameter.value, parameter.unit)
        head, _, unit = word.partition(" ")
        return amount(Decimal(head), unit) if head.isdigit() else None


class Lexicon:
    """What the compiler provides to a sheet: labels, profiles, whether sources were answered."""

    def label(self, sheet: Sheet, fact: Fact, label: str) -> Value:
        raise NotImplementedError

    def profile(self, sheet: Sheet, fact: Fact, *, alone: bool) -> Profile | None:
        raise NotImplementedError

    def classes(self, fact: Fact) -> tuple[str, ...]:
        raise NotImplementedError

    def unseen(self, sheet: Sheet, kind: str) -> Truth:
        raise NotImplementedError

    def reasons(self, sheet: Sheet, fact: Fact, word: str) -> tuple[str, ...]:
        raise NotImplementedError


_NO_EXPOSURE = Exposure((), Spans(()), Spans(()), Spans(()), on_hold=False, drafted=False)
_PROFILE_VALUES = ("look-back", "first-recent-day", "washout", "usual-route")
_GAP = {
    Coverage.ABSENT: "was not supplied",
    Coverage.FORBIDDEN: "was refused",
    Coverage.FAILED: "could not be retrieved",
    Coverage.TRUNCATED: "came only in part",
    Coverage.UNRESOLVED: "names a drug that could not be found",
}


def amount(value: Decimal, unit: str) -> Value:
    """A number with a unit as a value: days, hours and bare numbers are counts."""
    if unit in ("days", "hours", ""):
        return Count(value, value, unit)
    return Quantity(value, unit)


def _profile_reader(name: str, sheet: Sheet) -> Reader:
    def read(fact: Fact) -> Value:
        word = fact.profile.values.get(name, "") if fact.profile is not None else ""
        found = sheet.number(word) if word else None
        if found is not None:
            return found
        return words(word) if word else Missing(f"the pack gives {fact.name} no {name}")

    return read


def _overlaps(left: Span, right: Span) -> bool:
    """Whether two spans may share a day."""
    return _reaches(left.end, right.start) and _reaches(right.end, left.start)


def _reaches(end: DayRange | None, start: DayRange | None) -> bool:
    return end is None or start is None or end.latest >= start.earliest


def _texts(record: Record) -> list[str]:
    found = list(record.notes)
    if isinstance(record, MedicationRecord):
        found.append(record.classification.name)
        found += [record.regimen.text] if record.regimen is not None else []
    if isinstance(record, OperationRecord):
        found += list(record.texts)
    return [text for text in found if text]


def _operation_name(records: Iterable[OperationRecord], found: Iterable[Classification]) -> str:
    for record in records:
        for item in record.classifications:
            if item.name:
                return item.name
    return next((item.name for item in found if item.name), "an operation without a name")
