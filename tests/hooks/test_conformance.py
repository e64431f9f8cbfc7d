"""CDS Hooks 2.0, line by line: ``docs/conformance.md`` names the test that holds each, and it exists.

Here stand the tests of lines that no other file holds.
"""

from __future__ import annotations

import ast
import asyncio
import copy
import json
import re
import shutil
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from cds.hooks.app import Options
from cds.hooks.contract import Response
from cds.hooks.settings import Settings
from cds.store.store import Store
from tests.hooks.ehr import Ehr, assert_nothing_empty, check_outcome, check_response, review_of
from tests.records import CONTRAST, Json, bundle, draft, order, request, searchset

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "docs" / "conformance.md"
HOOKS = (
    "appointment-book", "encounter-discharge", "medication-prescribe", "order-review",
    "order-select", "order-sign", "patient-view",
)  # fmt: skip
NALTREXONE = "naltrexone hydrochloride 1.5 MG Oral Capsule"
OPIOID = "oxycodone hydrochloride 5 MG Oral Tablet"
DRAFT = draft("d1", NALTREXONE, 1.5)
ACTIVE = "opioid.active-with-naltrexone-order"
GOOD = request(DRAFT, prefetch={"MedicationRequest": searchset(order("o1", OPIOID))})


@pytest.fixture(scope="module")
def ehr() -> Ehr:
    return Ehr()


def topics(answer: httpx.Response) -> list[str]:
    review_of(answer)
    return [card["source"]["topic"]["code"] for card in answer.json()["cards"]]


# -- the table ---------------------------------------------------------------------------------------


@lru_cache
def defined_in(file: str) -> frozenset[str]:
    """The names of the tests that a file of tests/ defines, without importing it."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def rows() -> list[list[str]]:
    """The cells of each line of the tables, less their heads."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    return [row for row in cells if not set(row[0]) <= set("-: ") and row[0] != "what"]


def test_every_line_of_the_table_names_tests_that_exist() -> None:
    found = rows()
    assert len(found) > 60
    for what, held in found:
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", held)
        assert named, f"{what}: no test is named"
        assert held == ", ".join(f"`{file}::{test}`" for file, test in named), held
        for file, test in named:
            assert test in defined_in(file), f"{what}: {file} has no {test}"


def test_a_name_that_is_no_test_would_be_seen() -> None:
    assert "test_preflight_is_open" in defined_in("hooks/test_service.py")
    assert "test_preflight_is_shut" not in defined_in("hooks/test_service.py")
    with pytest.raises(FileNotFoundError):
        defined_in("hooks/test_nothing.py")


# -- JSON, discovery ---------------------------------------------------------------------------------


def test_discovery_has_nothing_empty_and_is_readable(ehr: Ehr) -> None:
    services = ehr.services()
    assert sorted(services) == [f"ldn-{hook}" for hook in HOOKS]
    for service in services.values():
        assert_nothing_empty(service)
        assert len(service["description"]) < 600
        assert len(service["usageRequirements"]) < 700
        assert re.match(r"\d+ rules? judges? the record when ", service["description"])
        tokens = set(re.findall(r"\{\{(.*?)\}\}", json.dumps(service["prefetch"])))
        assert tokens == {"context.patientId"}


def decorated(value: Any) -> Any:
    """The same with a field that nobody knows, and an extension, on every object."""
    if isinstance(value, list):
        return [decorated(item) for item in value]
    if not isinstance(value, dict):
        return value
    more = {"unheardOf": {"a": [1, None]}, "extension": {"org.example.more": {"on": True}}}
    found = {key: decorated(item) for key, item in value.items()}
    # FHIR has extensions of its own, of another shape.
    return found | ({"unheardOf": 1} if "resourceType" in value else more)


def test_unknown_fields_and_extensions_anywhere_change_nothing(ehr: Ehr) -> None:
    plain, more = ehr.call(GOOD), ehr.call(decorated(GOOD))
    assert topics(plain) == topics(more) == [ACTIVE]
    assert review_of(plain)["coverage"] == review_of(more)["coverage"]


def test_answers_have_the_fields_of_2_0_and_no_others(ehr: Ehr) -> None:
    """Nothing of later versions, no system actions, nothing empty: in every example that is a call."""
    seen = 0
    for path in sorted((ROOT / "fhir_examples").glob("*/request.json")):
        document = json.loads(path.read_bytes())
        answer = ehr.call(document, f"ldn-{document['hook']}")
        check_response(answer)
        Response.model_validate(answer.json())
        assert "systemActions" not in answer.text
        seen += len(answer.json()["cards"])
    assert seen > 20


# -- hooks and their context ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Ehr:
    """The second pack, with one rule that speaks on the hooks that the first has no rule for."""
    root = tmp_path_factory.mktemp("pack") / "contrast"
    shutil.copytree(CONTRAST, root)
    rule = root / "contrast" / "allergy.yaml"
    hooks = "hooks: [order-dispatch, encounter-start, medication-refill]"
    rule.write_text(
        re.sub(r"(?m)^hooks: .*$", hooks, rule.read_text(encoding="utf-8")), encoding="utf-8"
    )
    return Ehr(root)


