"""A chart: one patient's record as typed facts, with what could not be seen.

Nothing here depends on the moment of judging. What a record *counts as* (current, planned, …) is
decided later, by the pack's definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from cds.chart.dosage import Regimen
from cds.chart.reason import Reasons
from cds.terminology.concept import Classification, Product
from cds.values.amounts import AmountRange
from cds.values.moment import PartialDate
from cds.values.problem import Problem
from cds.values.quantity import Quantity


class Coverage(StrEnum):
    """What is known of one resource type: the coverage manifest."""

    SUPPLIED = "supplied"
    EMPTY = "empty"
    ABSENT = "absent"
    FORBIDDEN = "forbidden"
    FAILED = "failed"
    TRUNCATED = "truncated"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True, order=True)
class SourceRef:
    """Where a fact was read: ``MedicationRequest/123``."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


Dates = Mapping[str, PartialDate]


@dataclass(frozen=True, slots=True)
class Record:
    """What every resource on the chart has. ``status`` is FHIR's code, "unknown" when absent.

    ``attributes`` are further words that the pack's evidence tables may ask for (`intent`,
    `prohibited`, …); ``recorded`` is when it came to be on the record, None when that is not said.
    """

    source: SourceRef
    status: str
    recorded: PartialDate | None
    attributes: Mapping[str, str]
    dates: Dates
    modifiers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    drafted: bool = False


@dataclass(frozen=True, slots=True)
class MedicationRecord(Record):
    """One MedicationRequest, MedicationStatement, MedicationDispense or MedicationAdministration.

    ``supply`` is in days; ``quantity`` as dispensed or ordered. ``key`` names the drug for joining
    resources of one course (same ingredients, same release), "" when nothing is known of it.
    ``replaces`` are the orders whose place it takes (R4 `priorPrescription`).
    """

    classification: Classification = field(kw_only=True)
    resolved: bool = field(kw_only=True)
    product: Product | None = field(default=None, kw_only=True)
    key: str = field(default="", kw_only=True)
    regimen: Regimen | None = field(default=None, kw_only=True)
    supply: Decimal | None = field(default=None, kw_only=True)
    quantity: Quantity | None = field(default=None, kw_only=True)
    refills: int = field(default=0, kw_only=True)
    links: tuple[str, ...] = field(default=(), kw_only=True)
    reasons: Reasons = field(default=Reasons(), kw_only=True)
    replaces: tuple[str, ...] = field(default=(), kw_only=True)
    categories: tuple[str, ...] = field(default=(), kw_only=True)
    resource: Mapping[str, object] | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Course:
    """The resources that tell of one course of a drug: an order, its dispenses, what was said."""

    records: tuple[MedicationRecord, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """When an operation begins: ``low`` to ``high`` (equal when certain), ``text`` as written.

    ``flexible`` marks a period that has begun already: the day within it is not known.
    """

    date: PartialDate
    end: PartialDate | None = None


@dataclass(frozen=True, slots=True)
class OperationRecord(Record):
    """One ServiceRequest, Appointment, Procedure or Encounter that may tell of an operation.

    ``specialties`` say who will be seen, ``services`` what for.
    """

    classifications: tuple[Classification, ...] = field(kw_only=True)
    details: tuple[Classification, ...] = field(default=(), kw_only=True)
    services: tuple[Classification, ...] = field(default=(), kw_only=True)
    specialties: tuple[Classification, ...] = field(default=(), kw_only=True)
    starts: tuple[Start, ...] = field(default=(), kw_only=True)
    texts: tuple[str, ...] = field(default=(), kw_only=True)
    links: tuple[str, ...] = field(default=(), kw_only=True)
    identifiers: tuple[str, ...] = field(default=(), kw_only=True)
    code_key: str = field(default="", kw_only=True)
    resource: Mapping[str, object] | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """The resources that tell of one operation."""

    records: tuple[OperationRecord, ...]


@dataclass(frozen=True, slots=True)
class ConditionRecord(Record):
    """A Condition: a problem on the list, or a diagnosis of one encounter.

    ``written`` is the text of its code, "" when there is none, and ``displays`` those of its
    codings: the classification may have needed neither.
    """

    written: str = field(default="", kw_only=True)
    displays: tuple[str, ...] = field(default=(), kw_only=True)
    classification: Classification = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class AllergyRecord(Record):
    """An AllergyIntolerance; what was said of the whole list is a StatementRecord."""

    classification: Classification = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class ResultRecord(Record):
    """An Observation, or one component of it, which ``part`` names ("" for the whole).

    ``value`` is an amount (a range where only its ends are known) or a date; ``answer`` a concept
    or a text; ``said`` further words of the answer. ``absent`` says why there is neither.
    ``low`` and ``high`` are the limits of what is normal.
    """

    classification: Classification = field(kw_only=True)
    part: str = field(default="", kw_only=True)
    value: Quantity | AmountRange | PartialDate | None = field(default=None, kw_only=True)
    answer: Classification | None = field(default=None, kw_only=True)
    said: tuple[str, ...] = field(default=(), kw_only=True)
    absent: str = field(default="", kw_only=True)
    interpretation: tuple[str, ...] = field(default=(), kw_only=True)
    interpreted: Classification | None = field(default=None, kw_only=True)
    low: Quantity | AmountRange | None = field(default=None, kw_only=True)
    high: Quantity | AmountRange | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class StatementRecord(Record):
    """An entry that says something of a list: "none known", "no information"."""

    classification: Classification = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class TaskRecord(Record):
    """A Task: its words, what it is about."""

    texts: tuple[str, ...] = field(default=(), kw_only=True)
    links: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Patient:
    """The person. ``deceased`` is True, False or the date of death."""

    id: str
    born: PartialDate | None = None
    deceased: PartialDate | bool = False
    sex: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """One patient's record. ``coverage`` says per resource type what was looked at."""

    patient: Patient
    courses: tuple[Course, ...] = ()
    operations: tuple[Operation, ...] = ()
    conditions: tuple[ConditionRecord, ...] = ()
    allergies: tuple[AllergyRecord, ...] = ()
    results: tuple[ResultRecord, ...] = ()
    statements: tuple[StatementRecord, ...] = ()
    tasks: tuple[TaskRecord, ...] = ()
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
