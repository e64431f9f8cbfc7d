"""The command line from outside: exit codes, what goes to which stream, and no traceback ever."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import starter
from tests.records import CONTRAST, bundle, draft, order, person, request

WHEN = ("--as-of", "2026-06-10T10:00:00-04:00", "--timezone", "America/New_York")
RECORD = bundle(
    person(),
    draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5),
    order("o1", "oxycodone hydrochloride 5 MG Oral Tablet"),
)
TWO = bundle(person("p1"), person("p2"), order("o2", "oxycodone 5 MG Oral Tablet", "p2"))
ACTIVE = "opioid.active-with-naltrexone-order"


def cds(
    *args: object, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(starter.ROOT), "COLUMNS": "120"}
    done = starter.run([str(arg) for arg in args], stdin, cwd or Path.cwd(), env)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err
    assert "internal error" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(RECORD))
    return path


# -- check --------------------------------------------------------------------------------------------


def test_check_prints_cards(record: Path) -> None:
    done = cds("check", record, *WHEN)
    assert done.returncode == 0
    assert "CRITICAL" in done.stdout
    assert "patient p1" in done.stdout
    assert done.stderr == ""


def test_check_as_json_is_one_line_a_patient(record: Path, tmp_path: Path) -> None:
    two = tmp_path / "two.json"
    two.write_text(json.dumps(TWO))
    done = cds("check", record, two, "--format", "json", *WHEN)
    assert done.returncode == 0
    found = lines(done)
    assert [(line["input"], line["patient"]) for line in found] == [
        (str(record), "p1"),
        (str(two), "p1"),
        (str(two), "p2"),
    ]
    for line in found:
        assert {"input", "patient", "cards", "unknown", "coverage", "problems"} <= set(line)
        assert all({"rule", "missing"} == set(item) for item in line["unknown"])
        assert set(line["coverage"].values()) <= {"supplied", "empty"}
    topics = [card["source"]["topic"]["code"] for card in found[0]["cards"]]
    assert ACTIVE in topics
    assert "2 inputs, 3 patients" in done.stderr


def test_check_reads_standard_input() -> None:
    done = cds("check", "-", "--format", "json", *WHEN, stdin=json.dumps(RECORD).encode())
    assert [(line["input"], line["patient"]) for line in lines(done)] == [("-", "p1")]


def test_check_reads_folders_and_globs(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for name in ("1.json", "2.ndjson", "notes.txt"):
        (inner / name).write_text(json.dumps(RECORD))
    folder = cds("check", tmp_path, "--format", "json", *WHEN)
    assert [Path(line["input"]).name for line in lines(folder)] == ["1.json", "2.ndjson"]
    glob = cds("check", str(tmp_path / "a" / "*" / "*.json"), "--format", "json", *WHEN)
    assert [Path(line["input"]).name for line in lines(glob)] == ["1.json"]


def test_one_bad_input_never_stops_the_rest(record: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    done = cds("check", missing, record, "--format", "json", *WHEN)
    assert done.returncode == 1
    first, second = lines(done)
    assert (first["input"], first["patient"], first["cards"]) == (str(missing), None, [])
    assert first["problems"][0]["what"].startswith("cannot be read")
    assert second["cards"]


@pytest.mark.parametrize(
    "data", [b"", b"junk", b"{}", b"[" * 5000, b"\x1f\x8b\x08junk", b"\xff\xfe"]
)
@pytest.mark.parametrize("command", ["check", "explain"])
def test_garbage_is_a_problem(command: str, data: bytes) -> None:
    done = cds(command, "-", *WHEN, stdin=data)
    assert done.returncode == 1
    assert "problem: " in done.stdout


def test_only_one_patient(tmp_path: Path) -> None:
    path = tmp_path / "two.json"
    path.write_text(json.dumps(TWO))
    done = cds("check", path, "--format", "json", "--patient", "p2", *WHEN)
    assert [line["patient"] for line in lines(done)] == ["p2"]


def test_a_hook_request(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    opioid = order("o1", "oxycodone 5 MG Oral Tablet")
    document = request(RECORD["entry"][1]["resource"], prefetch={"MedicationRequest": opioid})
    path.write_text(json.dumps(document))
    (line,) = lines(cds("check", path, "--format", "json", *WHEN))
    assert line["hook"] == "order-sign"
    assert line["cards"]
    (line,) = lines(cds("check", path, "--format", "json", "--hook", "patient-view", *WHEN))
    assert line["hook"] == "patient-view"


def test_rules_are_switched(record: Path) -> None:
    done = cds("check", record, "--format", "json", "--disable", "opioid", *WHEN)
    (line,) = lines(done)
    assert not [c for c in line["cards"] if c["source"]["topic"]["code"].startswith("opioid.")]
    done = cds(
        "check", record, "--format", "json", "--disable", "opioid", "--enable", ACTIVE, *WHEN
    )
    (line,) = lines(done)
    assert ACTIVE in [card["source"]["topic"]["code"] for card in line["cards"]]


def test_another_pack(record: Path) -> None:
    (line,) = lines(cds("check", record, "--rules", CONTRAST, "--format", "json", *WHEN))
    assert line["cards"] == []


def test_the_zone_that_was_assumed_is_said(record: Path) -> None:
    done = cds("check", record, "--format", "json", "--as-of", "2026-06-10T10:00:00-04:00")
    assert "no time zone is configured: days are counted in UTC" in done.stderr
    assert len(lines(done)) == 1
    assert lines(done)[0]["asOf"] == "2026-06-10T14:00:00+00:00"


BAD = [
    (("--as-of", "yesterday"), "--as-of: "),
    (("--as-of", "2026-06-10T10:00:00"), "--as-of: "),
    (("--as-of", "2026-06-10"), "--as-of: "),
    (("--timezone", "Mars/Olympus"), "--timezone: "),
    (("--timezone", "../../etc/passwd"), "--timezone: "),
    (("--hook", "order-singing"), "--hook: 'order-singing' is no hook; accepted: patient-view, "),
    (("--enable", "opioids"), "'opioids' names no rule, group or tag"),
    (("--disable", "opioids"), "'opioids' names no rule, group or tag"),
    (("--format", "xml"), "--format: 'xml' is not accepted; accepted: text, json"),
    (("--rules", "/nowhere"), "there is no such folder"),
    (("--config", "/nowhere.yaml"), "cannot be read"),
    (("--no-such-option",), "No such option"),
]


@pytest.mark.parametrize(("args", "told"), BAD, ids=[" ".join(args) for args, _ in BAD])
def test_what_cannot_be_used_is_2_and_said(record: Path, args: tuple[str, ...], told: str) -> None:
    done = cds("check", record, *args)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_a_configuration(record: Path, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("timezone: America/New_York\ndisable: [opioid]\n")
    done = cds("check", record, "--config", path, "--format", "json", *WHEN[:2])
    (line,) = lines(done)
    assert line["asOf"] == "2026-06-10T10:00:00-04:00"
    assert done.stderr == ""
    path.write_text("timezones: Mars\n")
    done = cds("check", record, "--config", path)
    assert done.returncode == 2
    assert "site.yaml:1:1: 'timezones' is no key of the site configuration" in done.stderr


# -- explain --------------------------------------------------------------------------------------------


def test_explain_in_words(record: Path) -> None:
    done = cds("explain", record, *WHEN)
    assert done.returncode == 0
    assert f"fired  {ACTIVE}" in done.stdout
    assert "MedicationRequest/o1" in done.stdout
    assert "not fired" in done.stdout


def test_explain_as_json(record: Path) -> None:
    done = cds("explain", record, "--rule", ACTIVE, "--format", "json", *WHEN)
    (line,) = lines(done)
    (rule,) = line["rules"]
    assert (rule["rule"], rule["truth"]) == (ACTIVE, "yes")
    assert "MedicationRequest/o1" in json.dumps(rule["traces"])


def test_explain_of_a_rule_that_is_none(record: Path) -> None:
    done = cds("explain", record, "--rule", "opioid.none", *WHEN)
    assert done.returncode == 2
    assert "--rule: 'opioid.none' is no rule that is on; accepted: " in done.stderr


# -- lint and test ----------------------------------------------------------------------------------------


def test_lint_of_a_clean_pack() -> None:
    done = cds("lint", CONTRAST)
    assert done.returncode == 0
    assert re.fullmatch(r"\d+ rules, \d+ scenarios: no errors\n", done.stdout)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    pack = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    path = pack / "contrast" / "allergy.yaml"
    path.write_text(path.read_text().replace("when: [allergy]", "when: [alergy, allergy]"))
    return pack


def test_lint_of_a_broken_pack(broken: Path) -> None:
    line = "14"
    done = cds("lint", broken)
    assert done.returncode == 1
    assert f"contrast/allergy.yaml:{line}:8: 'alergy' is not known here" in done.stdout
    assert "1 errors" in done.stdout or "1 error" in done.stdout
    github = cds("lint", broken, "--format", "github", cwd=broken.parent)
    assert github.returncode == 1
    assert github.stdout.startswith(
        f"::error file=pack/contrast/allergy.yaml,line={line},col=8::'alergy'"
    )
    (problem,) = lines(cds("lint", broken, "--format", "json"))
    assert (problem["file"], problem["line"], problem["column"], problem["kind"]) == (
        "contrast/allergy.yaml",
        int(line),
        8,
        "name",
    )


def test_lint_prints_the_schema() -> None:
    done = cds("lint", "--schema")
    assert done.returncode == 0
    assert json.loads(done.stdout)["title"] == "A rule"


def test_a_broken_pack_judges_nothing(record: Path, broken: Path) -> None:
    done = cds("check", record, "--rules", broken)
    assert done.returncode == 2
    assert "'alergy' is not known here" in done.stderr
    assert "the rules cannot be used: 1 error" in done.stderr


def test_scenarios(tmp_path: Path) -> None:
    folder = CONTRAST / "monitor"
    done = cds("test", folder, "--format", "json")
    assert {line["file"] for line in lines(done)} == {
        "monitor/steep.scenarios.yaml",
        "monitor/vitamin.scenarios.yaml",
    }
    good = cds("test", CONTRAST / "contrast" / "allergy.yaml")
    assert good.returncode == 0
    assert "7 passed, 0 failed of 7 scenarios" in good.stdout
    assert cds("test", tmp_path / "none").returncode == 2


def test_a_scenario_that_fails(tmp_path: Path) -> None:
    pack = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    path = pack / "contrast" / "allergy.scenarios.yaml"
    path.write_text(path.read_text().replace("critical}", "info}"))
    done = cds("test", path)
    assert done.returncode == 1
    assert "no card contrast.allergy:info" in done.stdout
    assert "a card that is not listed: contrast.allergy:critical" in done.stdout


# -- the rest ---------------------------------------------------------------------------------------------


def test_version_and_help() -> None:
    assert cds("--version").stdout.startswith("cds ")
    for args in ((), ("check",), ("explain",), ("lint",), ("test",)):
        done = cds(*args, "--help")
        assert done.returncode == 0
        assert "Usage:" in done.stdout


def test_no_command() -> None:
    assert cds().returncode == 2
    assert cds("no-such-command").returncode == 2
