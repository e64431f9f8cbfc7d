"""`cds audit --every order` as a command: files, table, refusals, both engines."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cds.second.supervisor import unavailable
from tests.audit.orders import (
    EXAMPLES,
    NEW_START,
    PEOPLE,
    WHEN,
    as_record,
    audited,
    every,
    found,
)
from tests.audit.population import read, write_export
from tests.records import (
    bundle,
)
from tests.test_cli import cds


def run(*args: object, out: Path, code: int = 0) -> dict[str, Any]:
    done = cds("audit", *args, "--out", out, "--every", "order", *WHEN)
    assert done.returncode == code, done.stderr
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def test_records_and_an_export_say_the_same_whatever_the_workers(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, record in PEOPLE.items():
        (tmp_path / "in" / f"{name}.json").write_text(json.dumps(bundle(*record)))
    write_export(tmp_path / "export", PEOPLE, seed=5)
    summary = run(tmp_path / "in", "--workers", 1, out=tmp_path / "out")
    assert summary["orders"] == {
        "judged": 12,
        "deceased_not_judged": 0,
        "not_judged": {"a draft that nobody signed": 6, "not dated to the day": 6},
    }
    assert summary["patients"]["judged"] == 6
    assert summary["hook"] == "order-sign"
    told = Counter(line["rule"] for line in read(tmp_path / "out", "findings"))
    assert told[NEW_START] == 6
    run(tmp_path / "in", "--workers", 2, out=tmp_path / "two")
    for path in (tmp_path / "out").iterdir():
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes(), path.name
    exported = run(tmp_path / "export", "--workers", 2, out=tmp_path / "more")
    assert _apart_from_input(tmp_path / "more") == _apart_from_input(tmp_path / "out")
    for name in ("orders", "patients", "rules", "coverage"):
        assert exported[name] == summary[name]


def _apart_from_input(out: Path) -> list[str]:
    return sorted(json.dumps({**line, "input": ""}) for line in read(out, "findings"))


def test_the_table_says_what_was_judged(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(bundle(*PEOPLE["p1"])))
    done = cds(
        "audit", path, "--out", tmp_path / "out", "--every", "order", "--hook", "order-sign", *WHEN
    )
    assert done.returncode == 0
    assert (
        "orders judged, each at its own date: 2, patient deceased by then: 0, not judged: 1 a draft that nobody signed, 1 not dated to the day"
        in " ".join(done.stdout.split())
    )
    plain = cds("audit", path, "--out", tmp_path / "plain", *WHEN)
    assert "orders judged" not in plain.stdout
    summary = json.loads((tmp_path / "plain" / "summary.json").read_text())
    assert (summary["every"], summary["orders"], summary["hook"]) == (None, None, "audit")
    assert {line["order"] for line in read(tmp_path / "plain", "findings")} <= {None}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--every", "patient"], "accepted: order"),
        (["--every", "order", "--hook", "audit"], "accepted: order-sign"),
        (["--every", "order", "--hook", "patient-view"], "accepted: order-sign"),
    ],
)
def test_an_unusable_call_is_refused(tmp_path: Path, args: list[str], told: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(bundle(*PEOPLE["p1"])))
    done = cds("audit", path, "--out", tmp_path / "out", *args, *WHEN)
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_whole_audit_of_drafts_is_none_of_orders(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(bundle(*PEOPLE["p1"])))
    call = ("audit", path, "--out", tmp_path / "out", "--hook", "order-sign", *WHEN)
    assert cds(*call).returncode == 0
    again = cds(*call, "--resume", "--every", "order")
    assert again.returncode == 2
    assert "--every was '' and is 'order'" in again.stderr


def test_a_patient_by_name_is_the_only_one() -> None:
    record = [*PEOPLE["p1"], *PEOPLE["p2"]]
    by = replace(every(), patient="p2")
    assert {line["patient"] for line in found(*record, by=by)} == {"p2"}
    outcome = audited(*record, by=by)
    assert outcome.tally.judged == 2
    assert {json.loads(line)["patient"] for line in outcome.problems} == {"p2"}


@pytest.mark.skipif(bool(unavailable()), reason="the second engine cannot run here")
def test_both_engines_agree_on_every_order(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, record in PEOPLE.items():
        (tmp_path / "in" / f"{name}.json").write_text(json.dumps(bundle(*record)))
    for case in EXAMPLES[::6]:
        (tmp_path / "in" / f"{case.name}.json").write_text(json.dumps(bundle(*as_record(case))))
    both = run(tmp_path / "in", "--engine", "both", "--workers", 1, out=tmp_path / "both")
    one = run(tmp_path / "in", "--workers", 1, out=tmp_path / "one")
    assert both["orders"]["judged"] > 20
    assert both["problems"] == one["problems"]
    assert not (tmp_path / "both" / "disagreements.ndjson").exists()
    assert read(tmp_path / "both", "findings") == read(tmp_path / "one", "findings")
