"""`cds test --coverage` and `cds test --mutate`: how much the scenarios of a pack tell of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text

from cds.authoring.certainty import Certainty
from cds.authoring.clauses import all_clauses
from cds.authoring.coverage import Coverage, coverage_of, percent, print_coverage
from cds.authoring.mutation.arguments import Argument, read_arguments, unknown_arguments
from cds.authoring.mutation.book import Book
from cds.authoring.mutation.mutant import Mutant
from cds.authoring.mutation.run import Verdicts, try_all
from cds.authoring.mutation.trial import Bench, Case, Failure, Trial
from cds.authoring.scenario import Runner, read_suite
from cds.authoring.terminal import DONE, FAILED, err, progress, write_line
from cds.rulebook.pack import no_garbage
from cds.rulebook.site import Site
from cds.second.opinion import Engine
from cds.values.problem import Place, Problem


class Measuring(msgspec.Struct, frozen=True):
    """What is measured and how it is told; ``fail_under`` is a percentage."""

    coverage: bool = False
    mutate: bool = False
    format: str = "text"
    verbose: bool = False
    engine: Engine = "reference"
    workers: int = 1
    fail_under: float | None = None


def measure_pack(root: Path, only: Path | None, site: Site, how: Measuring) -> int:
    """Runs the scenarios of a pack and prints what they do not show of it.

    ``only`` limits what is measured, and by which scenarios, to a file or folder of the pack; what
    has no scenarios of its own (a definition) is measured by all. 1 when a scenario fails, when a
    mutant survives without an argument (with ``fail_under``: when too many do), or when coverage is
    below ``fail_under``. Raises RulebookError.
    """
    book = Book(root)
    suite = read_suite(root, only)
    if not suite.scenarios:
        suite = read_suite(root)
    bench = Bench(book, Runner(suite, site, how.engine))
    with no_garbage():
        found = [bench.case(item) for item in progress(suite.scenarios, len(suite.scenarios))]
    failures = [item for item in found if isinstance(item, Failure)]
    _print_failures(failures, suite.problems)
    good = not failures and not suite.problems and bool(found)
    within = _Within(root, only)
    if how.coverage:
        coverage = _coverage(bench, within)
        print_coverage(coverage, how.format, verbose=how.verbose)
        good = good and (how.fail_under is None or coverage.percent >= how.fail_under)
    if how.mutate:
        cases = [item for item in found if isinstance(item, Case)]
        good = _mutate(book, cases, within, how) and good
    return DONE if good else FAILED


class _Within(msgspec.Struct, frozen=True):
    """Whether a place lies in the part of the pack that is measured."""

    root: Path
    only: Path | None

    def __call__(self, place: Place) -> bool:
        if self.only is None:
            return True
        path, only = (self.root / place.file).resolve(), self.only.resolve()
        beside = only.with_name(only.name.replace(".scenarios.yaml", ".yaml"))
        return path == beside or only in path.parents


def _coverage(bench: Bench, within: _Within) -> Coverage:
    book = bench.book
    certainty = Certainty(book.rulebook(Site()))
    definitions = book.rulebook(Site()).definitions.values()
    clauses = all_clauses(book.all_rules, definitions, certainty)
    return coverage_of((item for item in clauses if within(item.place)), bench.log, book.place)


def _print_failures(failures: Iterable[Failure], problems: Iterable[Problem]) -> None:
    for problem in problems:
        err().print(Text(problem.render(), style="red"))
    for failure in failures:
        place = failure.scenario.place
        err().print(Text(f"FAILED {place.file}:{place.line} {failure.scenario.name}", style="red"))
        for reason in failure.reasons:
            err().print(Text(f"    {reason}"))


# -- mutants -------------------------------------------------------------------------------------


def _mutate(book: Book, cases: list[Case], within: _Within, how: Measuring) -> bool:
    """Tries the mutants and prints survivors; whether there are no more than there may be."""
    problems: list[Problem] = []
    arguments = read_arguments(book.root, problems)
    every = book.mutants()
    problems += unknown_arguments(arguments, every)
    mutants = [mutant for mutant in every if within(mutant.place)]
    verdicts = try_all(Trial(book, cases, how.engine), mutants, how.workers)
    problems += _refuted(arguments, verdicts)
    for problem in sorted(set(problems)):
        err().print(Text(problem.render(), style="red"))
    known = {argument.key: argument for argument in arguments}
    unargued = [mutant for mutant in verdicts.survived if mutant.key not in known]
    _print_survivors(verdicts, known, how.format)
    killed, total = len(verdicts.killed), len(mutants)
    line = f"mutants: {killed} killed of {total} ({percent(killed, total)} %)"
    (sys.stderr if how.format == "json" else sys.stdout).write(line + "\n")
    if problems:
        return False
    if how.fail_under is not None:
        return not total or 100 * killed / total >= how.fail_under
    return not unargued


def _refuted(arguments: Iterable[Argument], verdicts: Verdicts) -> list[Problem]:
    """A problem for each argument whose mutant a scenario fails on after all."""
    survived = {mutant.key for mutant in verdicts.survived}
    killed = {mutant.key for mutant in verdicts.killed} - survived
    what = "a scenario fails on it, so it needs no argument"
    return [argument.problem(what) for argument in arguments if argument.key in killed]


def _print_survivors(
    verdicts: Verdicts, known: dict[tuple[str, str, str], Argument], format_name: str
) -> None:
    argued = [mutant for mutant in verdicts.survived if mutant.key in known]
    if format_name == "json":
        for mutant in verdicts.survived:
            because = known[mutant.key].because if mutant.key in known else ""
            write_line(_as_json(mutant, because))
        return
    for mutant in verdicts.survived:
        if mutant.key not in known:
            sys.stdout.write(_line(mutant, format_name) + "\n")
    if argued:
        sys.stdout.write(f"argued: {len(argued)} more survive for a reason that is written down\n")


def _line(mutant: Mutant, format_name: str) -> str:
    what = f"survived: {mutant.owner}: {mutant.clause}: {mutant.change}"
    place = mutant.place
    if format_name == "github":
        where = f"file={place.file},line={place.line or 1},col={place.column or 1}"
        return f"::error {where}::{what}"
    return f"{place.render()}: {what}"


def _as_json(mutant: Mutant, because: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "file": mutant.place.file,
        "line": mutant.place.line,
        "column": mutant.place.column,
        "in": mutant.owner,
        "clause": mutant.clause,
        "before": mutant.before,
        "after": mutant.after,
        "survived": True,
    }
    return {**found, "because": because} if because else found
