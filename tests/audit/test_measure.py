"""measure-report.json is FHIR R4, counts what the summary counts, and names whom the rules fired for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds.audit import measure
from cds.audit.measure import write_measures
from tests.audit.population import population, read, run, write_bundles
from tests.records import Json, rulebook

Audited = tuple[Path, dict[str, Any]]
CODES = {"initial-population": "judged", "denominator": "judged", "numerator": "fired", "undecided": "unknown"}  # fmt: skip


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("measure")
    people = population(20)
    for number, resources in enumerate(people.values()):
        resources[0]["gender"] = ("female", "male", "unknown")[number % 3]
    write_bundles(folder / "in", people)
    return folder / "out", run(folder / "in", folder / "out")


def bundle(out: Path) -> Json:
    found: Json = json.loads((out / "measure-report.json").read_text())
    return found


def reports(out: Path, kind: str) -> dict[str, Json]:
    """Reports of a type by rule."""
    found = [entry["resource"] for entry in bundle(out)["entry"]]
    return {
        item["measure"].rpartition("/")[2].partition("|")[0]: item
        for item in found
        if item.get("type") == kind
    }


def counts(populations: list[Json]) -> dict[str, int | None]:
    return {item["code"]["coding"][0]["code"]: item.get("count") for item in populations}


def expected(counted: Json, judged: int | None) -> dict[str, int | None]:
    return {code: {**counted, "judged": judged}[name] for code, name in CODES.items()}


@pytest.mark.slow
def test_it_is_fhir_r4(audited: Audited) -> None:
    from fhir.resources.R4B.bundle import Bundle

    found = bundle(audited[0])
    Bundle.model_validate(found)
    assert found["type"] == "collection"
    kinds = {entry["resource"]["resourceType"] for entry in found["entry"]}
    assert kinds == {"MeasureReport", "List"}


def test_a_summary_counts_what_the_summary_counts(audited: Audited) -> None:
    out, summary = audited
    found = reports(out, "summary")
    assert list(found) == [rule["rule"] for rule in summary["rules"]]
    judged = summary["patients"]["judged"]
    for rule in summary["rules"]:
        (group,) = found[rule["rule"]]["group"]
        assert counts(group["population"]) == expected(rule, judged)
        told = {
            (stratifier["code"][0]["text"], stratum["value"]["text"]): counts(stratum["population"])
            for stratifier in group["stratifier"]
            for stratum in stratifier["stratum"]
        }
        assert told == {
            (name, value): expected(by, summary["strata"][name][value])
            for name, values in rule["by"].items()
            for value, by in values.items()
        }
        assert len(told) >= 5


def test_a_subject_list_names_those_for_whom_the_rule_fired(audited: Audited) -> None:
    out, summary = audited
    entries = bundle(out)["entry"]
    by_url = {entry["fullUrl"]: entry["resource"] for entry in entries}
    assert len(by_url) == len(entries)
    named = {(line["rule"], line["patient"]) for line in read(out, "findings")}
    told = set()
    for rule in summary["rules"]:
        report = reports(out, "subject-list")[rule["rule"]]
        (group,) = report["group"]
        assert counts(group["population"]) == expected(rule, summary["patients"]["judged"])
        listed = [item for item in group["population"] if "subjectResults" in item]
        assert len(listed) == bool(rule["fired"])
        for item in listed:
            assert item["code"]["coding"][0]["code"] == "numerator"
            subjects = by_url[item["subjectResults"]["reference"]]["entry"]
            assert len(subjects) == rule["fired"]
            for subject in subjects:
                one = by_url[subject["item"]["reference"]]
                assert (one["type"], one["measure"]) == ("individual", report["measure"])
                told.add((rule["rule"], one["subject"]["reference"].removeprefix("Patient/")))
                assert one["evaluatedResource"]
    assert told == named
    assert len(told) > 20


def test_measures_are_the_rules_of_the_pack_at_the_moment_judged_for(audited: Audited) -> None:
    for name, report in reports(audited[0], "summary").items():
        (rule,) = [rule for rule in rulebook().rules if rule.id == name]
        expected = f"{rulebook().pack.canonical}/Measure/{name}|{rule.version}"
        assert report["measure"] == expected
        assert report["period"] == {"start": "2026-06-10T10:00:00-04:00", "end": "2026-06-10T10:00:00-04:00"}  # fmt: skip
        assert "measureScore" not in report["group"][0]


def test_however_little_is_held_in_memory_the_bytes_are_the_same(
    audited: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "_HELD", 100)
    (tmp_path / "findings.ndjson").write_bytes((audited[0] / "findings.ndjson").read_bytes())
    write_measures(tmp_path, audited[1], rulebook(), subjects=True)
    ours = (tmp_path / "measure-report.json").read_bytes()
    assert ours == (audited[0] / "measure-report.json").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"findings.ndjson", "measure-report.json"}


def test_what_is_suppressed_is_masked_and_nobody_is_listed(tmp_path: Path) -> None:
    from fhir.resources.R4B.bundle import Bundle

    from tests.audit.test_suppression import audit_suppressed

    out, summary = audit_suppressed(tmp_path, 5)
    found = bundle(out)
    Bundle.model_validate(found)
    kinds = {entry["resource"].get("type") for entry in found["entry"]}
    assert kinds == {"summary"}
    masked = 0
    for rule in summary["rules"]:
        (group,) = reports(out, "summary")[rule["rule"]]["group"]
        assert counts(group["population"]) == expected(rule, summary["patients"]["judged"])
        for item in group["population"]:
            assert ("_count" in item) == ("count" not in item)
            if "_count" in item:
                assert item["_count"]["extension"][0]["valueCode"] == "masked"
                masked += 1
    assert masked
