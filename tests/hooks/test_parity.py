"""Following our own discovery gives the cards that `cds check` gives on the same record."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from cds.cards.judge import Setting, judge, read_input
from cds.cards.wire import encode
from cds.values.moment import read_instant
from tests.hooks.ehr import Ehr, hook_request, is_draft, owners, review_of, with_plain_references
from tests.records import (
    AS_OF,
    CONTRAST,
    ROOT,
    ZONE,
    Json,
    bundle,
    draft,
    order,
    person,
    resource,
    rulebook,
)

EXAMPLES = sorted(path for path in (ROOT / "fhir_examples").iterdir() if path.is_dir())
CORPUS = sorted((ROOT.parent / "shared" / "corpus" / "synthea-bundles").glob("*.json.gz"))
METFORMIN = order("met", "metformin 500 MG Oral Tablet")
CORPUS_AS_OF = read_instant("2026-11-23T12:00:00Z", ZONE)


def resources(value: object) -> list[Json]:
    """Every resource of an example, whatever it is wrapped in; OperationOutcomes are none."""
    if isinstance(value, list):
        return [found for item in value for found in resources(item)]
    if not isinstance(value, dict):
        return []
    kind = value.get("resourceType")
    if kind == "OperationOutcome":
        return []
    if kind is not None and kind != "Bundle":
        return [value]
    return [found for item in value.values() for found in resources(item)]


def checked(data: bytes, patient: str, hook: str, by: Setting) -> list[Json]:
    """The cards of `cds check --hook HOOK --patient ID`."""
    by = Setting(by.rulebook, by.as_of, by.zone, hook, patient)
    (found,) = judge(read_input(data, "record", by), "record", by)
    cards: list[Json] = json.loads(encode([card.as_json() for card in found.answer.cards]))
    return cards


def _hooks(drafted: bool) -> tuple[str, ...]:
    return ("order-sign", "order-select", "patient-view") if drafted else ("patient-view",)


@pytest.fixture(scope="module")
def ehr() -> Ehr:
    return Ehr()


def spoken(ehr: Ehr, hook: str, record: list[Json], patient: str) -> list[Json]:
    service = ehr.services()[f"ldn-{hook}"]
    answer = ehr.call(hook_request(service, record, patient), service["id"])
    coverage = review_of(answer)["coverage"]
    assert set(coverage.values()) <= {"supplied", "empty"}
    assert set(coverage) == set(service["prefetch"]) - {"patient"}
    cards: list[Json] = answer.json()["cards"]
    return cards


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case.name)
def test_examples(case: Path, ehr: Ehr) -> None:
    (path,) = (*case.glob("*.json"), *case.glob("*.ndjson"))
    lines = path.read_text(encoding="utf-8").splitlines()
    whole = [json.loads(line) for line in lines] if path.suffix == ".ndjson" else None
    record = resources(whole or json.loads(path.read_bytes()))
    people = [item["id"] for item in record if item["resourceType"] == "Patient"]
    assert people
    by = Setting(rulebook(), AS_OF, ZONE)
    data = json.dumps(bundle(*record)).encode()
    for patient in people:
        drafted = any(is_draft(item) and patient in owners(item) for item in record)
        for hook in _hooks(drafted):
            if hook == "patient-view" and drafted:
                continue  # opened without the orders that are being written: another record
            assert spoken(ehr, hook, record, patient) == checked(data, patient, hook, by)


def test_the_examples_say_something(ehr: Ehr) -> None:
    """Two empty lists would be alike too."""
    record = resources(json.loads((EXAMPLES[0] / "request.json").read_bytes()))
    cards = spoken(ehr, "order-sign", record, "maria")
    assert [card["source"]["topic"]["code"] for card in cards] == [
        "opioid.active-with-naltrexone-order"
    ]


def test_second_pack() -> None:
    """Other types are asked for, and a result that is there or not makes the difference."""
    scan = resource(
        "ServiceRequest",
        "scan",
        status="active",
        intent="order",
        code={"coding": [{"system": "http://snomed.info/sct", "code": "77477000"}]},
        occurrenceDateTime="2026-06-15",
    )
    result = resource(
        "Observation",
        "creatinine",
        status="final",
        code={"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        effectiveDateTime="2026-06-01",
        valueQuantity={"value": 1.0, "unit": "mg/dL", "code": "mg/dL"},
    )
    ehr = Ehr(CONTRAST)
    service = ehr.services()["contrast-patient-view"]
    by = Setting(rulebook(CONTRAST), AS_OF, ZONE)
    spoken_of = []
    for record in ([person(), scan, METFORMIN], [person(), scan, METFORMIN, result]):
        answer = ehr.call(hook_request(service, record, "p1"), service["id"])
        review_of(answer)
        cards = answer.json()["cards"]
        assert cards == checked(json.dumps(bundle(*record)).encode(), "p1", "patient-view", by)
        spoken_of.append([card["source"]["topic"]["code"] for card in cards])
    assert spoken_of == [["contrast.kidney-function-missing"], []]


@pytest.mark.skipif(not CORPUS, reason="the shared corpus is not beside the project")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_corpus(path: Path) -> None:
    document = json.loads(gzip.decompress(path.read_bytes()))
    stored = with_plain_references(document)
    patient = next(item["id"] for item in stored if item["resourceType"] == "Patient")
    new = draft("new-order", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5, patient)
    ehr = Ehr(now=CORPUS_AS_OF)
    by = Setting(rulebook(), CORPUS_AS_OF, ZONE)
    document["entry"].append({"resource": new})
    data = json.dumps(document).encode()
    for hook in ("order-sign", "order-select"):
        assert spoken(ehr, hook, [*stored, new], patient) == checked(data, patient, hook, by)
