"""A run keeps within its memory: what is too large for it costs itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cds.audit.memory import MIB, Memory, memory_of, read_size
from cds.audit.sorting import Part, sort_part
from cds.audit.source import Source
from cds.audit.spill import Spill, partitions
from tests.audit.killing import setting
from tests.audit.population import (
    content,
    population,
    read,
    run,
    write_bundles,
    write_export,
)
from tests.test_cli import cds

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux refuses memory")


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 * MIB), ("2G", 2048 * MIB), ("1.5GiB", 1536 * MIB), ("300000k", 300000 * 1024)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-2G", "2 X", "G", "100M", "0"])
def test_what_is_no_size_or_too_little_says_what_is_accepted(tmp_path: Path, text: str) -> None:
    write_bundles(tmp_path / "in", population(1))
    done = cds("audit", tmp_path / "in", "--out", tmp_path / "out", f"--memory={text}")
    assert done.returncode == 2
    assert f"--memory: '{text}' is" in done.stderr
    assert "accepted" in done.stderr


def test_workers_share_what_there_is_and_are_fewer_where_it_is_little() -> None:
    assert memory_of(4, 192 * MIB).workers == 1
    assert memory_of(4, 300 * MIB).workers == 2
    assert memory_of(2, 2048 * MIB) == Memory(2048 * MIB, 2)
    assert memory_of(2, 2048 * MIB).share == 960 * MIB
    assert memory_of(2).total >= 192 * MIB


@LINUX
@pytest.mark.parametrize("kind", ["record", "line"])
def test_what_is_larger_than_the_memory_costs_itself(tmp_path: Path, kind: str) -> None:
    """A record of 90 MB in a worker that may use 64; a line of 50 MB, which is parsed as well."""
    people = population(6)
    if kind == "record":
        write_bundles(tmp_path / "in", people)
        long = json.dumps({"resourceType": "Bundle", "x": "y" * 90_000_000})
        (tmp_path / "in" / "p03a.json").write_text(long)
    else:
        write_export(tmp_path / "in", people)
        with (tmp_path / "in" / "Condition.ndjson").open("a") as file:
            file.write(json.dumps({"resourceType": "Condition", "x": "y" * 50_000_000}) + "\n")
    summary = run(tmp_path / "in", "--memory", "192M", "--workers", 1, tmp_path / "out", code=1)
    assert summary["patients"]["judged"] == 6
    told = [line for line in read(tmp_path / "out", "problems") if line["severity"] == "error"]
    assert [line["kind"] for line in told] == ["memory"]
    assert "memory" in told[0]["what"]
    assert "--memory" in told[0]["accepted"]


def test_the_memory_changes_no_byte(tmp_path: Path) -> None:
    write_export(tmp_path / "in", population(20), seed=1)
    run(tmp_path / "in", "--memory", "192M", "--workers", 2, tmp_path / "little")
    run(tmp_path / "in", "--memory", "4G", "--workers", 2, tmp_path / "much")
    assert content(tmp_path / "little") == content(tmp_path / "much")


def test_a_reader_holds_no_more_than_its_budget(tmp_path: Path) -> None:
    """What it wrote in many pieces is what it would have written in one."""
    lines = [
        json.dumps({"resourceType": "Condition", "id": str(n), "subject": {"reference": f"Patient/p{n % 7}"}})
        for n in range(5000)
    ]  # fmt: skip
    (tmp_path / "Condition.ndjson").write_text("\n".join(lines))
    found = []
    for budget in (1000, 1 << 30):
        folder = tmp_path / str(budget)
        folder.mkdir()
        part = Part(
            Source(str(tmp_path / "Condition.ndjson")),
            *(0, folder, 4, frozenset({"Condition"})),
            budget=budget,
        )
        assert sort_part(setting(), part).good == 5000
        groups = [
            (key, sorted(lines.asked) if lines else [])
            for item in partitions(4, [folder / "lines-0"])
            for key, lines in item.groups()
        ]
        found.append(groups)
    assert found[0] == found[1]
    assert sum(len(lines) for _, lines in found[0]) == 5000


def test_a_large_partition_is_read_a_patient_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = Spill(tmp_path / "lines", 4, budget=500)
    for number in range(300):
        spill.held[f"Patient/p{number % 20}"].append(f"line {number}".encode())
        spill.grow(20)
    spill.close()
    whole = [list(part.groups()) for part in partitions(4, [spill.path])]
    monkeypatch.setattr("cds.audit.spill._WHOLE", 0)
    assert [list(part.groups()) for part in partitions(4, [spill.path])] == whole
    assert sum(len(lines.asked) for groups in whole for _, lines in groups if lines) == 300
    few = [item for part in partitions(4, [spill.path]) for item in part.groups(largest=100)]
    assert {lines is None for _, lines in few} == {True}
