"""The author's bench: `cds lint` and `cds test`."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import msgspec
from msgspec.structs import replace

from cds.authoring.disagreement import Disagreements
from cds.authoring.github import annotation
from cds.authoring.lint import find_problems
from cds.authoring.reporter import reporter
from cds.authoring.scenario import Runner, read_suite
from cds.authoring.terminal import DONE, FAILED, progress, write_line
from cds.rulebook.site import Site
from cds.second.opinion import Engine
from cds.values.problem import Problem, Severity


def lint_pack(root: Path, site: Site, format_name: str, *, strict: bool = False) -> int:
    """Prints what is wrong in a pack and in its scenarios, sorted, each once; 1 for errors.

    Advice is told as well; it fails only when ``strict``.
    """
    rulebook, suite, found = find_problems(root, site)
    for problem in found:
        if format_name == "json":
            write_line(problem.as_json())
        elif format_name == "github":
            sys.stdout.write(annotation(problem, root) + "\n")
        else:
            sys.stdout.write(_line(problem) + "\n")
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    advice = len(found) - errors
    if format_name == "text":
        rules = len(rulebook.rules) if rulebook is not None else 0
        also = f", {advice} warnings" if advice else ""
        sys.stdout.write(
            f"{rules} rules, {len(suite.scenarios)} scenarios: {errors or 'no'} errors{also}\n"
        )
    return FAILED if errors or (strict and advice) else DONE


def _line(problem: Problem) -> str:
    if problem.severity is Severity.ERROR:
        return problem.render()
    return replace(problem, what=f"warning: {problem.what}").render()


class Running(msgspec.Struct, frozen=True):
    """How scenarios are run and told: ``form`` is one of `reporter.FORMATS`."""

    form: str = "text"
    verbose: bool = False
    engine: Engine = "reference"


def test_pack(root: Path, only: Path | None, site: Site, how: Running) -> int:
    """Runs the scenarios and prints what failed; 1 when one failed or none was found.

    With both engines a scenario fails too if they disagree about it.
    """
    suite = read_suite(root, only)
    runner = Runner(suite, site, how.engine)
    disagreements = Disagreements(Path.cwd())
    told = reporter(how.form, root, verbose=how.verbose)
    told.problems(suite.problems)
    failed, began = 0, perf_counter()
    for outcome in progress(runner.run_all(), len(suite.scenarios)):
        ended = perf_counter()
        failed += not outcome.passed
        if outcome.judged is not None:
            disagreements.add([outcome.judged], runner.document(outcome.scenario))
        told.outcome(outcome, ended - began)
        began = perf_counter()
    total = len(suite.scenarios)
    told.end(total, failed)
    return FAILED if failed or suite.problems or not total else DONE
