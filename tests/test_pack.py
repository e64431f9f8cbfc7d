"""The shipped pack by its own scenarios, one case each.

Every one by the reference engine, every third by both as `cds test` runs them all: that both agree
on whatever the network is made of is held by tests/second, at a fraction of the time.
"""

from __future__ import annotations

import pytest

from cds.authoring.scenario import Runner, Scenario, read_suite
from cds.rulebook.pack import shipped_pack
from cds.rulebook.site import Site
from cds.second.opinion import Engine
from cds.second.supervisor import unavailable

BOTH: Engine = "reference" if unavailable() else "both"
SUITE = read_suite(shipped_pack())
RUNNERS = (Runner(SUITE, Site(), BOTH), Runner(SUITE, Site()), Runner(SUITE, Site()))


def test_the_scenario_files_can_be_read() -> None:
    assert [problem.render() for problem in SUITE.problems] == []
    assert SUITE.scenarios


def test_no_two_scenarios_of_a_file_have_one_name() -> None:
    names = [(scenario.place.file, scenario.name) for scenario in SUITE.scenarios]
    assert [name for name in names if names.count(name) > 1] == []


@pytest.mark.parametrize(
    ("number", "scenario"),
    [
        pytest.param(number, found, id=f"{found.place.file}: {found.name}")
        for number, found in enumerate(SUITE.scenarios)
    ],
)
def test_scenario(number: int, scenario: Scenario) -> None:
    outcome = RUNNERS[number % 3].run(scenario)
    assert outcome.passed, "\n".join(outcome.failures)
