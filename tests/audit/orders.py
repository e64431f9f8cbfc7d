"""Records with orders, and what an audit of each order (`--every order`) says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cds.audit.inputs import Record
from cds.audit.outcome import Outcome
from cds.audit.work import judge_records
from cds.cards.judge import Setting
from tests.audit.population import SNOMED
from tests.records import (
    AS_OF,
    ROOT,
    ZONE,
    Json,
    bundle,
    drug,
    person,
    resource,
    rulebook,
)

WHEN = ("--as-of", "2026-06-10T10:00:00-04:00", "--timezone", "America/New_York")
LDN = "naltrexone 1.5 MG Oral Capsule"
OPIOID = "oxycodone 5 MG Oral Tablet"
ACTIVE = "opioid.active-with-naltrexone-order"
RECENT = "opioid.recent-exposure"
ON_LDN = "opioid.order-while-on-naltrexone"
WINDOW = "periop.surgery-within-hold-window"
NO_USE = "indication.none-documented"
NEW_START = "periop.new-start-before-surgery"
NDC = {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "00000-0000-00"}]}


def every(root: Path | None = None) -> Setting:
    return Setting(rulebook(root), AS_OF, ZONE, "order-sign", every="order")


def audited(*record: Json, by: Setting | None = None) -> Outcome:
    """What comes of a Bundle in a worker."""
    data = json.dumps(bundle(*record)).encode()
    return judge_records(by or every(), (Record("r.json", len(data), data=data),))


def found(*record: Json, by: Setting | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audited(*record, by=by).findings]


def rules_by_order(*record: Json, by: Setting | None = None) -> dict[str, set[str]]:
    """The rules that speak, by order."""
    told: dict[str, set[str]] = {}
    for line in found(*record, by=by):
        told.setdefault(line["order"].partition("/")[2], set()).add(line["rule"])
    return told


def ordered(name: str, of: str = LDN, on: str = "2026-03-10T09:00:00-04:00", **more: Any) -> Json:
    """A MedicationRequest as a record has it; without anything of its supply."""
    content = {"status": "active", "intent": "order", "authoredOn": on, **more}
    if of == LDN and "dosageInstruction" not in content:
        content["dosageInstruction"] = [once_a_day(1.5)]
    return resource("MedicationRequest", name, medicationCodeableConcept=drug(of), **content)


def once_a_day(milligrams: float) -> Json:
    dose = {"value": milligrams, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    return {
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": dose}],
    }


def dispensed(name: str, of: str, on: str, days: int = 5, by: str = "", **more: Any) -> Json:
    content: Json = {"status": "completed", "daysSupply": {"value": days, "code": "d"}, **more}
    if on:
        content["whenHandedOver"] = on
    if by:
        content["authorizingPrescription"] = [{"reference": f"MedicationRequest/{by}"}]
    return resource("MedicationDispense", name, medicationCodeableConcept=drug(of), **content)


def given_dose(name: str, of: str, on: str, **more: Any) -> Json:
    content = {"status": "completed", "effectiveDateTime": on, **more}
    return resource("MedicationAdministration", name, medicationCodeableConcept=drug(of), **content)


def operation(kind: str, name: str, on: str, **more: Any) -> Json:
    code = {"coding": [{"system": SNOMED, "code": "80146002", "display": "Appendectomy"}]}
    content: Json = {"status": "active", "intent": "order", "code": code, "occurrenceDateTime": on}
    if kind == "Procedure":
        content = {"status": "completed", "code": code, "performedDateTime": on}
    return resource(kind, name, **{**content, **more})


def diagnosis(name: str, code: str, **more: Any) -> Json:
    clinical = {"coding": [{"code": "active"}]}
    coding = {"coding": [{"system": SNOMED, "code": code}]}
    return resource("Condition", name, **{"clinicalStatus": clinical, "code": coding, **more})


# -- whole records --------------------------------------------------------------------------------


PEOPLE = {
    f"p{number}": [
        person(f"p{number}"),
        *(
            {**entry, "subject": {"reference": f"Patient/p{number}"}, "id": f"p{number}-{entry['id']}"}
            for entry in (
                ordered("a", on=f"20{10 + number}-03-10T09:00:00-04:00"),
                operation("ServiceRequest", "x", f"20{10 + number}-03-12", authoredOn=f"20{10 + number}-03-01"),
                operation("Procedure", "y", f"20{10 + number}-05-12"),
                ordered("o", OPIOID, "2019-01-01"),
                ordered("z", "lisinopril 10 MG Oral Tablet", "2018-01-01"),
                ordered("u", on="2019"),
                ordered("v", on="2015-01-01", status="draft"),
            )
        ),
    ]
    for number in range(6)
}  # fmt: skip


def as_record(case: Path) -> list[Json]:
    """An example's resources as a record; what was being ordered has been ordered, at that moment."""
    document = json.loads(next(case.glob("*.json")).read_text())
    context = document.get("context", {}).get("draftOrders")
    holders = [document, *document.get("prefetch", {}).values(), context]
    entries = [
        item["resource"]
        for value in holders
        for item in (value or {}).get("entry", [{"resource": value}])
        if isinstance(item.get("resource"), dict) and "resourceType" in item["resource"]
    ]
    return [
        {**entry, "status": "active", "authoredOn": AS_OF.isoformat()}
        if entry.get("status") == "draft"
        else entry
        for entry in entries
        if entry["resourceType"] != "Bundle"
    ]


def examples() -> list[Path]:
    found = []
    for case in sorted((ROOT / "fhir_examples").iterdir()):
        if case.is_dir() and any(case.glob("*.json")):
            record = as_record(case)
            names = {(entry["resourceType"], entry.get("id")) for entry in record}
            one = sum(entry["resourceType"] == "Patient" for entry in record) == 1
            if one and len(names) == len(record) and all(entry.get("id") for entry in record):
                found.append(case)
    return found


EXAMPLES = examples()
