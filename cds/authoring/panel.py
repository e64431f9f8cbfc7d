"""Cards on a terminal: as a clinician would see them, with what was not decided below."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from cds.authoring.terminal import out, said
from cds.cards.describe import checked_line
from cds.cards.judge import Judged, Setting
from cds.cards.model import Card
from cds.chart.inputs import Input
from cds.chart.reader import Charts

_STYLES = {"critical": "bold red", "warning": "bold yellow", "info": "bold blue"}


def print_judged(
    given: Input, charts: Charts | None, judged: list[Judged], setting: Setting
) -> None:
    """Prints one input for people: each patient's cards, or why there is none to judge."""
    console = out()
    if not judged:
        problems = (
            (given.problem,) if given.problem is not None else charts.problems if charts else ()
        )
        console.rule(said(given.name), align="left")
        for problem in problems or ():
            console.print(said(f"  problem: {problem.render()}", style="yellow"))
        return
    for item in judged:
        _print_answer(item, setting, console)


def headline(item: Judged) -> str:
    """Which input, patient, hook and moment an answer is for."""
    review = item.answer.review
    moment = f"{review.clock.now:%Y-%m-%d %H:%M %Z}"
    return f"{item.input} · patient {item.patient} · {review.hook.name} · {moment}"


def _print_answer(item: Judged, setting: Setting, console: Console) -> None:
    review = item.answer.review
    console.rule(said(headline(item)), align="left")
    for card in item.answer.cards:
        console.print(render_card(card))
    unjudged = any(problem.kind == "engine" for problem in review.problems)
    if not item.answer.cards and not (unjudged and not review.verdicts):
        console.print("  No cards.")
        checked = checked_line(review, setting.rulebook, item.answer.coverage)
        console.print(Padding(Markdown(checked), (0, 2)))
    for verdict in item.answer.unknown:
        missing = "; ".join(verdict.missing) or "see cds explain"
        console.print(said(f"  not decided: {verdict.rule.id}: {missing}", style="dim"))
    for problem in item.problems:
        console.print(said(f"  problem: {problem.render()}", style="yellow"))


def render_card(card: Card) -> Panel:
    """A card as a clinician would see it: level, summary, detail, what can be clicked."""
    parts: list[Any] = [said(card.summary, style="bold")]
    if card.detail:
        parts += ["", Markdown(card.detail)]
    if card.suggestions:
        parts.append(Text("\nSuggestions (choose one or none)", style="bold"))
        parts += [
            said(f"  [ {suggestion.label} ]", style="cyan") for suggestion in card.suggestions
        ]
    if card.override_reasons:
        reasons = " | ".join(reason.display for reason in card.override_reasons)
        parts.append(said(f"\nReasons to override: {reasons}", style="dim"))
    style = _STYLES[card.indicator]
    return Panel(
        Group(*parts),
        title=Text(card.indicator.upper(), style=style),
        title_align="left",
        border_style=style,
    )
