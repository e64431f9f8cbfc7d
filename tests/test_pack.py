"""The shipped pack by its own scenarios: one case each, whatever `cds test` runs."""

from __future__ import annotations

from typing import Any

import pytest

from cds.authoring.scenario import Runner, Scenario, read_suite
from cds.rulebook.pack import shipped_pack
from cds.rulebook.site import Site

SUITE = read_suite(shipped_pack())
RUNNER = Runner(SUITE, Site())


def _case(scenario: Scenario) -> Any:
    """A scenario whose note begins with "BUG:" is known to fail; when it passes, unmark it."""
    note = str(scenario.body.get("note", ""))
    marks = [pytest.mark.xfail(reason=note, strict=True)] if note.startswith("BUG:") else []
    return pytest.param(scenario, id=f"{scenario.place.file}: {scenario.name}", marks=marks)


def test_the_scenario_files_can_be_read() -> None:
    assert [problem.render() for problem in SUITE.problems] == []
    assert SUITE.scenarios


def test_no_two_scenarios_of_a_file_have_one_name() -> None:
    names = [(scenario.place.file, scenario.name) for scenario in SUITE.scenarios]
    assert [name for name in names if names.count(name) > 1] == []


@pytest.mark.parametrize("scenario", [_case(scenario) for scenario in SUITE.scenarios])
def test_scenario(scenario: Scenario) -> None:
    outcome = RUNNER.run(scenario)
    assert outcome.passed, "\n".join(outcome.failures)
