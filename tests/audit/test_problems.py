"""problems.ndjson: whatever could not be read is there, with its file, its line and its id."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cds.audit.line import PROBLEM_FIELDS
from tests.audit.population import LDN, WHEN, ndjson, population, read, write_export
from tests.records import Json, bundle, order, person, resource
from tests.test_cli import cds

RECORD = json.dumps(bundle(person(), order("n", LDN))).encode()
MIXED = [json.dumps(person()), "{bad", json.dumps(order("n", LDN)), '{"id": "q"}', "[1]"]

# Of an input: what it holds, and what is told of it: line, resource, a part of the words, severity.
Told = tuple[int | None, str | None, str, str]
RECORDS: dict[str, tuple[bytes, Told]] = {
    "half.json": (RECORD[:60], (None, None, "not JSON", "error")),
    "empty.json": (b"", (None, None, "empty", "error")),
    "number.json": (b"42", (None, None, "entry 1 is a number", "error")),
    "nothing.json": (b"[]", (None, None, "no resources", "error")),
    "latin.json": (RECORD.replace(b"naltrexone", b"naltrex\xf6ne"), (None, None, "UTF-8", "error")),
    "half.json.gz": (gzip.compress(RECORD)[:-12], (None, None, "damaged gzip", "error")),
    "line.ndjson": ("\n".join(MIXED[:3]).encode(), (2, None, "this line is not JSON", "error")),
    "typeless.ndjson": ("\n".join([MIXED[0], MIXED[2], MIXED[3]]).encode(), (3, None, "without a resourceType (id q)", "error")),
    "array.ndjson": ("\n".join([MIXED[0], MIXED[2], MIXED[4]]).encode(), (3, None, "entry 1 is a number", "error")),
}  # fmt: skip


def people(*resources: Json, **said: Any) -> bytes:
    return json.dumps(bundle(person(**said), order("n", LDN), *resources)).encode()


INSIDE: dict[str, tuple[bytes, Told]] = {
    "entry.json": (people({"resource": 3}), (None, None, "Bundle.entry[2] holds no resource", "error")),
    "typeless.json": (people({"resource": {"id": "q"}}), (None, None, "without a resourceType (id q)", "error")),
    "stranger.json": (people(order("n2", LDN, "p2")), (None, "MedicationRequest/n2", "belongs to Patient/p2", "warning")),
    "nobody.json": (people({**order("n2", LDN), "subject": {}}), (None, "MedicationRequest/n2", "names no patient", "warning")),
    "twice.json": (people(order("n", "oxycodone 5 MG Oral Tablet")), (None, "MedicationRequest/n", "stands 2 times", "error")),
    "date.json": (people(order("n2", LDN, authoredOn="soon")), (None, "MedicationRequest/n2", "authoredOn: no date", "warning")),
    "period.json": (people(resource("MedicationStatement", "s", status="active", medicationCodeableConcept={"text": LDN}, effectivePeriod={"start": "2026-06-01", "end": 3})), (None, "MedicationStatement/s", "effectivePeriod.end: no date", "warning")),
    "born.json": (people(birthDate="a monday"), (None, "Patient/p1", "birthDate: no date", "warning")),
    "dead.json": (people(deceasedBoolean=True), (None, "Patient/p1", "deceased", "warning")),
    "nameless.json": (people(order("n3", "", medicationCodeableConcept={"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "00000-0000-00"}]})), (None, "MedicationRequest/n3", "could not be classified", "warning")),
}  # fmt: skip


def problems(paths: list[Path], out: Path) -> dict[str, list[Json]]:
    """What is told, by the name of the file."""
    cds("audit", *paths, "--out", out, *WHEN)
    found: dict[str, list[Json]] = {}
    for line in read(out, "problems"):
        assert tuple(line) == PROBLEM_FIELDS
        found.setdefault(Path(line["file"]).name, []).append(line)
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Json]]:
    folder = tmp_path_factory.mktemp("problems")
    for name, (data, _) in {**RECORDS, **INSIDE}.items():
        # Each in a folder of its own, so that no two are taken for parts of an export.
        (folder / name.replace(".", "-")).mkdir()
        (folder / name.replace(".", "-") / name).write_bytes(data)
    return problems([folder, folder / "missing.json"], folder / "out")


@pytest.mark.parametrize("name", [*RECORDS, *INSIDE])
def test_each_kind_of_bad_input_is_told_with_its_place(
    told: dict[str, list[Json]], name: str
) -> None:
    line, where, what, severity = {**RECORDS, **INSIDE}[name][1]
    (problem,) = told[name]
    assert (problem["line"], problem["resource"], problem["severity"]) == (line, where, severity)
    assert what in problem["what"]
    assert Path(problem["input"]).name == name
    if name in INSIDE:
        assert problem["patient"] == "p1"


def test_a_file_that_is_not_there_is_told(told: dict[str, list[Json]]) -> None:
    (problem,) = told["missing.json"]
    assert problem["kind"] == "file"
    assert "No such file" in problem["what"]


def test_no_words_of_a_record_are_told(told: dict[str, list[Json]]) -> None:
    every = json.dumps(told)
    assert "soon" not in every
    assert "monday" not in every


LINES: dict[str, tuple[str | None, str]] = {
    '{"resourceType": "Condition", "subj': (None, "this line is no resource"),
    '{"id": "c2", "subject": {"reference": "Patient/p1"}}': (None, "no resourceType"),
    '{"resourceType": "Condition", "id": "c3"}': ("Condition/c3", "names no patient"),
    '{"resourceType": "Condition", "id": "c4", "subject": {"reference": "Group/g"}}': ("Condition/c4", "belongs to Group/g"),
}  # fmt: skip


def test_bad_lines_of_an_export_have_file_line_and_id(tmp_path: Path) -> None:
    write_export(tmp_path / "in", population(3))
    path = tmp_path / "in" / "Condition.ndjson"
    first = len(path.read_text().splitlines()) + 1
    path.write_text(path.read_text() + "\n".join(LINES) + "\n")
    late = resource("MedicationRequest", "late", "p01", status="active", authoredOn="soon")
    late["medicationCodeableConcept"] = {"text": LDN}
    with (tmp_path / "in" / "MedicationRequest.ndjson").open("a") as file:
        file.write(ndjson([late]))
    found = problems([tmp_path / "in"], tmp_path / "out")
    lines = found.pop("Condition.ndjson")
    assert [line["line"] for line in lines] == list(range(first, first + len(LINES)))
    for line, (where, what) in zip(lines, LINES.values(), strict=True):
        assert line["resource"] == where
        assert what in line["what"]
    ((date,),) = found.values()
    assert (date["resource"], date["patient"]) == ("MedicationRequest/late", "p01")
    assert "authoredOn" in date["what"]
