"""Counts by year, sex and band of age: what a patient is counted under, and that they add up."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cds.audit.strata import BANDS, SEXES, VERDICTS, band
from cds.values.moment import read_date
from tests.audit.population import LDN, run, write_bundles
from tests.records import ZONE, Json, bundle, order, person
from tests.test_cli import cds


@pytest.mark.parametrize(
    ("born", "expected"),
    [
        ("2016-06-11", "0-9"),
        ("2016-06-10", "10-19"),
        ("1937-06-10", "80-89"),
        ("1936-06-10", "90+"),
        ("1900-01-01", "90+"),
        # Half a date is enough where every day of it says the same.
        ("1980", "40-49"),
        ("1986", "unknown"),
        ("1986-06", "unknown"),
        ("1986-05", "40-49"),
        ("2026-06-11", "unknown"),
        ("2026", "unknown"),
        # The birthday of a leap day is not yet on the last of February.
        ("1996-02-29", "30-39"),
    ],
)
def test_the_band_of_age_follows_from_every_possible_birthday(born: str, expected: str) -> None:
    assert band(read_date(born, ZONE).days, date(2026, 6, 10)) == expected


def test_a_leap_day_birthday_comes_in_march() -> None:
    born = read_date("1996-02-29", ZONE).days
    assert band(born, date(2026, 2, 28)) == "20-29"
    assert band(born, date(2026, 3, 1)) == "30-39"


PEOPLE: dict[str, dict[str, Any]] = {
    "a": {"gender": "female", "birthDate": "1980-01-01"},
    "b": {"gender": "female", "birthDate": "1986"},
    "c": {"gender": "male", "birthDate": "1931-01-01"},
    "d": {"gender": "masculine", "birthDate": "2020-05"},
    "e": {"gender": "other", "birthDate": None},
    "f": {"gender": None, "birthDate": "yesterday"},
}


def someone(name: str, said: dict[str, Any]) -> list[Json]:
    made = {**person(name), **said}
    taken = [order(f"{name}-n", LDN, name)] if name in "ac" else []
    return [{key: value for key, value in made.items() if value is not None}, *taken]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("strata")
    write_bundles(folder / "in", {name: someone(name, said) for name, said in PEOPLE.items()})
    return run(folder / "in", folder / "out")


def test_each_patient_is_counted_once_in_every_dimension(summary: dict[str, Any]) -> None:
    assert summary["strata"] == {
        "year": {"2026": 6},
        "sex": {"female": 2, "male": 1, "other": 1, "unknown": 2},
        "age": {"0-9": 1, "40-49": 1, "90+": 1, "unknown": 3},
    }
    assert list(summary["strata"]["sex"]) == list(SEXES)
    assert [*summary["strata"]["age"]] == [
        name for name in BANDS if name in summary["strata"]["age"]
    ]


def test_a_rule_adds_up_over_every_dimension(summary: dict[str, Any]) -> None:
    for rule in summary["rules"]:
        for name, values in rule["by"].items():
            assert list(values) == list(summary["strata"][name])
            for value, counts in values.items():
                assert sum(counts.values()) == summary["strata"][name][value]
            for verdict in VERDICTS:
                assert sum(counts[verdict] for counts in values.values()) == rule[verdict]


def test_who_fired_is_told_by_sex_and_age(summary: dict[str, Any]) -> None:
    (rule,) = [item for item in summary["rules"] if item["rule"] == "indication.none-documented"]
    fired = {
        (name, value): counts["fired"]
        for name, values in rule["by"].items()
        for value, counts in values.items()
        if counts["fired"]
    }
    assert fired == {
        ("year", "2026"): 2,
        ("sex", "female"): 1,
        ("sex", "male"): 1,
        ("age", "40-49"): 1,
        ("age", "90+"): 1,
    }


@pytest.mark.parametrize(
    ("instant", "year"),
    [("2026-01-01T04:59:00Z", "2025"), ("2026-01-01T05:00:00Z", "2026")],
)
def test_the_year_is_that_of_the_site(tmp_path: Path, instant: str, year: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(bundle(person())))
    zone = ("--as-of", instant, "--timezone", "America/New_York")
    done = cds("audit", tmp_path / "a.json", "--out", tmp_path / "out", "--format", "json", *zone)
    assert json.loads(done.stdout)["strata"]["year"] == {year: 1}
