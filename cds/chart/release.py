"""Names and shapes that FHIR had before R4, which clients of CDS Hooks 1.0 and 1.1 still send.

DSTU2 (https://hl7.org/fhir/DSTU2) and STU3 (https://hl7.org/fhir/STU3). An older shape that says
the same as one of R4 is read as that, and told; the resource itself stays as it came, so that what
is written back is in the caller's own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cds.chart.fields import Json, as_text, code_of

RENAMED: Mapping[str, str] = {
    "MedicationOrder": "MedicationRequest",
    "ProcedureRequest": "ServiceRequest",
}
"""The types that R4 has under another name (MedicationOrder: DSTU2; ProcedureRequest: both)."""

# Flags of the older releases that say that something was not done, and R4's status for it.
_FLAGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "MedicationStatement": (("wasNotTaken", "not-taken"),),
    "MedicationDispense": (("notDone", "declined"),),
    "MedicationAdministration": (("wasNotGiven", "not-done"), ("notGiven", "not-done")),
    "Procedure": (("notPerformed", "not-done"), ("notDone", "not-done")),
}
# STU3, MedicationStatement.taken.
_TAKEN: Mapping[str, str] = {"n": "not-taken", "unk": "unknown", "na": "unknown"}
# What an older status is called in R4, where it has another name.
_STATUSES: Mapping[str, Mapping[str, str]] = {
    "ProcedureRequest": {
        "proposed": "active",
        "requested": "active",
        "received": "active",
        "accepted": "active",
        "in-progress": "active",
        "suspended": "on-hold",
        "rejected": "revoked",
        "aborted": "revoked",
        "cancelled": "revoked",
    },
    "Procedure": {"suspended": "on-hold", "aborted": "stopped"},
}
# DSTU2 has one status of an allergy, R4 two: what it says of its course, and how sure it is.
_ALLERGY: Mapping[str, tuple[str, str]] = {
    "active": ("active", ""),
    "unconfirmed": ("active", "unconfirmed"),
    "confirmed": ("active", "confirmed"),
    "inactive": ("inactive", ""),
    "resolved": ("resolved", ""),
    "refuted": ("", "refuted"),
    "entered-in-error": ("", "entered-in-error"),
}
# Elements that are lists in R4, and often come as the one object that they were, or hold.
_LISTS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("MedicationRequest", "ServiceRequest"), ("category", "dosageInstruction", "reasonCode")
)


def type_of(resource: Json) -> str:
    """The resource's type by its name in R4; "" when it has none."""
    kind = resource.get("resourceType")
    kind = kind.strip() if isinstance(kind, str) else ""
    return RENAMED.get(kind, kind)


def older_name(resource: Json) -> str:
    """The name of its type where that is one from before R4, else ""."""
    kind = as_text(resource.get("resourceType"))
    return kind if kind in RENAMED else ""


def status_of(resource: Json) -> str:
    """The status as R4 has it; "" when there is none. An error stays an error."""
    kind, status = as_text(resource.get("resourceType")), code_of(resource.get("status"))
    if status == "entered-in-error":
        return status
    for name, meant in _FLAGS.get(kind, ()):
        if resource.get(name) is True:
            return meant
    if kind == "MedicationStatement":
        taken = code_of(resource.get("taken"))
        if taken in _TAKEN:
            return _TAKEN[taken]
        # A reason why it is not taken, beside a status that says that it is.
        if not taken and resource.get("reasonNotTaken") and status != "not-taken":
            return "unknown"
    return _STATUSES.get(kind, {}).get(status, status)


def intent_of(resource: Json) -> str:
    """What it is meant as; of a DSTU2 ProcedureRequest its status says it. "" when nothing does."""
    intent = code_of(resource.get("intent"))
    if intent or resource.get("resourceType") != "ProcedureRequest":
        return intent
    return "proposal" if code_of(resource.get("status")) == "proposed" else ""


def allergy_states(resource: Json) -> tuple[str, str]:
    """Clinical and verification status of an AllergyIntolerance, "" where it is not said."""
    clinical = code_of(resource.get("clinicalStatus"))
    verification = code_of(resource.get("verificationStatus"))
    if clinical or verification:
        return clinical, verification
    return _ALLERGY.get(code_of(resource.get("status")), ("", ""))


def oddities(resource: Json) -> Iterator[str]:
    """What of a resource is not as R4 has it and was read all the same, each in words."""
    written = as_text(resource.get("resourceType"))
    kind = RENAMED.get(written, written)
    if written != kind:
        yield f"{written} is what {kind} was called before FHIR R4: read as that"
    said, read = code_of(resource.get("status")), status_of(resource)
    if said != read:
        yield f"its status {said or '(none)'} is read as {read}, by what an older FHIR release says"
    for name in _LISTS.get(kind, ()):
        if isinstance(resource.get(name), dict):
            yield f"{name} is one object where FHIR R4 has a list: read as a list of one"
    if kind == "AllergyIntolerance" and "code" not in resource and "substance" in resource:
        yield "substance and status are read as the code and the two states of FHIR R4"
