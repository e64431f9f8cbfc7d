"""FHIR R4 records as tests write them, and the front door by which they are judged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cds.cards.judge import Judged, Setting, judge, read_input
from cds.cards.wire import encode
from cds.rulebook.model import Rulebook
from cds.rulebook.pack import load_rulebook, shipped_pack
from cds.rulebook.site import Site
from cds.values.problem import Problem

Json = dict[str, Any]

ROOT = Path(__file__).parent.parent
CONTRAST = ROOT / "tests" / "packs" / "contrast"
"""The second pack: another drug and another kind of question."""

ZONE = ZoneInfo("America/New_York")
AS_OF = datetime(2026, 6, 10, 10, tzinfo=ZONE)
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@lru_cache
def rulebook(root: Path | None = None, site: Site | None = None) -> Rulebook:
    return load_rulebook(root or shipped_pack(), site or Site())


def setting(root: Path | None = None, *, hook: str = "", patient: str = "") -> Setting:
    return Setting(rulebook(root), AS_OF, ZONE, hook, patient)


def judged_bytes(
    data: bytes, by: Setting | None = None
) -> tuple[list[Judged], tuple[Problem, ...]]:
    """What comes of one input: an answer for each patient, and the problems of the whole."""
    by = by or setting()
    charts = read_input(data, "input", by)
    return list(judge(charts, "input", by)), charts.problems


def judged(document: object, by: Setting | None = None) -> list[Judged]:
    return judged_bytes(json.dumps(document).encode(), by)[0]


def cards_of(found: Judged) -> list[tuple[str, str]]:
    """Rule id and indicator of every card, in their order."""
    return [(item.finding.rule.id, item.finding.indicator) for item in found.answer.drawn]


def cards(document: object, by: Setting | None = None) -> list[tuple[str, str]]:
    """The cards of a document with one patient."""
    (found,) = judged(document, by)
    return cards_of(found)


def card_bytes(found: Iterable[Judged]) -> bytes:
    """The cards as they go out on the wire."""
    return encode([[card.as_json() for card in item.answer.cards] for item in found])


def problems_of(found: Iterable[Judged]) -> str:
    return "\n".join(problem.render() for item in found for problem in item.problems)


# -- resources ---------------------------------------------------------------------------------------


def resource(kind: str, name: str, patient: str = "p1", **more: Any) -> Json:
    return {
        "resourceType": kind,
        "id": name,
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def person(name: str = "p1", **more: Any) -> Json:
    return {"resourceType": "Patient", "id": name, "birthDate": "1980-02-03", **more}


def drug(text: str) -> Json:
    return {"coding": [{"system": "https://example.org/drugs", "code": "d", "display": text}]}


def order(name: str, of: str, patient: str = "p1", **more: Any) -> Json:
    """An active MedicationRequest of five days ago with ten days of supply."""
    content = {
        "status": "active",
        "intent": "order",
        "authoredOn": "2026-06-05",
        "medicationCodeableConcept": drug(of),
        "dispenseRequest": {"expectedSupplyDuration": {"value": 10, "code": "d"}},
        **more,
    }
    return resource("MedicationRequest", name, patient, **content)


def draft(name: str, of: str, milligrams: float, patient: str = "p1", **more: Any) -> Json:
    """A MedicationRequest that is being written, once a day."""
    dose = {"value": milligrams, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    content = {
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": drug(of),
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": dose}],
            }
        ],
        **more,
    }
    return resource("MedicationRequest", name, patient, **content)


def bundle(*resources: Json, **more: Any) -> Json:
    """A collection Bundle; an entry that is given whole (with a fullUrl) stays as it is."""
    entries = [item if "resource" in item else {"resource": item} for item in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries, **more}


def searchset(*resources: Json, **more: Any) -> Json:
    return {**bundle(*resources, **more), "type": "searchset"}


FULL_PREFETCH = (
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "MedicationAdministration",
    "Condition",
    "AllergyIntolerance",
    "Observation",
    "ServiceRequest",
    "Procedure",
    "Appointment",
    "Encounter",
    "Task",
)


def request(
    *drafts: Json, hook: str = "order-sign", prefetch: Json | None = None, **context: Any
) -> Json:
    """A CDS Hooks request whose prefetch answers everything with "nothing" unless said otherwise."""
    answered: Json = dict.fromkeys(FULL_PREFETCH)
    return {
        "hook": hook,
        "hookInstance": "7b2f0e62-6c0e-4f0a-8a53-0e8f0c1f3a77",
        "context": {
            "userId": "Practitioner/u1",
            "patientId": "p1",
            "draftOrders": bundle(*drafts),
            **context,
        },
        "prefetch": {"patient": person(), **answered, **(prefetch or {})},
    }
