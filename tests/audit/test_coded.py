"""Lines that only their code tells apart: however they are written, the same comes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.audit.population import LDN, WHEN, ndjson, read
from tests.records import Json, order, person
from tests.test_cli import cds

ALT = {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]}
HEIGHT = {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]}
HIGH = {"valueQuantity": {"value": 900, "unit": "U/L"}, "referenceRange": [{"high": {"value": 40, "unit": "U/L"}}]}  # fmt: skip
OWNER = {"reference": "Patient/p1"}
_ABSENT = object()


def result(name: object = "r", code: object = ALT, subject: object = OWNER, **more: Any) -> bytes:
    content = {"resourceType": "Observation", "id": name, "status": "final", "code": code}
    content |= {"subject": subject, "effectiveDateTime": "2026-06-01", **more}
    kept = {key: value for key, value in content.items() if value is not _ABSENT}
    return json.dumps(kept, ensure_ascii=False).encode()


LINES: dict[str, bytes] = {
    "asked for": result(**HIGH),
    "asked for by nobody": result(code=HEIGHT),
    "a part that is asked for": result(code=HEIGHT, component=[{"code": HEIGHT}, {"code": ALT, **HIGH}]),
    "parts that nobody asks for": result(code=HEIGHT, component=[{"code": HEIGHT}]),
    "a part without a code": result(code=HEIGHT, component=[{}]),
    "a part that is no object": result(code=HEIGHT, component=[3]),
    "a part where a list belongs": result(code=HEIGHT, component={"code": ALT, **HIGH}),
    "no id": result(_ABSENT, HEIGHT),
    "an empty id": result("", HEIGHT),
    "an id with a tab": result("a\tb", HEIGHT),
    "an id in other letters": result("ä", HEIGHT),
    "an id that is a number": result(7, HEIGHT),
    "no code": result(code=_ABSENT),
    "null for a code": result(code=None),
    "a code that is a text": result(code="ALT"),
    "a list of codes": result(code=[HEIGHT, ALT], **HIGH),
    "a code in words": result(code={"text": "Body height"}),
    "no subject": result(code=HEIGHT, subject=_ABSENT),
    "a subject that is a text": result(code=HEIGHT, subject="Patient/p1"),
    "a subject elsewhere": result(subject={"reference": "https://ehr.example/fhir/Patient/p1"}, **HIGH),
    "a version of a subject": result(subject={"reference": "Patient/p1/_history/3"}, **HIGH),
    "a subject that is a group": result(subject={"reference": "Group/g"}, **HIGH),
    "another patient": result(code=HEIGHT, subject={"reference": "Patient/p2"}),
    "a reference that is a number": result(subject={"reference": 7}, **HIGH),
    "not UTF-8": result(code=HEIGHT, note=[{"text": "a"}]).replace(b'"a"', b'"\xff"'),
    "not UTF-8 where it is asked for": result(note=[{"text": "a"}], **HIGH).replace(b'"a"', b'"\xff"'),
    "umlauts": result(code={**HEIGHT, "text": "Körpergröße"}),
    "more after it": result(code=HEIGHT) + b" x",
    "half a line": result(code=HEIGHT)[:-9],
    "a blank line": b"",
    "spaces": b"  \t",
    "null": b"null",
    "a list": b"[" + result() + b"]",
    "a carriage return": result(code=HEIGHT) + b"\r",
    "indented": b"  " + result(**HIGH),
    "a large number": result(code=HEIGHT, valueInteger=1).replace(b": 1,", b": 1e400,"),
    "a number that is none": result(code=HEIGHT, valueInteger=1).replace(b": 1", b": 01"),
    "said twice": result(code=HEIGHT)[:-1] + b', "code": ' + json.dumps(ALT).encode() + b', "valueQuantity": {"value": 900, "unit": "U/L"}}',
    "type last": b'{"id": "r", ' + result(code=HEIGHT)[len(b'{"resourceType": "Observation", "id": "r", '):-1] + b', "resourceType": "Observation"}',
    "deeply nested": result(code=HEIGHT)[:-1] + b', "x": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    "contained": result(code=HEIGHT, contained=[{"resourceType": "Observation", "id": "r2", "code": ALT, "subject": {"reference": "Patient/p2"}}]),
}  # fmt: skip


Told = tuple[list[Json], list[Json], Json]


def audited(folder: Path, beside: str) -> Told:
    """Findings, problems and counts of an export: each line in a file and of a patient of its own.

    Before and after it stands a line that no rule asks for; the first has a text ``beside``.
    """
    source = folder / "in"
    source.mkdir(parents=True)
    people = [person(f"p{number}") for number in range(len(LINES))]
    (source / "Patient.ndjson").write_text(ndjson(people))
    orders = [order(f"n{number}", LDN, f"p{number}") for number in range(len(LINES))]
    (source / "MedicationRequest.ndjson").write_text(ndjson(orders))
    for number, line in enumerate(LINES.values()):
        first = result("first", HEIGHT, note=[{"text": "A"}]).replace(b'"A"', beside.encode())
        lines = b"\n".join([first, line, result("last", HEIGHT), b""])
        own = lines.replace(b"Patient/p1", b"Patient/p%d" % number)
        (source / f"{number}.Observation.ndjson").write_bytes(own)
    cds("audit", source, "--out", folder / "out", *WHEN)
    summary = json.loads((folder / "out" / "summary.json").read_text())
    findings, problems = (read(folder / "out", name) for name in ("findings", "problems"))
    for item in (*findings, *problems):
        item.pop("input", None)
        item["file"] = Path(item.get("file") or "").name
    return findings, problems, summary


@pytest.fixture(scope="module")
def quickly(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return audited(tmp_path_factory.mktemp("quickly"), '"A"')


@pytest.fixture(scope="module")
def slowly(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A letter that is escaped has every line beside it looked at in full."""
    return audited(tmp_path_factory.mktemp("slowly"), '"\\u0041"')


