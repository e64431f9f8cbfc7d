"""`--suppress N`: no small count is told, and none follows from what is told."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cds.audit.suppression import suppressed
from tests.audit.attack import VERDICTS, Law, Reader, laws, numbers
from tests.audit.population import WHEN, population, write_bundles
from tests.test_cli import cds

Summary = dict[str, Any]
SEXES = ("female", "male", "other", "unknown")
AGES = ("0-9", "10-19", "60-69", "90+", "unknown")
STATES = ("supplied", "empty", "absent", "failed")


def made_up(seed: int) -> Summary:
    """The summary of a population that never was, as an audit would count it."""
    dice = random.Random(seed)
    people = dice.choice([0, 3, 9, 20, 60, 150, 400])
    sexes, ages = dice.sample(SEXES, dice.randint(1, 4)), dice.sample(AGES, dice.randint(1, 5))
    weights = [dice.choice([1, 3, 30]) for _ in ages]
    patients = [
        ("2026", dice.choice(sexes + sexes[:1] * 5), *dice.choices(ages, weights))
        for _ in range(people)
    ]
    strata = {
        name: dict(Counter(patient[place] for patient in patients))
        for place, name in enumerate(("year", "sex", "age"))
    }
    rules = [rule(number, patients, dice) for number in range(dice.randint(1, 5))]
    cells: Counter[tuple[str, str]] = Counter()
    for one in rules:
        for said, levels in one["findings"].items():
            for level, count in levels.items():
                cells[said, level] += count
    dead, odd = dice.choice([0, 1, 4, 30]), dice.choice([0, 2, 40])
    problems = {"patient": {"warning": dead}} if dead else {}
    if odd:
        problems["unclassified"] = {"warning": odd}
    coverage = {
        kind: dict(Counter(dice.choices(STATES, [90, 6, 2, 1], k=people)))
        for kind in ("Condition", "Task")
    }
    return {
        **{name: name for name in ("pack", "rulebook", "hook", "asOf", "timezone")},
        "suppressed": None,
        "inputs": {"records": people + dead, "exports": 0, "unreadable": 0},
        "patients": {"judged": people, "deceased_not_judged": dead},
        "strata": strata,
        "findings": cells.total(),
        "cards": {level: cells["card", level] for level in ("critical", "warning", "info")},
        "lines": sum(count for (said, _), count in cells.items() if said == "line"),
        "rules": rules,
        "not_judged": [],
        "unclassified": {"patients": min(odd, 1), "medications": odd},
        "coverage": coverage,
        "ignored": {"Claim: no rule reads this type": dice.choice([1, 500])},
        "problems": problems,
    }


def rule(number: int, patients: list[tuple[str, ...]], dice: random.Random) -> Summary:
    chance = dice.choice([(0, 1, 0), (1, 200, 0), (1, 20, 1), (1, 3, 1), (0, 40, 1), (5, 5, 1)])
    verdicts = dice.choices(VERDICTS, chance, k=len(patients))
    by = {
        name: {
            value: {
                verdict: sum(
                    (patient[place], found) == (value, verdict)
                    for patient, found in zip(patients, verdicts, strict=True)
                )
                for verdict in VERDICTS
            }
            for value in dict.fromkeys(patient[place] for patient in patients)
        }
        for place, name in enumerate(("year", "sex", "age"))
    }
    fired, unknown = verdicts.count("fired"), verdicts.count("unknown")
    partly = dice.choice([0, fired // 4])
    findings: dict[str, dict[str, int]] = {}
    for _ in range(fired + dice.choice([0, fired // 3])):
        said, level = (
            dice.choices(("card", "line", "silent"), (6, 2, 1))[0],
            dice.choices(("warning", "info"), (3, 1))[0],
        )
        findings.setdefault(said, {}).setdefault(level, 0)
        findings[said][level] += 1
    reasons: Counter[str] = Counter()
    for _ in range(unknown + partly):
        reasons.update(dice.sample(("no date", "no dose", "no labs"), dice.choice([1, 1, 1, 2])))
    return {
        "rule": f"a.{number}",
        "version": "1",
        **{verdict: verdicts.count(verdict) for verdict in VERDICTS},
        "fired_and_unknown": partly,
        "findings": findings,
        "reasons": dict(reasons.most_common()),
        "by": by,
    }


def holds(law: Law, truth: dict[tuple[str, ...], int]) -> bool:
    left = sum(sign * truth.get(name, 0) for name, sign in law.parts)
    return left >= 0 if law.at_least else left == 0


@pytest.mark.parametrize("seed", range(60))
def test_no_null_can_be_worked_out(seed: int) -> None:
    whole = made_up(seed)
    least = random.Random(seed).choice([2, 3, 5, 11])
    told = suppressed(whole, least)
    if 0 < whole["patients"]["judged"] < least + 6:
        assert {name[0] for name, count in numbers(told) if count} == {"inputs", "suppressed"} - (
            {"inputs"} if not whole["inputs"]["exports"] else set()
        )
        return
    reader = Reader(whole, told)
    assert all(holds(law, reader.truth) for law in laws(whole))
    for name in reader.secrets:
        if name[:1] != ("ignored",):
            found = reader.other_answer(name)
            assert found is not None, (least, name)
            assert found[name]
            changed = {place: count + found.get(place, 0) for place, count in reader.truth.items()}
            assert all(holds(law, changed) for law in reader.laws)


@pytest.mark.parametrize("seed", range(60))
def test_no_small_count_is_told_and_no_count_is_changed(seed: int) -> None:
    whole = made_up(seed)
    told = suppressed(whole, 5)
    true = dict(numbers(whole))
    for name, count in numbers(told):
        if name[0] not in ("inputs", "suppressed") and count is not None:
            assert count == true[name]
            assert not 0 < count < 5, name


@pytest.mark.parametrize("seed", range(60))
def test_what_is_told_of_findings_and_reasons_bounds_no_null(seed: int) -> None:
    """Patients are told, each has a finding: what is missing to their number would be a null's."""
    whole = made_up(seed)
    told = suppressed(whole, 5)
    for rule, true in zip(told["rules"], whole["rules"], strict=True):
        findings = [n for levels in rule["findings"].values() for n in levels.values()]
        undecided = (rule["unknown"], rule["fired_and_unknown"])
        for patients, parts in (
            (rule["fired"], findings),
            (undecided, [*rule["reasons"].values()]),
        ):
            counted = [*patients] if isinstance(patients, tuple) else [patients]
            shown = [part for part in parts if part is not None]
            if None in parts and None not in counted and shown:
                assert sum(shown) + parts.count(None) >= sum(counted), true["rule"]


