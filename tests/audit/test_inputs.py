"""What an audit takes: archives, standard input, globs, NDJSON of Bundles; and what it refuses."""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from cds.audit import inputs
from cds.audit.run import Options
from tests.audit.killing import KILLED, run_and_die, steps_of
from tests.audit.killing import run as run_here
from tests.audit.population import (
    LDN,
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
from tests.records import Json, bundle, draft, order, person
from tests.test_cli import cds

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

PEOPLE = population(16)
EVERYONE = [item for resources in PEOPLE.values() for item in resources]


def packed(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The findings of the population, whatever the input is called."""
    folder = tmp_path_factory.mktemp("expected")
    write_bundles(folder / "in", PEOPLE)
    run(folder / "in", folder / "out")
    return about(read(folder / "out", "findings"), "input", "line")


# -- archives --------------------------------------------------------------------------------------


def test_the_bundles_of_an_archive_are_records_of_their_own(
    expected: list[str], tmp_path: Path
) -> None:
    members: dict[str, str | bytes] = {"readme.txt": "no record", "__MACOSX/._p01.json": b"\0"}
    for number, (name, resources) in enumerate(PEOPLE.items()):
        data = json.dumps(bundle(*resources))
        if number % 3 == 0:
            members[f"deep/er/{name}.json.gz"] = gzip.compress(data.encode())
        else:
            members[f"{name}.json"] = data
    archive = packed(tmp_path / "all.zip", members)
    summary = run(archive, tmp_path / "out")
    assert summary["inputs"]["records"] == 16
    found = read(tmp_path / "out", "findings")
    assert about(found, "input", "line") == expected
    named = {line["patient"]: line["input"] for line in found}
    assert named["p15"] == f"{archive}!p15.json"
    assert named["p07"] == f"{archive}!deep/er/p07.json.gz"
    # As part of a folder, with two workers, it is the same.
    run(tmp_path / "al*.zip", "--workers", 2, tmp_path / "again")
    assert content(tmp_path / "again") == content(tmp_path / "out")


def test_an_archive_can_hold_an_export(expected: list[str], tmp_path: Path) -> None:
    write_export(tmp_path / "export", PEOPLE, seed=5)
    run(tmp_path / "export", tmp_path / "plain")
    members = {f"x/{path.name}": path.read_bytes() for path in (tmp_path / "export").iterdir()}
    summary = run(packed(tmp_path / "all.zip", members), tmp_path / "out")
    assert summary["inputs"]["exports"] == 1
    found = read(tmp_path / "out", "findings")
    assert {line["input"] for line in found} == {f"{tmp_path / 'all.zip'}!x"}
    assert about(found, "input", "line") == about(
        read(tmp_path / "plain", "findings"), "input", "line"
    )
    assert about(found, "input", "line") == expected


def test_what_of_an_archive_cannot_be_read_is_told_and_the_rest_is_judged(tmp_path: Path) -> None:
    good = json.dumps(bundle(*PEOPLE["p15"]))
    members: dict[str, str | bytes] = {
        "good.json": good,
        "secret.json": good,
        "broken.json": good * 3,
        "bomb.json": b" " * 100_000_000,
        "more.zip": b"",
        "odd.json": b"{",
    }
    path = packed(tmp_path / "all.zip", members)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        places = {item.filename: item.header_offset for item in archive.infolist()}
    # The flag of encryption in the list of members, and some bytes of a member's own.
    data[data.index(b"secret.json", data.index(b"PK\x01\x02")) - 46 + 8] |= 1
    start = places["broken.json"] + 60
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    summary = run(path, tmp_path / "out", code=1)
    told = {
        line["file"].partition("!")[2]: line["what"] for line in read(tmp_path / "out", "problems")
    }
    assert "is encrypted" in told["secret.json"]
    assert "is a bomb" in told["bomb.json"]
    assert "not opened" in told["more.zip"]
    assert "cannot be unpacked" in told["broken.json"]
    assert "not JSON" in told["odd.json"]
    assert summary["patients"]["judged"] == 1
    assert summary["inputs"]["unreadable"] == 4


@pytest.mark.parametrize("damage", ["no archive", "half", "overlap", "empty"])
def test_an_archive_that_is_none_is_a_problem(tmp_path: Path, damage: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(bundle(person())))
    path = packed(tmp_path / "all.zip", {"b.json": json.dumps(bundle(person())), "c.json": "{}"})
    if damage == "no archive":
        path.write_bytes(b"PK no archive")
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == "empty":
        packed(path, {"readme.txt": "nothing"})
    else:
        data = bytearray(path.read_bytes())
        place = data.index(b"PK\x01\x02") + 20
        data[place : place + 4] = struct.pack("<I", 10_000)
        path.write_bytes(data)
    found = run(path, tmp_path / "a.json", tmp_path / "out", code=1)
    assert found["patients"]["judged"] == 1
    (problem,) = read(tmp_path / "out", "problems")
    assert problem["file"] == str(path)
    assert problem["severity"] == "error"


# -- standard input and lines ----------------------------------------------------------------------


def test_lines_that_are_bundles_are_records_of_their_own(
    expected: list[str], tmp_path: Path
) -> None:
    """Also where a file has other lines, and on standard input, which has no suffix."""
    lines = [json.dumps(bundle(*resources)) for resources in PEOPLE.values()]
    text = "\n".join([*lines[:4], "no json", "", *lines[4:]]).encode()
    (tmp_path / "all.ndjson").write_bytes(text)
    (tmp_path / "all.ndjson.gz").write_bytes(gzip.compress(text))
    for name in ("all.ndjson", "all.ndjson.gz"):
        summary = run(tmp_path / name, tmp_path / f"out-{name}", code=1)
        assert summary["inputs"] == {
            **summary["inputs"],
            "records": 17,
            "exports": 0,
            "unreadable": 1,
        }
        found = read(tmp_path / f"out-{name}", "findings")
        assert about(found, "input", "line") == expected
        assert {line["line"] for line in found} <= {1, 2, 3, 4, *range(7, 40)}
        (problem,) = (
            line for line in read(tmp_path / f"out-{name}", "problems") if line["kind"] == "json"
        )
        assert (problem["file"], problem["line"]) == (str(tmp_path / name), 5)
    run("-", tmp_path / "piped", stdin=text, code=1)
    found = read(tmp_path / "piped", "findings")
    assert {line["input"] for line in found} == {"-"}
    assert about(found, "input", "line") == expected


def test_one_patient_in_two_bundles_is_two_records(tmp_path: Path) -> None:
    """Bundles are never merged with each other (ruling 31)."""
    one = bundle(person(), order("n", LDN))
    two = bundle(person(), operation("x", "p1", occurrenceDateTime="2026-06-13"))
    (tmp_path / "both.ndjson").write_text(f"{json.dumps(one)}\n{json.dumps(two)}\n")
    summary = run(tmp_path / "both.ndjson", tmp_path / "out")
    assert summary["patients"]["judged"] == 2
    rules = {line["rule"] for line in read(tmp_path / "out", "findings")}
    assert "periop.surgery-within-hold-window" not in rules


def test_one_patient_on_two_lines_is_told_apart_in_every_file(tmp_path: Path) -> None:
    """Findings, reports of the measure and problems say which line they are about."""
    odd = {**order("n", LDN), "category": {"text": "community"}}
    text = json.dumps(bundle(person(), odd)) + "\n"
    (tmp_path / "both.ndjson").write_text(text * 2)
    summary = run(tmp_path / "both.ndjson", tmp_path / "out")
    found = read(tmp_path / "out", "findings")
    assert len(found) == summary["findings"] > 0
    assert {line["line"] for line in found} == {1, 2}
    assert {line["line"] for line in read(tmp_path / "out", "problems")} == {1, 2}
    entries = json.loads((tmp_path / "out" / "measure-report.json").read_text())["entry"]
    assert len({entry["fullUrl"] for entry in entries}) == len(entries)
    fired = {rule["rule"]: rule["fired"] for rule in summary["rules"] if rule["fired"]}
    lists = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "List"]
    assert [len(item["entry"]) for item in lists] == list(fired.values()) != []


@pytest.mark.parametrize("kind", ["bundle", "array", "lines", "zip", "gz"])
def test_standard_input_is_told_by_its_content(
    expected: list[str], tmp_path: Path, kind: str
) -> None:
    data = {
        "bundle": json.dumps(bundle(*EVERYONE), indent=1).encode(),
        "array": json.dumps(EVERYONE).encode(),
        "lines": ndjson(EVERYONE).encode(),
        "gz": gzip.compress(ndjson(EVERYONE).encode()),
        "zip": packed(
            tmp_path / "all.zip",
            {f"{name}.json": json.dumps(bundle(*them)) for name, them in PEOPLE.items()},
        ).read_bytes(),
    }[kind]
    summary = run("-", tmp_path / "out", stdin=data)
    found = read(tmp_path / "out", "findings")
    assert about(found, "input", "line") == expected
    assert {line["input"].partition("!")[0] for line in found} == {"-"}
    assert summary["inputs"]["records"] == (16 if kind == "zip" else 1)


def test_a_large_file_of_resources_is_sorted_by_patient_and_says_the_same(
    expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draft is a draft, and what is not there is empty, as in any record."""
    new = draft("d", LDN, 9)
    path = tmp_path / "all.ndjson"
    path.write_text(ndjson([*EVERYONE, person("p1"), new]))
    assert run_here([str(path)], Options(tmp_path / "small")) == 0
    monkeypatch.setattr(inputs, "_LARGE", 1000)
    assert run_here([str(path)], Options(tmp_path / "large")) == 0
    small, large = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("small", "large"))  # fmt: skip
    assert large == small
    assert small["inputs"]["records"] == 1
    for name in ("findings", "problems"):
        assert about(read(tmp_path / "large", name)) == about(read(tmp_path / "small", name))
    assert len(read(tmp_path / "large", "findings")) > len(expected)
    order_of = [line["patient"] for line in read(tmp_path / "large", "findings")]
    assert order_of != sorted(order_of)


def test_standard_input_is_not_read_again_by_a_resumed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps(bundle(*them)) for them in population(40).values()]

    def given(text: str) -> None:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(text.encode())))

    given("\n".join(lines))
    steps = steps_of(["-"], Options(tmp_path / "counted"))
    given("\n".join(lines))
    assert run_and_die(["-"], Options(tmp_path / "out"), steps - 12) == KILLED
    given("")
    assert run_here(["-"], Options(tmp_path / "out", resume=True)) == 0
    assert content(tmp_path / "out") == content(tmp_path / "counted")


