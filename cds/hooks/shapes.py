"""JSON Schemas of what goes in and comes out: CDS Hooks 2.0 requests and answers, FHIR around them.

https://cds-hooks.hl7.org/2.0/. The service is more tolerant than what is described here: a client
that keeps to this is understood, one that does not may be, and is told what was odd.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds.hooks.contract import Response
from cds.hooks.feedback import MOST_ENTRIES, OUTCOMES
from cds.hooks.request import SUBJECTS
from cds.rulebook.model import HEIRS

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_TEXT: Schema = {"type": "string", "minLength": 1}
_ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}
_REFERENCE: Schema = {"type": "string", "pattern": "^[A-Z][A-Za-z]{2,40}/[A-Za-z0-9.-]{1,64}$"}


def ref(model: str) -> Schema:
    """The schema of that name among the components."""
    return {"$ref": _REF.format(model=model)}


def request_schema(hook: str, prefetch: Mapping[str, str]) -> Schema:
    """A request of one hook to a service that asks for so much."""
    wanted: Schema = {key: {"anyOf": [ref("FhirResource"), {"type": "null"}]} for key in prefetch}
    wanted["patient"] = ref("FhirResource")
    return {
        "type": "object",
        "required": ["hook", "hookInstance", "context", "prefetch"],
        "properties": {
            "hook": {"const": hook, "type": "string"},
            "hookInstance": {"type": "string", "format": "uuid"},
            "context": _context(hook),
            "prefetch": {"type": "object", "required": ["patient"], "properties": wanted},
            "fhirServer": {"type": "string", "format": "uri"},
            "fhirAuthorization": _AUTHORIZATION,
            "extension": {"type": "object"},
        },
    }


def feedback_schema() -> Schema:
    """A batch of what clinicians did with cards."""
    coding = {"type": "object", "properties": dict.fromkeys(("code", "system", "display"), _TEXT)}
    reason = {"type": "object", "properties": {"reason": coding, "userComment": {"type": "string"}}}
    accepted = {"type": "object", "required": ["id"], "properties": {"id": _UUID}}
    entry: Schema = {
        "type": "object",
        "required": ["card", "outcome", "outcomeTimestamp"],
        "properties": {
            "card": _UUID,
            "outcome": {"enum": list(OUTCOMES), "type": "string"},
            "outcomeTimestamp": {"type": "string", "format": "date-time"},
            "acceptedSuggestions": {"type": "array", "items": accepted},
            "overrideReason": reason,
        },
    }
    entries = {"type": "array", "minItems": 1, "maxItems": MOST_ENTRIES, "items": entry}
    return {"type": "object", "required": ["feedback"], "properties": {"feedback": entries}}


_UUID: Schema = {"type": "string", "format": "uuid"}
_AUTHORIZATION: Schema = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in", "scope", "subject"],
    "properties": {
        "access_token": _TEXT,
        "token_type": {"const": "Bearer", "type": "string"},
        "expires_in": {"type": "integer"},
        "scope": {"type": "string"},
        "subject": {"type": "string"},
        "patient": _ID,
    },
}


def _context(hook: str) -> Schema:
    """The context of a hook: whose record, and what is being ordered or booked."""
    properties: Schema = {"patientId": _ID, "encounterId": _ID}
    required = ["patientId"]
    if hook != "order-dispatch":
        properties["userId"] = _REFERENCE
        required.append("userId")
    subject = SUBJECTS.get(hook)
    if subject is not None:
        properties[subject] = _subject(hook)
        required.append(subject)
    if hook == "order-select":
        properties["selections"] = {"type": "array", "items": _REFERENCE}
        required.append("selections")
    return {"type": "object", "required": required, "properties": properties}


def _subject(hook: str) -> Schema:
    if hook == "order-dispatch":
        return {"type": "array", "minItems": 1, "items": _REFERENCE}
    if hook in HEIRS:
        # CDS Hooks 1.0: a Bundle, or the resources themselves.
        resource = ref("FhirResource")
        return {"anyOf": [ref("Bundle"), resource, {"type": "array", "items": resource}]}
    return ref("Bundle")


def components() -> Schema:
    """The schemas that others name: answers, discovery, outcomes, and FHIR as far as it matters."""
    found = Response.model_json_schema(by_alias=True, ref_template=_REF)
    cards: Schema = _strict({**found.pop("$defs"), "Response": found})
    cards["Response"]["required"] = ["cards"]
    return {**cards, **_FHIR, "Services": _SERVICES}


def _strict(schema: Any) -> Any:
    """The schema without the null that a model takes for what is absent, and never sends."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _strict(item) for key, item in schema.items()}
    for key in ("default", "title"):  # of the class; a property of that name has a schema
        if not isinstance(kept.get(key), dict):
            kept.pop(key, None)
    options = [item for item in kept.get("anyOf", ()) if item != {"type": "null"}]
    if "anyOf" in kept:
        del kept["anyOf"]
        kept |= options[0] if len(options) == 1 else {"anyOf": options}
    return kept


_FHIR: Schema = {
    "FhirResource": {
        "type": "object",
        "required": ["resourceType"],
        "properties": {
            "resourceType": {"type": "string", "pattern": "^[A-Z][A-Za-z]{2,40}$"},
            "id": _ID,
        },
    },
    "Bundle": {
        "type": "object",
        "required": ["resourceType"],
        "properties": {
            "resourceType": {"const": "Bundle", "type": "string"},
            "type": {"type": "string", "enum": ["collection", "searchset"]},
            "entry": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["resource"],
                    "properties": {"resource": ref("FhirResource")},
                },
            },
        },
    },
    "OperationOutcome": {
        "type": "object",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"const": "OperationOutcome"},
            "issue": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["severity", "code", "diagnostics"],
                    "properties": {
                        "severity": {"enum": ["error", "warning"]},
                        "code": _TEXT,
                        "diagnostics": _TEXT,
                        "expression": {"type": "array", "minItems": 1, "items": _TEXT},
                    },
                },
            },
        },
    },
}
_SERVICES: Schema = {
    "type": "object",
    "required": ["services"],
    "properties": {
        "services": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["hook", "id", "title", "description", "prefetch"],
                "properties": {
                    **dict.fromkeys(("hook", "id", "title", "description"), _TEXT),
                    "prefetch": {"type": "object", "additionalProperties": _TEXT},
                    "usageRequirements": _TEXT,
                },
            },
        }
    },
}
