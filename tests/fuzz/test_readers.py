"""The reader that leaves out what nobody asks for answers as the one that reads everything."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from msgspec.structs import replace

from cds.cards.answer import response
from cds.cards.judge import Setting, judge, read_input
from cds.cards.wire import encode
from cds.chart.interest import EVERYTHING
from cds.chart.reader import Reader
from tests.fuzz.records import LDN, records
from tests.records import AS_OF, CONTRAST, ROOT, ZONE, Json, person, resource, rulebook

LONG = int(os.environ.get("CDS_FUZZ", "1"))


def full_reader(by: Setting) -> Reader:
    understood = {kind: item.understood for kind, item in by.rulebook.definitions.items()}
    return Reader(by.rulebook.terminology, by.zone, understood, EVERYTHING)


def answers(data: bytes, by: Setting, reader: Reader | None = None) -> list[Any]:
    """What is said of each patient: cards, what was looked at, what is unknown, findings."""
    charts = reader.read(data, "input") if reader is not None else read_input(data, "input", by)
    found = []
    for item in judge(charts, "input", by):
        told = json.loads(encode(response(item.answer, by.rulebook).as_json()))
        review = item.answer.review
        findings = sorted(
            (one.rule.id, one.key) for each in review.verdicts for one in each.findings
        )
        found.append([item.patient, told, findings, list(review.unclassified)])
    return found


def check_same(entries: list[Json], by: Setting) -> None:
    document = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    data = json.dumps(document).encode()
    fast = answers(data, by)
    # A link makes it no plain Bundle: read in full, of the same types.
    full = answers(json.dumps({**document, "link": []}).encode(), by)
    assert fast == full
    assert fast == answers(data, by, full_reader(by))


BY = Setting(rulebook(), AS_OF, ZONE)
PACKS = [BY, replace(BY, rulebook=rulebook(CONTRAST)), replace(BY, hook="audit")]


def old(name: str = "1", **more: Any) -> Json:
    """A booked operation whose date is the only thing that can make it past."""
    code = {"text": "hernia repair"}
    return {
        "resource": resource(
            "ServiceRequest", name, status="active", intent="order", code=code, **more
        )
    }


@given(records)
@settings(
    max_examples=80 * LONG,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@example([{"resource": person()}, LDN, old(occurrenceDateTime="2001-13-45")])
@example([{"resource": person()}, LDN, old(occurrenceDateTime="2001-02-31")])
@example([{"resource": person()}, LDN, old(occurrenceDateTime="2001-01-01x")])
@example([{"resource": person()}, LDN, old(occurrencePeriod={"end": "2001-01-01"})])
@example([{"resource": person()}, LDN, old(start="2001-01-01")])
@example(
    [
        {"resource": person()},
        LDN,
        {"resource": {**old()["resource"], "resourceType": " ServiceRequest"}},
    ]
)
def test_a_generated_record(entries: list[Json]) -> None:
    for by in PACKS:
        check_same(entries, by)


CORPUS = ROOT.parent / "shared" / "corpus" / "synthea-bundles"
EXAMPLES = sorted((ROOT / "fhir_examples").glob("*/*.json*"))


def bundles() -> list[Path]:
    """Whole records to compare by: a population's where there is one beside the project."""
    found = sorted(CORPUS.glob("*.json.gz"))
    return found[:: 1 if LONG > 1 else 12] or [path for path in EXAMPLES if "bundle" in path.name]


@pytest.mark.parametrize("path", bundles(), ids=lambda path: path.stem)
def test_a_record_at_many_moments(path: Path) -> None:
    raw = path.read_bytes()
    entries = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)["entry"]
    for years in range(0, 30, 2 if LONG > 1 else 9):
        as_of = datetime(2024, 3, 1, 12, tzinfo=ZONE) - timedelta(days=365 * years)
        for hook in ("audit", "order-sign"):
            check_same(entries, Setting(rulebook(), as_of, ZONE, hook))