# -- globs -----------------------------------------------------------------------------------------


def test_a_glob_names_files_folders_and_archives(expected: list[str], tmp_path: Path) -> None:
    names = sorted(PEOPLE)
    write_bundles(tmp_path / "a1", {name: PEOPLE[name] for name in names[:5]})
    write_bundles(tmp_path / "a2" / "deep", {name: PEOPLE[name] for name in names[5:10]})
    packed(
        tmp_path / "a3.zip",
        {f"{name}.json": json.dumps(bundle(*PEOPLE[name])) for name in names[10:]},
    )
    summary = run(f"{tmp_path}/a*", tmp_path / "out")
    assert summary["inputs"]["records"] == 16
    assert about(read(tmp_path / "out", "findings"), "input", "line") == expected
    summary = run(f"{tmp_path}/a*/**/*.json", tmp_path / "deep-out")
    assert summary["inputs"]["records"] == 10
    done = cds("audit", f"{tmp_path}/b*", "--out", tmp_path / "no")
    assert done.returncode == 2
    assert "matches no file" in done.stderr


def test_names_that_are_no_utf_8_are_read_and_spelled(tmp_path: Path) -> None:
    odd = b"d\xf6r".decode("utf-8", "surrogateescape")
    write_bundles(tmp_path / odd, population(3))
    (tmp_path / odd / "p03.json").rename(tmp_path / odd / f"new\nline {odd}.json")
    (tmp_path / odd / f"no {odd}.json").write_text("[")
    write_export(tmp_path / odd / odd, population(3))
    summary = run(tmp_path / odd, tmp_path / f"out {odd}", code=1)
    assert summary["inputs"]["records"] == 4
    assert summary["inputs"]["exports"] == 1
    assert summary["patients"]["judged"] == 6
    found = read(tmp_path / f"out {odd}", "findings")
    name = f"{tmp_path}/d\\xf6r"
    inputs = {line["input"] for line in found}
    assert inputs == {f"{name}/p01.json", f"{name}/new\nline d\\xf6r.json", f"{name}/d\\xf6r"}
    (problem,) = read(tmp_path / f"out {odd}", "problems")
    assert problem["file"] == f"{name}/no d\\xf6r.json"


