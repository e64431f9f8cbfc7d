"""Bytes of one input into charts, one per patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from cds.chart.courses import join_courses
from cds.chart.fields import Json, as_text
from cds.chart.finding import (
    read_allergy,
    read_condition,
    read_patient,
    read_result,
    read_statement,
    read_task,
)
from cds.chart.intake import Call, Intake, Submission, read_call_intake, read_intake
from cds.chart.medication import (
    MEDICATION_TYPES,
    Reading,
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
from cds.chart.version import Entry
from cds.terminology.terminology import Terminology
from cds.values.problem import Place, Problem, Severity


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of one input, what the call asked (hook requests only), and its problems."""

    charts: tuple[Chart, ...]
    call: Call | None
    problems: tuple[Problem, ...]


def read_charts(
    data: bytes,
    name: str,
    terminology: Terminology,
    zone: ZoneInfo,
    understood: Mapping[str, frozenset[str]] | None = None,
) -> Charts:
    """The charts in ``data``. Never raises: what cannot be read is a problem, the rest goes on.

    ``understood`` lists, per kind of fact, the modifier extensions that the pack understands.
    """
    return _charts(read_intake(data, name), name, terminology, zone, understood)


def read_call(
    request: Json,
    name: str,
    terminology: Terminology,
    zone: ZoneInfo,
    understood: Mapping[str, frozenset[str]] | None = None,
) -> Charts:
    """The chart of a CDS Hooks request that is decoded already. Never raises."""
    return _charts(read_call_intake(request, name), name, terminology, zone, understood)


def _charts(
    intake: Intake,
    name: str,
    terminology: Terminology,
    zone: ZoneInfo,
    understood: Mapping[str, frozenset[str]] | None,
) -> Charts:
    reading = Reading(terminology, intake.index, zone, understood or {})
    charts = tuple(_chart(submission, reading, name) for submission in intake.submissions)
    return Charts(charts, intake.call, _problems(intake))


def _problems(intake: Intake) -> tuple[Problem, ...]:
    return tuple(sorted(set(intake.problems)))


class _Sheets:
    """The records of one patient while they are being read."""

    def __init__(self) -> None:
        self.medications: list[MedicationRecord] = []
        self.operations: list[OperationRecord] = []
        self.conditions: list[ConditionRecord] = []
        self.allergies: list[AllergyRecord] = []
        self.results: list[ResultRecord] = []
        self.statements: list[StatementRecord] = []
        self.tasks: list[TaskRecord] = []

    def read(self, entry: Entry, reading: Reading) -> None:
        resource = entry.resource
        kind = as_text(resource.get("resourceType"))
        if kind in MEDICATION_TYPES:
            found = read_list_statement(resource, reading)
            if found is not None:
                self.statements.append(read_statement(resource, reading, found))
            else:
                self.medications.append(read_medication(resource, reading, drafted=entry.drafted))
        elif kind in OPERATION_TYPES:
            self.operations.append(read_operation(resource, reading, drafted=entry.drafted))
        elif kind == "Condition":
            self.conditions.append(read_condition(resource, reading))
        elif kind == "AllergyIntolerance":
            self.allergies.append(read_allergy(resource, reading))
        elif kind == "Observation":
            self.results.append(read_result(resource, reading))
        elif kind == "Task":
            self.tasks.append(read_task(resource, reading))


def _chart(submission: Submission, reading: Reading, name: str) -> Chart:
    sheets = _Sheets()
    problems = list(submission.problems)
    for entry in submission.entries:
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
    if submission.person is None:
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
        problems=tuple(sorted(set(problems))),
    )


def _coverage(submission: Submission, medications: list[MedicationRecord]) -> dict[str, Coverage]:
    """The manifest; a type with a medication that could not be found is *unresolved*."""
    coverage = dict(submission.coverage)
    for record in medications:
        lost = not record.resolved and not record.drafted
        if lost and coverage.get(record.source.type) in (Coverage.SUPPLIED, None):
            coverage[record.source.type] = Coverage.UNRESOLVED
    return coverage
