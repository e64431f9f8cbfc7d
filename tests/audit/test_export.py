"""Exports of a population: files by type that are one record set, read line by line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.audit.population import (
    LDN,
    TYPES,
    about,
    by_reference,
    content,
    ndjson,
    operation,
    population,
    read,
    run,
    write_bundles,
    write_export,
)
from tests.records import ROOT, Json, bundle, draft, order, person, resource

CORPUS = ROOT.parent / "shared" / "corpus" / "bulk-export"
Audited = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("export")
    write_export(folder / "in", population())
    return folder, run(folder / "in", "--workers", 1, folder / "out")


def judged(folder: Path, *args: object, code: int = 0) -> Audited:
    """The folder's audit, beside it."""
    out = folder.with_name(f"{folder.name}-out")
    return out, run(folder, *args, out, code=code)


def write(folder: Path, **files: list[Json]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, resources in files.items():
        (folder / f"{kind}.ndjson").write_text(ndjson(resources))
    return folder


def test_an_export_says_what_bundles_of_the_same_patients_say(
    audited: Audited, tmp_path: Path
) -> None:
    folder, summary = audited
    write_bundles(tmp_path / "in", population())
    out, other = judged(tmp_path / "in")
    ours, theirs = read(folder / "out", "findings"), read(out, "findings")
    assert about(ours, "input") == about(theirs, "input")
    assert ours
    assert {line["input"] for line in ours} == {str(folder / "in")}
    assert summary["rules"] == other["rules"]
    assert summary["coverage"] == other["coverage"]
    assert summary["patients"] == other["patients"]
    assert summary["inputs"]["exports"] == 1
    assert summary["inputs"]["records"] == 0


@pytest.mark.parametrize(("workers", "seed"), [(2, None), (3, 1), (1, 2)])
def test_neither_workers_nor_the_order_of_lines_and_parts_change_a_byte(
    audited: Audited, tmp_path: Path, workers: int, seed: int | None
) -> None:
    folder = audited[0]
    (folder / "in").rename(folder / "first")
    try:
        write_export(folder / "in", population(), seed=seed)
        run(folder / "in", "--workers", workers, tmp_path / "out")
    finally:
        for path in (folder / "in").iterdir():
            path.unlink()
        (folder / "in").rmdir()
        (folder / "first").rename(folder / "in")
    ours, theirs = content(tmp_path / "out"), content(folder / "out")
    assert ours["findings.ndjson"] == theirs["findings.ndjson"] != b""
    assert ours["problems.ndjson"] == theirs["problems.ndjson"]
    counts = json.loads(ours["summary.json"]), json.loads(theirs["summary.json"])
    for summary in counts:
        # There are more files.
        del summary["inputs"]
    assert counts[0] == counts[1]


def test_a_type_without_a_file_is_absent_and_one_with_files_is_empty(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        Patient=[person("p1"), person("p2")],
        MedicationRequest=[order("n", LDN, "p1")],
        Condition=[],
    )
    _, summary = judged(folder)
    assert summary["coverage"]["MedicationRequest"] == {"empty": 1, "supplied": 1}
    assert summary["coverage"]["Condition"] == {"empty": 2}
    assert summary["coverage"]["Task"] == {"absent": 2}


def test_the_site_may_declare_a_type(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", Patient=[person()], Condition=[])
    config = tmp_path / "site.yaml"
    config.write_text("supplied: [Task]\n")
    _, summary = judged(folder, "--config", config)
    assert summary["coverage"]["Task"] == {"empty": 1}
    assert summary["coverage"]["Procedure"] == {"absent": 1}


def manifest(folder: Path, request: str = "", **files: list[str]) -> None:
    output = [
        {"type": kind, "url": f"https://ehr.example.org/bulk/{name}"}
        for kind, names in files.items()
        for name in names
    ]
    value = {"transactionTime": "2026-06-01T00:00:00Z", "request": request, "output": output}
    (folder / "manifest.json").write_text(json.dumps({**value, "error": []}))


def test_the_manifest_declares_types_and_is_no_input(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", Patient=[person()], MedicationRequest=[order("n", LDN)])
    url = "https://ehr.example.org/$export?_type=Patient,MedicationRequest,Task"
    manifest(folder, url, Patient=["Patient.ndjson"], MedicationRequest=["MedicationRequest.ndjson"])  # fmt: skip
    out, summary = judged(folder)
    assert summary["coverage"]["Task"] == {"empty": 1}
    assert summary["coverage"]["Procedure"] == {"absent": 1}
    assert summary["inputs"]["records"] == 0
    assert not read(out, "problems")


def test_a_file_that_the_manifest_names_and_that_is_not_there_fails_for_everybody(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path / "in", Patient=[person("p1"), person("p2")], Condition=[])
    manifest(folder, Patient=["Patient.ndjson"], Condition=["Condition.ndjson", "2.Condition.ndjson"])  # fmt: skip
    out, summary = judged(folder, code=1)
    assert summary["coverage"]["Condition"] == {"failed": 2}
    assert summary["inputs"]["unreadable"] == 1
    (problem,) = read(out, "problems")
    assert "2.Condition.ndjson" in problem["what"]
    assert problem["file"] == str(folder / "manifest.json")


def test_files_without_telling_names_are_known_by_the_manifest_or_their_lines(
    tmp_path: Path,
) -> None:
    listed = tmp_path / "listed"
    listed.mkdir()
    (listed / "1.ndjson").write_text(ndjson([person()]))
    (listed / "2.ndjson").write_text("")
    manifest(listed, Patient=["1"], Condition=["2.ndjson"])
    _, summary = judged(listed)
    assert summary["coverage"]["Condition"] == {"empty": 1}
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "part-1.ndjson").write_text(ndjson([person("p1"), person("p2")]))
    (bare / "part-2.ndjson").write_text(ndjson([order("n", LDN, "p1"), order("m", LDN, "p2")]))
    _, summary = judged(bare)
    assert summary["inputs"]["exports"] == 1
    assert summary["coverage"]["MedicationRequest"] == {"supplied": 2}
    assert summary["coverage"]["Condition"] == {"absent": 2}


def test_only_the_changes_since_a_moment_are_a_truncated_record(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", Patient=[person()], MedicationRequest=[order("n", LDN)])
    manifest(folder, "https://ehr.example.org/$export?_since=2026-01-01T00:00:00Z", Patient=["Patient.ndjson"])  # fmt: skip
    _, summary = judged(folder)
    assert summary["coverage"]["MedicationRequest"] == {"truncated": 1}


def test_medications_by_reference_are_found_in_whatever_file(tmp_path: Path) -> None:
    drug = {"coding": [{"system": "https://example.org", "code": "x", "display": LDN}]}
    versions = [
        {"resourceType": "Medication", "id": "m1", "meta": {"versionId": "9"}, "code": {"text": "water"}},
        {"resourceType": "Medication", "id": "m1", "meta": {"versionId": "10"}, "code": drug},
    ]  # fmt: skip
    orders = [by_reference(f"o{name}", name, "m1") for name in ("p1", "p2")]
    orders.append(by_reference("o3", "p3", "none"))
    for number, medications in enumerate((versions, versions[::-1])):
        folder = write(
            tmp_path / f"in{number}",
            Patient=[person("p1"), person("p2"), person("p3")],
            MedicationRequest=orders,
            Medication=medications,
        )
        out, summary = judged(folder)
        people = {line["patient"] for line in read(out, "findings")}
        assert people == {"p1", "p2"}
        assert summary["coverage"]["MedicationRequest"] == {"supplied": 2, "unresolved": 1}


@pytest.mark.parametrize("apart", [True, False])
def test_medications_that_contradict_each_other_are_told_whatever_their_order(
    tmp_path: Path, apart: bool
) -> None:
    copies: list[Json] = [
        {"resourceType": "Medication", "id": "m1", "code": {"text": text}}
        for text in (LDN, "oxycodone 5 MG Oral Tablet")
    ]
    same = {**copies[0], "id": "m2"}
    people = [person("p1"), person("p2"), person("p3")]
    orders = [by_reference("o1", "p1", "m1"), by_reference("o2", "p2", "m1")]
    orders.append(by_reference("o3", "p3", "m2"))
    (tmp_path / "bundles").mkdir()
    for who, what in zip(people, orders, strict=True):
        named = [item for item in (*copies, same) if f"/{item['id']}" in json.dumps(what)]
        (tmp_path / "bundles" / f"{who['id']}.json").write_text(
            json.dumps(bundle(who, what, *named))
        )
    expected = judged(tmp_path / "bundles")[0]
    for number, medications in enumerate((copies, copies[::-1])):
        files: dict[str, list[Json]] = {kind: [] for kind in TYPES}
        files |= {"Patient": people, "MedicationRequest": orders}
        files |= {} if apart else {"Medication": [*medications, same, same]}
        folder = write(tmp_path / f"in{number}", **files)
        if apart:
            for place, item in enumerate((*medications, same, same)):
                (folder / f"{place}.Medication.ndjson").write_text(ndjson([item]))
        out, _ = judged(folder)
        told = [item for item in read(out, "problems") if item["kind"] == "duplicate"]
        assert {(item["patient"], item["resource"]) for item in told} == {
            ("p1", "Medication/m1"),
            ("p2", "Medication/m1"),
        }
        findings = {item["rule"] for item in read(out, "findings") if item["patient"] == "p1"}
        assert findings == {
            item["rule"] for item in read(expected, "findings") if item["patient"] == "p1"
        }


def test_nothing_in_an_export_is_being_written_now(tmp_path: Path) -> None:
    """The same record as a Bundle is about a draft; an export has none."""
    items = [person(), draft("d", LDN, 9)]
    write_export(tmp_path / "in", {"p1": items})
    write_bundles(tmp_path / "bundles", {"p1": items})
    out, _ = judged(tmp_path / "in", "--hook", "order-sign")
    assert not read(out, "findings")
    out, _ = judged(tmp_path / "bundles", "--hook", "order-sign")
    assert read(out, "findings")


def test_a_draft_in_an_export_is_read_without_a_problem(tmp_path: Path) -> None:
    """Rules that ask when an order begins meet it too: beside an opioid and an operation."""
    operation = resource(
        "ServiceRequest",
        "op",
        status="active",
        intent="order",
        occurrenceDateTime="2026-06-12",
        code={"coding": [{"system": "http://snomed.info/sct", "code": "44558001"}]},
    )
    write_export(tmp_path / "in", {"p1": [person(), draft("d", LDN, 9), operation]})
    out, summary = judged(tmp_path / "in")
    assert summary["patients"]["judged"] == 1
    assert not read(out, "problems")
    assert not read(out, "findings")


def test_a_patient_without_a_patient_resource_is_judged_with_a_warning(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in", Patient=[person("p1")], MedicationRequest=[order("n", LDN, "p2")]
    )
    out, summary = judged(folder)
    assert summary["patients"]["judged"] == 2
    (problem,) = read(out, "problems")
    assert problem["patient"] == "p2"
    assert "no Patient resource" in problem["what"]
    assert {line["patient"] for line in read(out, "findings")} == {"p2"}


def test_an_appointment_of_two_patients_is_read_for_both(tmp_path: Path) -> None:
    actors = [{"actor": {"reference": f"Patient/{name}"}} for name in ("p1", "p2")]
    visit = {"resourceType": "Appointment", "id": "a", "status": "booked", "participant": actors}
    folder = write(tmp_path / "in", Patient=[person("p1"), person("p2")], Appointment=[visit])
    out, summary = judged(folder)
    assert summary["coverage"]["Appointment"] == {"supplied": 2}
    assert not read(out, "problems")


def test_however_a_reference_is_written_it_names_its_patient(tmp_path: Path) -> None:
    lines = [
        json.dumps(order("a", LDN, "p1")),
        json.dumps({**order("b", LDN), "subject": {"reference": "https://ehr.example.org/fhir/Patient/p2"}}),
        json.dumps(order("c", LDN, "p3")).replace("Patient/p3", "Patient\\/p3"),
        json.dumps({**order("d", LDN), "contained": [order("x", "", "p9")], "subject": {"type": "Patient", "reference": "Patient/p4"}}),
    ]  # fmt: skip
    folder = write(tmp_path / "in", Patient=[person(f"p{number}") for number in range(1, 5)])
    (folder / "MedicationRequest.ndjson").write_text("\r\n".join(lines))
    out, summary = judged(folder)
    assert summary["patients"]["judged"] == 4
    assert {line["patient"] for line in read(out, "findings")} == {"p1", "p2", "p3", "p4"}


def test_a_folder_a_type_is_one_export(tmp_path: Path) -> None:
    for kind, items in {"Patient": [person()], "MedicationRequest": [order("n", LDN)]}.items():
        (tmp_path / "in" / kind).mkdir(parents=True)
        (tmp_path / "in" / kind / "part-0.ndjson").write_text(ndjson(items))
    _, summary = judged(tmp_path / "in")
    assert summary["inputs"]["exports"] == 1
    assert summary["patients"]["judged"] == 1


def test_files_of_types_that_no_rule_reads_are_not_opened_for_reading(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", Patient=[person()], MedicationRequest=[order("n", LDN)])
    # Damage after the first lines shows that it is not read to its end.
    claims = gzip.compress(
        ndjson([resource("Claim", f"c{number}") for number in range(5000)]).encode()
    )
    (folder / "Claim.ndjson.gz").write_bytes(claims[:-20])
    out, summary = judged(folder)
    assert summary["inputs"]["export_files_not_needed"] == 1
    assert not read(out, "problems")


@pytest.mark.slow
def test_a_large_plain_file_is_read_in_parts_without_a_line_lost_or_doubled(
    tmp_path: Path,
) -> None:
    """Lines of many lengths across the borders of parts and blocks; a bad one keeps its number."""
    people = [person(f"p{number:05}") for number in range(1200)]
    orders = [
        order(f"n{number}", LDN, f"p{number:05}", note=[{"text": "x" * (number * 17 % 23_003)}])
        for number in range(1200)
    ]
    folder = write(tmp_path / "in", Patient=people)
    lines = [json.dumps(item) for item in orders]
    lines[1190] = "{"
    (folder / "MedicationRequest.ndjson").write_text("\n".join(lines))
    assert (folder / "MedicationRequest.ndjson").stat().st_size > 12_000_000
    out, summary = judged(folder, "--workers", 2)
    assert summary["patients"]["judged"] == 1200
    assert summary["coverage"]["MedicationRequest"] == {"empty": 1, "supplied": 1199}
    (problem,) = read(out, "problems")
    assert problem["line"] == 1191
    found = read(out, "findings")
    assert len(found) == len({line["patient"] for line in found}) == 1199


def test_several_versions_of_a_patient_are_one(tmp_path: Path) -> None:
    """Ruling 31: the highest version stands, in whatever order they come."""
    old = person("p1", birthDate="1970", meta={"versionId": "2"}, deceasedBoolean=True)
    new = person("p1", birthDate="1980", meta={"versionId": "11"})
    for number, people in enumerate(([old, new], [new, old])):
        folder = write(tmp_path / f"in{number}", Patient=people, MedicationRequest=[])
        assert judged(folder)[1]["patients"] == {"judged": 1, "deceased_not_judged": 0}


def test_one_patient_of_an_export(audited: Audited, tmp_path: Path) -> None:
    folder = audited[0]
    summary = run(folder / "in", "--patient", "Patient/p15", tmp_path / "out")
    assert summary["patients"]["judged"] == 1
    whole = [line for line in read(folder / "out", "findings") if line["patient"] == "p15"]
    assert about(read(tmp_path / "out", "findings")) == about(whole)
    assert len(whole) > 1


def test_types_of_the_population_cover_what_rules_read() -> None:
    from cds.engine.needs import resource_types
    from tests.records import rulebook

    assert set(resource_types(rulebook(), "audit")) <= {*TYPES, "Patient", "Medication"}


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not beside the project")
def test_the_corpus_export_is_one_record_set(tmp_path: Path) -> None:
    summary = run(CORPUS, tmp_path / "out")
    assert summary["inputs"]["exports"] == 1
    assert summary["patients"]["judged"] + summary["patients"]["deceased_not_judged"] == 13
    assert summary["coverage"]["Procedure"] == {"supplied": summary["patients"]["judged"]}
    assert set(summary["coverage"]["Task"]) == {"absent"}
    kinds = {line["what"] for line in read(tmp_path / "out", "problems")}
    assert kinds <= {"the patient is recorded as deceased: not judged"}


def test_a_type_that_was_not_exported_makes_unknown_what_an_empty_one_decides(
    tmp_path: Path,
) -> None:
    held = {
        "Patient": [person()],
        "MedicationRequest": [order("n", LDN)],
        "ServiceRequest": [operation("x", "p1", occurrenceDateTime="2026-06-13")],
    }
    rule = "periop.surgery-within-hold-window"
    _, absent = judged(write(tmp_path / "absent", **held))
    (found,) = [item for item in absent["rules"] if item["rule"] == rule]
    assert (found["fired"], found["unknown"]) == (0, 1)
    assert "Condition was not supplied" in found["reasons"]
    out, _ = judged(write(tmp_path / "empty", **held, Condition=[]))
    assert rule in {line["rule"] for line in read(out, "findings")}
