"""Bytes of one input into charts, one per patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import msgspec

from cds.chart.courses import join_courses
from cds.chart.document import Documents, flatten, read_text, unpack, unusable
from cds.chart.fields import Json, unreadable_dates
from cds.chart.finding import (
    CLASSIFIED_AS,
    read_allergy,
    read_condition,
    read_patient,
    read_statement,
    read_task,
    substance_of,
)
from cds.chart.intake import Call, Intake, Submission
from cds.chart.interest import EVERYTHING, UNCLASSIFIED, Interest
from cds.chart.lazy import parse_lazily
from cds.chart.medication import (
    MEDICATION_TYPES,
    Reading,
    medication_of,
    read_list_statement,
    read_medication,
)
from cds.chart.model import (
    AllergyRecord,
    Chart,
    ConditionRecord,
    Coverage,
    MedicationRecord,
    OperationRecord,
    ResultRecord,
    StatementRecord,
    TaskRecord,
)
from cds.chart.operation import OPERATION_TYPES, join_operations, read_operation
from cds.chart.record import take_record, take_sifted
from cds.chart.references import identity
from cds.chart.release import oddities, type_of
from cds.chart.request import take_request
from cds.chart.result import read_results
from cds.chart.sieve import Asked, sift
from cds.chart.version import Entry
from cds.terminology.concept import Classification
from cds.terminology.terminology import Terminology
from cds.values.problem import Place, Problem, Severity


class Charts(msgspec.Struct, frozen=True):
    """The charts of one input, what the call asked (hook requests only), and its problems."""

    charts: tuple[Chart, ...]
    call: Call | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads inputs into charts with the words of a pack, in the site's zone.

    ``understood`` lists, per kind of fact, the modifier extensions that the pack understands;
    ``interest`` what of a record is read at all. No method raises: what cannot be read is a
    problem, the rest goes on.
    """

    terminology: Terminology
    zone: ZoneInfo
    understood: Mapping[str, frozenset[str]] = field(default_factory=dict)
    interest: Interest = EVERYTHING
    asked: Asked = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", Asked(self.terminology))

    def read(self, data: bytes, name: str) -> Charts:
        """The charts of an input, one per patient; ``name`` is the input as the user named it."""
        intake = Intake()
        try:
            text = unpack(data)
        except ValueError as error:
            intake.problems.append(unusable(error, name))
            return self._charts(intake, name)
        try:
            sieve = sift(parse_lazily(text), self.interest, self.asked, exact=False)
            if sieve is not None:
                take_sifted(sieve, name, intake)
            else:
                self._take(read_text(text, name), name, intake)
        except RecursionError:
            # A hair less deep than what the decoder itself refuses.
            intake = Intake()
            problem = Problem(Place(name), "nested too deeply", "flatter JSON", "json")
            intake.problems.append(problem)
        return self._charts(intake, name)

    def read_request(self, request: Json, name: str) -> Charts:
        """The chart of a CDS Hooks request that is decoded already (fractions as Decimal)."""
        intake = Intake()
        take_request(request, name, intake, self.interest, self.asked)
        return self._charts(intake, name)

    def _take(self, documents: Documents, name: str, intake: Intake) -> None:
        """Takes documents that were read in full: a hook request, or any shape of record."""
        intake.problems.merge(documents.problems)
        roots = [root for value, _ in documents.values for root in flatten(value)]
        if len(roots) == 1 and "hook" in roots[0] and "resourceType" not in roots[0]:
            take_request(roots[0], name, intake, self.interest, self.asked)
        else:
            take_record(documents, name, intake, self.interest, self.asked)
        if not intake.submissions and not intake.problems:
            what = "the input holds no resources"
            intake.problems.append(Problem(Place(name), what, "a record of a patient", "input"))

    def _charts(self, intake: Intake, name: str) -> Charts:
        reading = Reading(self.terminology, intake.index, self.zone, self.understood)
        charts = tuple(
            _chart(submission, reading, name, self.interest) for submission in intake.submissions
        )
        return Charts(charts, intake.call, intake.problems.told(name))


