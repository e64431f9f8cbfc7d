"""The kinds of item that the shorthand knows, with the keys that each accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from cds.authoring import findings, medications, operations
from cds.authoring.fields import Fields, Json, ShorthandError, filled, valid_id
from cds.authoring.literal import read_literal

Place: TypeAlias = Literal["record", "drafts", "appointments"]

COMMON_KEYS = (
    "id", "version", "last-updated", "profile", "implicit-rules", "modifier-extension", "extension",
    "also",
)  # fmt: skip
"""The keys of every kind; ``also`` is literal FHIR that is laid over the resource."""


class Kind(msgspec.Struct, frozen=True):
    """A kind of item: the resource it becomes, its own keys, and where a request carries it."""

    resource_type: str
    build: Callable[[Fields], Json]
    own_keys: tuple[str, ...]
    place: Place = "record"
    has_subject: bool = True

    @property
    def keys(self) -> frozenset[str]:
        """Every key that an item of this kind accepts."""
        subject = ("subject",) if self.has_subject else ()
        return frozenset((*COMMON_KEYS, *subject, *self.own_keys))


KINDS: Mapping[str, Kind] = {
    "draft": Kind("MedicationRequest", medications.draft, medications.REQUEST_KEYS, place="drafts"),
    "request": Kind("MedicationRequest", medications.request, medications.REQUEST_KEYS),
    "statement": Kind("MedicationStatement", medications.statement, medications.STATEMENT_KEYS),
    "dispense": Kind("MedicationDispense", medications.dispense, medications.DISPENSE_KEYS),
    "administration": Kind(
        "MedicationAdministration", medications.administration, medications.ADMINISTRATION_KEYS
    ),
    "medication": Kind(
        "Medication", medications.medication, medications.MEDICATION_KEYS, has_subject=False
    ),
    "service-request": Kind("ServiceRequest", operations.service_request, operations.SERVICE_KEYS),
    "draft-service-request": Kind(
        "ServiceRequest", operations.draft_service_request, operations.SERVICE_KEYS, place="drafts"
    ),
    "appointment": Kind(
        "Appointment", operations.appointment, operations.APPOINTMENT_KEYS, has_subject=False
    ),
    "booking": Kind(
        "Appointment",
        operations.booking,
        operations.APPOINTMENT_KEYS,
        place="appointments",
        has_subject=False,
    ),
    "procedure": Kind("Procedure", operations.procedure, operations.PROCEDURE_KEYS),
    "encounter": Kind("Encounter", operations.encounter, operations.ENCOUNTER_KEYS),
    "task": Kind("Task", operations.task, operations.TASK_KEYS),
    "condition": Kind("Condition", findings.condition, findings.CONDITION_KEYS),
    "allergy": Kind("AllergyIntolerance", findings.allergy, findings.ALLERGY_KEYS),
    "observation": Kind("Observation", findings.observation, findings.OBSERVATION_KEYS),
    "family-history": Kind("FamilyMemberHistory", findings.family_history, findings.FAMILY_KEYS),
    "patient": Kind("Patient", findings.patient, findings.PATIENT_KEYS, has_subject=False),
}


def build_resource(kind: Kind, fields: Fields, default_id: str) -> Json:
    """The FHIR resource of an item, with its id, its meta and what ``also`` lays over it."""
    identity = fields.text("id", default_id)
    if identity is not None and not valid_id(identity):
        raise fields.error(
            "id", f"{identity!r} is no FHIR id", "letters, digits, - and ., at most 64"
        )
    resource = {
        "resourceType": kind.resource_type,
        "id": identity,
        "meta": _meta(fields),
        "implicitRules": fields.text("implicit-rules"),
        "extension": _extensions(fields, "extension"),
        "modifierExtension": _extensions(fields, "modifier-extension"),
        **_compact(kind.build(fields)),
    }
    literal = read_literal(fields.get("also"), f"{fields.path}.also") if fields.has("also") else {}
    return filled({**resource, **literal})


def build_literal(value: object, path: str) -> Json:
    """The resource that a ``raw`` item spells out; it must at least name its type."""
    resource = read_literal(value, path)
    if not isinstance(resource.get("resourceType"), str):
        raise ShorthandError(f"{path}.resourceType", "is missing", "a FHIR resource type")
    return resource


def _compact(resource: Json) -> Json:
    """``resource`` without the empty items of its lists."""
    return {
        key: [item for item in value if item not in (None, {})]
        if isinstance(value, list)
        else value
        for key, value in resource.items()
    }


def _meta(fields: Fields) -> Json:
    return filled(
        {
            "versionId": fields.text("version"),
            "lastUpdated": fields.moment("last-updated"),
            "profile": fields.texts("profile"),
        }
    )


def _extensions(fields: Fields, key: str) -> list[Json]:
    """Extensions written "URL", "URL yes" or "URL words", one or a list of them."""
    return [_extension(text) for text in fields.texts(key)]


def _extension(text: str) -> Json:
    url, _, value = text.partition(" ")
    if value in {"yes", "no"}:
        return {"url": url, "valueBoolean": value == "yes"}
    return {"url": url, "valueString": value} if value else {"url": url, "valueBoolean": True}
