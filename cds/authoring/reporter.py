"""How the outcomes of scenarios are told: to people, as lines of JSON, or as GitHub annotations."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from rich.console import Console
from rich.text import Text

from cds.authoring.github import annotation, failure
from cds.authoring.scenario import Outcome
from cds.authoring.terminal import err, out, write_line
from cds.values.problem import Problem

FORMATS = ("text", "json", "junit", "github")


class Reporter(Protocol):
    """What hears of each outcome, with the seconds it took, and of the end."""

    def problems(self, problems: Sequence[Problem]) -> None: ...

    def outcome(self, outcome: Outcome, seconds: float, /) -> None: ...

    def end(self, total: int, failed: int) -> None: ...


def summary(total: int, failed: int) -> str:
    """The last line of a run."""
    return f"{total - failed} passed, {failed} failed of {total} scenarios"


class TextReporter(msgspec.Struct, frozen=True):
    """What failed, and with ``verbose`` what passed, on a terminal."""

    verbose: bool = False
    console: Console = msgspec.field(default_factory=out)

    def problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            err().print(Text(problem.render(), style="red"))

    def outcome(self, outcome: Outcome, _seconds: float, /) -> None:
        if outcome.passed and not self.verbose:
            return
        place = outcome.scenario.place
        mark, style = ("passed", "green") if outcome.passed else ("FAILED", "bold red")
        where = f"{place.file}:{place.line}"
        self.console.print(Text.assemble((mark, style), f" {where} {outcome.scenario.name}"))
        for text in outcome.failures:
            self.console.print(Text(f"    {text}"))

    def end(self, total: int, failed: int) -> None:
        self.console.print(summary(total, failed))


class JsonReporter(msgspec.Struct, frozen=True):
    """A line of JSON for each scenario; notes for people go to standard error."""

    def problems(self, problems: Sequence[Problem]) -> None:
        TextReporter().problems(problems)

    def outcome(self, outcome: Outcome, _seconds: float, /) -> None:
        write_line(outcome_as_json(outcome))

    def end(self, total: int, failed: int) -> None:
        err().print(summary(total, failed))


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    """A scenario's outcome as one JSON object."""
    scenario = outcome.scenario
    return {
        "scenario": scenario.name,
        "rule": scenario.rule,
        "file": scenario.place.file,
        "line": scenario.place.line,
        "passed": outcome.passed,
        "failures": list(outcome.failures),
    }


class GithubReporter(msgspec.Struct, frozen=True):
    """GitHub's annotations: each failed scenario at its line; the summary goes beside."""

    root: Path

    def problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            sys.stdout.write(annotation(problem, self.root) + "\n")

    def outcome(self, outcome: Outcome, _seconds: float, /) -> None:
        if not outcome.passed:
            scenario = outcome.scenario
            title = f"{scenario.rule}: {scenario.name}"
            text = "\n".join(outcome.failures)
            sys.stdout.write(failure(scenario.place, self.root, title, text) + "\n")

    def end(self, total: int, failed: int) -> None:
        err().print(summary(total, failed))


def reporter(name: str, root: Path, *, verbose: bool) -> Reporter:
    """The reporter of a format, one of FORMATS; ``root`` is the pack's folder."""
    if name == "junit":
        from cds.authoring.junit import JunitReporter

        return JunitReporter(root)
    if name == "json":
        return JsonReporter()
    return GithubReporter(root) if name == "github" else TextReporter(verbose)
