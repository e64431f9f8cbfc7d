"""`cds test --coverage`: what no scenario has shown of a clause, and what cannot be shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.authoring.packs import changed, copied, run_tests
from tests.records import CONTRAST

FIGURE = re.compile(
    r"coverage: (\d+) of (\d+) answers of (\d+) clauses seen \(\d+\.\d %\);"
    r" \d+ clauses cannot be unknown"
)


@pytest.fixture(scope="module")
def text() -> CompletedProcess[str]:
    return run_tests(CONTRAST, "--coverage", "--verbose")


@pytest.fixture(scope="module")
def clauses() -> dict[str, dict[str, Any]]:
    done = run_tests(CONTRAST, "--coverage", "--format", "json")
    assert FIGURE.search(done.stderr)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {f"{item['in']}: {item['clause']}": item for item in found}


def test_coverage_alone_fails_nothing(text: CompletedProcess[str]) -> None:
    assert text.returncode == 0, text.stderr
    match = FIGURE.fullmatch(text.stdout.splitlines()[-1])
    assert match is not None
    seen, asked = int(match[1]), int(match[2])
    never = sum(line.count("never ") for line in text.stdout.splitlines())
    assert 0 < seen < asked
    assert seen + never == asked


def test_a_clause_is_listed_with_its_place(text: CompletedProcess[str]) -> None:
    lines = text.stdout.splitlines()
    clause = "contrast.allergy: level critical: allergy.certainty is code"
    assert f"contrast/allergy.yaml:19:18: {clause}: never unknown" in lines
    # A part of a sentence that runs over a line, at its own letter.
    part = "definitions of result: term in-time: it is final"
    assert f"definitions/result.yaml:30:12: {part}: never unknown" in lines


def test_what_cannot_be_unknown_is_not_asked_for_it(clauses: dict[str, dict[str, Any]]) -> None:
    reasons = {
        "contrast.allergy: level warning: otherwise": "it is what holds otherwise",
        "monitor.vitamin: facts.person": "",
        "definitions of medication: term drafted": "its words always have an answer",
        "definitions of medication: evidence: drafted yes counts as draft": "a line is about",
        "definitions of medication: unseen: coverage.MedicationRequest is any of absent,"
        " forbidden, failed, truncated": "what it compares is always known",
    }
    for clause, reason in reasons.items():
        found = clauses[clause]
        assert found.get("exempt", "").startswith(reason), found
        assert not reason or "unknown" not in found["never"]
    assert clauses["contrast.allergy: level warning: otherwise"]["never"] == []


def test_a_scenario_less_is_a_clause_less(
    tmp_path: Path, clauses: dict[str, dict[str, Any]]
) -> None:
    clause = "monitor.vitamin: facts.person"
    assert clauses[clause]["never"] == []
    root = copied(tmp_path)
    changed(root / "monitor" / "vitamin.scenarios.yaml", "born: 1961}", "born: 1950}")
    changed(
        root / "monitor" / "vitamin.scenarios.yaml",
        "    expect: none\n    unknown: [monitor.vitamin]",
        "    expect: [monitor.vitamin: info]",
    )
    done = run_tests(root, "--coverage", "--format", "github", root / "monitor")
    told = "::warning file=monitor/vitamin.yaml,line=13,col=11::monitor.vitamin: facts.person"
    assert f"{told}: never unknown" in done.stdout.splitlines()
    assert "contrast.allergy" not in done.stdout
    assert done.returncode == 0


def test_a_threshold_fails(tmp_path: Path) -> None:
    root = copied(tmp_path)
    only = root / "monitor"
    assert run_tests(root, "--coverage", "--fail-under", 100, only).returncode == 1
    assert run_tests(root, "--coverage", "--fail-under", 10, only).returncode == 0


def test_a_scenario_that_fails_is_no_coverage(tmp_path: Path) -> None:
    root = copied(tmp_path)
    changed(
        root / "monitor" / "vitamin.scenarios.yaml",
        "cobalamin]\n    expect: none",
        "cobalamin]\n    expect: [monitor.vitamin: info]",
    )
    done = run_tests(root, "--coverage")
    assert done.returncode == 1
    assert "FAILED monitor/vitamin.scenarios.yaml:14 good" in done.stderr
    assert "no card monitor.vitamin:info" in done.stderr
