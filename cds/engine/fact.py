"""Facts: what sentences speak of. A fact is asked for its properties by name, and by concept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
from cds.engine.exposure import Exposure
from cds.engine.planned import Plan
from cds.engine.value import Missing, Value, Words
from cds.rulebook.model import Profile
from cds.terminology.concept import Certainty, Classification
from cds.values.truth import Truth, any_of, known

Subject = (
    Course
    | Operation
    | ConditionRecord
    | AllergyRecord
    | ResultRecord
    | StatementRecord
    | Patient
    | str
)


@dataclass(slots=True, eq=False)
class Fact:
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
    _values: dict[str, Value] = field(default_factory=dict)
    terms: dict[str, Truth] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[SourceRef, ...]:
        return tuple(record.source for record in self.records)

    @property
    def key(self) -> str:
        """The same for the same fact, whatever else is on the chart."""
        return self.kind + ":" + (",".join(str(source) for source in self.sources) or self.name)

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

    def flagged(self, word: str) -> Truth:
        return known(self.profile is not None and word in self.profile.flags)

    def in_concept(self, concept: str) -> Truth:
        """Whether it is of the concept: unknown where only its shape, or a conflict, says so."""
        if self.kind == "medication":
            return self._medication_in(concept)
        if self.kind == "source":
            return known(concept == self.name)
        return any_of(_membership(item, concept) for item in self.classifications)

    def _medication_in(self, concept: str) -> Truth:
        records = [record for record in self.records if isinstance(record, MedicationRecord)]
        if concept == "unresolved":
            return known(any(not record.resolved for record in records))
        if concept == "unclassified":
            return known(
                any(record.resolved and not record.classification.readable for record in records)
            )
        if concept == "classified":
            return known(any(record.classification.readable for record in records))
        return known(any(record.classification.match(concept) for record in records))


def _membership(classification: Classification, concept: str) -> Truth:
    match = classification.match(concept)
    if match is None:
        return Truth.NO
    return Truth.UNKNOWN if match.certainty in (Certainty.SHAPE, Certainty.CONFLICT) else Truth.YES


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