@pytest.mark.parametrize(
    ("hook", "context", "needs"),
    [
        ("patient-view", {"userId": "Practitioner/u1", "encounterId": "e1"}, ""),
        ("order-select", {"selections": [], "draftOrders": bundle()}, "draftOrders"),
        ("order-sign", {"draftOrders": bundle()}, "draftOrders"),
        ("appointment-book", {"appointments": bundle(), "encounterId": "e1"}, "appointments"),
        ("encounter-discharge", {"userId": "Practitioner/u1", "encounterId": "e1"}, ""),
        ("medication-prescribe", {"medications": bundle()}, "medications"),
        ("order-review", {"orders": bundle()}, "orders"),
        ("order-dispatch", {"dispatchedOrders": ["ServiceRequest/s1"], "performer": "Organization/o1"}, "dispatchedOrders"),
        ("encounter-start", {"userId": "Practitioner/u1", "encounterId": "e1"}, ""),
        ("medication-refill", {"medications": bundle()}, "medications"),
    ],
)  # fmt: skip
def test_each_hook_is_answered_with_its_own_context(
    ehr: Ehr, everywhere: Ehr, hook: str, context: Json, needs: str
) -> None:
    """What is optional may be missing, the user among it; what the hook is about may not."""
    client, service = (ehr, f"ldn-{hook}") if hook in HOOKS else (everywhere, f"contrast-{hook}")
    assert client.services()[service]["hook"] == hook
    document = request(hook=hook)
    document["context"] = {"patientId": "p1", **context}
    assert client.call(document, service).json()["cards"] == []
    review_of(client.call(document, service))
    if needs:
        del document["context"][needs]
        assert f"context.{needs} is missing" in check_outcome(client.call(document, service), 400)


@pytest.mark.parametrize(
    "lost", ["medicationCodeableConcept", "intent", "dosageInstruction", "status", "subject"]
)
def test_an_order_that_is_only_begun_is_no_error(ehr: Ehr, lost: str) -> None:
    begun = {key: item for key, item in DRAFT.items() if key != lost}
    document = request(begun, hook="order-select", selections=["MedicationRequest/d1"])
    assert ehr.call(document, "ldn-order-select").json()["cards"] == []
    review_of(ehr.call(document, "ldn-order-select"))


def test_drafts_that_are_not_selected_are_read_beside_those_that_are(ehr: Ehr) -> None:
    """The opioid beside it is no selected order, and yet what the selected one meets."""
    other = draft("d2", OPIOID, 5)
    document = request(DRAFT, other, hook="order-select", selections=["MedicationRequest/d1"])
    answer = ehr.call(document, "ldn-order-select")
    assert any("MedicationRequest/d2" in card["detail"] for card in answer.json()["cards"])


@pytest.mark.parametrize("prefix", ["", "Patient/"])
@pytest.mark.parametrize("where", ["", "https://ehr.example.org/fhir/"])
def test_ids_are_read_bare_relative_and_absolute(ehr: Ehr, prefix: str, where: str) -> None:
    document = copy.deepcopy(GOOD)
    document |= {"hook": "order-select"}
    document["context"] |= {
        "patientId": f"{prefix}p1",
        "selections": [f"{where}MedicationRequest/d1"],
    }
    assert topics(ehr.call(document, "ldn-order-select")) == [ACTIVE]


# -- prefetch, status -----------------------------------------------------------------------------------


def test_a_key_that_the_client_dropped_is_unknown_and_no_error(ehr: Ehr) -> None:
    """A token that a client cannot fill makes it leave the key out."""
    document = request(DRAFT)
    for key in list(document["prefetch"]):
        if key != "patient":
            del document["prefetch"][key]
    review = review_of(ehr.call(document))
    assert set(review["coverage"].values()) == {"absent"}
    assert review["unknown"]


def test_authorization_without_a_server_is_used_for_nothing(ehr: Ehr) -> None:
    lent = {
        "access_token": "t0ken",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "user/*.read",
        "subject": "c",
    }
    answer = ehr.call({**GOOD, "fhirAuthorization": lent})
    assert topics(answer) == [ACTIVE]
    assert "t0ken" not in answer.text
    assert "t0ken" not in repr(ehr.events)


# -- cards -----------------------------------------------------------------------------------------------


def test_what_a_record_says_is_never_html(ehr: Ehr) -> None:
    """Clients draw raw HTML that stands in a card's detail."""
    attack = '<img src=x onerror="alert(1)"><script>alert(2)</script>[x](javascript:alert(3))'
    hostile = order("o1", f"{OPIOID} {attack}", note=[{"text": attack}])
    named = draft("d1", f"{NALTREXONE} {attack}", 1.5)
    answer = ehr.call(request(named, prefetch={"MedicationRequest": searchset(hostile)}))
    assert ACTIVE in topics(answer)
    for card in answer.json()["cards"]:
        assert not re.search(r"(?<!\\)<[a-zA-Z/!]", card["detail"])
        assert not re.search(r"(?<!\\)\]\(", card["detail"])