class _Sheets:
    """The records of one patient while they are being read."""

    def __init__(self, submission: Submission, interest: Interest) -> None:
        self.submission, self.interest = submission, interest
        self.medications: list[MedicationRecord] = []
        self.operations: list[OperationRecord] = []
        self.conditions: list[ConditionRecord] = []
        self.allergies: list[AllergyRecord] = []
        self.results: list[ResultRecord] = []
        self.statements: list[StatementRecord] = []
        self.tasks: list[TaskRecord] = []

    def read(self, entry: Entry, reading: Reading) -> None:
        resource = entry.resource
        kind = entry.kind
        if kind in MEDICATION_TYPES:
            named = medication_of(resource)
            found = read_list_statement(named[0], reading)
            if found is not None:
                self.statements.append(read_statement(resource, reading, found))
            else:
                self.medications.append(
                    read_medication(resource, reading, named, drafted=entry.drafted)
                )
        elif kind in OPERATION_TYPES:
            self.operations.append(read_operation(resource, reading, drafted=entry.drafted))
        elif kind in CLASSIFIED_AS:
            self._read_classified(kind, resource, reading)
        elif kind == "Task":
            self.tasks.append(read_task(resource, reading))

    def _read_classified(self, kind: str, resource: Json, reading: Reading) -> None:
        """An entry that rules ask for by value set alone is read only if it is in one."""
        listed = kind in self.interest.classified

        def wanted(found: Classification) -> bool:
            return bool(found.matches) or not listed

        if kind == "Condition" and wanted(reading.classify(resource, "condition")):
            self.conditions.append(read_condition(resource, reading))
        elif kind == "AllergyIntolerance" and wanted(substance_of(resource, reading)):
            self.allergies.append(read_allergy(resource, reading))
        elif kind == "Observation" and (results := read_results(resource, reading, wanted)):
            self.results += results
        else:
            self.submission.ignore(kind, UNCLASSIFIED)


def _chart(submission: Submission, reading: Reading, name: str, interest: Interest) -> Chart:
    sheets = _Sheets(submission, interest)
    problems = submission.problems
    for entry in submission.entries:
        problems.extend(_odd(entry, name))
        problems.extend(_undated(entry.resource, name, reading.zone))
        try:
            sheets.read(entry, reading)
        except (
            ValueError,
            TypeError,
            ArithmeticError,
            AttributeError,
            KeyError,
            RecursionError,
        ) as error:
            # One bad resource never stops the rest; the class of the error says enough, its text
            # might quote the record.
            where = Place(
                name, resource=f"{entry.resource.get('resourceType')}/{entry.resource.get('id')}"
            )
            what = f"could not be read ({type(error).__name__})"
            problems.append(Problem(where, what, "a FHIR R4 resource", "resource"))
    patient = read_patient(submission.person, submission.patient, reading)
    if submission.person is not None:
        problems.extend(_undated(submission.person, name, reading.zone))
    else:
        what = "no Patient resource: age, sex and death are unknown"
        where = Place(name, resource=f"Patient/{submission.patient}")
        problems.append(Problem(where, what, "the Patient", "patient", Severity.WARNING))
    return Chart(
        patient=patient,
        courses=join_courses(sheets.medications),
        operations=join_operations(sheets.operations),
        conditions=tuple(sheets.conditions),
        allergies=tuple(sheets.allergies),
        results=tuple(sheets.results),
        statements=tuple(sheets.statements),
        tasks=tuple(sheets.tasks),
        coverage=_coverage(submission, sheets.medications),
        ignored=dict(sorted(submission.ignored.items())),
        problems=problems.told(name),
    )


def _odd(entry: Entry, name: str) -> Iterator[Problem]:
    """What of an entry is as an older release of FHIR has it, or no release, and was read."""
    for what in oddities(entry.resource):
        where = Place(name, resource=identity(entry.resource) or entry.kind)
        yield Problem(where, what, "FHIR R4", "shape", Severity.INFO)


def _undated(resource: Json, name: str, zone: ZoneInfo) -> Iterator[Problem]:
    """The dates of a resource that could not be read; their text might say more than it should."""
    dates = unreadable_dates(resource, zone)
    if dates:
        where = Place(name, resource=identity(resource) or type_of(resource))
        what = f"{', '.join(dates)}: no date of FHIR, read as if it were not recorded"
        accepted = "YYYY, YYYY-MM, YYYY-MM-DD or an instant with offset"
        yield Problem(where, what, accepted, "date", Severity.WARNING)


def _coverage(submission: Submission, medications: list[MedicationRecord]) -> dict[str, Coverage]:
    """The manifest; a type with a medication that could not be found is *unresolved*."""
    coverage = dict(submission.coverage)
    for record in medications:
        lost = not record.resolved and not record.drafted
        if lost and coverage.get(record.source.type) in (Coverage.SUPPLIED, None):
            coverage[record.source.type] = Coverage.UNRESOLVED
    return coverage
