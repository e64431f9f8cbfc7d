"""Facts: what sentences speak of. A fact is asked for its properties by name, and by concept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from cds.chart.model import (
    AllergyRecord,
    ConditionRecord,
    Course,
    MedicationRecord,
    Operation,
    Patient,
    Record,
    ResultRecord,
    SourceRef,
    StatementRecord,
)
from cds.engine.evidence import certainty_of
from cds.engine.planned import Plan
from cds.engine.reading import Exposure
from cds.engine.steps import Step
from cds.engine.value import Missing, Value, Words
from cds.rulebook.model import PSEUDO_CONCEPTS, Profile
from cds.terminology.concept import Certainty, Classification
from cds.values.truth import Truth, known

Subject = (
    Course
    | Operation
    | ConditionRecord
    | AllergyRecord
    | ResultRecord
    | StatementRecord
    | Patient
    | Step
    | str
)


class Fact(msgspec.Struct, eq=False):
    """One thing on the chart, judged at one moment; its properties are worked out when asked."""

    kind: str
    name: str
    subject: Subject
    records: tuple[Record, ...]
    readers: Mapping[str, Callable[[Fact], Value]]
    classifications: tuple[Classification, ...] = ()
    exposure: Exposure | None = None
    plan: Plan | None = None
    profile: Profile | None = None
    _values: dict[str, Value] = msgspec.field(default_factory=dict)
    terms: dict[str, Truth] = msgspec.field(default_factory=dict)
    _concepts: Mapping[str, Truth] | None = None

    @property
    def sources(self) -> tuple[SourceRef, ...]:
        if isinstance(self.subject, Patient):
            return (SourceRef("Patient", self.subject.id),)
        return tuple(record.source for record in self.records)

    @property
    def key(self) -> str:
        """The same for the same fact, whatever else is on the chart."""
        key = self.kind + ":" + (",".join(str(source) for source in self.sources) or self.name)
        part = self.subject.part if isinstance(self.subject, ResultRecord) else ""
        return f"{key}#{part}" if part else key

    @property
    def drafts(self) -> tuple[SourceRef, ...]:
        return tuple(record.source for record in self.records if record.drafted)

    def value(self, name: str) -> Value:
        """The property; Missing with a reason when the record does not give it."""
        found = self._values.get(name)
        if found is None:
            reader = self.readers.get(name)
            found = reader(self) if reader is not None else Missing(f"{name} is not known")
            self._values[name] = found
        return found

    def told(self) -> Mapping[str, Value]:
        """The properties that somebody has asked for, as they were answered."""
        return dict(self._values)

    def forget(self, terms: Mapping[str, Truth], told: Mapping[str, Value]) -> None:
        """Keeps only these answers about its terms and its properties."""
        self.terms.clear()
        self.terms.update(terms)
        self._values.clear()
        self._values.update(told)

    def flagged(self, word: str) -> Truth:
        return known(self.profile is not None and word in self.profile.flags)

    @property
    def concepts(self) -> Mapping[str, Truth]:
        """The value sets it is of, or may be: unknown where a shape or a conflict alone says so.

        What a medication is of, it is surely of: its entries count by their certainty instead.
        """
        if self._concepts is None:
            found: dict[str, Truth] = {}
            for item in self._classified():
                for match in item.matches:
                    doubtful = self.kind != "medication" and match.certainty in _DOUBTS
                    truth = Truth.UNKNOWN if doubtful else Truth.YES
                    found[match.valueset] = max(found.get(match.valueset, truth), truth)
            self._concepts = found
        return self._concepts

    def _classified(self) -> tuple[Classification, ...]:
        """What its entries are classified as; of a medication those that existed when judged."""
        if self.kind != "medication":
            return self.classifications
        return tuple(record.classification for record in self._medications())

    def _medications(self) -> list[MedicationRecord]:
        return [record for record in self.records if isinstance(record, MedicationRecord)]

    def judged_as(self, exposure: Exposure) -> None:
        """Sets what its course counts as; entries made after the moment are no longer its own."""
        self.exposure = exposure
        records = tuple(reading.record for reading in exposure.readings)
        if len(records) != len(self.records):
            self._concepts = None
        self.records = records

    def of_class(self, concept: str) -> None:
        """Sets the class that it was made for: its records say only what they are of."""
        self._concepts = {concept: Truth.YES}

    def in_concept(self, concept: str) -> Truth:
        """Whether it is of the concept: unknown where only its shape, or a conflict, says so."""
        if self.kind == "medication" and concept in PSEUDO_CONCEPTS:
            return known(self._is_pseudo(concept))
        if self.kind == "source":
            return known(concept == self.name)
        return self.concepts.get(concept, Truth.NO)

    def doubts(self, concept: str) -> tuple[str, ...]:
        """Why it is not certain to be of the concept, in plain words; () where it is, or is not."""
        if self.in_concept(concept) is not Truth.UNKNOWN:
            return ()
        found = (item.match(concept) for item in self.classifications)
        reasons = {_DOUBTS.get(match.certainty) for match in found if match is not None}
        return tuple(f"{self.name}: {reason}" for reason in sorted(filter(None, reasons)))

    def _is_pseudo(self, concept: str) -> bool:
        records = self._medications()
        if concept == "unresolved":
            return any(not record.resolved for record in records)
        if concept == "unclassified":
            return any(record.resolved and not record.classification.readable for record in records)
        return any(record.classification.readable for record in records)


class Bound(msgspec.Struct, frozen=True):
    """A fact that a clause is or may be about."""

    fact: Fact
    truth: Truth


_DOUBTS = {
    Certainty.SHAPE: "recognised by the shape of a word only",
    Certainty.CONFLICT: "its code and its name disagree",
}


def certainty(fact: Fact) -> Words:
    """How surely the fact is what it is taken for, at best."""
    if fact.kind == "medication":
        found = {
            certainty_of(record) for record in fact.records if isinstance(record, MedicationRecord)
        }
        for best in ("code", "name", "text", "shape", "conflict"):
            if best in found:
                return Words(frozenset({best}))
        return Words(frozenset({"unknown"}))
    found = {match.certainty.value for item in fact.classifications for match in item.matches}
    return Words(frozenset(found or {"unknown"}))
