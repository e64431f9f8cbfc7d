"""Which files of a folder are one export, and which are records by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit.population import LDN, about, ndjson, population, read, run, write_export
from tests.audit.test_export import judged, write
from tests.records import order, person, resource


def test_whole_records_in_ndjson_are_no_export(tmp_path: Path) -> None:
    """Also those that hold a Patient or orders alone, beside others that hold more."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.ndjson").write_text(ndjson([person("p1"), order("n", LDN, "p1")]))
    (folder / "b.ndjson").write_text(ndjson([person("p2")]))
    (folder / "Patient-3.ndjson").write_text(ndjson([person("p3"), order("n", LDN, "p3")]))
    (folder / "d.ndjson").write_text(ndjson([order("n", LDN, "p4")]))
    _, summary = judged(folder)
    assert summary["inputs"]["records"] == 4
    assert summary["inputs"]["exports"] == 0
    assert summary["coverage"]["Condition"] == {"empty": 4}


@pytest.mark.parametrize("extra", [b"\n \n", b'{"half'])
def test_a_file_that_says_nothing_takes_no_export_apart(tmp_path: Path, extra: bytes) -> None:
    """Files are known by their lines alone; one beside them is empty, or cannot be read."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "1.ndjson").write_text(ndjson([person()]))
    (folder / "2.ndjson").write_text(ndjson([order("n", LDN)]))
    expected = about(read(judged(folder)[0], "findings"))
    (folder / "3.ndjson").write_bytes(extra)
    out = tmp_path / "out"
    summary = run(folder, out, code=1 if extra.strip() else 0)
    assert summary["inputs"]["exports"] == 1
    assert about(read(out, "findings")) == expected != []


def test_a_bad_first_line_of_a_file_without_a_telling_name_costs_itself(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "1.ndjson").write_text(ndjson([person()]))
    (folder / "2.ndjson").write_text('{"resourceType": "Med\n' + ndjson([order("n", LDN)]))
    out, summary = judged(folder)
    assert summary["inputs"]["exports"] == 1
    assert read(out, "findings")
    assert [item["line"] for item in read(out, "problems")] == [1]


@pytest.mark.parametrize("place", ["Condition", "Claim"])
@pytest.mark.parametrize("first", [True, False])
def test_a_line_of_another_type_leaves_a_file_in_its_export(
    tmp_path: Path, place: str, first: bool
) -> None:
    """Whatever the file is named for, and whether rules read that type or not."""
    people = population(10)
    for number, resources in enumerate(people.values()):
        resources.append(resource("Claim", f"k{number}", f"p{number:02}"))
    write_export(tmp_path / "in", people)
    out, summary = judged(tmp_path / "in")
    write_export(tmp_path / "again", people)
    orders = (tmp_path / "again" / "MedicationRequest.ndjson").read_text().splitlines(keepends=True)
    other = tmp_path / "again" / f"{place}.ndjson"
    lines = [orders[0], other.read_text()] if first else [other.read_text(), orders[0]]
    other.write_text("".join(lines))
    (tmp_path / "again" / "MedicationRequest.ndjson").write_text("".join(orders[1:]))
    again, counted = judged(tmp_path / "again")
    assert about(read(again, "findings"), "input") == about(read(out, "findings"), "input") != []
    assert counted["patients"] == summary["patients"] == {"judged": 10, "deceased_not_judged": 0}
    assert counted["coverage"] == summary["coverage"]
    assert (counted["inputs"]["exports"], counted["inputs"]["records"]) == (1, 0)


def test_a_whole_record_named_for_a_type_stays_a_record_beside_an_export(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", Patient=[person()], MedicationRequest=[order("n", LDN)])
    record = ndjson([order("m", LDN, "p2"), person("p2")])
    (folder / "MedicationRequest-of-p2.ndjson").write_text(record)
    _, summary = judged(folder)
    assert (summary["inputs"]["exports"], summary["inputs"]["records"]) == (1, 1)
    assert summary["coverage"]["Condition"] == {"absent": 1, "empty": 1}


def test_lines_of_several_types_alone_are_a_record_whatever_they_are_named_for(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    lines = ndjson([order("n", LDN), resource("Condition", "c")])
    (folder / "Condition.ndjson").write_text(lines)
    _, summary = judged(folder)
    assert (summary["inputs"]["exports"], summary["inputs"]["records"]) == (0, 1)
