"""`cds check`: judges inputs and shows the cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.text import Text

from cds.authoring.disagreement import Disagreements
from cds.authoring.terminal import DONE, FAILED, err, out, progress, said, write_line
from cds.cards.judge import Judged, Setting, judge, read_input
from cds.chart.inputs import Input, expand_paths, read_inputs
from cds.chart.reader import Charts
from cds.engine.census import census
from cds.values.problem import Place, Problem

_NOT_JUDGED = "judging"


def check_inputs(paths: list[str], setting: Setting, notes: list[str], *, as_json: bool) -> int:
    """Prints the cards of every input; 1 when an input could not be read, or engines disagree."""
    tally = Tally(setting)
    disagreements = Disagreements(Path.cwd())
    for given, read in progress(read_all(expand_paths(paths), setting), len(paths)):
        charts, judged = judge_each(read, given.name, setting)
        tally.add(charts, judged)
        disagreements.add(judged, given.data if len(judged) == 1 else b"")
        if as_json:
            _write_judged(given, charts, judged)
        else:
            from cds.authoring.panel import print_judged

            print_judged(given, charts, judged, setting)
    if setting.patient and not tally.patients:
        notes = [*notes, f"--patient: no input holds a patient '{setting.patient}'"]
    tally.report(notes, as_json=as_json)
    return FAILED if tally.unreadable or tally.unjudged or disagreements.count else DONE


def read_all(names: list[str], setting: Setting) -> Iterator[tuple[Input, Charts | None]]:
    """Each input with its charts; None where it could not be read at all."""
    for given in read_inputs(names):
        charts = None if given.problem is not None else read_input(given.data, given.name, setting)
        yield given, charts


def judge_each(
    charts: Charts | None, name: str, setting: Setting
) -> tuple[Charts | None, list[Judged]]:
    """The answers of one input; a patient who cannot be judged is a problem, the rest goes on."""
    judged: list[Judged] = []
    if charts is None:
        return None, judged
    failed: list[Problem] = []
    for position, chart in enumerate(charts.charts):
        one = Charts((chart,), charts.call, () if position else charts.problems)
        try:
            judged += judge(one, name, setting)
        except Exception as error:  # noqa: BLE001 - the error's text might quote the record
            where = Place(name, resource=f"Patient/{chart.patient.id}")
            what = f"could not be judged ({type(error).__name__}): please report it"
            failed.append(Problem(where, what, "", _NOT_JUDGED))
    if failed and judged:
        judged[0] = replace(judged[0], problems=(*judged[0].problems, *failed))
    return replace(charts, problems=(*charts.problems, *failed)), judged


def _write_judged(given: Input, charts: Charts | None, judged: list[Judged]) -> None:
    for item in judged:
        write_line(judged_as_json(item, ""))
    if not judged:
        problems = (
            (given.problem,) if given.problem is not None else charts.problems if charts else ()
        )
        write_line(
            {
                "input": given.name,
                "patient": None,
                "cards": [],
                "unknown": [],
                "coverage": {},
                "problems": [problem.as_json() for problem in problems],
            }
        )


def judged_as_json(item: Judged, digest: str) -> dict[str, Any]:
    """One patient's line: cards, unknowns, coverage, problems (the fixed interface of `check`)."""
    review = item.answer.review
    found: dict[str, Any] = {
        "input": item.input,
        "patient": item.patient,
        "hook": review.hook.name,
        "asOf": review.clock.now.isoformat(),
        "cards": [card.as_json() for card in item.answer.cards],
        "unknown": [
            {"rule": verdict.rule.id, "missing": list(verdict.missing)}
            for verdict in item.answer.unknown
        ],
        "coverage": {kind: state.value for kind, state in item.answer.coverage.items()},
        "unclassified": list(review.unclassified),
        "ignored": dict(review.chart.ignored),
        "problems": [problem.as_json() for problem in item.problems],
    }
    return {**found, "rulebook": digest} if digest else found


class Tally:
    """Counts over all inputs, for the closing lines."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.inputs = self.patients = self.unreadable = self.problems = self.unjudged = 0
        self.cards: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.unclassified: list[str] = []
        self.census: dict[str, Counter[str]] = {}

    def add(self, charts: Charts | None, judged: list[Judged]) -> None:
        """Counts one input; ``charts`` is None where it could not be read at all."""
        self.inputs += 1
        broken = (
            charts is None
            or (not charts.charts and bool(charts.problems))
            or any(problem.kind == _NOT_JUDGED for problem in charts.problems)
        )
        self.unreadable += broken
        for item in judged:
            self.patients += 1
            self.problems += len(item.problems)
            self.unjudged += any(problem.kind == "engine" for problem in item.problems)
            self.cards.update(
                f"{found.finding.rule.id}:{found.finding.indicator}" for found in item.answer.drawn
            )
            self.unknown.update(verdict.rule.id for verdict in item.answer.unknown)
            review = item.answer.review
            self.unclassified += [f"{item.input}: {name}" for name in review.unclassified]
            self._count(item)

    def _count(self, item: Judged) -> None:
        review = item.answer.review
        for label, clause in self.setting.rulebook.pack.census:
            counter = self.census.setdefault(label, Counter())
            words = census(review.chart, self.setting.rulebook, clause, review.clock.now)
            counter.update(words)
            counter["any of these"] += bool(words)

    def report(self, notes: list[str], *, as_json: bool) -> None:
        """The closing lines: to standard error when standard output carries JSON."""
        console = err() if as_json else out()
        for note in notes:
            console.print(said(f"note: {note}", style="dim"))
        if as_json and self.inputs < 2:
            return
        console.rule(Text("summary"), align="left")
        console.print(
            f"{self.inputs} inputs, {self.patients} patients, {sum(self.cards.values())} cards, "
            f"{self.problems} problems, {self.unreadable} inputs that could not be read"
        )
        for name, count in sorted(self.cards.items()):
            console.print(f"  {count:5} {name}")
        for name, count in sorted(self.unknown.items()):
            console.print(f"  {count:5} {name} not decided")
        for label, counter in self.census.items():
            told = ", ".join(
                f"{counter[word]} {word}" for word in sorted(counter) if word != "any of these"
            )
            console.print(f"patients with {label}: {counter['any of these']} ({told or 'none'})")
        console.print(f"medications that could not be classified: {len(self.unclassified)}")
        for name in self.unclassified:
            console.print(said(f"  {name}"))
