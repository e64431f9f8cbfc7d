"""The OpenAPI description of the service: what each address takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cds
from cds.hooks.discovery import Service
from cds.hooks.shapes import Schema, components, feedback_schema, ref, request_schema

_SPECIFICATION = {"url": "https://cds-hooks.hl7.org/2.0/", "description": "CDS Hooks 2.0"}
_DOOR = {
    "401": "No token that counts here, where tokens are checked (no body)",
    "429": "This client calls too often",
}
_BODY = {
    "400": "No CDS Hooks request, or one for another hook",
    "408": "The request did not arrive in time",
    "413": "The body is too large",
    "415": "A Content-Encoding other than gzip",
    "503": "Not at the moment: too many calls at once, or the service is ending",
}
_CALL = {**_BODY, **_DOOR, "412": "The Patient did not come"}
_FEEDBACK = {**_BODY, **_DOOR, "501": "This service has no store"}
_BARE = "401"


def describe(title: str, services: Mapping[str, Service]) -> dict[str, Any]:
    """The document that ``/openapi.json`` gives and ``/docs`` shows: a path for each service."""
    paths: dict[str, Any] = {"/cds-services": {"get": _discovery()}}
    for service in services.values():
        address = f"/cds-services/{service.id}"
        paths[address] = {"post": _call(service)}
        paths[f"{address}/feedback"] = {"post": _feedback(service)}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": cds.__version__},
        "externalDocs": _SPECIFICATION,
        "paths": paths | _WATCHED,
        "components": {"schemas": components()},
    }


def _discovery() -> Schema:
    return _operation("The services on offer", {"200": _good("Services", ref("Services"))}, _DOOR)


def _call(service: Service) -> Schema:
    good = {"200": _good("Cards, and what was looked at", ref("Response"))}
    schema = request_schema(service.hook, service.prefetch)
    found = _operation(service.title, good, _CALL)
    return {**found, "description": service.description, "requestBody": _body(schema)}


def _feedback(service: Service) -> Schema:
    taken = {"anyOf": [ref("OperationOutcome"), {"type": "object", "maxProperties": 0}]}
    good = {"200": _good("Stored; of entries that could not be read, an OperationOutcome", taken)}
    found = _operation(f"What was done with cards of {service.id}", good, _FEEDBACK)
    return {**found, "requestBody": _body(feedback_schema())}


def _body(schema: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _good(what: str, schema: Schema) -> Schema:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _operation(summary: str, good: Schema, refusals: Mapping[str, str]) -> Schema:
    outcome = {"application/json": {"schema": ref("OperationOutcome")}}
    responses = dict(good)
    for status, why in sorted(refusals.items()):
        body: Schema = {} if status == _BARE else {"content": outcome}
        responses[status] = {"description": why, **body}
    return {"summary": summary, "responses": responses}


_STATE = {"type": "object", "required": ["status"]}
_NUMBERS = {"description": "Counts and durations", "content": {"text/plain": {"schema": {}}}}
_HEALTH = {
    "200": _good("It answers calls", _STATE),
    "503": _good("It is ending", _STATE),
}
_WATCHED = {
    "/health": {"get": _operation("Whether and by what rules it answers", _HEALTH, _DOOR)},
    "/health/live": {
        "get": _operation("Whether it lives", {"200": _good("It does", _STATE)}, _DOOR)
    },
    "/metrics": {"get": _operation("Numbers for Prometheus", {"200": _NUMBERS}, _DOOR)},
}
