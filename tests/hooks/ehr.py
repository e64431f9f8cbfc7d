"""An EHR as the tests play it: it fires hooks, resolves prefetch templates and calls the service."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from cds.hooks.app import Options, create_app
from cds.hooks.settings import Settings
from tests.records import AS_OF, ZONE, Json, rulebook

Events = list[Mapping[str, object]]
INSTANCE = "7b2f0e62-6c0e-4f0a-8a53-0e8f0c1f3a77"


class Ehr:
    """A client of a service that runs in this process; ``events`` is the service's log."""

    def __init__(
        self, root: Path | None = None, options: Options | None = None, now: datetime = AS_OF
    ) -> None:
        self.events: Events = []
        self.app: FastAPI = create_app(
            rulebook(root),
            ZONE,
            lambda: now.astimezone(UTC),
            self.events.append,
            _unhurried(options or Options()),
        )

    def run(self, work: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def go() -> Any:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://cds.test") as client:
                try:
                    return await work(client)
                finally:
                    if self.app.state.parts.fetcher is not None:
                        await self.app.state.parts.fetcher.close()

        return asyncio.run(go())

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        found: httpx.Response = self.run(lambda client: client.request(method, path, **more))
        return found

    def services(self) -> dict[str, Json]:
        found = self.send("GET", "/cds-services").json()["services"]
        return {service["id"]: service for service in found}

    def call(self, document: object, service: str = "ldn-order-sign") -> httpx.Response:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.send("POST", f"/cds-services/{service}", content=body)


def review_of(answer: httpx.Response) -> Json:
    """The extension of a response that was a good one."""
    assert answer.status_code == 200, answer.text
    check_response(answer)
    found: Json = answer.json()["extension"]["org.cds-rules-engine.review"]
    return found


def _unhurried(options: Options) -> Options:
    """A machine that does five things at once must not run out of time where a test is about cards."""
    if options.settings.budget_ms != Settings().budget_ms:
        return options
    return replace(options, settings=replace(options.settings, budget_ms=60_000))


# -- resolving prefetch templates, as an EHR does ------------------------------------------------------

_TOKEN = re.compile(r"\{\{\s*context\.(\w+)\s*\}\}")
_SEARCH = re.compile(r"(\w+)\?patient=([^&]+)\Z")
_READ = re.compile(r"(\w+)/([^/?]+)\Z")


def owners(resource: Json) -> list[str]:
    """Whose the resource is, as a server's `patient` search parameter sees it."""
    people = [resource.get(name) for name in ("subject", "patient", "for")]
    people += [item.get("actor") for item in resource.get("participant", []) if "actor" in item]
    return [item.get("reference", "").removeprefix("Patient/") for item in people if item]


def resolved(template: str, context: Json, server: Iterable[Json]) -> Json:
    """What the EHR's FHIR server answers to one template."""
    query = _TOKEN.sub(lambda token: str(context[token[1]]), template)
    search = _SEARCH.match(query)
    if search:
        kind, patient = search.groups()
        found = [
            item for item in server if item["resourceType"] == kind and patient in owners(item)
        ]
        answer: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        if found:
            url = "https://ehr.example.org/fhir"
            answer["entry"] = [
                {"fullUrl": f"{url}/{kind}/{item['id']}", "resource": item} for item in found
            ]
        return answer
    read = _READ.match(query)
    assert read is not None, f"{query} is no read and no search by patient"
    return next(item for item in server if (item["resourceType"], item["id"]) == read.groups())


def is_draft(resource: Json) -> bool:
    return (
        resource["resourceType"] in ("MedicationRequest", "ServiceRequest")
        and resource.get("status") == "draft"
    )


def hook_request(service: Json, record: Iterable[Json], patient: str) -> Json:
    """The call that an EHR makes about one patient: drafts in context, the rest by prefetch."""
    record = [copy.deepcopy(item) for item in record]
    drafts = [item for item in record if is_draft(item) and patient in owners(item)]
    stored = [item for item in record if not is_draft(item)]
    context: Json = {"userId": "Practitioner/u1", "patientId": patient}
    if service["hook"] in ("order-sign", "order-select"):
        context["draftOrders"] = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": item} for item in drafts],
        }
    if service["hook"] == "order-select":
        context["selections"] = [f"{item['resourceType']}/{item['id']}" for item in drafts]
    return {
        "hook": service["hook"],
        "hookInstance": INSTANCE,
        "context": context,
        "prefetch": {
            key: resolved(template, context, stored)
            for key, template in service["prefetch"].items()
        },
    }


def with_plain_references(bundle: Json) -> list[Json]:
    """The resources of a Bundle as a server stores them: ``Type/id`` for every ``urn:uuid:``."""
    names = {
        entry["fullUrl"]: f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in bundle["entry"]
        if entry.get("fullUrl", "").startswith("urn:")
    }
    text = re.sub(
        r'"(urn:uuid:[^"]+)"',
        lambda found: json.dumps(names.get(found[1], found[1])),
        json.dumps([entry["resource"] for entry in bundle["entry"]]),
    )
    stored: list[Json] = json.loads(text)
    return stored


# -- what a response must be (CDS Hooks 2.0) ------------------------------------------------------------


def check_response(answer: httpx.Response) -> None:
    """Fails unless the body is what the standard asks of a response."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) <= {"cards", "extension"}
    assert_nothing_empty({key: value for key, value in body.items() if key != "cards"})
    for card in body["cards"]:
        assert_nothing_empty(card)
        assert 0 < len(card["summary"]) < 140
        assert card["indicator"] in ("info", "warning", "critical")
        assert card["source"]["label"]
        assert card["source"]["topic"]["code"]
        assert bool(card.get("suggestions")) == ("selectionBehavior" in card)
        recommended = 0
        for suggestion in card.get("suggestions", []):
            recommended += suggestion.get("isRecommended", False)
            for action in suggestion["actions"]:
                assert action["description"]
                assert ("resourceId" in action) == (action["type"] == "delete")
        assert recommended <= 1 or card["selectionBehavior"] == "any"
        assert all(reason["display"] for reason in card.get("overrideReasons", []))


def assert_nothing_empty(value: object) -> None:
    assert value not in (None, "", [], {}), "empty"
    for item in value.values() if isinstance(value, dict) else []:
        assert_nothing_empty(item)
    # In a list a null may hold a place (FHIR R4, JSON of primitives with extensions).
    for item in value if isinstance(value, list) else []:
        if item is not None:
            assert_nothing_empty(item)


def check_outcome(answer: httpx.Response, status: int) -> str:
    """Fails unless the answer is an OperationOutcome with that status; gives what it says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert_nothing_empty(body)
    (issue,) = body["issue"]
    assert issue["severity"] == "error"
    text: str = issue["diagnostics"]
    return text
