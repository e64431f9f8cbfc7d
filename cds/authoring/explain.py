"""`cds explain`: why each rule fired, did not fire, or could not be decided."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from rich.tree import Tree

from cds.authoring.check import judge_each, read_all
from cds.authoring.panel import headline, print_judged
from cds.authoring.terminal import DONE, FAILED, out, said, write_line
from cds.cards.answer import manifest
from cds.cards.judge import Judged, Setting
from cds.cards.markdown import harmless
from cds.chart.inputs import expand_paths
from cds.engine.finding import Verdict
from cds.engine.trace import Step
from cds.values.truth import Truth

_MARKS = {
    Truth.YES: ("fired", "bold red"),
    Truth.NO: ("not fired", "green"),
    Truth.UNKNOWN: ("unknown", "bold yellow"),
}


def explain_input(
    path: str, setting: Setting, notes: list[str], rule: str, *, as_json: bool
) -> int:
    """Prints for each rule of the hook why it fired, did not, or is unknown."""
    failed = False
    for given, read in read_all(expand_paths([path]), setting):
        charts, judged = judge_each(read, given.name, setting)
        failed = failed or not judged
        if not judged:
            print_judged(given, charts, judged, setting)
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
            out().print(said(f"note: {note}", style="dim"))
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
    console.rule(said(headline(item)), align="left")
    for verdict in sorted(verdicts, key=lambda found: (-found.truth, found.rule.id)):
        mark, style = _MARKS[verdict.truth]
        tree = Tree(
            Text.assemble((mark, style), f"  {verdict.rule.id}  ", (verdict.rule.title, "dim"))
        )
        for trace in verdict.traces[:5]:
            _grow(tree, trace.steps)
        console.print(tree)
    for problem in item.problems:
        console.print(said(f"problem: {problem.render()}", style="yellow"))


_SIGNS = {Truth.YES: ("yes", "green"), Truth.NO: ("no", "red"), Truth.UNKNOWN: ("?  ", "yellow")}


def _grow(tree: Tree, steps: Iterable[Step]) -> None:
    for step in steps:
        sign, style = _SIGNS[step.truth]
        line = Text.assemble((sign.ljust(3), style), " ", harmless(step.text))
        if step.sources:
            more = " …" if len(step.sources) > 4 else ""
            line.append(said(f"  [{', '.join(step.sources[:4])}{more}]", style="dim"))
        if step.values:
            line.append(said(f"  ({'; '.join(step.values)})", style="cyan"))
        branch = tree.add(line)
        for reason in step.missing:
            branch.add(said(f"missing: {reason}", style="yellow"))
        _grow(branch, step.steps)
