"""Whether a pack does what its scenarios say, for whoever puts it in force."""

from __future__ import annotations

from pathlib import Path

from cds.authoring.scenario import Runner, read_suite
from cds.rulebook.site import Site


def failing_scenarios(root: Path) -> list[str]:
    """A line with its place for each scenario of the pack that fails or cannot be read.

    They are about the pack as it comes: a site that changes a number or switches a rule off would
    make them fail for no fault of the rules.
    """
    suite = read_suite(root)
    lines = [problem.render() for problem in suite.problems]
    for outcome in Runner(suite, Site()).run_all():
        if not outcome.passed:
            where, name = outcome.scenario.place.render(), outcome.scenario.name
            lines.append(f"{where}: scenario '{name}': {outcome.failures[0]}")
    return lines
