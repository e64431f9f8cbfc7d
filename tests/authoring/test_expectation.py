"""What a scenario can expect: each kind passes where it holds and fails, with the reason, where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.authoring.packs import copied, run_tests, scenarios
from tests.records import ROOT
from tests.test_cli import cds

MISSING = "contrast.kidney-function-missing"
LOW = "contrast.low-kidney-function"
SCAN = f"given: [metformin active, scan: {{on: 2026-06-20}}], expect: [{MISSING}: warning]"
SILENT = "given: [metformin active, scan, creatinine], expect: none"
OPEN = "given: [metformin active, scan], expect: none, prefetch: {Observation: absent}"
BESIDE = (
    "given: [patient: {born: 1950-01-01}, metformin active, scan, creatinine: {value: 3.5 mg/dL}],"
    f" expect: [{LOW}: critical]"
)

HOLDS = [
    f"{SCAN}, suggests: {{{MISSING}: [create ServiceRequest]}}",
    f"{SCAN}, suggests: {{{MISSING}: [Order creatinine]}}",
    f"{SCAN}, suggests: {{{MISSING}: [[create, before Computed tomography on 20 Jun 2026]]}}",
    f"{SCAN}, suggests: [{MISSING}: [create]]",
    f"given: [metformin active, scan: {{on: 2026-06-11T08:00}}], expect: [{MISSING}: warning],"
    f" suggests: {{{MISSING}: none}}",
    f"{SCAN}, says-not: [test now]",
    f"{SCAN}, lines: none",
    f"{BESIDE}, lines: [monitor.vitamin: info]",
    f"{SILENT}, unknown: none",
    f"{SILENT}, decided: [{MISSING}, {LOW}]",
    f"{OPEN}, unknown: [{MISSING}]",
]

FAILS = [
    (
        f"{SCAN}, suggests: {{{MISSING}: [delete]}}",
        f"{MISSING} suggests create ServiceRequest: Ord",
    ),
    (f"{SCAN}, suggests: {{{MISSING}: none}}", "not none"),
    (f"{SCAN}, suggests: {{{MISSING}: [create, create]}}", "not create; create"),
    (f"{SCAN}, suggests: {{{MISSING}: [[create, of the knee]]}}", "not create … of the knee"),
    (f"{SILENT}, suggests: {{{LOW}: none}}", f"no card {LOW} to suggest anything"),
    (f"{SCAN}, says-not: [before the scan]", "a card says: before the scan"),
    (
        f"{SCAN}, lines: [monitor.vitamin: info]",
        "lines of cards are none, not monitor.vitamin:info",
    ),
    (f"{BESIDE}, lines: none", "lines of cards are monitor.vitamin:info, not none"),
    (f"{OPEN}, unknown: none", f"unknown: {MISSING}"),
    (f"{OPEN}, decided: [{MISSING}]", f"{MISSING} is unknown"),
    (f"{SILENT}, unknown: [monitor.vitamin]", "monitor.vitamin is not unknown"),
]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = copied(tmp_path_factory.mktemp("held"))
    lines = [f"name: {number} holds, {line}" for number, line in enumerate(HOLDS)]
    path = scenarios(root, "contrast/allergy", *lines)
    return run_tests(root, path, "--verbose").stdout


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = copied(tmp_path_factory.mktemp("failed"))
    lines = [f"name: {number} fails, {line}" for number, (line, _) in enumerate(FAILS)]
    path = scenarios(root, "contrast/allergy", *lines)
    return " ".join(run_tests(root, path).stdout.split())


@pytest.mark.parametrize("number", range(len(HOLDS)))
def test_it_holds(number: int, held: str) -> None:
    assert f" {number} holds\n" in held
    assert f"passed contrast/allergy.scenarios.yaml:{number + 3} {number} holds" in held, held


@pytest.mark.parametrize("number", range(len(FAILS)))
def test_it_fails_with_the_reason(number: int, failed: str) -> None:
    _, _, told = failed.partition(f" {number} fails ")
    assert FAILS[number][1] in told.partition("FAILED")[0], failed


def test_what_an_update_changes_is_told(tmp_path: Path) -> None:
    """A suggestion that changes a draft: its target, and what stands there that did not before."""
    rule = "opioid.recent-exposure"
    start = "[update MedicationRequest/ldn, start 2026-06-20]"
    day_before = start.replace("20]", "19]")
    given = "given: [LDN draft, oxycodone dispense: {handed-over: 2026-05-31}]"
    line = (
        f"{given}, expect: [{rule}: warning], suggests: {{{rule}: [OFFER, delete MedicationReq]}}"
    )
    path = scenarios(
        tmp_path,
        "recent",
        f"name: as it is, {line.replace('OFFER', start)}",
        f"name: another day, {line.replace('OFFER', day_before)}",
    )
    told = " ".join(run_tests(ROOT / "rules", path, "-v").stdout.split())
    assert f"passed {path}:3 as it is" in told
    _, _, failed = told.partition(f"FAILED {path}:4 another day ")
    assert "(start 2026-06-20); delete MedicationRequest/ldn: Remove the naltrexone order" in failed


def test_lint_names_a_rule_that_is_none(tmp_path: Path) -> None:
    root = copied(tmp_path)
    scenarios(root, "contrast/allergy", f"name: one, {SCAN}, lines: [contrast.gone: info]")
    done = cds("lint", root)
    assert done.returncode == 1
    assert (
        "contrast/allergy.scenarios.yaml:3:5: 'contrast.gone' is no rule of the pack" in done.stdout
    )
