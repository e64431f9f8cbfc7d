"""What comes of a chunk of an audit: judged charts as lines for the files, and counts."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from cds.audit.line import finding_line, problem_line, told_findings
from cds.audit.orders import Pad
from cds.audit.tally import Tally
from cds.audit.timeline import patient_line
from cds.cards.judge import Judged, Setting, judge
from cds.cards.wire import encode
from cds.chart.model import Chart
from cds.chart.reader import Charts
from cds.values.problem import Place, Problem, Severity

NOT_JUDGED = ("engine", "internal", "memory", "worker")
"""Kinds of problem that somebody, or something of theirs, was not judged for."""


class Outcome(msgspec.Struct):
    """What came of a chunk: lines for the files, and counts.

    ``patients`` are lines for the report alone: what it shows of each patient with a finding.
    """

    findings: list[bytes] = msgspec.field(default_factory=list)
    problems: list[bytes] = msgspec.field(default_factory=list)
    disagreements: list[bytes] = msgspec.field(default_factory=list)
    patients: list[bytes] = msgspec.field(default_factory=list)
    tally: Tally = msgspec.field(default_factory=Tally)

    def tell(self, problem: Problem, name: str, patient: str = "", line: int = 0) -> None:
        """Adds a problem; a ``line`` is that of the record where the problem names none."""
        if line and not problem.where.line:
            problem = replace(problem, where=problem.where.on(line))
        self.problems.append(problem_line(problem, name, patient))
        self.tally.add_problem(problem)

    def merge(self, other: Outcome) -> None:
        """Adds what came of a later chunk."""
        self.findings += other.findings
        self.problems += other.problems
        self.disagreements += other.disagreements
        self.patients += other.patients
        self.tally.merge(other.tally)

    def judge(self, charts: Charts, name: str, setting: Setting, line: int = 0) -> None:
        """Judges each chart; one that cannot be judged does not stop the next.

        ``line`` is where the record stands in a file of records, a line each; else 0.
        """
        if not charts.charts:
            for problem in charts.problems:
                self.tell(problem, name, line=line)
        problems = charts.problems
        for chart in charts.charts:
            one = Charts((chart,), charts.call, problems)
            try:
                self._judge_one(one, name, setting, line)
            except Exception as error:  # noqa: BLE001 - one bad record never stops the rest
                where = Place(name, resource=f"Patient/{chart.patient.id}")
                self.tell(not_judged(where, error), name, chart.patient.id, line)
            problems = ()

    def _judge_one(self, charts: Charts, name: str, setting: Setting, line: int) -> None:
        if setting.every:
            self._judge_orders(charts, name, setting, line)
            return
        for item in judge(charts, name, setting):
            self._take(item, setting, line)
            self._close(item.answer.review.chart, name, set(item.answer.review.unclassified), line)

    def _judge_orders(self, charts: Charts, name: str, setting: Setting, line: int) -> None:
        (chart,) = charts.charts
        patient = chart.patient.id
        if setting.patient and patient != setting.patient.removeprefix("Patient/"):
            return
        pad = Pad.of(chart, name, setting)
        for problem in sorted({*charts.problems, *chart.problems, *pad.problems}):
            self.tell(problem, name, patient, line)
        before = self.tally.judged, self.tally.deceased
        unclassified: set[str] = set()
        for order, item in pad.each():
            if isinstance(item, Exception):
                where = Place(name, resource=order.name)
                self.tell(not_judged(where, item), name, patient, line)
                continue
            self._take(item, setting, line)
            unclassified.update(item.answer.review.unclassified)
        self.tally.add_orders(pad.not_judged, before)
        self._close(chart, name, unclassified, line)

    def _take(self, item: Judged, setting: Setting, line: int) -> None:
        """What was judged: its findings, its counts, its problems."""
        told = list(told_findings(item.answer))
        lines = [finding_line(one, said, item, setting.rulebook, line) for one, said in told]
        # What may fail comes before what counts: who is told as not judged is in no number.
        shown = [patient_line(item, told, lines, setting.rulebook)] if told else []
        self.tally.add_review(item.answer.review, setting.rulebook)
        self.findings += lines
        self.patients += shown
        for finding, said in told:
            self.tally.add_finding(finding, said)
        for problem in item.problems:
            self.tell(problem, item.input, item.patient, line)
        for found in item.disagreements:
            named = {"input": item.input, **found.as_json(), "order": item.order or None}
            self.disagreements.append(encode(named) + b"\n")

    def _close(self, chart: Chart, name: str, unclassified: set[str], line: int) -> None:
        """What is counted once for a patient, however often they were judged."""
        self.tally.add_record(chart, unclassified)
        for medication in sorted(unclassified):
            self.tell(_unclassified(name, medication), name, chart.patient.id, line)


def _unclassified(name: str, medication: str) -> Problem:
    what = "nothing says what this medication is: it could not be classified"
    accepted = "a code that the pack knows, or a name"
    return Problem(
        Place(name, resource=medication), what, accepted, "unclassified", Severity.WARNING
    )


def not_judged(where: Place, error: Exception) -> Problem:
    """The problem of a record that an error of ours kept from being judged."""
    if isinstance(error, MemoryError):
        what = "needs more memory than a worker may use: not judged"
        return Problem(
            where, what, "a smaller record, a larger --memory or fewer workers", "memory"
        )
    # The class of the error says enough; its text might quote the record.
    what = f"could not be judged ({type(error).__name__}); please report it"
    return Problem(where, what, "a record in FHIR R4", "internal")
