"""An export leaves out what no rule asks for, and says what Bundles of the same resources say.

Versions, duplicates and links may stand in whatever file and part (ruling 31).
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from cds.audit.run import Options
from tests.audit.killing import run as run_here
from tests.audit.population import (
    LDN,
    SNOMED,
    about,
    by_type,
    ndjson,
    operation,
    read,
    write_bundles,
    write_export,
)
from tests.records import Json, order, person, resource

LOINC = "http://loinc.org"
DEPENDENCE, ASTHMA = "75544000", "195967001"
EGFR, HEIGHT = "33914-3", "8302-2"


def coded(kind: str, name: str, who: str, system: str, code: str, **more: Any) -> Json:
    return resource(kind, name, who, code={"coding": [{"system": system, "code": code}]}, **more)


def result(name: str, who: str, code: str, **more: Any) -> Json:
    value = {"value": 25, "unit": "mL/min/{1.73_m2}"}
    content = {"status": "final", "effectiveDateTime": "2026-06-01", "valueQuantity": value}
    return coded("Observation", name, who, LOINC, code, **content, **more)


def old(name: str, who: str, **more: Any) -> Json:
    return coded("Procedure", name, who, SNOMED, "80146002", status="completed", **more)


def versioned(item: Json, version: int) -> Json:
    return {**item, "meta": {"versionId": str(version)}}


def patient(number: int) -> list[Json]:
    """A record in which much is asked for by nobody, and some of that is kin of what is."""
    rng = random.Random(number)
    who = f"k{number:02}"
    found = [person(who)]

    def some(chance: float, *items: Json) -> None:
        if rng.random() < chance:
            found.extend(items)

    for index in range(rng.randrange(6)):
        code = rng.choice((EGFR, HEIGHT, HEIGHT))
        first = result(f"{who}-r{index}", who, code)
        some(0.9, versioned(first, 1))
        # A newer version that is another thing.
        some(0.3, versioned(result(f"{who}-r{index}", who, rng.choice((EGFR, HEIGHT))), 2))
        some(0.2, versioned(first, 1))
    why = coded("Condition", f"{who}-c", who, SNOMED, rng.choice((DEPENDENCE, ASTHMA)))
    some(0.7, why)
    reason = {"reasonReference": [{"reference": f"Condition/{who}-c"}]}
    some(0.6, order(f"{who}-n", LDN, who, **rng.choice(({}, reason))))
    some(0.4, order(f"{who}-o", "oxycodone 5 MG Oral Tablet", who))
    for index in range(rng.randrange(3)):
        ndc = {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": f"0000{index}"}]}
        past = {"authoredOn": "2015-01-01", "medicationCodeableConcept": ndc}
        some(0.6, order(f"{who}-u{index}", "", who, **past))
    for index in range(rng.randrange(3)):
        past = {"authoredOn": "2015-01-01"}
        some(0.7, order(f"{who}-l{index}", "lisinopril 10 MG Oral Tablet", who, **past))
    booking = operation(f"{who}-s", who, occurrenceDateTime="2026-06-13")
    some(0.4, booking)
    for index in range(rng.randrange(4)):
        link: Json = rng.choice(
            (
                {},
                {"basedOn": [{"reference": f"ServiceRequest/{who}-s"}]},
                {"reasonReference": [{"reference": f"Condition/{who}-c"}]},
                {"reasonReference": [{"reference": f"Procedure/{who}-p0"}]},
                {"identifier": [{"system": "urn:x", "value": f"{who}-same"}]},
            )
        )
        some(0.8, old(f"{who}-p{index}", who, performedDateTime="2001-02-03", **link))
    some(
        0.3,
        coded("AllergyIntolerance", f"{who}-a", who, SNOMED, "91935009"),
    )
    rng.shuffle(found)
    return found


PEOPLE = {f"k{number:02}": patient(number) for number in range(48)}


def audited(folder: Path, out: Path) -> dict[str, Any]:
    assert run_here([str(folder)], Options(out)) in (0, 1)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def test_whatever_is_left_out_an_export_says_what_bundles_say(tmp_path: Path) -> None:
    # A Bundle counts what nobody asks for each time that it is in it, an export once.
    once = {
        name: list({json.dumps(item): item for item in items}.values())
        for name, items in PEOPLE.items()
    }
    write_bundles(tmp_path / "bundles", once)
    bundles = audited(tmp_path / "bundles", tmp_path / "out")
    expected = about(read(tmp_path / "out", "findings"), "input")
    problems = about(read(tmp_path / "out", "problems"), "input", "file")
    assert len(expected) > 40
    assert sum(count for name, count in bundles["ignored"].items() if "no value set" in name) > 30
    for seed in range(3):
        write_export(tmp_path / f"export-{seed}", PEOPLE, seed=seed)
        out = tmp_path / f"out-{seed}"
        summary = audited(tmp_path / f"export-{seed}", out)
        assert about(read(out, "findings"), "input") == expected
        assert about(read(out, "problems"), "input", "file") == problems
        for name in ("rules", "ignored", "coverage", "unclassified", "patients"):
            assert summary[name] == bundles[name], name


def test_a_version_in_another_file_gives_way(tmp_path: Path) -> None:
    """A dependence that was recorded by mistake: its newer version is another diagnosis."""
    before = versioned(coded("Condition", "c", "p1", SNOMED, DEPENDENCE), 1)
    after = versioned(coded("Condition", "c", "p1", SNOMED, ASTHMA), 2)
    findings = []
    for name, versions in (("one", [before]), ("both", [before, after]), ("other", [after])):
        folder = tmp_path / name
        write_export(folder, {"p1": [person("p1"), order("n", LDN, "p1"), versions[0]]})
        for number, version in enumerate(versions[1:]):
            (folder / f"{number}.Condition.ndjson").write_text(ndjson([version]))
        audited(folder, tmp_path / f"{name}-out")
        findings.append(about(read(tmp_path / f"{name}-out", "findings"), "input"))
    assert findings[1] == findings[2]
    assert findings[0] != findings[1]


def test_a_resource_that_stands_twice_counts_once(tmp_path: Path) -> None:
    people = {name: PEOPLE[name] for name in ("k03", "k04", "k05")}
    write_export(tmp_path / "once", people)
    write_export(tmp_path / "twice", people)
    for kind, items in by_type(item for them in people.values() for item in them).items():
        (tmp_path / "twice" / f"again.{kind}.ndjson").write_text(ndjson(reversed(items)))
    once = audited(tmp_path / "once", tmp_path / "a")
    twice = audited(tmp_path / "twice", tmp_path / "b")
    assert about(read(tmp_path / "b", "findings"), "input") == about(
        read(tmp_path / "a", "findings"), "input"
    )
    for name in ("rules", "ignored", "coverage", "unclassified"):
        assert twice[name] == once[name]


def test_two_contents_without_a_version_to_choose_by_are_a_problem(tmp_path: Path) -> None:
    write_export(tmp_path / "in", {"p1": [person("p1"), order("n", LDN, "p1")]})
    other = order("n", LDN, "p1", status="stopped")
    (tmp_path / "in" / "1.MedicationRequest.ndjson").write_text(ndjson([other]))
    audited(tmp_path / "in", tmp_path / "out")
    told = [line for line in read(tmp_path / "out", "problems") if line["kind"] == "duplicate"]
    assert [line["resource"] for line in told] == ["MedicationRequest/n"]


def test_what_belongs_to_nobody_or_no_patient_is_told(tmp_path: Path) -> None:
    write_export(tmp_path / "in", {"p1": [person("p1"), order("n", LDN, "p1")]})
    group = {**old("g", "p1"), "subject": {"reference": "Group/g1"}}
    nobody = {key: value for key, value in old("x", "p1").items() if key != "subject"}
    (tmp_path / "in" / "9.Procedure.ndjson").write_text(ndjson([group, nobody]))
    audited(tmp_path / "in", tmp_path / "out")
    told = [line for line in read(tmp_path / "out", "problems") if line["kind"] == "subject"]
    assert [(line["line"], line["severity"]) for line in told] == [(1, "warning"), (2, "error")]


@pytest.mark.parametrize("escaped", ["id", "reference"])
def test_a_name_that_is_written_in_another_way_is_found(tmp_path: Path, escaped: str) -> None:
    """JSON may write any letter as an escape: a search for bytes must not miss it."""
    why = coded("Condition", "c1", "p1", SNOMED, ASTHMA)
    reason = {"reasonReference": [{"reference": "Condition/c1"}]}
    items = [person("p1"), order("n", LDN, "p1", **reason), why]
    write_export(tmp_path / "plain", {"p1": items})
    write_export(tmp_path / "odd", {"p1": items})
    name = "Condition" if escaped == "id" else "MedicationRequest"
    path = tmp_path / "odd" / f"{name}.ndjson"
    path.write_text(path.read_text().replace("c1", "\\u00631"))
    audited(tmp_path / "plain", tmp_path / "a")
    audited(tmp_path / "odd", tmp_path / "b")
    assert about(read(tmp_path / "b", "findings"), "input") == about(
        read(tmp_path / "a", "findings"), "input"
    )
    assert json.loads((tmp_path / "a" / "summary.json").read_text()) == json.loads(
        (tmp_path / "b" / "summary.json").read_text()
    )
