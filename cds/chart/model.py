"""A chart: one patient's record as typed facts, with what could not be seen.

Nothing here depends on the moment of judging. What a record *counts as* (current, planned, …) is
decided later, by the pack's definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

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


class SourceRef(msgspec.Struct, frozen=True, order=True):
    """Where a fact was read: ``MedicationRequest/123``.

    ``written`` is the name that the type had in an older release, where the entry came under that.
    """

    type: str
    id: str
    written: str = ""

    def __str__(self) -> str:
        return f"{self.written or self.type}/{self.id}"


Dates = Mapping[str, PartialDate]


class Record(msgspec.Struct, frozen=True):
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


class MedicationRecord(Record, frozen=True, kw_only=True):
    """One MedicationRequest, MedicationStatement, MedicationDispense or MedicationAdministration.

    ``supply`` is in days; ``quantity`` as dispensed or ordered. ``key`` names the drug for joining
    resources of one course (same ingredients, same release), "" when nothing is known of it.
    ``replaces`` are the orders whose place it takes (R4 `priorPrescription`).
    """

    classification: Classification
    resolved: bool
    product: Product | None = None
    key: str = ""
    regimen: Regimen | None = None
    supply: Decimal | None = None
    quantity: Quantity | None = None
    refills: int = 0
    links: tuple[str, ...] = ()
    reasons: Reasons = Reasons()
    replaces: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    resource: Mapping[str, object] | None = None


class Course(msgspec.Struct, frozen=True):
    """The resources that tell of one course of a drug: an order, its dispenses, what was said."""

    records: tuple[MedicationRecord, ...]


class Start(msgspec.Struct, frozen=True):
    """When an operation begins: ``low`` to ``high`` (equal when certain), ``text`` as written.

    ``flexible`` marks a period that has begun already: the day within it is not known.
    """

    date: PartialDate
    end: PartialDate | None = None


class OperationRecord(Record, frozen=True, kw_only=True):
    """One ServiceRequest, Appointment, Procedure or Encounter that may tell of an operation.

    ``specialties`` say who will be seen, ``services`` what for.
    """

    classifications: tuple[Classification, ...]
    details: tuple[Classification, ...] = ()
    services: tuple[Classification, ...] = ()
    specialties: tuple[Classification, ...] = ()
    starts: tuple[Start, ...] = ()
    texts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    code_key: str = ""
    resource: Mapping[str, object] | None = None


class Operation(msgspec.Struct, frozen=True):
    """The resources that tell of one operation."""

    records: tuple[OperationRecord, ...]


class ConditionRecord(Record, frozen=True, kw_only=True):
    """A Condition: a problem on the list, or a diagnosis of one encounter.

    ``written`` is the text of its code, "" when there is none, and ``displays`` those of its
    codings: the classification may have needed neither.
    """

    written: str = ""
    displays: tuple[str, ...] = ()
    classification: Classification


class AllergyRecord(Record, frozen=True, kw_only=True):
    """An AllergyIntolerance; what was said of the whole list is a StatementRecord."""

    classification: Classification


class ResultRecord(Record, frozen=True, kw_only=True):
    """An Observation, or one component of it, which ``part`` names ("" for the whole).

    ``value`` is an amount (a range where only its ends are known) or a date; ``answer`` a concept
    or a text; ``said`` further words of the answer. ``absent`` says why there is neither.
    ``low`` and ``high`` are the limits of what is normal.
    """

    classification: Classification
    part: str = ""
    value: Quantity | AmountRange | PartialDate | None = None
    answer: Classification | None = None
    said: tuple[str, ...] = ()
    absent: str = ""
    interpretation: tuple[str, ...] = ()
    interpreted: Classification | None = None
    low: Quantity | AmountRange | None = None
    high: Quantity | AmountRange | None = None


class StatementRecord(Record, frozen=True, kw_only=True):
    """An entry that says something of a list: "none known", "no information"."""

    classification: Classification


class TaskRecord(Record, frozen=True, kw_only=True):
    """A Task: its words, what it is about."""

    texts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


class Patient(msgspec.Struct, frozen=True):
    """The person. ``deceased`` is True, False or the date of death."""

    id: str
    born: PartialDate | None = None
    deceased: PartialDate | bool = False
    sex: str = ""


class Chart(msgspec.Struct, frozen=True):
    """One patient's record. ``coverage`` says per resource type what was looked at."""

    patient: Patient
    courses: tuple[Course, ...] = ()
    operations: tuple[Operation, ...] = ()
    conditions: tuple[ConditionRecord, ...] = ()
    allergies: tuple[AllergyRecord, ...] = ()
    results: tuple[ResultRecord, ...] = ()
    statements: tuple[StatementRecord, ...] = ()
    tasks: tuple[TaskRecord, ...] = ()
    coverage: Mapping[str, Coverage] = msgspec.field(default_factory=dict)
    ignored: Mapping[str, int] = msgspec.field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