def of(told: Told, name: str) -> tuple[list[Json], list[Json]]:
    """What is told of a line: findings, and problems."""
    number = list(LINES).index(name)
    findings = [item for item in told[0] if item["patient"] == f"p{number}"]
    problems = [item for item in told[1] if item["file"] == f"{number}.Observation.ndjson"]
    return findings, problems


@pytest.mark.parametrize("name", LINES)
def test_however_a_line_is_written_the_same_comes_of_it(
    quickly: Told, slowly: Told, name: str
) -> None:
    assert of(quickly, name) == of(slowly, name)


def test_the_same_is_counted(quickly: Told, slowly: Told) -> None:
    assert quickly == slowly
    ignored = quickly[2]["ignored"]["Observation: in no value set that a rule asks for"]
    # Two beside each line, and twenty of the lines.
    assert ignored == 2 * len(LINES) + 20


@pytest.mark.parametrize(
    ("name", "fires"),
    [
        ("asked for", True),
        ("asked for by nobody", False),
        ("a part that is asked for", True),
        ("parts that nobody asks for", False),
        ("a part where a list belongs", True),
        ("a list of codes", True),
        ("a subject elsewhere", True),
        ("a version of a subject", True),
        ("indented", True),
    ],
)
def test_what_a_rule_asks_for_is_judged(quickly: Told, name: str, fires: bool) -> None:
    findings, problems = of(quickly, name)
    assert ("monitor.hepatic" in {item["rule"] for item in findings}, problems) == (fires, [])


@pytest.mark.parametrize(
    "name",
    [
        *("not UTF-8", "not UTF-8 where it is asked for", "more after it", "half a line", "null"),
        *("a list", "a number that is none", "deeply nested"),
    ],
)
def test_a_line_that_is_no_resource_is_told_even_where_no_rule_would_ask_for_it(
    quickly: Told, name: str
) -> None:
    _, problems = of(quickly, name)
    assert [(item["line"], item["kind"]) for item in problems] == [(2, "json")]
