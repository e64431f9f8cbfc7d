"""What the commands print: cards and explanations for people, lines of JSON for machines."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console, Group
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import Progress
from rich.text import Text
from rich.tree import Tree

from cds.authoring.scenario import Outcome, Runner, read_suite
from cds.cards.answer import manifest
from cds.cards.describe import checked_line
from cds.cards.judge import Judged, Setting, judge, read_input
from cds.cards.model import Card
from cds.cards.wire import encode
from cds.chart.inputs import Input, expand_paths, read_inputs
from cds.chart.reader import Charts
from cds.engine.census import census
from cds.engine.finding import Verdict
from cds.engine.trace import Step
from cds.rulebook.pack import read_pack
from cds.rulebook.site import Site
from cds.values.problem import Problem, Severity
from cds.values.truth import Truth

DONE, FAILED, UNUSABLE = 0, 1, 2
T = TypeVar("T")
_STYLES = {"critical": "bold red", "warning": "bold yellow", "info": "bold blue"}
_MARKS = {
    Truth.YES: ("fired", "bold red"),
    Truth.NO: ("not fired", "green"),
    Truth.UNKNOWN: ("unknown", "bold yellow"),
}


def out() -> Console:
    """Standard output for people; plain and 100 wide where it is not a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 100, emoji=False)


def err() -> Console:
    """Standard error for people: what went wrong, and notes beside lines of JSON."""
    return Console(stderr=True, highlight=False, emoji=False)


def write_line(value: object) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(encode(value).decode() + "\n")


# -- cds check -----------------------------------------------------------------------------------


def check_inputs(paths: list[str], setting: Setting, notes: list[str], *, as_json: bool) -> int:
    """Prints the cards of every input; 1 when an input could not be read."""
    tally = Tally(setting)
    for given, charts in _progress(_charts(expand_paths(paths), setting), len(paths)):
        judged = list(judge(charts, given.name, setting)) if charts is not None else []
        tally.add(charts, judged)
        if as_json:
            _write_judged(given, charts, judged)
        else:
            _print_judged(given, charts, judged, setting)
    tally.report(notes, as_json=as_json)
    return FAILED if tally.unreadable else DONE


def _charts(names: list[str], setting: Setting) -> Iterator[tuple[Input, Charts | None]]:
    for given in read_inputs(names):
        charts = None if given.problem is not None else read_input(given.data, given.name, setting)
        yield given, charts


def _progress(items: Iterable[T], total: int) -> Iterator[T]:
    """The items, with a bar on a terminal's standard error when there are many."""
    if total < 2 or not sys.stderr.isatty():
        yield from items
        return
    with Progress(console=err(), transient=True) as progress:
        yield from progress.track(items, total=total, description="judging")


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


def _print_judged(
    given: Input, charts: Charts | None, judged: list[Judged], setting: Setting
) -> None:
    console = out()
    if not judged:
        problems = (
            (given.problem,) if given.problem is not None else charts.problems if charts else ()
        )
        console.rule(Text(given.name), align="left")
        for problem in problems or ():
            console.print(Text(f"  problem: {problem.render()}", style="yellow"))
        return
    for item in judged:
        _print_answer(item, setting, console)


def _head(item: Judged) -> str:
    review = item.answer.review
    moment = f"{review.clock.now:%Y-%m-%d %H:%M %Z}"
    return f"{item.input} · patient {item.patient} · {review.hook.name} · {moment}"


def _print_answer(item: Judged, setting: Setting, console: Console) -> None:
    review = item.answer.review
    console.rule(Text(_head(item)), align="left")
    for card in item.answer.cards:
        console.print(render_card(card))
    if not item.answer.cards:
        console.print("  No cards.")
        checked = checked_line(review, setting.rulebook)
        console.print(Padding(Markdown(checked), (0, 2)))
    for verdict in item.answer.unknown:
        missing = "; ".join(verdict.missing) or "see cds explain"
        console.print(Text(f"  not decided: {verdict.rule.id}: {missing}", style="dim"))
    for problem in item.problems:
        console.print(Text(f"  problem: {problem.render()}", style="yellow"))


def render_card(card: Card) -> Panel:
    """A card as a clinician would see it: level, summary, detail, what can be clicked."""
    parts: list[Any] = [Text(card.summary, style="bold")]
    if card.detail:
        parts += ["", Markdown(card.detail)]
    if card.suggestions:
        parts.append(Text("\nSuggestions (choose one or none)", style="bold"))
        parts += [
            Text(f"  [ {suggestion.label} ]", style="cyan") for suggestion in card.suggestions
        ]
    if card.override_reasons:
        reasons = " | ".join(reason.display for reason in card.override_reasons)
        parts.append(Text(f"\nReasons to override: {reasons}", style="dim"))
    style = _STYLES[card.indicator]
    return Panel(
        Group(*parts),
        title=Text(card.indicator.upper(), style=style),
        title_align="left",
        border_style=style,
    )


