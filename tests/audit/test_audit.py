"""`cds audit` from outside: its files, its counts, and that they say what `cds check` says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cds.audit.line import FINDING_FIELDS, PROBLEM_FIELDS
from tests.audit.population import (
    FILES,
    LDN,
    WHEN,
    about,
    content,
    operation,
    population,
    read,
    run,
    write_bundles,
    write_export,
)
from tests.records import bundle, draft, order, person, request, resource
from tests.test_cli import cds, lines


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    write_bundles(folder, population())
    return folder


@pytest.fixture(scope="module")
def audited(bundles: Path) -> tuple[Path, dict[str, Any]]:
    out = bundles.parent / f"{bundles.name}-out"
    return out, run(bundles, "--workers", 1, out)


def test_every_line_of_findings_has_the_same_fields(audited: tuple[Path, dict[str, Any]]) -> None:
    out, summary = audited
    found = read(out, "findings")
    assert len(found) == summary["findings"] > 20
    for line in found:
        assert tuple(line) == FINDING_FIELDS
        assert line["indicator"] in ("info", "warning", "critical")
        assert line["card"] in (True, False, "line")
        assert line["sources"]
        assert line["trace"]["truth"] == "yes"
        assert set(line["sources"]) == {name for fact in line["facts"] for name in fact["sources"]}
        assert line["asOf"] == "2026-06-10T10:00:00-04:00"
        assert line["rulebook"] == summary["rulebook"]
        assert len(line["summary"]) < 140


def test_patients_stand_in_the_order_of_the_inputs(audited: tuple[Path, dict[str, Any]]) -> None:
    people = [line["patient"] for line in read(audited[0], "findings")]
    assert people == sorted(people)
    assert len(set(people)) > 10


def test_each_rule_is_fired_not_fired_or_unknown_for_each_patient(
    audited: tuple[Path, dict[str, Any]],
) -> None:
    summary = audited[1]
    assert summary["patients"] == {"judged": 30, "deceased_not_judged": 0}
    assert summary["rules"]
    for rule in summary["rules"]:
        assert rule["fired"] + rule["not_fired"] + rule["unknown"] == 30
    assert sum(rule["fired"] for rule in summary["rules"])
    assert sum(rule["unknown"] for rule in summary["rules"])
    assert not {rule["rule"] for rule in summary["rules"]} & set(summary["not_judged"])


def test_a_rule_that_fired_for_one_thing_and_is_unknown_for_another_counts_as_fired(
    audited: tuple[Path, dict[str, Any]],
) -> None:
    """p15 has naltrexone, an operation in three days and one without a date."""
    rules = {rule["rule"]: rule for rule in audited[1]["rules"]}
    window = rules["periop.surgery-within-hold-window"]
    assert window["fired"] == 5
    assert window["fired_and_unknown"] == 1
    # p05 and p25 have the one without a date only; p15's reason is told as well.
    assert window["unknown"] == 2
    assert window["reasons"] == {"its date is not recorded": 3}


def test_what_could_not_be_decided_is_counted_with_its_reason(tmp_path: Path) -> None:
    record = bundle(
        person(), resource("MedicationRequest", "m1", status="active", intent="order", medicationReference={"reference": "Medication/none"})
    )  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(record))
    summary = run(tmp_path / "a.json", tmp_path / "out")
    rules = {rule["rule"]: rule for rule in summary["rules"]}
    rule = rules["dq.naltrexone-dose-uncomputable"]
    assert rule["unknown"] == 1
    assert rule["reasons"] == {"MedicationRequest names a drug that could not be found": 1}
    assert summary["coverage"]["MedicationRequest"] == {"unresolved": 1}


def test_the_audit_says_what_check_says(
    bundles: Path, audited: tuple[Path, dict[str, Any]]
) -> None:
    checked = lines(cds("check", bundles, "--hook", "audit", "--format", "json", *WHEN))
    found = read(audited[0], "findings")
    told = {
        (line["patient"], line["rule"], line["summary"]) for line in found if line["card"] is True
    }
    cards = {
        (line["patient"], card["source"]["topic"]["code"], card["summary"])
        for line in checked
        for card in line["cards"]
    }
    assert told == cards
    assert cards
    unknown = sum(len(line["unknown"]) for line in checked)
    counted = sum(rule["unknown"] + rule["fired_and_unknown"] for rule in audited[1]["rules"])
    assert unknown == counted > 0
    assert audited[1]["coverage"]["Condition"] == {"supplied": 30}
    inputs = {line["patient"]: line["input"] for line in checked}
    assert all(line["input"] == inputs[line["patient"]] for line in found)


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_changes_no_byte(
    bundles: Path, audited: tuple[Path, dict[str, Any]], tmp_path: Path, workers: int
) -> None:
    run(bundles, "--workers", workers, tmp_path / "out")
    assert content(tmp_path / "out") == content(audited[0])


def test_one_bundle_of_several_patients_an_array_and_lines_say_the_same(
    audited: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    everyone = [item for resources in population().values() for item in resources]
    (tmp_path / "bundle.json").write_text(json.dumps(bundle(*everyone)))
    (tmp_path / "array.json").write_text(json.dumps(everyone))
    (tmp_path / "lines.ndjson").write_text("\n".join(map(json.dumps, everyone)))
    expected = about(read(audited[0], "findings"), "input")
    for name in ("bundle.json", "array.json", "lines.ndjson"):
        out = tmp_path / f"out-{name}"
        assert run(tmp_path / name, out)["inputs"]["records"] == 1
        assert about(read(out, "findings"), "input") == expected


def test_what_speaks_is_told_apart_from_lines_and_from_what_is_silent(tmp_path: Path) -> None:
    """A draft with an active opioid: the critical card makes lines of the others."""
    held = bundle(
        order("o1", "oxycodone 5 MG Oral Tablet"),
        order("o2", "hydrocodone 5 MG Oral Tablet", status="completed", authoredOn="2026-05-28"),
    )
    critical = request(draft("d1", LDN, 9), prefetch={"medications": held})
    (tmp_path / "a.json").write_text(json.dumps(critical))
    checked = lines(
        cds("check", tmp_path / "a.json", "--format", "json", "--hook", "order-sign", *WHEN)
    )
    summary = run(tmp_path / "a.json", "--hook", "order-sign", tmp_path / "out")
    found = read(tmp_path / "out", "findings")
    cards = [card["source"]["topic"]["code"] for card in checked[0]["cards"]]
    assert sorted(line["rule"] for line in found if line["card"] is True) == sorted(cards)
    said = [line for line in found if line["card"] == "line"]
    # An id in a detail has joiners in it, so that no client makes a link of it.
    detail = "\n".join(card["detail"].replace("\u2060", "") for card in checked[0]["cards"])
    assert said
    assert all(line["rule"] in detail for line in said)
    assert summary["hook"] == "order-sign"
    assert summary["lines"] == len(said)
    assert sum(summary["cards"].values()) == len(cards)


def test_the_deceased_are_counted_and_not_judged(tmp_path: Path) -> None:
    dead = bundle(person(deceasedDateTime="2020-01-01"), order("n", LDN))
    (tmp_path / "a.json").write_text(json.dumps(dead))
    summary = run(tmp_path / "a.json", tmp_path / "out")
    assert summary["patients"] == {"judged": 0, "deceased_not_judged": 1}
    assert summary["problems"] == {"patient": {"warning": 1}}
    (problem,) = read(tmp_path / "out", "problems")
    assert tuple(problem) == PROBLEM_FIELDS
    assert problem["patient"] == "p1"


def test_medications_that_nothing_names_are_counted_and_listed(tmp_path: Path) -> None:
    ndc = {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "00000-0000-00"}]}
    record = bundle(person(), order("o1", "", medicationCodeableConcept=ndc))
    (tmp_path / "a.json").write_text(json.dumps(record))
    summary = run(tmp_path / "a.json", tmp_path / "out")
    assert summary["unclassified"] == {"patients": 1, "medications": 1}
    told = [line for line in read(tmp_path / "out", "problems") if line["kind"] == "unclassified"]
    assert [(line["resource"], line["severity"]) for line in told] == [
        ("MedicationRequest/o1", "warning")
    ]


def test_patient_and_switches_narrow_the_audit(bundles: Path, tmp_path: Path) -> None:
    summary = run(bundles, "--patient", "p15", "--disable", "dq", tmp_path / "out")
    assert summary["patients"]["judged"] == 1
    found = read(tmp_path / "out", "findings")
    assert {line["patient"] for line in found} == {"p15"}
    assert not any(line["rule"].startswith("dq.") for line in found)


def test_standard_input_is_a_record(tmp_path: Path) -> None:
    data = json.dumps(
        bundle(person(), order("n", LDN), operation("x", "p1", occurrenceDateTime="2026-06-13"))
    )
    run("-", tmp_path / "out", stdin=data.encode())
    assert {line["input"] for line in read(tmp_path / "out", "findings")} == {"-"}


def test_streams_carry_results_and_nothing_else(bundles: Path, tmp_path: Path) -> None:
    done = cds("audit", bundles / "p01.json", "--out", tmp_path / "out", "--format", "json", *WHEN)
    assert done.stdout == (tmp_path / "out" / "summary.json").read_text()
    assert len(done.stderr.splitlines()) == 1
    text = cds("audit", bundles / "p15.json", "--out", tmp_path / "more", *WHEN)
    assert "periop.surgery-within-hold-window" in text.stdout
    assert "patients judged: 1," in text.stdout
    (told,) = text.stderr.splitlines()
    assert re.match(
        rf"judged in [\d.]+ s; see {re.escape(str(tmp_path / 'more'))}/report\.html; beside it: ",
        told,
    )
    beside = told.partition("beside it: ")[2].split(", ")
    assert {*beside, "report.html"} == {path.name for path in (tmp_path / "more").iterdir()}
    again = cds("audit", bundles / "p15.json", "--out", tmp_path / "more", "--resume", *WHEN)
    assert again.stderr.splitlines()[-1] == told.partition("; ")[2]


def test_the_help_names_every_file_and_option(bundles: Path, tmp_path: Path) -> None:
    told = " ".join(cds("audit", "--help").stdout.split())
    out = tmp_path / "out"
    done = cds("audit", bundles / "p01.json", "--out", out, "--csv", *WHEN)
    assert done.returncode == 0
    assert {path.name for path in out.iterdir()} >= {"findings.csv", "report.html"}
    for path in out.iterdir():
        assert path.name in told
    options = "csv suppress on every resume memory workers format spark-conf engine".split()
    for name in options:
        assert f"--{name} " in told


def test_an_input_given_twice_is_judged_once(bundles: Path, tmp_path: Path) -> None:
    again = bundles / ".." / bundles.name / "p01.json"
    summary = run(bundles / "p01.json", again, tmp_path / "out")
    assert summary["patients"]["judged"] == 1
    (problem,) = read(tmp_path / "out", "problems")
    assert "given twice" in problem["what"]


# -- the folder --------------------------------------------------------------------------------------


def test_out_may_be_empty_and_is_made_with_its_parents(bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    run(bundles / "p01.json", tmp_path / "there")
    run(bundles / "p01.json", tmp_path / "not" / "there")


def test_an_out_that_holds_something_is_refused_and_left_alone(
    bundles: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("keep")
    done = cds("audit", bundles / "p01.json", "--out", tmp_path, *WHEN)
    assert done.returncode == 2
    assert f"--out: {tmp_path} is not empty" in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    file = cds("audit", bundles / "p01.json", "--out", tmp_path / "mine", *WHEN)
    assert file.returncode == 2
    assert "is no folder" in file.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["missing.json"], "missing.json"),
        (["no*.json"], "no*.json"),
        (["empty"], "holds no record files"),
        (["--workers", 0, "p.json"], "--workers"),
        (["--hook", "audits", "p.json"], "accepted"),
        (["--format", "xml", "p.json"], "accepted: text, json"),
    ],
)
def test_an_unusable_call_leaves_no_trace(tmp_path: Path, args: list[object], told: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "p.json").write_text(json.dumps(bundle(person())))
    done = cds("audit", *args, "--out", "out", *WHEN, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_files_have_their_names_only_when_whole(bundles: Path, tmp_path: Path) -> None:
    run(bundles, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


def test_records_and_an_export_of_one_folder_are_judged_beside_each_other(tmp_path: Path) -> None:
    people = population(6)
    write_export(tmp_path / "in", people)
    write_bundles(tmp_path / "in", {"p15": population()["p15"]})
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary["inputs"]["exports"] == 1
    assert summary["inputs"]["records"] == 1
    assert summary["patients"]["judged"] == 7
    inputs = {line["patient"]: line["input"] for line in read(tmp_path / "out", "findings")}
    assert inputs["p15"] == str(tmp_path / "in" / "p15.json")
    assert inputs["p01"] == str(tmp_path / "in")