@pytest.mark.parametrize("seed", range(60))
def test_a_dimension_of_which_nothing_is_told_is_left_out(seed: int) -> None:
    told = suppressed(made_up(seed), 11)
    for name, counts in told["strata"].items():
        assert not counts or any(count is not None for count in counts.values())
        assert counts or not any(rule["by"].get(name) for rule in told["rules"])


def test_a_reason_does_not_tell_a_null_verdict() -> None:
    """Unknown is null to keep *fired* company, and has one reason: that of all of them."""
    verdicts = {"fired": 2, "not_fired": 70, "unknown": 28}
    one = {
        "rule": "a.1",
        "version": "1",
        **verdicts,
        "fired_and_unknown": 0,
        "findings": {"card": {"info": 2}},
        "reasons": {"no date": 28},
        "by": {"year": {"2026": verdicts}},
    }
    whole = {
        **made_up(5),
        "inputs": {"records": 100, "unreadable": 0},
        "strata": {"year": {"2026": 100}},
        "patients": {"judged": 100, "deceased_not_judged": 0},
        "rules": [one],
        "findings": 2,
        "cards": {"critical": 0, "warning": 0, "info": 2},
        "lines": 0,
        "coverage": {},
    }
    reader = Reader(whole, suppressed(whole, 5))
    assert ("rules", "0", "unknown") in reader.secrets
    for name in reader.secrets:
        assert name[0] in ("ignored", "problems") or reader.other_answer(name), name


