"""The shipped pack by its own scenarios: one case each, as `cds test` runs them: by both engines."""

from __future__ import annotations

import pytest

from cds.authoring.scenario import Runner, Scenario, read_suite
from cds.rulebook.pack import shipped_pack
from cds.rulebook.site import Site
from cds.second.opinion import Engine
from cds.second.supervisor import unavailable

BOTH: Engine = "reference" if unavailable() else "both"
SUITE = read_suite(shipped_pack())
RUNNER = Runner(SUITE, Site(), BOTH)


def test_the_scenario_files_can_be_read() -> None:
    assert [problem.render() for problem in SUITE.problems] == []
    assert SUITE.scenarios


def test_no_two_scenarios_of_a_file_have_one_name() -> None:
    names = [(scenario.place.file, scenario.name) for scenario in SUITE.scenarios]
    assert [name for name in names if names.count(name) > 1] == []


@pytest.mark.parametrize(
    "scenario", SUITE.scenarios, ids=lambda found: f"{found.place.file}: {found.name}"
)
def test_scenario(scenario: Scenario) -> None:
    outcome = RUNNER.run(scenario)
    assert outcome.passed, "\n".join(outcome.failures)
