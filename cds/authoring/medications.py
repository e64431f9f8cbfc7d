"""Medication items of the shorthand: orders, statements, dispenses, administrations, products."""

from __future__ import annotations

import re

from cds.authoring.dosage import (
    ADMINISTERED_KEYS,
    DOSE_FORM,
    DOSE_KEYS,
    DURATION_FORM,
    administered,
    dosages,
)
from cds.authoring.fields import Fields, Json, filled
from cds.authoring.phrases import (
    CODE_FORM,
    coded,
    concept,
    concepts,
    hl7_concept,
    read_coding,
    read_duration,
    read_period,
    read_quantity,
    read_strength,
    read_when,
)

DRUG_KEYS = ("drug", "code", "text", "reference", "contained", "strength", "form", "ingredient")
_EVENT_KEYS = (*DRUG_KEYS, "status", "status-reason", "category", "note", "of")

REQUEST_KEYS = (
    *_EVENT_KEYS, *DOSE_KEYS, "phases", "intent", "authored", "priority", "prescriber", "encounter",
    "reason", "supply", "quantity", "refills", "validity", "prior", "do-not-perform", "reported",
)  # fmt: skip
STATEMENT_KEYS = (
    *_EVENT_KEYS, *DOSE_KEYS, "phases", "taken", "asserted", "reason", "source", "encounter"
)  # fmt: skip
DISPENSE_KEYS = (
    *_EVENT_KEYS, *DOSE_KEYS, "phases", "supply", "quantity", "handed-over", "prepared", "type"
)  # fmt: skip
ADMINISTRATION_KEYS = (*_EVENT_KEYS, *ADMINISTERED_KEYS, "given", "reason", "encounter")
MEDICATION_KEYS = ("drug", "code", "text", "strength", "form", "ingredient", "status")

_REFERENCE = re.compile(r"(Condition|Observation|Procedure|DiagnosticReport|ServiceRequest)/\S+\Z")
_REQUEST_CATEGORIES = {"inpatient", "outpatient", "community", "discharge"}


def request(fields: Fields) -> Json:
    """A MedicationRequest, active and an order unless said otherwise."""
    return {
        "status": fields.text("status", "active"),
        "statusReason": concept(fields, "status-reason"),
        "intent": fields.text("intent", "order"),
        "category": _request_categories(fields),
        "priority": fields.text("priority"),
        "doNotPerform": fields.flag("do-not-perform"),
        **_reported(fields),
        **_drug(fields),
        "subject": fields.subject(),
        "encounter": fields.reference("encounter", "Encounter"),
        "authoredOn": fields.moment("authored"),
        "requester": _party(fields, "prescriber"),
        **reasons(fields),
        "basedOn": fields.references("of", "MedicationRequest"),
        "note": notes(fields),
        "dosageInstruction": dosages(fields),
        "dispenseRequest": _dispense_request(fields),
        "priorPrescription": fields.reference("prior", "MedicationRequest"),
    }


def draft(fields: Fields) -> Json:
    """A MedicationRequest that is being written: as ``request``, with the status draft."""
    return {**request(fields), "status": fields.text("status", "draft")}


def statement(fields: Fields) -> Json:
    """A MedicationStatement, active unless said otherwise."""
    return {
        "basedOn": fields.references("of", "MedicationRequest"),
        "status": fields.text("status", "active"),
        "statusReason": concepts(fields, "status-reason"),
        "category": concept(fields, "category"),
        **_drug(fields),
        "subject": fields.subject(),
        "context": fields.reference("encounter", "Encounter"),
        **read_when(fields, "taken", "effective"),
        "dateAsserted": fields.moment("asserted"),
        "informationSource": _party(fields, "source"),
        **reasons(fields),
        "note": notes(fields),
        "dosage": dosages(fields),
    }


def dispense(fields: Fields) -> Json:
    """A MedicationDispense, completed unless said otherwise."""
    return {
        "status": fields.text("status", "completed"),
        "statusReasonCodeableConcept": concept(fields, "status-reason"),
        "category": concept(fields, "category"),
        **_drug(fields),
        "subject": fields.subject(),
        "authorizingPrescription": fields.references("of", "MedicationRequest"),
        "type": concept(fields, "type"),
        "quantity": fields.parse("quantity", read_quantity, DOSE_FORM),
        "daysSupply": fields.parse("supply", read_duration, DURATION_FORM),
        "whenPrepared": fields.moment("prepared"),
        "whenHandedOver": fields.moment("handed-over"),
        "note": notes(fields),
        "dosageInstruction": dosages(fields),
    }