class Tally:
    """Counts over all inputs, for the closing lines."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.inputs = self.patients = self.unreadable = self.problems = 0
        self.cards: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.unclassified: list[str] = []
        self.census: dict[str, Counter[str]] = {}

    def add(self, charts: Charts | None, judged: list[Judged]) -> None:
        """Counts one input; ``charts`` is None where it could not be read at all."""
        self.inputs += 1
        broken = charts is None or (not charts.charts and bool(charts.problems))
        self.unreadable += broken
        for item in judged:
            self.patients += 1
            self.problems += len(item.problems)
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
            console.print(Text(f"note: {note}", style="dim"))
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
            console.print(Text(f"  {name}"))


# -- cds explain ---------------------------------------------------------------------------------


def explain_input(
    path: str, setting: Setting, notes: list[str], rule: str, *, as_json: bool
) -> int:
    """Prints for each rule of the hook why it fired, did not, or is unknown."""
    failed = False
    for given, charts in _charts(expand_paths([path]), setting):
        judged = list(judge(charts, given.name, setting)) if charts is not None else []
        failed = failed or not judged
        if not judged:
            _print_judged(given, charts, judged, setting)
        for item in judged:
            verdicts = [
                found for found in item.answer.review.verdicts if rule in ("", found.rule.id)
            ]
            if as_json:
                write_line(_explained(item, verdicts, setting))
            else:
                _print_explained(item, verdicts)
    if not as_json:
        for note in notes:
            out().print(Text(f"note: {note}", style="dim"))
    return FAILED if failed else DONE


def _explained(item: Judged, verdicts: list[Verdict], setting: Setting) -> dict[str, Any]:
    return {
        "input": item.input,
        "patient": item.patient,
        **manifest(item.answer, setting.rulebook),
        "rules": [
            {
                "rule": verdict.rule.id,
                "truth": verdict.truth.label,
                "missing": list(verdict.missing),
                "traces": [trace.as_json() for trace in verdict.traces],
            }
            for verdict in verdicts
        ],
        "problems": [problem.as_json() for problem in item.problems],
    }


def _print_explained(item: Judged, verdicts: list[Verdict]) -> None:
    console = out()
    console.rule(Text(_head(item)), align="left")
    for verdict in sorted(verdicts, key=lambda found: (-found.truth, found.rule.id)):
        mark, style = _MARKS[verdict.truth]
        tree = Tree(
            Text.assemble((mark, style), f"  {verdict.rule.id}  ", (verdict.rule.title, "dim"))
        )
        for trace in verdict.traces[:5]:
            _grow(tree, trace.steps)
        console.print(tree)
    for problem in item.problems:
        console.print(Text(f"problem: {problem.render()}", style="yellow"))


_SIGNS = {Truth.YES: ("yes", "green"), Truth.NO: ("no", "red"), Truth.UNKNOWN: ("?  ", "yellow")}


def _grow(tree: Tree, steps: Iterable[Step]) -> None:
    for step in steps:
        sign, style = _SIGNS[step.truth]
        line = Text.assemble((sign.ljust(3), style), " ", step.text)
        if step.sources:
            line.append(
                f"  [{', '.join(step.sources[:4])}{' …' if len(step.sources) > 4 else ''}]",
                style="dim",
            )
        if step.values:
            line.append(f"  ({'; '.join(step.values)})", style="cyan")
        branch = tree.add(line)
        for reason in step.missing:
            branch.add(Text(f"missing: {reason}", style="yellow"))
        _grow(branch, step.steps)


# -- cds lint and cds test -----------------------------------------------------------------------


def lint_pack(root: Path, site: Site, format_name: str) -> int:
    """Prints every error of a pack and of its scenarios, sorted, each once."""
    problems: list[Problem] = []
    rulebook = read_pack(root, site, problems)
    suite = read_suite(root)
    found = sorted({*problems, *suite.problems})
    for problem in found:
        if format_name == "json":
            write_line(problem.as_json())
        elif format_name == "github":
            sys.stdout.write(_github(problem) + "\n")
        else:
            sys.stdout.write(problem.render() + "\n")
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    if format_name == "text":
        rules = len(rulebook.rules) if rulebook is not None else 0
        sys.stdout.write(
            f"{rules} rules, {len(suite.scenarios)} scenarios: {errors or 'no'} errors\n"
        )
    return FAILED if errors else DONE


def _github(problem: Problem) -> str:
    level = "error" if problem.severity is Severity.ERROR else "warning"
    place = problem.where
    where = f"file={place.file},line={place.line or 1},col={place.column or 1}"
    return f"::{level} {where}::{problem.what}"


def test_pack(root: Path, only: Path | None, site: Site, *, as_json: bool, verbose: bool) -> int:
    """Runs the scenarios and prints what failed; 1 when one failed or none was found."""
    suite = read_suite(root, only)
    runner = Runner(suite, site)
    failed = 0
    console = out()
    for problem in suite.problems:
        err().print(Text(problem.render(), style="red"))
    for outcome in _progress(runner.run_all(), len(suite.scenarios)):
        failed += not outcome.passed
        if as_json:
            write_line(_outcome_as_json(outcome))
        elif verbose or not outcome.passed:
            _print_outcome(outcome, console)
    total = len(suite.scenarios)
    line = f"{total - failed} passed, {failed} failed of {total} scenarios"
    (err() if as_json else console).print(line)
    return FAILED if failed or suite.problems or not total else DONE


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    scenario = outcome.scenario
    return {
        "scenario": scenario.name,
        "rule": scenario.rule,
        "file": scenario.place.file,
        "line": scenario.place.line,
        "passed": outcome.passed,
        "failures": list(outcome.failures),
    }


def _print_outcome(outcome: Outcome, console: Console) -> None:
    place = outcome.scenario.place
    mark, style = ("passed", "green") if outcome.passed else ("FAILED", "bold red")
    where = f"{place.file}:{place.line}"
    console.print(Text.assemble((mark, style), f" {where} {outcome.scenario.name}"))
    for failure in outcome.failures:
        console.print(Text(f"    {failure}"))
