"""Populations for audits: the same patients as Bundles, as one array, or as an export."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.records import Json, bundle, order, person, resource
from tests.test_cli import cds

WHEN = ("--as-of", "2026-06-10T10:00:00-04:00", "--timezone", "America/New_York")
FILES = {
    *("findings.ndjson", "findings.parquet", "measure-report.json", "problems.ndjson"),
    *("report.html", "summary.json"),
}
SNOMED = "http://snomed.info/sct"
LDN = "naltrexone 1.5 MG Oral Capsule"
TYPES = (
    *("MedicationRequest", "MedicationStatement", "MedicationDispense"),
    *("MedicationAdministration", "Condition", "AllergyIntolerance", "Observation"),
    *("ServiceRequest", "Procedure", "Appointment", "Encounter", "Task"),
)


def operation(name: str, patient: str, **more: Any) -> Json:
    code = {"coding": [{"system": SNOMED, "code": "80146002", "display": "Appendectomy"}]}
    content = {"status": "active", "intent": "order", "code": code, **more}
    return resource("ServiceRequest", name, patient, **content)


def by_reference(name: str, patient: str, medication: str) -> Json:
    found = order(name, "", patient)
    del found["medicationCodeableConcept"]
    return {**found, "medicationReference": {"reference": f"Medication/{medication}"}}


def patient(number: int) -> list[Json]:
    """The record of one patient; what is in it follows from the number."""
    name = f"p{number:02}"
    found = [person(name)]
    if number % 2:
        found.append(order(f"{name}-n", LDN, name))
    if number % 3 == 0:
        found.append(operation(f"{name}-x", name, occurrenceDateTime="2026-06-13"))
    if number % 5 == 0:
        found.append(operation(f"{name}-y", name))
    if number % 7 == 0:
        found.append(order(f"{name}-o", "oxycodone 5 MG Oral Tablet", name))
    condition = {"code": {"coding": [{"system": SNOMED, "code": "38341003"}]}}
    return [*found, resource("Condition", f"{name}-c", name, **condition)]


def population(count: int = 30) -> dict[str, list[Json]]:
    return {f"p{number:02}": patient(number) for number in range(1, count + 1)}


def write_bundles(folder: Path, people: dict[str, list[Json]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, resources in people.items():
        (folder / f"{name}.json").write_text(json.dumps(bundle(*resources)))


def by_type(resources: Iterable[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for item in resources:
        found.setdefault(item["resourceType"], []).append(item)
    return found


def ndjson(resources: Iterable[Json]) -> str:
    return "".join(json.dumps(item) + "\n" for item in resources)


def write_export(
    folder: Path, people: dict[str, list[Json]], *, complete: bool = True, seed: int | None = None
) -> None:
    """An export: a file a type; with ``complete`` empty files for types without any resource.

    With a ``seed`` the same lines in another order, in two parts a type, some of them compressed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    typed = by_type(item for resources in people.values() for item in resources)
    for kind in TYPES if complete else ():
        typed.setdefault(kind, [])
    shuffle = random.Random(seed)
    for kind, items in typed.items():
        if seed is None:
            (folder / f"{kind}.ndjson").write_text(ndjson(items))
            continue
        shuffle.shuffle(items)
        cut = shuffle.randint(0, len(items))
        for number, part in enumerate((items[cut:], items[:cut])):
            path = folder / f"{number}.{kind}.ndjson"
            if shuffle.random() < 0.5:
                path.write_text(ndjson(part))
            else:
                path.with_suffix(".ndjson.gz").write_bytes(gzip.compress(ndjson(part).encode()))


def run(*args: object, code: int = 0, **more: Any) -> dict[str, Any]:
    """An audit's summary; the last argument is the folder of `--out`."""
    *inputs, out = args
    done = cds("audit", *inputs, "--out", out, *WHEN, **more)
    assert done.returncode == code, done.stderr
    assert {path.name for path in Path(str(out)).iterdir()} == FILES
    summary: dict[str, Any] = json.loads((Path(str(out)) / "summary.json").read_text())
    return summary


def content(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in sorted(FILES)}


def read(out: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / f"{name}.ndjson").read_text().splitlines()]


def about(found: Iterable[dict[str, Any]], *but: str) -> list[str]:
    """Lines without some of their fields, in an order of their own."""
    return sorted(
        json.dumps({key: value for key, value in line.items() if key not in but}) for line in found
    )