def test_a_card_is_the_same_card_when_the_call_is_repeated(ehr: Ehr) -> None:
    first, again = (ehr.call(GOOD).json()["cards"] for _ in range(2))
    assert [card["uuid"] for card in first] == [card["uuid"] for card in again]
    offers = [offer["uuid"] for card in first for offer in card["suggestions"]]
    assert len(set(offers)) == len(offers) > 0


def test_one_card_a_problem_and_no_advice_beside_a_critical_one(ehr: Ehr) -> None:
    use = {"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"},
           "clinicalStatus": {"coding": [{"code": "active"}]}, "code": {"text": "Fibromyalgia"}}  # fmt: skip
    document = request(DRAFT, hook="order-select", selections=["MedicationRequest/d1"])
    document["prefetch"]["Condition"] = searchset(use)
    assert topics(ehr.call(document, "ldn-order-select")) == ["indication.fibromyalgia"]
    document["prefetch"]["MedicationRequest"] = searchset(
        order("o1", OPIOID), order("o2", "morphine 10 MG Oral Tablet")
    )
    answer = ehr.call(document, "ldn-order-select")
    assert topics(answer) == [ACTIVE]
    assert "Documented LDN use: fibromyalgia" in answer.json()["cards"][0]["detail"]


# -- feedback ----------------------------------------------------------------------------------------------


def test_feedback_as_clients_send_it(tmp_path: Path) -> None:
    """A reason without a display, one comment, suggestions by id; unknown fields are no matter."""
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    ehr = Ehr(options=Options(Settings(store=url)))
    (card,) = ehr.call(GOOD).json()["cards"]
    reason = {
        "reason": {"code": "record-inaccurate", "system": "https://example.org"},
        "userComment": "no",
        "more": 1,
    }
    when = "2026-06-10T10:00:00-04:00"
    entries = [
        {"card": card["uuid"], "outcome": "overridden", "overrideReason": reason, "outcomeTimestamp": when},
        {"card": card["uuid"], "outcome": "accepted", "outcomeTimestamp": when,
         "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"], "more": 1}]},
    ]  # fmt: skip
    body = {"feedback": entries, "extension": {"org.example": {}}}
    answer = ehr.send("POST", "/cds-services/ldn-order-sign/feedback", json=body)
    assert (answer.status_code, answer.json()) == (200, {})
    ehr.app.state.parts.keeper.close()


# -- real traffic --------------------------------------------------------------------------------------------


def odd_type(document: Json) -> None:
    del document["context"]["draftOrders"]["type"]


def odd_category(document: Json) -> None:
    document["context"]["draftOrders"]["entry"][0]["resource"]["category"] = {"text": "outpatient"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (odd_type, "context.draftOrders is a Bundle without a type"),
        (odd_category, "category is one object where FHIR R4 has a list"),
    ],
)
def test_an_oddity_of_real_traffic_is_read_and_told(ehr: Ehr, change: Any, words: str) -> None:
    document = copy.deepcopy(GOOD)
    assert "problems" not in review_of(ehr.call(document))
    change(document)
    answer = ehr.call(document)
    assert topics(answer) == [ACTIVE]
    (problem,) = review_of(answer)["problems"]
    assert words in problem["what"]
    assert problem["severity"] == "info"


# -- the first call --------------------------------------------------------------------------------------------


def test_a_service_that_starts_answers_made_up_calls_and_nobody_hears_of_them(
    tmp_path: Path,
) -> None:
    from cds.hooks.discovery import services
    from cds.hooks.warming import warm
    from tests.records import rulebook

    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    ehr = Ehr(options=Options(Settings(store=url)))

    async def started() -> str:
        async with ehr.app.router.lifespan_context(ehr.app):
            transport = httpx.ASGITransport(ehr.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://cds.test") as client:
                return (await client.get("/metrics")).text

    numbers = asyncio.run(started())
    assert "cds_calls_total{" not in numbers
    assert "cds_cards_total{" not in numbers
    assert not ehr.events
    keeper = ehr.app.state.parts.keeper
    assert not sum(keeper.outcomes.values())
    store = Store(url)
    assert store.asked("nobody", ehr.app.state.parts.desk.clock(), timedelta(days=30)) == {}
    store.close()
    for root, spoken in (
        (None, {"ldn-order-sign", "ldn-order-select", "ldn-patient-view"}),
        (CONTRAST, set()),
    ):
        book = rulebook(root)
        found = warm(Ehr(root).app.state.parts.desk, services(book))
        assert set(found) == set(services(book))
        assert {reply.status for reply in found.values()} == {200}
        assert {name for name, reply in found.items() if reply.cards} >= spoken


def test_a_made_up_call_that_fails_keeps_nobody_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("Maria")

    monkeypatch.setattr("cds.hooks.app.warm", broken)
    ehr = Ehr()

    async def started() -> None:
        async with ehr.app.router.lifespan_context(ehr.app):
            pass

    asyncio.run(started())
    assert list(ehr.events) == [{"event": "failed", "at": "warming", "error": "KeyError"}]