def administration(fields: Fields) -> Json:
    """A MedicationAdministration, completed unless said otherwise; ``given`` is required."""
    if "given" not in fields.values:
        raise fields.error("given", "is missing", "when it was given: a date, a time, START..END")
    return {
        "status": fields.text("status", "completed"),
        "statusReason": concepts(fields, "status-reason"),
        "category": concept(fields, "category"),
        **_drug(fields),
        "subject": fields.subject(),
        "context": fields.reference("encounter", "Encounter"),
        **read_when(fields, "given", "effective"),
        **reasons(fields),
        "request": fields.reference("of", "MedicationRequest"),
        "note": notes(fields),
        "dosage": administered(fields),
    }


def medication(fields: Fields) -> Json:
    """A Medication of its own, to which other items refer by its id."""
    return {**_product(fields, _drug_concept(fields)), "status": fields.text("status")}


def notes(fields: Fields) -> list[Json]:
    """The Annotations under ``note``."""
    return [{"text": text} for text in fields.texts("note")]


def _drug(fields: Fields) -> Json:
    """``medication[x]``: a reference, a contained Medication, or a code, in this order."""
    reference = fields.reference("reference", "Medication")
    if reference is not None:
        display = fields.text("drug") or fields.text("text")
        return {"medicationReference": {**reference, **filled({"display": display})}}
    identity = _drug_concept(fields)
    if fields.flag("contained"):
        product = filled({"resourceType": "Medication", "id": "med", **_product(fields, identity)})
        return {"contained": [product], "medicationReference": {"reference": "#med"}}
    for key in ("strength", "form", "ingredient"):
        if fields.has(key):
            raise fields.error(key, "needs a Medication resource", "contained: yes, or reference")
    return {"medicationCodeableConcept": identity}


def _drug_concept(fields: Fields) -> Json | None:
    """The drug's concept: coded under its written name, or ``text`` alone where it is uncoded."""
    name = fields.text("drug")
    if name is None:
        return coded(fields)
    codings = [_named(coding, name) for coding in _drug_codings(fields, name)]
    return {"coding": codings, "text": fields.text("text") or name}


def _drug_codings(fields: Fields, name: str) -> list[Json]:
    phrases = fields.texts("code") or fields.setting.drugs.get(name)
    if not phrases:
        accepted = "code: SYSTEM CODE, a name listed under drugs, or text: for an uncoded drug"
        raise fields.error("drug", f"{name!r} has no code", accepted)
    listed = phrases if isinstance(phrases, list) else [phrases]
    try:
        return [read_coding(str(phrase)) for phrase in listed]
    except ValueError:
        raise fields.error("code", f"cannot read the code of {name!r}", CODE_FORM) from None


def _named(coding: Json, name: str) -> Json:
    return coding if "display" in coding else {**coding, "display": name}


def _product(fields: Fields, identity: Json | None) -> Json:
    return {
        "code": identity,
        "form": concept(fields, "form"),
        "ingredient": _ingredient(fields, identity),
    }


def _ingredient(fields: Fields, identity: Json | None) -> list[Json]:
    strength = fields.parse("strength", read_strength, '"2.5 mg", "1 mg/mL", "20 mg/1 tablet"')
    substances = concepts(fields, "ingredient")
    if not substances and strength is None:
        return []
    named = substances or [identity or {}]
    return [filled({"itemCodeableConcept": each, "strength": strength}) for each in named]


def _dispense_request(fields: Fields) -> Json:
    return filled(
        {
            "validityPeriod": read_period(fields, "validity"),
            "numberOfRepeatsAllowed": fields.count("refills"),
            "quantity": fields.parse("quantity", read_quantity, DOSE_FORM),
            "expectedSupplyDuration": fields.parse("supply", read_duration, DURATION_FORM),
        }
    )


def _request_categories(fields: Fields) -> list[Json]:
    pairs = zip(fields.texts("category"), concepts(fields, "category"), strict=True)
    return [_request_category(text) or other for text, other in pairs]


def _request_category(text: str) -> Json | None:
    known = text in _REQUEST_CATEGORIES
    return hl7_concept(text, "medicationrequest-category") if known else None


def _reported(fields: Fields) -> Json:
    text = fields.text("reported")
    if text is None or "/" in text:
        return {"reportedReference": {"reference": text}} if text else {}
    return {"reportedBoolean": fields.flag("reported")}


def _party(fields: Fields, key: str) -> Json | None:
    """A reference to a person: ``Practitioner/1`` as a reference, a name as its display."""
    text = fields.text(key)
    return None if text is None else {"reference" if "/" in text else "display": text}


def reasons(fields: Fields) -> Json:
    """``reasonReference`` for ``Condition/id`` and such, ``reasonCode`` for a code or a text."""
    pairs = list(zip(fields.texts("reason"), concepts(fields, "reason"), strict=True))
    return {
        "reasonCode": [code for text, code in pairs if not _REFERENCE.match(text)],
        "reasonReference": [{"reference": text} for text, _ in pairs if _REFERENCE.match(text)],
    }
