"""Whatever is sent: an answer or an outcome, never our own mistake."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hooks.ehr import Ehr, check_outcome, check_response
from tests.records import draft, order, request, resource, searchset

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["Patient/p1", "2026-06-10", "draft", "Bundle", "MedicationRequest", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["resourceType", "id", "status", "entry", "resource", "link", "code", "coding", "value"]
    ) | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip

GOOD = json.dumps(
    request(
        draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5),
        selections=["MedicationRequest/d1"],
        prefetch={
            "MedicationRequest": searchset(order("o1", "oxycodone 5 MG Oral Tablet")),
            "ServiceRequest": searchset(
                resource("ServiceRequest", "s1", status="active", intent="order",
                         occurrenceDateTime="2026-06-12", code={"text": "hernia repair"})
            ),
        },
    )
)  # fmt: skip


@lru_cache
def ehr() -> Ehr:
    return Ehr()


def check_answer(answer: httpx.Response) -> None:
    if answer.status_code == 200:
        check_response(answer)
    else:
        assert answer.status_code in (400, 412), answer.text
        check_outcome(answer, answer.status_code)


def paths(value: object, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    items = enumerate(value) if isinstance(value, list) else ()
    for key, item in [*items, *(value.items() if isinstance(value, dict) else ())]:
        found += paths(item, (*here, key))
    return found


PATHS = paths(json.loads(GOOD))


def changed(document: Any, path: tuple[Any, ...], value: Any, remove: bool) -> None:
    """Replaces or removes what stands at the path, if an earlier change has left it there."""
    for name in path[:-1]:
        fits = isinstance(document, dict | list)
        there = fits and (
            name in document
            if isinstance(document, dict)
            else isinstance(name, int) and name < len(document)
        )
        if not there:
            return
        document = document[name]
    if isinstance(document, dict):
        if remove:
            document.pop(path[-1], None)
        else:
            document[path[-1]] = value
    elif isinstance(document, list) and isinstance(path[-1], int) and path[-1] < len(document):
        document[path[-1]] = value


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_any_json(document: object) -> None:
    check_answer(ehr().call(document))


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_bytes(body: bytes) -> None:
    check_answer(ehr().call(body))


@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES, st.booleans()), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_change_of_a_good_request(changes: list[tuple[tuple[Any, ...], Any, bool]]) -> None:
    document = json.loads(GOOD)
    for path, value, remove in changes:
        changed(document, path, value, remove)
    check_answer(ehr().call(document))


def test_nesting_of_any_depth_is_answered() -> None:
    """Deep inside a draft, where an answer may copy it, and inside Bundles of Bundles."""
    for depth in (50, 200, 330, 400, 490, 600, 900, 2000):
        deep = '{"a":' * depth + "1" + "}" * depth
        check_answer(
            ehr().call(
                GOOD.replace('"intent": "order"', f'"intent": "order", "x": {deep}').encode()
            )
        )
        nested = '{"resourceType":"Bundle","entry":[{"resource":' * depth + "{}" + "}]}" * depth
        check_answer(
            ehr().call(
                GOOD.replace(
                    '"MedicationStatement": null', f'"MedicationStatement": {nested}'
                ).encode()
            )
        )
