"""The OpenAPI description of the service: what each address takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cds
from cds.hooks.discovery import Service

_SPECIFICATION = {"url": "https://cds-hooks.hl7.org/2.0/", "description": "CDS Hooks 2.0"}
_REFUSALS = {
    "400": "No CDS Hooks request, or one for another hook",
    "401": "No token that counts here, where tokens are checked (no body)",
    "404": "No such service",
    "412": "The Patient did not come",
    "413": "The body is too large",
    "429": "This client calls too often",
    "503": "Too many calls at once",
}


def describe(title: str, services: Mapping[str, Service]) -> dict[str, Any]:
    """The document that ``/openapi.json`` gives and ``/docs`` shows."""
    parameter = {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(services)},
    }
    call = _operation("Judge a patient and answer with cards", "Cards", _request(), _REFUSALS)
    feedback = _operation(
        "Feedback on cards", "", _json({"type": "object"}), {"501": "Feedback is not stored yet"}
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": cds.__version__},
        "externalDocs": _SPECIFICATION,
        "paths": {
            "/cds-services": {"get": _operation("The services on offer", "Services")},
            "/cds-services/{id}": {"parameters": [parameter], "post": call},
            "/cds-services/{id}/feedback": {"parameters": [parameter], "post": feedback},
            "/health": {"get": _operation("Whether and by what rules it answers", "Health")},
            "/health/live": {"get": _operation("Whether the process lives", "It does")},
        },
    }


def _json(schema: Mapping[str, object]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _operation(
    summary: str,
    good: str,
    body: Mapping[str, Any] | None = None,
    refusals: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    responses = {"200": {"description": good, **_json({"type": "object"})}} if good else {}
    for status, why in (refusals or {}).items():
        responses[status] = {"description": f"{why} (OperationOutcome)"}
    found: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        found["requestBody"] = {"required": True, **body}
    return found


def _request() -> dict[str, Any]:
    text = {"type": "string"}
    schema = {
        "type": "object",
        "required": ["hook", "hookInstance", "context"],
        "properties": {
            "hook": text,
            "hookInstance": {"type": "string", "format": "uuid"},
            "context": {
                "type": "object",
                "required": ["patientId"],
                "properties": {"patientId": text},
            },
            "prefetch": {"type": "object"},
            "fhirServer": {"type": "string", "format": "uri"},
        },
    }
    return _json(schema)
