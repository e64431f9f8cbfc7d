"""Every form of sentence that the language promises, judged on one record of the second pack."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cds.cards.judge import Setting
from cds.rulebook.pack import load_rulebook
from cds.values.truth import Truth
from tests.records import (
    AS_OF,
    CONTRAST,
    ZONE,
    Json,
    bundle,
    judged,
    order,
    person,
    resource,
)

FACTS = {
    "drug": "{medication: metformin, is: current}",
    "scan": "{procedure: contrast-imaging, is: planned}",
    "creatinine": "{result: kidney-function}",
    "vitamin": "{result: vitamin}",
    "allergy": "{allergy: contrast-medium, is: documented}",
    "person": "{patient: person}",
}
PROBE = """\
id: contrast.probe
title: Asks one question
version: 1.0.0
owner: test
reviewed: 2026-06-01
audience: a test
hooks: [patient-view]
per: []
problem: scans
facts:
{facts}
when:
  - {sentence}
unknown: {{count: true}}
card: {{indicator: info, summary: Yes.}}
evidence:
  - {{statement: X, source: T1, says: Nothing., strength: none}}
"""


def coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def result(name: str, day: str, value: float) -> Json:
    return resource(
        "Observation",
        name,
        status="final",
        code=coded("http://loinc.org", "2160-0"),
        effectiveDateTime=day,
        valueQuantity={"value": value, "unit": "mg/dL", "code": "mg/dL"},
    )


def scan(name: str, day: str) -> Json:
    code = coded("http://snomed.info/sct", "77477000")
    return resource(
        "ServiceRequest", name, status="active", intent="order", code=code, occurrenceDateTime=day
    )


RECORD = bundle(
    person(birthDate="1980-06", gender="female"),
    order("met", "metformin 500 MG Oral Tablet"),
    result("old", "2025-12-01", 1.0),
    result("new", "2026-06-01", 2.0),
    scan("ct1", "2026-06-11T09:00:00-04:00"),
    scan("ct2", "2026-06-20"),
    {
        "resourceType": "AllergyIntolerance",
        "id": "a",
        "patient": {"reference": "Patient/p1"},
        "clinicalStatus": coded("http://terminology.hl7.org/x", "active"),
        "code": coded("http://snomed.info/sct", "385420005"),
    },
)


def answer(sentence: str, folder: Path, record: Json = RECORD) -> Truth:
    """What the engine makes of a sentence about a record."""
    pack = folder / "pack"
    shutil.copytree(CONTRAST, pack)
    order_file = pack / "precedence.yaml"
    order_file.write_text(
        order_file.read_text().replace(
            "[contrast.repeated-scans]", "[contrast.repeated-scans, contrast.probe]"
        )
    )
    asked = {name: text for name, text in FACTS.items() if re.search(rf"\b{name}\b", sentence)}
    facts = "\n".join(f"  {name}: {text}" for name, text in (asked or FACTS).items())
    if not asked:
        facts = f"  person: {FACTS['person']}"
        sentence = f"(person or no person) and ({sentence})"
    quoted = '"' + sentence.replace('"', '\\"') + '"'
    rule = PROBE.format(facts=facts, sentence=quoted)
    (pack / "contrast" / "probe.yaml").write_text(rule, "utf-8")
    by = Setting(load_rulebook(pack), AS_OF, ZONE)
    (found,) = judged(record, by)
    verdicts = {verdict.rule.id: verdict.truth for verdict in found.answer.review.verdicts}
    return verdicts["contrast.probe"]


YES, NO, UNKNOWN = Truth.YES, Truth.NO, Truth.UNKNOWN
SENTENCES = [
    # facts
    ("drug", YES),
    ("vitamin", NO),
    ("no drug", NO),
    ("no vitamin", YES),
    ("every scan is planned", YES),
    ("every scan is soon", NO),
    ("every vitamin is in-time", YES),
    ("at least 1 scan", YES),
    ("at least 2 scan", YES),
    ("at least 3 scan", NO),
    ("otherwise", YES),
    # words
    ("scan is soon", YES),
    ("scan is not soon", NO),
    ("scan is any of soon, contrast-imaging", YES),
    ("creatinine.status is final", YES),
    ("creatinine.status is any of amended, preliminary", NO),
    ("person.sex is female", YES),
    ("hook is patient-view", YES),
    ("hook is any of order-sign, audit", NO),
    ("coverage.Observation is supplied", YES),
    ("coverage.MedicationDispense is empty", YES),
    # known
    ("creatinine.value is known", YES),
    ("creatinine.high is known", NO),
    ("creatinine.high is not known", YES),
    # comparisons of amounts
    ("creatinine.value is at least 2 mg/dL", YES),
    ("creatinine.value is more than 2 mg/dL", NO),
    ("creatinine.value is at most 1 mg/dL", YES),
    ("creatinine.value is less than 1 mg/dL", NO),
    ("creatinine.value is less than 1 mmol/L", UNKNOWN),
    ("creatinine.value is 1.5 mg/dL to 2.5 mg/dL", YES),
    ("creatinine.value is 2.1 mg/dL to 2.5 mg/dL", NO),
    ("creatinine.value is at least creatinine-high", YES),
    ("drug.dose is known", NO),
    # windows and order of days
    ("creatinine.date is 0 to 9 days before today", YES),
    ("creatinine.date is 10 to 100 days before today", NO),
    ("creatinine.date is 0 to result-days days before today", YES),
    ("scan.start is 0 to 23 hours after now", YES),
    ("scan.start is 0 to 22 hours after now", NO),
    ("scan.start is 1 to 1 days after today", YES),
    ("scan.start is after today", YES),
    ("scan.start is before today", NO),
    ("scan.start is after creatinine.date", YES),
    # matches and includes
    ("creatinine.status matches creatinine.status", YES),
    ("creatinine.status matches drug.certainty", NO),
    ("creatinine.date matches scan.start", NO),
    ("drug.exposure includes today", YES),
    ("drug.possibility includes today", NO),
    # not, could be, unsure whether
    ("person.age is at least 45", YES),
    ("person.age is at least 46", UNKNOWN),
    ("not person.age is at least 46", UNKNOWN),
    ("could be person.age is at least 46", YES),
    ("unsure whether person.age is at least 46", YES),
    ("not unsure whether person.age is at least 45", YES),
    ("could be person.age is at least 47", NO),
    # and, or
    ("drug and no vitamin", YES),
    ("vitamin or no drug", NO),
    ("(vitamin and drug) or (drug and scan)", YES),
    ("vitamin and person.age is at least 46", NO),
    ("drug or person.age is at least 46", YES),
    ("drug and person.age is at least 46", UNKNOWN),
    # reckoning
    ("days from creatinine.date to today is at most 9 days", YES),
    ("days from creatinine.date to today is less than 9 days", NO),
    ("hours from now to scan.start is at most 23 hours", YES),
    ("days from scan.start to scan.start is at most 0", YES),
    ("creatinine.value × 2 is at least 4 mg/dL", YES),
    ("creatinine.value + 1 mg/dL is at least 3 mg/dL", YES),
    ("creatinine.value - 1 mg/dL is more than 1 mg/dL", NO),
    ("scan.start - 1 is 0 to 0 days after today", YES),
    ("today + 10 is after scan.start", YES),
    ("today is before creatinine.date + 9", NO),
    ("latest creatinine.date is 0 to 9 days before today", YES),
    ("latest of creatinine.date is before today", YES),
    ("earliest of scan.start is after today", YES),
    ("largest creatinine.value is at least 2 mg/dL", YES),
]
SENTENCES += [
    ("creatinine.status includes final", YES),
    ("earliest creatinine.date is 0 to 9 days before today", NO),
    ("smallest creatinine.value is at least 2 mg/dL", NO),
    ("largest creatinine.value is less than 1.5 mg/dL", NO),
    ("sum of creatinine.value is at least 3 mg/dL", YES),
    ("creatinine.value is 1.5 to 2.5 mg/dL", YES),
    ("2 × creatinine.value is at least 4 mg/dL", YES),
    ("creatinine.value is at least 0.02 g/L", YES),
    ("today × 3 is before today", UNKNOWN),
]


@pytest.mark.parametrize(
    ("sentence", "truth"),
    SENTENCES,
    ids=str,
)
def test_sentence(sentence: str, truth: Truth, tmp_path: Path) -> None:
    assert answer(sentence, tmp_path) is truth


def test_a_wrong_expectation_fails(tmp_path: Path) -> None:
    assert answer("no drug", tmp_path) is not Truth.YES
