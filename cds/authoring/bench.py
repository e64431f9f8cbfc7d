"""The author's bench: `cds lint` and `cds test`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from cds.authoring.disagreement import Disagreements
from cds.authoring.scenario import Outcome, Runner, Suite, read_suite
from cds.authoring.terminal import DONE, FAILED, err, out, progress, write_line
from cds.rulebook.knowledge import check_knowledge, read_knowledge
from cds.rulebook.model import Rulebook
from cds.rulebook.pack import read_pack
from cds.rulebook.reading import Author
from cds.rulebook.site import Site
from cds.rulebook.surfaces import check_surfaces
from cds.second.opinion import Engine
from cds.values.problem import Problem, Severity


def lint_pack(root: Path, site: Site, format_name: str) -> int:
    """Prints every error of a pack and of its scenarios, sorted, each once."""
    problems: list[Problem] = []
    rulebook = read_pack(root, site, problems, switched_off=True)
    if rulebook is not None:
        author = Author(problems)
        knowledge = read_knowledge(root, author)
        check_knowledge(knowledge, rulebook, author)
        check_surfaces(rulebook, knowledge, author)
    suite = read_suite(root)
    known = _ids(rulebook) if rulebook is not None else frozenset()
    found = sorted({*problems, *suite.problems, *_misnamed(suite, known)})
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


def _ids(rulebook: Rulebook) -> frozenset[str]:
    """Every rule of the pack, also of those that are switched off."""
    ordered = (item for order in rulebook.precedence.problems.values() for item in order.rules)
    return frozenset((*ordered, *(rule.id for rule in rulebook.rules)))


def _misnamed(suite: Suite, known: frozenset[str]) -> Iterator[Problem]:
    """Rules that scenarios expect something of, and that the pack does not have."""
    for scenario in suite.scenarios:
        for rule in scenario.expects.rules:
            if known and rule not in known:
                what = f"'{rule}' is no rule of the pack"
                yield Problem(scenario.place, what, "the id of a rule", "name")


def _github(problem: Problem) -> str:
    level = "error" if problem.severity is Severity.ERROR else "warning"
    place = problem.where
    where = f"file={place.file},line={place.line or 1},col={place.column or 1}"
    return f"::{level} {where}::{problem.what}"


@dataclass(frozen=True, slots=True)
class Running:
    """How scenarios are run and told."""

    as_json: bool = False
    verbose: bool = False
    engine: Engine = "reference"


def test_pack(root: Path, only: Path | None, site: Site, how: Running) -> int:
    """Runs the scenarios and prints what failed; 1 when one failed or none was found.

    With both engines a scenario fails too if they disagree about it.
    """
    suite = read_suite(root, only)
    runner = Runner(suite, site, how.engine)
    disagreements = Disagreements(Path.cwd())
    failed = 0
    console = out()
    for problem in suite.problems:
        err().print(Text(problem.render(), style="red"))
    for outcome in progress(runner.run_all(), len(suite.scenarios)):
        failed += not outcome.passed
        if outcome.judged is not None:
            disagreements.add([outcome.judged], runner.document(outcome.scenario))
        if how.as_json:
            write_line(_outcome_as_json(outcome))
        elif how.verbose or not outcome.passed:
            _print_outcome(outcome, console)
    total = len(suite.scenarios)
    line = f"{total - failed} passed, {failed} failed of {total} scenarios"
    (err() if how.as_json else console).print(line)
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