@pytest.mark.parametrize("turn", [1, -1])
def test_of_patients_and_shared_medications_the_version_that_stands_is_read(
    tmp_path: Path, turn: int
) -> None:
    """Whatever the order in the Bundle (ruling 31); what has no version is told."""

    def version(item: Json, number: str) -> Json:
        return {**item, "meta": {"versionId": number}}

    def medication(text: str) -> Json:
        return {"resourceType": "Medication", "id": "m", "code": {"text": text}}

    dead = {**person("p2"), "deceasedBoolean": True}
    drugs = [medication("oxycodone 5 MG Oral Tablet"), medication(LDN)]
    records = {
        "drug": [person(), version(drugs[0], "9"), version(drugs[1], "10")],
        "dead": [version(person("p2"), "9"), version(dead, "10")],
        "odd": [person(), *drugs],
    }
    for name, resources in records.items():
        who = "p2" if name == "dead" else "p1"
        found = bundle(*resources[::turn], by_reference("n", who, "m"))
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.json").write_text(json.dumps(found))
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary["patients"] == {"judged": 2, "deceased_not_judged": 1}
    inputs = {line["input"] for line in read(tmp_path / "out", "findings")}
    assert str(tmp_path / "in" / "drug.json") in inputs
    (told,) = (item for item in read(tmp_path / "out", "problems") if item["kind"] == "duplicate")
    assert (told["resource"], told["file"]) == ("Medication/m", str(tmp_path / "in" / "odd.json"))


def test_an_archive_beside_what_is_in_it_is_told(tmp_path: Path) -> None:
    write_bundles(tmp_path / "in", population(2))
    members = {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    packed(tmp_path / "in" / "all.zip", members)
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary["patients"]["judged"] == 4
    (told,) = read(tmp_path / "out", "problems")
    assert told["file"] == str(tmp_path / "in" / "all.zip")
    assert told["what"].startswith("has 2 members")
