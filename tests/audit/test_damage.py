"""Whatever is damaged is told with its place, and changes nothing of the others' results."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cds.audit import stream
from cds.audit.inputs import Record
from cds.audit.output import AuditError
from cds.audit.run import Options, audit
from cds.audit.stream import DamageError, TooLong, read_lines
from cds.audit.work import judge_records
from cds.cards.judge import Judged
from tests.audit.population import (
    LDN,
    about,
    content,
    ndjson,
    population,
    read,
    run,
    write_bundles,
    write_export,
)
from tests.records import bundle, order, person, resource, setting

Audited = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("healthy")
    write_bundles(folder / "in", population(8))
    return folder, run(folder / "in", folder / "out")


RECORD = json.dumps(bundle(person("x1"), order("n", LDN, "x1"))).encode()
BROKEN = {
    "array-of-nothing.json": b"[]",
    "empty.json": b"",
    "half.json": RECORD[: len(RECORD) // 2],
    "half.json.gz": gzip.compress(RECORD)[:-12],
    "latin.json": RECORD.replace(b"naltrexone", b"naltrex\xf6ne"),
    "no-gzip.json.gz": b"\x1f\x8b" + RECORD,
    "number.json": b"42",
    "text.json": b"Dear colleague,",
    "utf-16.json": RECORD.decode().encode("utf-16"),
    "zeros.json": bytes(100_000),
}


@pytest.mark.slow
def test_each_damaged_record_is_a_problem_and_the_rest_is_judged_as_before(
    healthy: Audited, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    write_bundles(folder, population(8))
    for name, data in BROKEN.items():
        (folder / name).write_bytes(data)
    (folder / "deep.json").write_bytes(b"[" * 200_000)
    (folder / "bomb.json.gz").write_bytes(gzip.compress(b"[" + b" " * 600_000_000 + b"]", 1))
    (folder / "loop.json").symlink_to(folder / "loop.json")
    (folder / "dangling.json").symlink_to(folder / "nowhere.json")
    (folder / "back").symlink_to(folder, target_is_directory=True)
    (folder / "directory.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    summary = run(folder, tmp_path / "out", code=1)
    found = read(tmp_path / "out", "findings")
    assert about(found, "input") == about(read(healthy[0] / "out", "findings"), "input")
    assert summary["rules"] == healthy[1]["rules"]
    problems: dict[str, list[dict[str, Any]]] = {}
    for line in read(tmp_path / "out", "problems"):
        problems.setdefault(Path(line["file"]).name, []).append(line)
    bad = {*BROKEN, "deep.json", "bomb.json.gz", "loop.json", "dangling.json", "pipe.json"}
    assert set(problems) == {*bad, "back"}
    assert summary["inputs"]["unreadable"] == len(bad)
    assert problems["back"][0]["severity"] == "warning"
    assert "unpacks to more than" in problems["bomb.json.gz"][0]["what"]
    assert "too early" in problems["half.json.gz"][0]["what"]
    for name in bad:
        assert all(line["severity"] == "error" for line in problems[name]), name
        assert all(line["what"] for line in problems[name])


def test_a_file_that_vanishes_is_a_problem(tmp_path: Path) -> None:
    gone = Record(str(tmp_path / "gone.json"), 10)
    (tmp_path / "here.json").write_bytes(RECORD)
    found = judge_records(setting(hook="audit"), (gone, Record(str(tmp_path / "here.json"))))
    assert found.tally.unreadable == 1
    assert found.tally.judged == 1
    assert b"cannot be read: No such file" in found.problems[0]


def test_one_bad_resource_costs_itself(tmp_path: Path) -> None:
    bad = resource("Condition", "c", code=[[[]]], onsetDateTime={"a": 1})
    record = bundle(person(), order("n", LDN), bad, {"resource": 3}, {"resource": {"id": "q"}})
    (tmp_path / "a.json").write_text(json.dumps(record))
    run(tmp_path / "a.json", tmp_path / "out")
    assert read(tmp_path / "out", "findings")
    assert len(read(tmp_path / "out", "problems")) >= 2


# -- an export ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("export")
    write_export(folder / "in", population(8))
    return folder, run(folder / "in", folder / "out")


BAD_LINES = {
    '{"resourceType": "Condition", "subj': "this line is no resource",
    '{"id": "c2", "subject": {"reference": "Patient/p01"}}': "no resourceType",
    "[1, 2]": "not a JSON object",
    '{"resourceType": "Condition", "id": "c3"}': "names no patient",
    '{"resourceType": "Condition", "id": "c4", "subject": {"reference": "Group/g"}}': "belongs to Group/g",
    '{"resourceType": "Condition", "id": "c5", "subject": {"display": "Jo"}}': "names no patient",
}  # fmt: skip


def test_bad_lines_are_told_with_file_and_line_and_the_rest_goes_on(
    export: Audited, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    write_export(folder, population(8))
    path = folder / "Condition.ndjson"
    first, *rest = path.read_text().splitlines()
    path.write_bytes("\n".join([first, "", *BAD_LINES, *rest]).encode() + b'\n"\xff"\n')
    run(folder, "--workers", 2, tmp_path / "out")
    told = read(tmp_path / "out", "problems")
    assert [(line["file"], line["line"]) for line in told] == [
        *((str(path), number) for number in range(3, 3 + len(BAD_LINES))),
        (str(path), 3 + len(BAD_LINES) + len(rest)),
    ]
    for line, what in zip(told, BAD_LINES.values(), strict=False):
        assert what in line["what"]
    found = about(read(tmp_path / "out", "findings"), "input")
    assert found == about(read(export[0] / "out", "findings"), "input")


def test_of_a_flood_of_bad_lines_the_first_hundred_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_export(folder, population(3))
    with (folder / "Condition.ndjson").open("a") as file:
        file.write("{\n" * 5000)
    run(folder, tmp_path / "out")
    told = read(tmp_path / "out", "problems")
    assert len(told) == 101
    assert told[-1]["what"] == "4900 more lines like these"


@pytest.mark.parametrize("damage", ["truncated", "bits"])
def test_a_damaged_file_of_an_export_fails_for_everybody(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "in"
    write_export(folder, population(8))
    path = folder / "Condition.ndjson"
    packed = gzip.compress(path.read_bytes() * 50)
    path.unlink()
    half = len(packed) // 2
    data = packed[:half] if damage == "truncated" else packed[:half] + b"\xaa" * half
    path.with_suffix(".ndjson.gz").write_bytes(data)
    summary = run(folder, tmp_path / "out", code=1)
    assert summary["coverage"]["Condition"] == {"failed": 8}
    assert summary["inputs"]["unreadable"] == 1
    told = read(tmp_path / "out", "problems")
    assert any("damaged gzip data" in line["what"] for line in told)
    assert {line["file"] for line in told if line["kind"] == "file"} == {f"{path}.gz"}
    # Of what the rest of the record decides, nothing changed.
    assert summary["patients"]["judged"] == 8
    assert read(tmp_path / "out", "findings")


def test_a_file_without_one_readable_line_fails_for_everybody(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_export(folder, population(3))
    path = folder / "Condition.ndjson"
    path.write_bytes(path.read_text().encode("utf-16"))
    summary = run(folder, tmp_path / "out", code=1)
    assert summary["coverage"]["Condition"] == {"failed": 3}


# -- lines -------------------------------------------------------------------------------------------


def all_lines(path: Path, start: int = 0, end: int | None = None) -> list[object]:
    return [line for lines in read_lines(path, start, end) for line in lines]


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
@pytest.mark.parametrize(
    "text", [b"", b"\n", b"a", b"a\n", b"aa\n\nb\ncccc\n", b"\xef\xbb\xbfab\r\nc"]
)
def test_parts_of_a_file_own_each_line_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, text: bytes
) -> None:
    monkeypatch.setattr(stream, "BLOCK", max(block, 3))
    path = tmp_path / "lines"
    path.write_bytes(text)
    expected = [line for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line]
    whole = all_lines(path)
    assert [line for line in whole if line] == expected
    for piece in range(1, len(text) + 1):
        starts = range(0, len(text), piece)
        parts = [line for start in starts for line in all_lines(path, start, start + piece)]
        assert [line for line in parts if line] == expected
        # Blank lines count too, or the numbers of later ones are wrong.
        assert parts == whole
    path.write_bytes(gzip.compress(text[:3]) + gzip.compress(text[3:]))
    assert [line for line in all_lines(path) if line] == expected


def test_a_line_that_is_too_long_is_skipped_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_LINE", 1000)
    monkeypatch.setattr(stream, "BLOCK", 64)
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" + b"x" * 5000 + b"\nb\n")
    assert all_lines(path) == [b"a", TooLong(), b"b"]


def test_lines_before_the_damage_are_read(tmp_path: Path) -> None:
    path = tmp_path / "lines.gz"
    path.write_bytes(gzip.compress(os.urandom(40_000).hex().encode() + b"\nb\n")[:-3000])
    with pytest.raises(DamageError, match="too early"):
        all_lines(path)


def test_the_same_damage_gives_the_same_bytes_with_more_workers(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_export(folder / "export", population(5))
    (folder / "export" / "Task.ndjson").write_text("{\n" + ndjson([resource("Task", "t", "p01")]))
    write_bundles(folder, population(5))
    (folder / "half.json").write_bytes(RECORD[:50])
    run(folder, "--workers", 1, tmp_path / "one", code=1)
    run(folder, "--workers", 3, tmp_path / "three", code=1)
    assert content(tmp_path / "one") == content(tmp_path / "three")


def test_a_patient_of_an_export_who_is_not_judged_fails_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_export(tmp_path / "in", population(4))

    def patient_line(item: Judged, *_: object) -> bytes:
        if item.patient == "p03":
            raise ValueError("Jo Doe, born 1980")
        return b"{}\n"

    monkeypatch.setattr("cds.audit.outcome.patient_line", patient_line)
    monkeypatch.setattr("cds.audit.run.derive", lambda *_: None)
    options = Options(tmp_path / "out", workers=1)
    assert audit([str(tmp_path / "in")], setting(hook="audit"), options) == 1
    (told,) = read(tmp_path / "out", "problems")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["patients"]["judged"] == 3
    assert summary["findings"] == len(read(tmp_path / "out", "findings"))
    assert (told["kind"], told["patient"], told["severity"]) == ("internal", "p03", "error")
    assert "Jo Doe" not in json.dumps(told) + str(capfd.readouterr())


def test_a_full_disk_below_the_shared_medications_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_export(tmp_path / "in", population(1))
    many = [{"resourceType": "Medication", "id": f"m{n}", "x": "y" * 4000} for n in range(50)]
    (tmp_path / "in" / "Medication.ndjson").write_text(ndjson(many))

    def connect(path: Path, **more: Any) -> sqlite3.Connection:
        base: sqlite3.Connection = opened(path, **more)
        base.execute("PRAGMA max_page_count = 4")
        return base

    opened = sqlite3.connect
    monkeypatch.setattr("cds.audit.shelf.sqlite3.connect", connect)
    with pytest.raises(AuditError, match=r"No space left on device: .*shelf"):
        audit([str(tmp_path / "in")], setting(hook="audit"), Options(tmp_path / "out"))
