"""Problems: one line each, in the order of where they are, leaving out what is absent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from cds.values.problem import Place, Problem, Severity

TEXT = st.text(max_size=12)
PLACES = st.builds(Place, TEXT, st.integers(0, 99), st.integers(0, 99), TEXT)
PROBLEMS = st.builds(Problem, PLACES, TEXT, TEXT, TEXT, st.sampled_from(Severity))
NOWHERE = asdict(Place())


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            Problem(Place("a.yaml", 3, 7), "'x' is no level", "info or warning", "value"),
            "a.yaml:3:7: 'x' is no level; accepted: info or warning (value)",
        ),
        (
            Problem(Place("in.json", resource="Observation/1"), "no subject", kind="subject"),
            "in.json: Observation/1: no subject (subject)",
        ),
        (Problem(Place("in.ndjson", 12), "not JSON"), "in.ndjson:12: not JSON (input)"),
        (Problem(Place(resource="Patient/1"), "no id", kind=""), "Patient/1: no id"),
        (Problem(Place(), "nothing came in"), "nothing came in (input)"),
        (Problem(Place("a", column=4), "odd"), "a: odd (input)"),
        (Problem(Place("a"), "two\nlines"), "a: two lines (input)"),
    ],
)
def test_a_problem_for_people(problem: Problem, line: str) -> None:
    assert problem.render() == line


@given(PROBLEMS)
def test_a_problem_is_one_line(problem: Problem) -> None:
    assert len(problem.render().splitlines()) <= 1


@given(PROBLEMS)
def test_json_has_what_there_is_and_nothing_else(problem: Problem) -> None:
    written = problem.as_json()
    assert json.loads(json.dumps(written)) == written
    assert all(written.values())
    where = {name: written.get(name, absent) for name, absent in NOWHERE.items()}
    assert where == asdict(problem.where)
    assert written["severity"] == problem.severity.value


@given(st.lists(PROBLEMS, max_size=6))
def test_problems_are_in_the_order_of_their_places(problems: list[Problem]) -> None:
    places = [problem.where for problem in sorted(problems)]
    assert places == sorted(places)


def test_lines_are_in_the_order_of_numbers() -> None:
    assert Problem(Place("a", 2), "z") < Problem(Place("a", 10), "a")
