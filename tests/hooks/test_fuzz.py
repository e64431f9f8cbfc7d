"""Whatever is sent: an answer or an outcome, never our own mistake.

Good requests of every hook are damaged in every way that JSON, bytes and HTTP allow. ``CDS_FUZZ=20``
tries twenty times as many, others at each run.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds.hooks.contract import Response
from tests.hooks.ehr import Ehr, check_outcome, check_response
from tests.records import Json, bundle, draft, drug, order, request, resource, searchset

MORE = int(os.environ.get("CDS_FUZZ", "0"))

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["Patient/p1", "2026-06-10", "draft", "Bundle", "MedicationRequest", "\ud800",
                       10**400, -(10**40), 1e308, 5e-324, "9999-99-99", "0001-01-01T00:00:00+14:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["resourceType", "id", "status", "entry", "resource", "link", "code", "coding", "value"]
    ) | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip

NALTREXONE = "naltrexone hydrochloride 1.5 MG Oral Capsule"
OPERATION = resource("ServiceRequest", "s1", status="active", intent="order",
                     occurrenceDateTime="2026-06-12", code={"text": "hernia repair"})  # fmt: skip
RECORD: Json = {
    "MedicationRequest": searchset(
        order("o1", "oxycodone 5 MG Oral Tablet"), order("o2", NALTREXONE)
    ),
    "MedicationStatement": searchset(
        resource("MedicationStatement", "m1", status="active", taken="y",
                 medicationCodeableConcept=drug("morphine 10 MG Oral Tablet"))
    ),
    "ServiceRequest": searchset(OPERATION),
    "Condition": searchset(resource("Condition", "c1", code={"text": "Fibromyalgia"},
                                    clinicalStatus="active", recordedDate="2026-01-01")),
    "AllergyIntolerance": searchset({"resourceType": "AllergyIntolerance", "id": "a1",
                                     "patient": {"reference": "Patient/p1"}, "status": "active",
                                     "substance": drug("naltrexone")}),
    "Observation": searchset(resource("Observation", "l1", status="final",
                                      effectiveDateTime="2026-06-01", code={"text": "ALT"},
                                      valueQuantity={"value": 300, "unit": "U/L"})),
}  # fmt: skip
DRAFTS = (draft("d1", NALTREXONE, 1.5), draft("d2", "oxycodone 5 MG Oral Tablet", 5))
BOOKING: Json = {
    "resourceType": "Appointment", "id": "b1", "status": "proposed", "start": "2026-06-12T08:00:00Z",
    "description": "hernia repair", "participant": [{"actor": {"reference": "Patient/p1"}}],
}  # fmt: skip


def good(hook: str) -> Json:
    """A request of a hook that gets cards."""
    document = request(*DRAFTS, hook=hook, prefetch=copy.deepcopy(RECORD))
    context = document["context"]
    drafts = context.pop("draftOrders")
    subjects: dict[str, Json] = {
        "order-sign": {"draftOrders": drafts},
        "order-select": {"draftOrders": drafts, "selections": ["MedicationRequest/d1"]},
        "appointment-book": {"appointments": bundle(BOOKING)},
        "medication-prescribe": {"medications": {**DRAFTS[0], "resourceType": "MedicationOrder"}},
        "order-review": {"orders": [*DRAFTS, {**OPERATION, "resourceType": "ProcedureRequest"}]},
    }
    context |= copy.deepcopy(subjects.get(hook, {}))
    return document


HOOKS = (
    "appointment-book", "encounter-discharge", "medication-prescribe", "order-review",
    "order-select", "order-sign", "patient-view",
)  # fmt: skip
GOOD = json.dumps(good("order-sign"))


@lru_cache
def ehr() -> Ehr:
    return Ehr()


def bounded(examples: int) -> settings:
    return settings(max_examples=examples * max(MORE, 1), deadline=None, derandomize=not MORE)


def check_answer(answer: httpx.Response) -> None:
    """Cards as CDS Hooks 2.0 has them, with nothing null or empty, or an outcome; nothing else."""
    if answer.status_code == 200:
        check_response(answer)
        Response.model_validate(answer.json())
    else:
        assert answer.status_code in (400, 412, 413, 415), answer.text
        check_outcome(answer, answer.status_code)


# -- JSON that is changed ----------------------------------------------------------------------------


def paths(value: object, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    items = enumerate(value) if isinstance(value, list) else ()
    for key, item in [*items, *(value.items() if isinstance(value, dict) else ())]:
        found += paths(item, (*here, key))
    return found


PATHS = {hook: paths(good(hook)) for hook in HOOKS}
RETYPED: list[Callable[[Any], Any]] = [
    lambda value: [value],
    lambda value: {"value": value},
    lambda value: [value, value],
    lambda value: value[0] if isinstance(value, list) and value else [],
    lambda value: next(iter(value.values()), None) if isinstance(value, dict) else {},
    json.dumps,
    lambda value: value * 2 if isinstance(value, list) else value,
    lambda value: 0 if isinstance(value, str) else "0",
    lambda value: not value,
]


def changed(document: Any, path: tuple[Any, ...], change: Any) -> None:
    """Replaces or removes what stands at the path, if an earlier change has left it there.

    ``change`` is None to remove it, a function of what it was, or what takes its place in a list.
    """
    for name in path[:-1]:
        if not _is_there(document, name):
            return
        document = document[name]
    last = path[-1]
    if not _is_there(document, last):
        return
    if change is None:
        del document[last]
    else:
        document[last] = change(document[last]) if callable(change) else change[0]


def _is_there(holder: Any, name: Any) -> bool:
    if isinstance(holder, dict):
        return name in holder
    return isinstance(holder, list) and isinstance(name, int) and name < len(holder)


CHANGES = st.none() | st.sampled_from(RETYPED) | VALUES.map(lambda value: [value])


@given(VALUES)
@bounded(100)
def test_any_json(document: object) -> None:
    check_answer(ehr().call(document))


@given(st.binary(max_size=60))
@bounded(60)
def test_any_bytes(body: bytes) -> None:
    check_answer(ehr().call(body))


@pytest.mark.parametrize("hook", HOOKS)
def test_the_good_request_of_each_hook_gets_cards(hook: str) -> None:
    answer = ehr().call(good(hook), f"ldn-{hook}")
    check_answer(answer)
    assert answer.json()["cards"]


@pytest.mark.parametrize("hook", HOOKS)
def test_any_change_of_a_good_request(hook: str) -> None:
    @given(st.lists(st.tuples(st.sampled_from(PATHS[hook]), CHANGES), min_size=1, max_size=4))
    @bounded(40)
    def run(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
        document = good(hook)
        for path, change in changes:
            changed(document, path, change)
        check_answer(ehr().call(document, f"ldn-{hook}"))

    run()


def test_each_node_of_a_good_request_may_be_missing_doubled_or_something_else() -> None:
    """Every node once, in one of the ways, in turn; with CDS_FUZZ in all of them."""
    ways: list[Any] = [None, *RETYPED, [None], [""], [[]], [{}], [10**400], ["\ud800"]]
    for number, path in enumerate(PATHS["medication-prescribe"]):
        for way in ways if MORE else ways[number % len(ways) :: len(ways)]:
            document = good("medication-prescribe")
            changed(document, path, way)
            check_answer(ehr().call(document, "ldn-medication-prescribe"))


# -- bytes that are changed ---------------------------------------------------------------------------


@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 3),
    st.sampled_from(
        [
            b"\xff",
            b"\xc3(",
            b"\xed\xa0\x80",
            b"\0",
            b"\\ud800",
            b'"',
            b"}",
            b"1e999",
            b"\xef\xbb\xbf",
        ]
    ),
)
@bounded(80)
def test_bytes_in_the_middle(place: int, instead: int, inserted: bytes) -> None:
    body = GOOD.encode()
    check_answer(ehr().call(body[:place] + inserted + body[place + instead :]))


@pytest.mark.parametrize(
    ("was", "becomes", "status"),
    [
        ('"status": "draft"', '"status": "draft", "status": "active"', 200),
        ('"hook": "order-sign"', '"hook": "patient-view", "hook": "order-sign"', 200),
        ('"value": 1.5', '"value": 1' + "0" * 400, 200),
        ('"value": 1.5', '"value": 1' + "0" * 5000, 400),
        ('"value": 1.5', '"value": 1e999999999', 200),
        ('"value": 1.5', '"value": -1.5e-999999999', 200),
        ('"value": 1.5', '"value": 0.' + "3" * 5000, 200),
        ('"id": "d1"', '"id": "' + "x" * 100_000 + '"', 200),
        ('"text": "Fibromyalgia"', '"text": "\\u0000 \\ud83d\\ude00"', 200),
        ('"unit": "mg"', '"unit": "\\u202emg<script>"', 200),
        # Half of a pair that is written as one character: no text can hold it.
        ('"id": "d1"', '"id": "\\ud800"', 400),
        ('"text": "Fibromyalgia"', '"text": "\\udfff \\ud83d"', 400),
    ],
)
def test_text_at_the_edge_of_json(was: str, becomes: str, status: int) -> None:
    assert was in GOOD
    answer = ehr().call(GOOD.replace(was, becomes).encode())
    check_answer(answer)
    assert answer.status_code == status


def test_what_stands_twice_counts_as_it_stood_last() -> None:
    """JSON leaves it open (RFC 8259, 4); here it is the same for every reader."""
    doubled = GOOD.replace('"patientId": "p1"', '"patientId": "p2", "patientId": "p1"')
    assert ehr().call(doubled.encode()).json()["cards"] == ehr().call(GOOD.encode()).json()["cards"]


@pytest.mark.parametrize(
    ("pack", "status"),
    [
        (gzip.compress, 200),
        (lambda body: gzip.compress(b"\xef\xbb\xbf" + body), 200),
        (lambda body: gzip.compress(body)[:-1], 400),
        (lambda body: gzip.compress(body)[10:], 400),
        (lambda body: gzip.compress(body[:-1]), 400),
        (lambda body: gzip.compress(gzip.compress(body)), 400),
        (lambda body: body, 400),
        (lambda body: b"", 400),
    ],
)
def test_gzip_of_all_kinds(pack: Callable[[bytes], bytes], status: int) -> None:
    headers = {"content-encoding": "gzip"}
    path = "/cds-services/ldn-order-sign"
    answer = ehr().send("POST", path, content=pack(GOOD.encode()), headers=headers)
    check_answer(answer)
    assert answer.status_code == status


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    answer = ehr().call(b"\xef\xbb\xbf" + GOOD.encode())
    assert answer.content == ehr().call(GOOD.encode()).content
    check_answer(answer)
    for encoding in ("utf-16", "utf-32"):
        check_outcome(ehr().call(GOOD.encode(encoding)), 400)


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
                    '"MedicationDispense": null', f'"MedicationDispense": {nested}'
                ).encode()
            )
        )
