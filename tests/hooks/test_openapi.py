"""What the OpenAPI document describes is what the service does: schemathesis writes the calls.

``CDS_FUZZ=20`` tries twenty times as many calls, others at each run.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cds.hooks.app import Options
from cds.hooks.contract import Response
from cds.hooks.settings import Settings
from tests.hooks.ehr import Ehr, assert_nothing_empty
from tests.records import person

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MORE = int(os.environ.get("CDS_FUZZ", "0"))
ROUND = settings(
    max_examples=6 * max(MORE, 1),
    derandomize=not MORE,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@lru_cache
def ehr() -> Ehr:
    """A service with a store, so that feedback is taken."""
    folder = Path(mkdtemp(dir=os.environ["XDG_STATE_HOME"]))
    store = f"sqlite:///{folder / 'store.sqlite'}"
    return Ehr(options=Options(Settings(store=store)))


@lru_cache
def schema() -> Any:
    return schemathesis.openapi.from_dict(ehr().app.openapi())


def operations() -> dict[str, Any]:
    return {found.ok().label: found.ok() for found in schema().get_all_operations()}


LABELS = [
    "GET /cds-services",
    "GET /health",
    "GET /health/live",
    "GET /metrics",
    *(
        f"POST /cds-services/ldn-{hook}{rest}"
        for hook in (
            "appointment-book", "encounter-discharge", "medication-prescribe", "order-review",
            "order-select", "order-sign", "patient-view",
        )
        for rest in ("", "/feedback")
    ),
]  # fmt: skip


# What every service has alike is tried on one of them in the short form.
FEEDBACK = [label for label in LABELS if "feedback" in label and (MORE or "order-sign" in label)]
CALLED = [label for label in LABELS if "feedback" not in label]
DAMAGED = [label for label in CALLED if MORE or label.endswith(("order-select", "prescribe"))]


def answered(case: Case[Any]) -> httpx.Response:
    sent = case.as_transport_kwargs(base_url="http://cds.test")
    known = {
        key: sent[key]
        for key in ("headers", "params", "json", "content")
        if sent.get(key) is not None
    }
    if isinstance(sent.get("data"), bytes | str):
        known["content"] = sent["data"]
    return ehr().send(sent["method"], sent["url"], **known)


def check(case: Case[Any], answer: httpx.Response) -> None:
    case.validate_response(answer, checks=CHECKS)
    if (
        answer.status_code == 200
        and "/cds-services/" in str(answer.url)
        and "feedback" not in str(answer.url)
    ):
        body = answer.json()
        Response.model_validate(answer.json())
        assert_nothing_empty({**body, "cards": body["cards"] or ["none"]})


def test_every_operation_of_the_description_is_tried() -> None:
    assert sorted(operations()) == sorted(LABELS)


@pytest.mark.parametrize("label", CALLED + FEEDBACK)
def test_calls_as_described(label: str) -> None:
    """What the schema allows is answered as described; a call that brings its Patient, with 200."""
    operation = operations()[label]

    @ROUND
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def run(case: Case[Any]) -> None:
        body: Any = case.body
        called = isinstance(body, dict) and "context" in body
        if called:
            body["prefetch"]["patient"] = person(body["context"]["patientId"])
        answer = answered(case)
        check(case, answer)
        assert answer.status_code == 200, answer.text

    run()


@pytest.mark.parametrize("label", [*(label for label in DAMAGED if "POST" in label), *FEEDBACK])
def test_calls_that_are_not_as_described(label: str) -> None:
    """What the schema forbids is answered all the same, with a status that is described."""
    operation = operations()[label]

    @ROUND
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case: Case[Any]) -> None:
        check(case, answered(case))

    run()


def test_every_refusal_that_is_given_is_described() -> None:
    """Those too that no body alone brings about."""
    small = Ehr(options=Options(Settings(max_bytes=100)))
    address, feedback = "/cds-services/ldn-order-sign", "/cds-services/ldn-order-sign/feedback"
    told = {
        "feedback": [
            {"card": "c", "outcome": "accepted", "outcomeTimestamp": "2026-06-10T10:00:00Z"}
        ]
    }
    brotli = {"content-encoding": "br"}
    calls: list[tuple[int, str, Any]] = [
        (413, address, {"content": b"x" * 200}),
        (415, address, {"content": b"{}", "headers": brotli}),
        (400, address, {"content": b"{}"}),
        (413, feedback, {"content": b"x" * 200}),
        (415, feedback, {"content": b"{}", "headers": brotli}),
        (501, feedback, {"json": told}),
    ]
    paths = small.app.openapi()["paths"]
    for status, path, sent in calls:
        assert small.send("POST", path, **sent).status_code == status
        assert str(status) in paths[path]["post"]["responses"]
