"""``--engine`` on the command line: the same cards, and what is told where two engines disagree."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cds.audit.run import Options, audit
from cds.authoring import bench
from cds.authoring.check import check_inputs
from cds.rulebook.pack import shipped_pack
from cds.rulebook.site import Site
from cds.second import delivery, opinion, supervisor
from cds.second.planes import Planes
from cds.second.problem import EngineError
from cds.second.supervisor import unavailable
from tests.audit.population import read
from tests.records import CONTRAST, bundle, draft, order, person, setting
from tests.second.durable import needs_durable
from tests.test_cli import RECORD, WHEN, cds, lines

ACTIVE = "opioid.active-with-naltrexone-order"


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(RECORD))
    return path


@needs_durable
def test_check_prints_the_same_with_every_engine(record: Path) -> None:
    found = [
        cds("check", record, *WHEN, "--format", "json", "--engine", name)
        for name in opinion.ENGINES
    ]
    assert [done.returncode for done in found] == [0, 0, 0]
    assert len({done.stdout for done in found}) == 1
    assert lines(found[0])[0]["cards"]


def test_an_engine_that_is_none_is_an_unusable_call(record: Path) -> None:
    done = cds("check", record, "--engine", "drools")
    assert done.returncode == 2
    assert "--engine: 'drools' is not accepted; accepted: reference, durable, both" in done.stderr


@needs_durable
def test_cds_test_says_which_engines_ran(tmp_path: Path) -> None:
    scenarios = next(CONTRAST.glob("*/*.scenarios.yaml"))
    for name in opinion.ENGINES:
        done = cds("test", scenarios, "--engine", name)
        assert done.returncode == 0, done.stdout
        assert "0 failed" in done.stdout


def test_where_the_library_cannot_be_imported_one_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opinion.close()
    monkeypatch.setattr(supervisor, "LAST_PYTHON", (3, 10))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert unavailable() == (
        "the durable engine is not available: durable-rules 2.0.28 cannot be imported on Python "
        f"{version}, the last it runs on is 3.12"
    )
    with pytest.raises(EngineError, match="the durable engine is not available"):
        opinion.durable(setting().rulebook)


# -- disagreements -------------------------------------------------------------------------------


@pytest.fixture
def disagreeing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A second engine that takes silence for an answer; the folder that is worked in."""
    opinion.close()
    monkeypatch.setattr(Planes, "_or_unanswered", lambda _, found, *__: found)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def unanswered() -> dict[str, Any]:
    refused = {
        "resourceType": "OperationOutcome",
        "issue": [{"code": "forbidden", "severity": "error"}],
    }
    return {
        "hook": "order-sign",
        "hookInstance": "7b2f0e62-6c0e-4f0a-8a53-0e8f0c1f3a77",
        "context": {
            "userId": "Practitioner/u1",
            "patientId": "p1",
            "draftOrders": bundle(draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5)),
        },
        "prefetch": {"patient": person(), "requests": refused},
    }


@needs_durable
def test_a_disagreement_is_told_with_a_file_that_reproduces_it(
    disagreeing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = disagreeing / "request.json"
    path.write_text(json.dumps(unanswered()))
    by = replace(setting(), engine="both")
    assert check_inputs([str(path)], by, [], as_json=True) == 1
    told = capsys.readouterr()
    (line,) = [json.loads(line) for line in told.out.splitlines()]
    kinds = {problem["kind"] for problem in line["problems"]}
    assert "disagreement" in kinds
    assert (
        f"{ACTIVE}: the engines disagree: reference says unknown, 0 findings; durable says no, 0"
        in told.err
    )
    (file,) = disagreeing.glob(f"disagreement-{ACTIVE}-*.json")
    assert str(file) in told.err
    found = json.loads(file.read_text())
    assert found["document"] == unanswered()
    assert found["rule"] == ACTIVE
    assert found["reference"]["truth"] == "unknown"
    assert found["reference"]["trace"][0]["clauses"]
    assert found["durable"]["truth"] == "no"
    network = found["durable"]["network"]
    assert network[0] == "surely bound to order: medication:MedicationRequest/d1"
    assert "possibly holds: medication:MedicationRequest/d1" not in network
    assert "medication:MedicationRequest/d1" in {fact["key"] for fact in found["facts"]}
    assert found["command"] == (
        "cds check INPUT --engine both --hook order-sign --as-of 2026-06-10T10:00:00-04:00"
    )


@needs_durable
def test_a_scenario_fails_where_the_engines_disagree(
    disagreeing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenarios = shipped_pack() / "opioid" / "active-with-naltrexone-order.scenarios.yaml"
    assert bench.test_pack(shipped_pack(), scenarios, Site(), bench.Running(engine="both")) == 1
    assert "the engines disagree" in capsys.readouterr().out
    assert list(disagreeing.glob("disagreement-*.json"))


@needs_durable
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_audit_writes_its_disagreements(disagreeing: Path) -> None:
    path = disagreeing / "request.json"
    path.write_text(json.dumps(unanswered()))
    out = disagreeing / "out"
    by = replace(setting(hook="order-sign"), engine="both")
    assert audit([str(path)], by, Options(out=out)) == 1
    (found, *_) = read(out, "disagreements")
    assert found["input"] == str(path)
    assert {"reference", "durable", "facts", "rule"} <= set(found)
    assert "disagreement" in {line["kind"] for line in read(out, "problems")}


def test_a_patient_that_it_could_not_judge_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if unavailable():
        pytest.skip(unavailable())
    monkeypatch.setattr(delivery, "MAX_ROWS", 10)
    document = bundle(
        person(),
        draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5),
        order("o", "oxycodone 5 MG Oral Tablet"),
    )
    path = tmp_path / "record.json"
    path.write_text(json.dumps(document))
    assert check_inputs([str(path)], replace(setting(), engine="durable"), [], as_json=False) == 1
    told = capsys.readouterr().out
    assert "the durable engine could not judge this patient" in told
    assert "No cards" not in told
