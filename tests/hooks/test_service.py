"""The service from outside: discovery, every state of a prefetch, every status, no call breaks another."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

import cds.hooks.desk
from cds.hooks.app import Options
from cds.hooks.calls import Limits
from cds.hooks.settings import Settings
from tests.hooks.ehr import Ehr, check_outcome, review_of
from tests.records import CONTRAST, Json, bundle, draft, order, person, request, rulebook, searchset

DRAFT = draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5)
OPIOID = order("o1", "oxycodone hydrochloride 5 MG Oral Tablet")
ACTIVE = "opioid.active-with-naltrexone-order"
GOOD = request(DRAFT, prefetch={"MedicationRequest": searchset(OPIOID)})


@pytest.fixture(scope="module")
def ehr() -> Ehr:
    return Ehr()


def topics(answer: httpx.Response) -> list[str]:
    return [card["source"]["topic"]["code"] for card in answer.json()["cards"]]


def without(document: Json, *path: str) -> Json:
    copied: Json = json.loads(json.dumps(document))
    inner = copied
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return copied


# -- discovery ----------------------------------------------------------------------------------------


def test_one_service_for_each_hook_in_use(ehr: Ehr) -> None:
    found = ehr.services()
    named = {hook for rule in rulebook().rules for hook in rule.hooks} - {"audit"}
    # The two that CDS Hooks 1.0 had for orders are answered by the rules of their heirs.
    hooks = sorted({*named, "medication-prescribe", "order-review"})
    assert {"appointment-book", "order-select", "order-sign", "patient-view"} <= set(hooks)
    assert list(found) == [f"ldn-{hook}" for hook in hooks]
    assert [service["hook"] for service in found.values()] == hooks
    for service in found.values():
        assert {"title", "description", "usageRequirements", "prefetch"} < set(service)
        assert service["prefetch"]["patient"] == "Patient/{{context.patientId}}"
        # Whoever books an operation is asked for no result: orders and open charts are.
        assert ("Observation" in service["prefetch"]) is (service["hook"] != "appointment-book")
        assert service["prefetch"]["Task"] == "Task?patient={{context.patientId}}"


def test_templates_are_those_of_the_pack() -> None:
    found = Ehr(CONTRAST).services()["contrast-order-sign"]["prefetch"]
    assert found["Observation"] == "Observation?patient={{context.patientId}}"
    assert "Task" not in found


@pytest.mark.parametrize("empty", [None, {}, {"resourceType": "Bundle", "type": "searchset"}])
def test_each_key_speaks_of_exactly_its_own_type(ehr: Ehr, empty: Json | None) -> None:
    for service in ehr.services().values():
        keys = [key for key in service["prefetch"] if key != "patient"]
        document = request(
            hook=service["hook"], appointments=bundle(), medications=bundle(), orders=bundle()
        )
        for key in keys:
            document["prefetch"] = {"patient": person(), key: empty}
            coverage = review_of(ehr.call(document, service["id"]))["coverage"]
            assert coverage == {other: "empty" if other == key else "absent" for other in keys}


# -- prefetch in all its states -----------------------------------------------------------------------


def outcome(code: str) -> Json:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": "no"}],
    }


MORE = {"link": [{"relation": "next", "url": "https://ehr.example.org/fhir?page=2"}]}


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (None, "empty"),
        ({}, "empty"),
        (searchset(), "empty"),
        (outcome("forbidden"), "forbidden"),
        (outcome("timeout"), "failed"),
        (searchset(**MORE), "truncated"),
        (searchset(order("x", "amoxicillin 500 MG Oral Capsule"), **MORE), "truncated"),
        (searchset(order("x", "amoxicillin 500 MG Oral Capsule")), "supplied"),
    ],
)
def test_every_state_of_a_prefetch_is_told(ehr: Ehr, value: object, state: str) -> None:
    answer = ehr.call(request(DRAFT, prefetch={"MedicationRequest": value}))
    review = review_of(answer)
    assert review["coverage"]["MedicationRequest"] == state
    seen = state in ("empty", "supplied")
    assert ("dq.opioid-status-unknown" in topics(answer)) is not seen


def test_a_key_that_is_absent_is_not_an_empty_list(ehr: Ehr) -> None:
    document = without(request(DRAFT), "prefetch", "MedicationRequest")
    document = without(document, "prefetch", "MedicationStatement")
    answer = ehr.call(document)
    assert review_of(answer)["coverage"]["MedicationRequest"] == "absent"
    assert "dq.opioid-status-unknown" in topics(answer)


def test_an_answer_without_cards_says_what_is_unknown(ehr: Ehr) -> None:
    document = request(hook="patient-view")
    document["prefetch"] = {"patient": person()}
    answer = ehr.call(document, "ldn-patient-view")
    assert answer.json()["cards"] == []
    assert {item["rule"] for item in review_of(answer)["unknown"]} >= {
        "opioid.unconfirmed-exposure",
        "periop.opioid-need-or-date-unknown",
        "periop.plan-hold-ahead",
        "periop.surgery-within-hold-window",
    }


# -- a request that is none ----------------------------------------------------------------------------

SIGN = "/cds-services/ldn-order-sign"


@pytest.mark.parametrize(
    ("document", "status", "told"),
    [
        (without(GOOD, "hook"), 400, "hook: hook is missing; accepted: 'order-sign'"),
        (without(GOOD, "hookInstance"), 400, "hookInstance: hookInstance is missing; accepted: a UUID"),
        (without(GOOD, "context"), 400, "context: context is missing"),
        ({**GOOD, "context": []}, 400, "context: context is no JSON object"),
        (without(GOOD, "context", "patientId"), 400, "context.patientId: context.patientId is missing"),
        ({**GOOD, "context": {**GOOD["context"], "patientId": 7}}, 400, "context.patientId is no string"),
        ({**GOOD, "context": {**GOOD["context"], "patientId": "Patient/"}}, 400, "names nobody"),
        (without(GOOD, "context", "draftOrders"), 400, "context.draftOrders is missing; accepted: a Bundle"),
        ({**GOOD, "hook": "patient-view"}, 400, "'patient-view' is not the hook of this service; accepted: 'order-sign'"),
        ({**GOOD, "hook": 3}, 400, "hook is no string"),
        ({**GOOD, "prefetch": []}, 400, "prefetch is no JSON object"),
        ([], 400, "no JSON object"),
        (b"", 400, "the body is empty"),
        (b"{", 400, "the body is not JSON"),
        (b'{"hook": "order\xff"}', 400, "the body is not JSON"),
        (b'{"hook":' + b"[" * 100_000, 400, "nested too deeply"),
        (without(GOOD, "prefetch"), 412, "prefetch.patient: the Patient did not come"),
        (without(GOOD, "prefetch", "patient"), 412, "the Patient did not come"),
        ({**GOOD, "prefetch": {**GOOD["prefetch"], "patient": None}}, 412, "the Patient did not come"),
        ({**GOOD, "prefetch": {**GOOD["prefetch"], "patient": outcome("forbidden")}}, 412, "the Patient did not come"),
        ({**GOOD, "prefetch": {**GOOD["prefetch"], "patient": person("p2")}}, 412, "another Patient came"),
    ],
)  # fmt: skip
def test_refusals_name_thing_place_and_what_is_accepted(
    ehr: Ehr, document: object, status: int, told: str
) -> None:
    assert told in check_outcome(ehr.call(document), status)


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("POST", "/cds-services/ldn-nothing", 404, "'ldn-nothing' is no service here; accepted: ldn-"),
        ("POST", "/cds-services/ldn-nothing/feedback", 404, "is no service here"),
        ("GET", "/nothing", 404, "nothing at this address"),
        ("GET", SIGN, 405, "no such method"),
        ("PUT", "/cds-services", 405, "no such method"),
        ("DELETE", "/health", 405, "no such method"),
        ("POST", SIGN + "/feedback", 400, "feedback is missing"),
    ],
)  # fmt: skip
def test_addresses(ehr: Ehr, method: str, path: str, status: int, told: str) -> None:
    answer = ehr.send(method, path, **({"json": GOOD} if method == "POST" else {}))
    assert told in check_outcome(answer, status)
    assert ("allow" in answer.headers) == (status == 405)


async def _parts(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


SMALL = Options(Settings(max_bytes=5000), Limits(max_held_bytes=6000))


def test_a_body_too_large_is_refused_by_its_length_and_by_its_bytes() -> None:
    ehr = Ehr(options=SMALL)
    large = json.dumps({**GOOD, "more": "x" * 5000}).encode()
    fits = b" " * (5000 - len(json.dumps(GOOD))) + json.dumps(GOOD).encode()
    assert ehr.call(fits).status_code == 200
    for content in (large, _parts(large)):
        text = check_outcome(ehr.send("POST", SIGN, content=content), 413)
        assert "at most 0.00476837 MiB" in text
    assert ehr.call(GOOD).status_code == 200


def test_a_body_that_says_that_it_is_too_large_is_not_even_read() -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("was read")
        yield b""

    answer = Ehr(options=SMALL).send(
        "POST", SIGN, content=unread(), headers={"content-length": "5001"}
    )
    check_outcome(answer, 413)


def test_gzip(ehr: Ehr) -> None:
    data = gzip.compress(json.dumps(GOOD).encode())
    headers = {"content-encoding": "gzip"}
    plain = ehr.call(GOOD)
    assert ehr.send("POST", SIGN, content=data, headers=headers).content == plain.content
    for content, status in ((data[:-9], 400), (b"{}", 400)):
        check_outcome(ehr.send("POST", SIGN, content=content, headers=headers), status)
    bomb = gzip.compress(b" " * 50_000)
    assert len(bomb) < 5000
    check_outcome(Ehr(options=SMALL).send("POST", SIGN, content=bomb, headers=headers), 413)
    answer = ehr.send("POST", SIGN, content=data, headers={"content-encoding": "br"})
    assert "gzip, or none" in check_outcome(answer, 415)


# -- real traffic ---------------------------------------------------------------------------------------


def test_oddities_of_real_clients_change_nothing(ehr: Ehr) -> None:
    expected = topics(ehr.call(GOOD))
    assert expected == [ACTIVE]
    odd = json.loads(json.dumps(GOOD))
    odd["context"]["patientId"] = "Patient/p1"
    del odd["context"]["draftOrders"]["type"]
    odd["context"]["draftOrders"]["entry"][0]["resource"]["category"] = {"text": "outpatient"}
    odd |= {
        "fhirServer": "https://ehr.example.org/fhir",
        "extension": {"org.example": {}},
        "more": 1,
    }
    odd["context"]["unknown"] = None
    answer = ehr.call(odd)
    review_of(answer)
    assert topics(answer) == expected


def test_an_order_select_without_a_medication_is_no_error(ehr: Ehr) -> None:
    bare = {"resourceType": "MedicationRequest", "id": "d2", "status": "draft"}
    document = request(bare, hook="order-select", selections=["MedicationRequest/d2"])
    answer = ehr.call(document, "ldn-order-select")
    review_of(answer)
    assert answer.json()["cards"] == []


def test_order_select_speaks_of_what_is_selected(ehr: Ehr) -> None:
    other = draft("d2", "amoxicillin 500 MG Oral Capsule", 500)
    for selected, expected in (("d1", [ACTIVE]), ("d2", [])):
        document = request(
            DRAFT, other, hook="order-select", selections=[f"MedicationRequest/{selected}"],
            prefetch={"MedicationRequest": searchset(OPIOID)},
        )  # fmt: skip
        assert topics(ehr.call(document, "ldn-order-select")) == expected


def test_what_could_not_be_used_is_told_as_a_problem(ehr: Ehr) -> None:
    stranger = order("o2", "oxycodone 5 MG Oral Tablet", "p9")
    answer = ehr.call(request(DRAFT, prefetch={"MedicationRequest": searchset(stranger)}))
    (problem,) = review_of(answer)["problems"]
    assert problem["resource"] == "MedicationRequest/o2"
    assert "not the patient" in problem["what"]


def test_the_moment_is_the_clocks_in_the_sites_zone(ehr: Ehr) -> None:
    assert review_of(ehr.call(GOOD))["asOf"] == "2026-06-10T10:00:00-04:00"


# -- CORS, health, description ---------------------------------------------------------------------------


def test_preflight_is_open(ehr: Ehr) -> None:
    headers = {
        "origin": "https://sandbox.example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    answer = ehr.send("OPTIONS", SIGN, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    assert "access-control-allow-credentials" not in answer.headers
    documents: list[object] = [GOOD, []]
    for document in documents:
        answer = ehr.send("POST", SIGN, json=document, headers={"origin": "https://x.example.org"})
        assert answer.headers["access-control-allow-origin"] == "*"


def test_origins_can_be_limited() -> None:
    ehr = Ehr(options=Options(Settings(origins=("https://ehr.example.org",))))
    for origin, allowed in (("https://ehr.example.org", True), ("https://evil.example.org", False)):
        answer = ehr.send("GET", "/cds-services", headers={"origin": origin})
        assert ("access-control-allow-origin" in answer.headers) is allowed


def test_health_says_which_rules_answer(ehr: Ehr) -> None:
    found = ehr.send("GET", "/health").json()
    assert found["status"] == "ok"
    assert found["pack"]["id"] == "ldn"
    assert found["engine"] == "reference"
    assert found["rulebook"].startswith("sha256:")
    assert ACTIVE in found["rules"]


def test_the_page_that_describes_it(ehr: Ehr) -> None:
    paths = ehr.send("GET", "/openapi.json").json()["paths"]
    for service in ehr.services():
        assert "post" in paths[f"/cds-services/{service}"]
        assert "post" in paths[f"/cds-services/{service}/feedback"]
    assert ehr.send("GET", "/docs").status_code == 200


# -- what goes wrong, and many at once -------------------------------------------------------------------


def test_our_own_mistake_is_a_500_without_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    ehr = Ehr()

    def broken(*_: Any) -> None:
        raise KeyError("Maria, born 1980")

    with monkeypatch.context() as patch:
        patch.setattr(cds.hooks.desk, "judge", broken)
        text = check_outcome(ehr.call(GOOD), 500)
    assert "Maria" not in text
    name = ehr.events[0]["request"]
    assert ehr.events[0] == {"event": "failed", "request": name, "error": "KeyError"}
    assert f"request {name}" in text
    assert "Maria" not in repr(ehr.events)
    assert topics(ehr.call(GOOD)) == [ACTIVE]


def test_the_log_has_no_record_in_it() -> None:
    ehr = Ehr()
    ehr.call(GOOD)
    ehr.call(GOOD, "ldn-Maria")
    first, second = ehr.events
    assert first["rules"] == (ACTIVE,)
    assert (first["service"], first["status"]) == ("ldn-order-sign", 200)
    assert (second["service"], second["status"]) == ("unknown", 404)
    assert not any(word in repr(ehr.events) for word in ("Maria", "p1", "oxycodone", "1980"))


@pytest.mark.parametrize("inline", [0, 1_000_000], ids=["threads", "inline"])
def test_sixty_four_at_once_answer_as_one_by_one(inline: int) -> None:
    ehr = Ehr(options=Options(limits=Limits(inline_bytes=inline)))
    bodies = [
        json.dumps(request(DRAFT, prefetch={"MedicationRequest": searchset(OPIOID) if number % 3 else None,
                                            "patient": person(birthDate=f"19{number + 10}-01-01")})).encode()
        for number in range(64)
    ]  # fmt: skip
    alone = [ehr.call(body).content for body in bodies]

    async def together(client: httpx.AsyncClient) -> list[bytes]:
        found = await asyncio.gather(*(client.post(SIGN, content=body) for body in bodies))
        return [answer.content for answer in found]

    assert ehr.run(together) == alone
    assert len(set(alone)) == 2


BODY_BYTES = len(json.dumps(GOOD).encode())


@pytest.mark.parametrize(
    "limits",
    [
        Limits(inline_bytes=0, max_calls=2),
        Limits(inline_bytes=0, max_held_bytes=2 * BODY_BYTES + 10),
    ],
    ids=["calls", "bytes"],
)
def test_too_many_at_once_are_asked_to_come_again(limits: Limits) -> None:
    ehr = Ehr(options=Options(limits=limits))
    body = json.dumps(GOOD).encode()

    async def together(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.post(SIGN, content=body) for _ in range(8)))

    found = ehr.run(together)
    refused = [answer for answer in found if answer.status_code == 503]
    assert 0 < len(refused) < 8
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    check_outcome(refused[0], 503)
    for _ in range(3):
        assert ehr.call(GOOD).status_code == 200