def naive(whole: Summary, least: int) -> Summary:
    """Small counts are null, and nothing with them."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: told(item) for name, item in value.items()}
        if isinstance(value, list):
            return [told(item) for item in value]
        return None if isinstance(value, int) and 0 < value < least else value

    found: Summary = told(whole)
    return found


def test_the_reader_works_out_what_is_suppressed_without_company() -> None:
    """The attack of these tests has teeth."""
    found = 0
    for seed in range(30):
        whole = made_up(seed)
        reader = Reader(whole, naive(whole, 5))
        found += any(reader.other_answer(name) is None for name in reader.secrets)
    assert found > 20


def test_that_something_happened_to_nobody_is_told() -> None:
    whole = made_up(5)
    told = suppressed(whole, 5)
    assert whole["patients"]["judged"] == told["patients"]["judged"] > 5
    verdicts = [(name, count) for name, count in numbers(whole) if name[-1] in VERDICTS]
    shown = dict(numbers(told))
    assert {shown[name] for name, count in verdicts if len(name) == 3 and not count} == {0}


@pytest.mark.parametrize("least", [1, 0, -5])
def test_a_number_that_suppresses_nothing_is_refused(least: int) -> None:
    with pytest.raises(ValueError, match="2 or more"):
        suppressed(made_up(1), least)


# -- from outside ------------------------------------------------------------------------------------


def audit_suppressed(folder: Path, least: int) -> tuple[Path, Summary]:
    people = population(40)
    for number, resources in enumerate(people.values()):
        resources[0]["gender"] = ("female", "male", "female", "other")[number % 4]
        resources[0]["birthDate"] = f"{1930 + 2 * number}-01-01"
    write_bundles(folder / "in", people)
    (folder / "in" / "broken-p99.json").write_text("{")
    args = ("--out", folder / "out", "--csv", "--suppress", least, *WHEN)
    done = cds("audit", folder / "in", *args)
    assert done.returncode == 1, done.stderr
    assert "single patients" in done.stderr
    assert "–" in done.stdout
    return folder / "out", json.loads((folder / "out" / "summary.json").read_text())


def test_what_is_for_passing_on_names_nobody(tmp_path: Path) -> None:
    out, summary = audit_suppressed(tmp_path, 5)
    names = {path.name for path in out.iterdir()}
    assert names == {"summary.json", "summary.csv", "measure-report.json", "report.html"}
    assert summary["suppressed"]["below"] == 5
    for path in out.iterdir():
        text = path.read_text()
        assert "p99" not in text
        assert "MedicationRequest/" not in text
        assert not [name for name in population(40) if f'{name}"' in text or f"/{name}" in text]


def test_the_table_of_counts_is_suppressed_as_well(tmp_path: Path) -> None:
    out, summary = audit_suppressed(tmp_path, 5)
    rows = [line.split(",") for line in (out / "summary.csv").read_text().splitlines()[1:]]
    told = {(row[0], row[2], row[3]): row[4:] for row in rows}
    assert any(row[-1] == "suppressed" for row in rows)
    for rule in summary["rules"]:
        for name, values in rule["by"].items():
            for value, counts in values.items():
                judged = summary["strata"][name][value]
                cells = [judged, *(counts[verdict] for verdict in VERDICTS)]
                shown = ["" if cell is None else str(cell) for cell in cells]
                note = "suppressed" if None in cells else ""
                assert told[rule["rule"], name, value] == [*shown, note]


def test_a_suppressed_audit_adds_up_and_gives_nothing_away(tmp_path: Path) -> None:
    _, told = audit_suppressed(tmp_path, 5)
    done = cds("audit", tmp_path / "in", "--out", tmp_path / "whole", *WHEN)
    assert done.returncode == 1
    whole = json.loads((tmp_path / "whole" / "summary.json").read_text())
    assert whole["suppressed"] is None
    assert told == json.loads(json.dumps(suppressed(whole, 5)))
    again = cds("audit", tmp_path / "in", "--out", tmp_path / "out", "--resume", *WHEN)
    assert again.returncode == 2
    assert "--suppress was '5' and is 'None'" in again.stderr
    reader = Reader(whole, told)
    assert len(reader.secrets) > 100
    for name in reader.secrets:
        if name[0] not in ("ignored", "problems"):
            assert reader.other_answer(name) is not None, name


def test_counts_of_orders_are_not_suppressed(tmp_path: Path) -> None:
    write_bundles(tmp_path / "in", population(2))
    args = ("--out", tmp_path / "out", "--every", "order", "--suppress", 5, *WHEN)
    done = cds("audit", tmp_path / "in", *args)
    assert done.returncode == 2
    assert "one patient" in done.stderr


def test_an_audit_with_nothing_to_suppress_is_refused(tmp_path: Path) -> None:
    done = cds("audit", tmp_path, "--out", tmp_path / "out", "--suppress", 1, *WHEN)
    assert done.returncode == 2
    assert "--suppress" in done.stderr
