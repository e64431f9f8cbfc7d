"""Every number of the pack at both ends of what it allows, as a site would set it.

That the cards are right at the ends is what `rules/site/numbers.scenarios.yaml` and the scenarios
beside the rules say; here it is asked whether each end is spoken of by one that depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from cds.authoring.scenario import Runner, Scenario, read_suite
from cds.rulebook.model import Parameter
from cds.rulebook.pack import RulebookError, load_rulebook, load_site, shipped_pack
from cds.rulebook.site import Site
from cds.values.problem import Problem

PACK = shipped_pack()

# They give a dose its name, and no card depends on that name.
ONLY_NAMES = {"uldn-top", "standard-top"}


@pytest.fixture(scope="module")
def numbers() -> Mapping[str, Parameter]:
    return load_rulebook(PACK).parameters


def _written(parameter: Parameter, value: Decimal) -> str:
    unit = parameter.unit.replace("{1.73_m2}", "1.73m2")
    return f'"{value:f} {unit}"' if unit else f'"{value:f}"'


def _site(path: Path, values: Mapping[str, str]) -> Site:
    lines = [f"  {name}: {text}" for name, text in values.items()]
    path.write_text("\n".join(["timezone: America/New_York", "parameters:", *lines, ""]))
    problems: list[Problem] = []
    site = load_site(path, problems)
    assert not problems
    return site


def _refused(path: Path, values: Mapping[str, str]) -> list[str]:
    with pytest.raises(RulebookError) as caught:
        load_rulebook(PACK, _site(path, values))
    return [problem.render() for problem in caught.value.problems]


@pytest.mark.parametrize("end", ["low", "high"])
def test_every_number_can_be_set_to_its_ends(
    end: str, numbers: Mapping[str, Parameter], tmp_path: Path
) -> None:
    wanted = {name: getattr(item, end) for name, item in numbers.items()}
    written = {name: _written(numbers[name], value) for name, value in wanted.items()}
    bound = load_rulebook(PACK, _site(tmp_path / "site.yaml", written)).parameters
    assert {name: item.value for name, item in bound.items()} == wanted


@pytest.mark.parametrize(("end", "step"), [("low", Decimal(-1)), ("high", Decimal(1))])
def test_every_number_beyond_its_ends_is_refused_where_it_stands(
    end: str, step: Decimal, numbers: Mapping[str, Parameter], tmp_path: Path
) -> None:
    path = tmp_path / "site.yaml"
    values = {name: getattr(item, end) + step for name, item in numbers.items()}
    told = _refused(path, {name: _written(numbers[name], values[name]) for name in numbers})
    for line, (name, item) in enumerate(numbers.items(), start=3):
        mine = [text for text in told if text.startswith(f"{path}:{line}:3: ")]
        text = _written(item, values[name]).strip('"')
        assert len(mine) == 1, (name, mine)
        if not text.startswith("-"):
            assert (
                f"'{text}' is not allowed for '{name}'; accepted: {item.low.normalize():f} to"
                in (mine[0])
            )
    assert len(told) == len(numbers)


def test_another_unit_and_parts_of_days_are_refused(
    numbers: Mapping[str, Parameter], tmp_path: Path
) -> None:
    path = tmp_path / "site.yaml"
    days = {name: item for name, item in numbers.items() if item.unit == "days"}
    told = _refused(
        path, {name: f'"{item.low + Decimal("0.5")} days"' for name, item in days.items()}
    )
    assert len(told) == len(days)
    assert all(text.endswith(" days, whole ones (value)") for text in told)
    told = _refused(path, {name: f'"{item.value} mm[Hg]"' for name, item in numbers.items()})
    assert len(told) == len(numbers)


def test_a_number_above_one_that_must_not_be_below_it(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    assert _refused(path, {"ldn-top": "4.5 mg", "typical-top": "5 mg"}) == [
        f"{path}:4:3: 'typical-top' is above 'ldn-top'; accepted: at most 4.5 mg (value)"
    ]
    assert _refused(path, {"plan-days": "20 days", "plan-days-on-view": "21 days"}) == [
        f"{path}:4:3: 'plan-days-on-view' is above 'plan-days'; accepted: at most 20 days (value)"
    ]


def test_every_end_is_followed_by_a_card(numbers: Mapping[str, Parameter]) -> None:
    """For each end there is a scenario that would fail without it."""
    ends = {
        (name, value)
        for name, item in numbers.items()
        for value in (item.low, item.high)
        if value != item.value and name not in ONLY_NAMES
    }
    runner = Runner(read_suite(PACK), Site())
    followed = {
        end
        for scenario in runner.suite.scenarios
        for end in _set_by(scenario) & ends
        if not runner.run(_without(scenario, end[0])).passed
    }
    assert not ends - followed


def _set_by(scenario: Scenario) -> set[tuple[str, Decimal]]:
    found = scenario.body.get("parameters", {})
    assert isinstance(found, dict)
    return {(name, Decimal(str(text).partition(" ")[0])) for name, text in found.items()}


def _without(scenario: Scenario, name: str) -> Scenario:
    found = scenario.body["parameters"]
    assert isinstance(found, dict)
    rest = {other: text for other, text in found.items() if other != name}
    return replace(scenario, body={**scenario.body, "parameters": rest})
