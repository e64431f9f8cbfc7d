"""What a call does not bring is fetched as its prefetch would have brought it, or told as what it is."""

from __future__ import annotations

import gzip
import json
import logging
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from cds.hooks.app import Options
from cds.hooks.settings import FhirServer, Settings
from tests.hooks.ehr import Ehr, check_outcome, review_of
from tests.hooks.fhir_server import (
    LOOPBACK,
    Answer,
    Asked,
    Server,
    Writer,
    but,
    dies_after,
    http,
    record,
    says,
    says_json,
)
from tests.records import Json, draft, drug, order, person, request, resource, searchset

DRAFT = draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5)
OPIOID = order("o1", "oxycodone hydrochloride 5 MG Oral Tablet")
RECORD = [
    person(),
    OPIOID,
    resource("Condition", "c1", code={"text": "Fibromyalgia"}),
    order("o2", "amoxicillin 500 MG Oral Capsule", "p2"),
]
ACTIVE = "opioid.active-with-naltrexone-order"
UNSEEN = "dq.opioid-status-unknown"
TOKEN = "Zm9v.marker-token_7~"


def asking(server: Server, *keys: str, token: str | None = TOKEN, **more: Any) -> Json:
    """A call that brings all but ``keys`` and says where the rest is."""
    prefetch = request()["prefetch"]
    prefetch["MedicationRequest"] = searchset(OPIOID)
    document: Json = request(DRAFT)
    document["prefetch"] = {key: value for key, value in prefetch.items() if key not in keys}
    document["fhirServer"] = server.base
    if token is not None:
        document["fhirAuthorization"] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.rs",
            "subject": "cds-service",
        }
    return {**document, **more}


def call(
    document: Json, *servers: Server, listed: Any = None, ehr: Ehr | None = None
) -> httpx.Response:
    """The answer to a call while the servers run; the site lists the first unless told otherwise."""
    entries = (servers[0].listed(),) if listed is None else listed
    options = Options(settings=Settings(fhir_servers=entries, budget_ms=20_000))
    ehr = ehr or Ehr(options=options)

    async def work(client: httpx.AsyncClient) -> httpx.Response:
        async with AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server.running())
            answer = await client.post("/cds-services/ldn-order-sign", json=document)
            await ehr.app.state.parts.fetcher.close() if ehr.app.state.parts.fetcher else None
            return answer

    answer: httpx.Response = ehr.run(work)
    return answer


def topics(answer: httpx.Response) -> list[str]:
    return [card["source"]["topic"]["code"] for card in answer.json()["cards"]]


def told(answer: httpx.Response) -> str:
    return "\n".join(item["what"] for item in review_of(answer).get("problems", []))


# -- a good server --------------------------------------------------------------------------------------


def test_fetched_is_as_good_as_prefetched() -> None:
    server = Server(record(RECORD))
    keys = tuple(request()["prefetch"])
    answer = call(asking(server, *keys), server)
    whole = Ehr().call(
        request(
            DRAFT,
            prefetch={"MedicationRequest": searchset(OPIOID), "Condition": searchset(RECORD[2])},
        )
    )
    assert ACTIVE in topics(answer)
    assert answer.json() == whole.json()
    context = {"patient": "Patient/p1"}
    expected = [
        context.get(key, f"{key}?patient=p1")
        for key in Ehr().services()["ldn-order-sign"]["prefetch"]
    ]
    assert sorted(asked.target for asked in server.asked) == sorted(
        f"/fhir/{each}" for each in expected
    )
    assert {asked.headers["authorization"] for asked in server.asked} == {f"Bearer {TOKEN}"}


def test_a_call_that_brings_everything_asks_nobody() -> None:
    server = Server(record(RECORD))
    assert ACTIVE in topics(call(asking(server), server))
    assert server.asked == []


def test_only_what_is_missing_is_asked_for() -> None:
    server = Server(record(RECORD))
    answer = call(asking(server, "MedicationRequest"), server)
    assert [asked.target for asked in server.asked] == ["/fhir/MedicationRequest?patient=p1"]
    assert ACTIVE in topics(answer)


def test_connections_are_used_again() -> None:
    server = Server(record(RECORD))
    call(asking(server, *request()["prefetch"]), server)
    assert server.connections <= 8 < len(server.asked)


# -- who may be asked, and with what ----------------------------------------------------------------------


def test_a_server_that_is_not_listed_is_not_asked_and_that_is_said() -> None:
    listed, other = Server(record(RECORD)), Server(record(RECORD))
    answer = call(asking(other, "MedicationRequest"), listed, other)
    assert other.asked == listed.asked == []
    assert review_of(answer)["coverage"]["MedicationRequest"] == "absent"
    assert "fhirServer is not among the servers" in told(answer)


def test_by_default_nobody_is_asked() -> None:
    server = Server(record(RECORD))
    answer = call(asking(server, "MedicationRequest"), server, listed=())
    assert server.asked == []
    assert review_of(answer)["coverage"]["MedicationRequest"] == "absent"


def test_without_authorization_no_token_is_sent() -> None:
    server = Server(record(RECORD))
    assert ACTIVE in topics(call(asking(server, "MedicationRequest", token=None), server))
    assert ["authorization" in asked.headers for asked in server.asked] == [False]


@pytest.mark.parametrize(
    "lent",
    [
        {"access_token": TOKEN, "token_type": "MAC"},
        {"access_token": TOKEN},
        {"access_token": "", "token_type": "Bearer"},
        {"access_token": "a\r\nx-evil: 1", "token_type": "Bearer"},
        {"access_token": ["a"], "token_type": "Bearer"},
        "Bearer a",
    ],
)
def test_what_is_no_bearer_token_is_not_used(lent: object) -> None:
    server = Server(record(RECORD))
    answer = call(asking(server, "MedicationRequest", fhirAuthorization=lent), server)
    assert server.asked == []
    assert "fhirAuthorization" in told(answer)
    assert review_of(answer)["coverage"]["MedicationRequest"] == "absent"


@pytest.mark.parametrize(
    "base", ["{base}?x=", "{base}#x", "ftp://127.0.0.1/fhir", "http://u:p@127.0.0.1:{port}/fhir", "nowhere", 7, "http://[x"]
)  # fmt: skip
def test_an_address_that_is_no_base_is_not_asked(base: object) -> None:
    server = Server(record(RECORD))
    text = base.format(base=server.base, port=server.port) if isinstance(base, str) else base
    answer = call(asking(server, "MedicationRequest", fhirServer=text), server)
    assert server.asked == []
    assert review_of(answer)["coverage"]["MedicationRequest"] == "absent"


# -- every way in which it can go wrong -------------------------------------------------------------------


BODY = json.dumps(searchset(OPIOID)).encode()
HTML = http(b"<html>Please sign in</html>", content_type="text/html")
OUTCOME: Json = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception"}],
}
REFUSED: Json = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "forbidden"}],
}
BOMB = gzip.compress(b" " * 30_000_000)

WRONG: list[tuple[str, Answer, str, str]] = [
    ("401", says(http(b"", "401 Unauthorized")), "forbidden", "answers 401"),
    ("403", says(http(b"", "403 Forbidden")), "forbidden", "answers 403"),
    ("404", says(http(b"", "404 Not Found")), "failed", "answers 404"),
    ("500", says(http(BODY, "500 Internal Server Error")), "failed", "answers 500"),
    ("204", says(http(b"", "204 No Content", content_length="")), "failed", "answers 204"),
    ("moved", says(http(b"", "302 Found", location="http://169.254.169.254/")), "failed", "not followed"),
    ("login page", says(HTML), "failed", "no Bundle"),
    ("empty", says(http(b"")), "failed", "no Bundle"),
    ("null", says_json(None), "failed", "no Bundle"),
    ("a list", says_json([OPIOID]), "failed", "no Bundle"),
    ("deep", says(http(b"[" * 200_000)), "failed", "no Bundle"),
    ("one resource", says_json(OPIOID), "failed", "no Bundle"),
    ("another type", says_json(searchset(resource("Condition", "c"))), "failed", "another type"),
    ("outcome", says_json(OUTCOME), "failed", "OperationOutcome"),
    ("refusal", says_json(REFUSED), "forbidden", "OperationOutcome"),
    ("bomb", says(http(BOMB, content_encoding="gzip")), "failed", "more than may come"),
    ("claims too much", says(http(b"", content_length="99999999999")), "failed", "more than"),
    ("bad gzip", says(http(BODY, content_encoding="gzip")), "failed", "could not be read"),
    ("half gzip", says(http(gzip.compress(BODY)[:-9], content_encoding="gzip")), "failed", "could not be read"),
    ("brotli", says(http(BODY, content_encoding="br")), "failed", "could not be read"),
    ("shorter than said", dies_after(http(BODY, content_length="9999")), "failed", "went away"),
    ("longer than said", says(http(BODY, content_length="20")), "failed", "no Bundle"),
    ("dies at once", dies_after(b""), "failed", "went away"),
    ("dies in its head", dies_after(b"HTTP/1.1 200 OK\r\ncontent-"), "failed", "went away"),
    ("no HTTP", says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "failed", "went away"),
    ("endless head", says(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 60_000), "failed", "went away"),
    ("all strangers", says_json(searchset(order("x", "codeine", "p2"))), "failed", "somebody else"),
    ("strangers too", says_json(searchset(OPIOID, order("x", "codeine", "p2"))), "failed", "somebody else"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "state", "why"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_what_could_not_be_had_is_told_as_what_it_is(wrong: Answer, state: str, why: str) -> None:
    server = Server(but(record(RECORD), MedicationRequest=wrong))
    answer = call(asking(server, "MedicationRequest", "Condition"), server)
    coverage = review_of(answer)["coverage"]
    assert (coverage["MedicationRequest"], coverage["Condition"]) == (state, "supplied")
    assert UNSEEN in topics(answer) or ACTIVE in topics(answer)
    assert why in told(answer)
    assert TOKEN not in answer.text


def test_a_server_that_is_not_there_is_told() -> None:
    server, gone = Server(record(RECORD)), Server(record(RECORD))
    gone._socket.close()
    answer = call(asking(gone, "MedicationRequest"), server, listed=(gone.listed(),))
    assert review_of(answer)["coverage"]["MedicationRequest"] == "failed"
    assert "could not be reached" in told(answer)


def test_entries_of_somebody_else_are_told_and_not_judged() -> None:
    lying = says_json(searchset(order("x9", "oxycodone hydrochloride 5 MG Oral Tablet", "p2")))
    server = Server(but(record(RECORD), MedicationRequest=lying))
    answer = call(asking(server, "MedicationRequest"), server)
    assert ACTIVE not in topics(answer)
    assert "belongs to Patient/p2, who is not the patient here" in told(answer)


def test_what_a_server_includes_unasked_speaks_of_no_other_type() -> None:
    included = {"resource": resource("Observation", "b"), "search": {"mode": "include"}}
    page = searchset(
        OPIOID,
        included,
        {
            "resource": OUTCOME | {"issue": [{"severity": "information", "code": "x"}]},
            "search": {"mode": "outcome"},
        },
    )
    server = Server(
        but(
            record(RECORD), MedicationRequest=says_json(page), Observation=says(http(b"", "403 No"))
        )
    )
    answer = call(asking(server, "MedicationRequest", "Observation"), server)
    coverage = review_of(answer)["coverage"]
    assert (coverage["MedicationRequest"], coverage["Observation"]) == ("supplied", "forbidden")


# -- pages ------------------------------------------------------------------------------------------------


def next_page(url: str) -> Json:
    return {"link": [{"relation": "self", "url": "x"}, {"relation": "next", "url": url}]}


def pages(server_base: list[str], last: Answer | None = None, closing: bool = False) -> Answer:
    """Three pages of orders; the opioid is on the last."""

    async def answer(asked: Asked, writer: Writer) -> None:
        page = asked.target.rpartition("page=")[2] if "page=" in asked.target else "1"
        if page == "3" and last is not None:
            await last(asked, writer)
            return
        item = OPIOID if page == "3" else order(f"a{page}", "amoxicillin 500 MG Oral Capsule")
        link = (
            {} if page == "3" else next_page(f"{server_base[0]}?_getpages=x&page={int(page) + 1}")
        )
        more = {"connection": "close"} if closing else {}
        writer.write(http(json.dumps(searchset(item, **link)).encode(), **more))

    return answer


def test_pages_are_followed_to_the_end() -> None:
    base = [""]
    server = Server(pages(base))
    base[0] = server.base
    answer = call(asking(server, "MedicationRequest"), server)
    assert review_of(answer)["coverage"]["MedicationRequest"] == "supplied"
    assert ACTIVE in topics(answer)
    assert len(server.asked) == 3
    assert "problems" not in review_of(answer)


def test_a_page_that_came_is_gone_on_with() -> None:
    base = [""]
    server = Server(pages(base))
    base[0] = server.base
    document = asking(server)
    first = order("a1", "amoxicillin 500 MG Oral Capsule")
    document["prefetch"]["MedicationRequest"] = searchset(
        first, **next_page(f"{server.base}?page=2")
    )
    answer = call(document, server)
    assert review_of(answer)["coverage"]["MedicationRequest"] == "supplied"
    assert [asked.target for asked in server.asked] == ["/fhir?page=2", "/fhir?_getpages=x&page=3"]
    assert ACTIVE in topics(answer)


def test_a_page_that_dies_leaves_the_pages_before_it() -> None:
    base = [""]
    server = Server(pages(base, last=dies_after(http(BODY, content_length="9999"))))
    base[0] = server.base
    answer = call(asking(server, "MedicationRequest"), server)
    assert review_of(answer)["coverage"]["MedicationRequest"] == "truncated"
    assert UNSEEN in topics(answer)
    assert "came in part" in told(answer)


def test_a_name_that_moves_between_pages_leaves_the_pages_before_it() -> None:
    base = [""]
    server = Server(pages(base, closing=True))
    base[0] = f"http://fhir.hospital.test:{server.port}/fhir"
    names: list[str] = []

    async def moving(host: str, _: int) -> list[str]:
        names.append(host)
        return ["127.0.0.1"] if len(names) == 1 else ["169.254.169.254"]

    listed = FhirServer(base[0].removesuffix("/fhir"), LOOPBACK, plain_http=True)
    ehr = Ehr(options=Options(settings=Settings(fhir_servers=(listed,), budget_ms=20_000)))
    ehr.app.state.parts.fetcher._egress._resolve = moving
    answer = call(asking(server, "MedicationRequest", fhirServer=base[0]), server, ehr=ehr)
    assert review_of(answer)["coverage"]["MedicationRequest"] == "truncated"
    assert "leads to no address" in told(answer)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:{other}/fhir?page=2",
        "https://127.0.0.1:{port}/fhir?page=2",
        "//127.0.0.1:{other}/fhir?page=2",
        "http://u@127.0.0.1:{port}/fhir?page=2",
        "http://127.0.0.1:{port}/admin?page=2",
        "/fhirx?page=2",
        "/fhir/../admin",
        "/fhir/%2e%2e/admin",
        "file:///etc/passwd",
        "http://[",
        "",
    ],
)
def test_a_next_page_elsewhere_is_not_fetched(link: str) -> None:
    other = Server(record(RECORD))
    server = Server(record(RECORD))
    url = link.format(other=other.port, port=server.port)
    server.answer = but(
        record(RECORD), MedicationRequest=says_json(searchset(OPIOID, **next_page(url)))
    )
    document = asking(server, "MedicationRequest")
    answer = call(document, server, other, listed=(server.listed(), other.listed()))
    assert other.asked == []
    assert [asked.target for asked in server.asked] == ["/fhir/MedicationRequest?patient=p1"]
    assert review_of(answer)["coverage"]["MedicationRequest"] == "truncated"
    assert ACTIVE in topics(answer)


def test_pages_without_end_have_an_end() -> None:
    server = Server(record(RECORD))
    round_and_round = iter(range(1_000_000))

    async def endless(asked: Asked, writer: Writer) -> None:
        link = next_page(f"{server.base}/MedicationRequest?page={next(round_and_round)}")
        writer.write(http(json.dumps(searchset(**link)).encode()))

    server.answer = endless
    answer = call(asking(server, "MedicationRequest"), server)
    assert len(server.asked) == 50
    assert review_of(answer)["coverage"]["MedicationRequest"] == "truncated"


def test_pages_that_go_round_are_left() -> None:
    server = Server(record(RECORD))
    server.answer = says_json(searchset(OPIOID, **next_page("MedicationRequest?patient=p1")))
    answer = call(asking(server, "MedicationRequest"), server)
    assert len(server.asked) == 1
    assert review_of(answer)["coverage"]["MedicationRequest"] == "truncated"


def test_all_pages_together_have_a_limit() -> None:
    base = [""]
    server = Server(pages(base))
    base[0] = server.base
    room = len(json.dumps(searchset(OPIOID, **next_page(base[0])))) + 200
    options = Options(
        settings=Settings(fhir_servers=(server.listed(),), budget_ms=20_000, max_bytes=room * 2)
    )
    document = asking(server, "MedicationRequest")
    document["prefetch"] = {"patient": person()}
    document["prefetch"] |= {
        key: None for key in request()["prefetch"] if key not in ("patient", "MedicationRequest")
    }
    answer = call(document, server, ehr=Ehr(options=options))
    assert review_of(answer)["coverage"]["MedicationRequest"] == "truncated"
    assert "more than" in told(answer)


# -- the patient --------------------------------------------------------------------------------------------


def test_the_patient_is_fetched_too() -> None:
    server = Server(record(RECORD))
    assert ACTIVE in topics(call(asking(server, "patient"), server))
    assert [asked.target for asked in server.asked] == ["/fhir/Patient/p1"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (says(http(b"", "403 Forbidden")), "forbidden"),
        (says(http(b"", "404 Not Found")), "failed"),
        (says_json(person("p2")), "failed"),
        (says_json({"resourceType": "Patient"}), "failed"),
        (says_json(searchset(person())), "failed"),
    ],
)
def test_without_the_patient_nobody_is_judged(wrong: Answer, why: str) -> None:
    server = Server(but(record(RECORD), Patient=wrong))
    answer = call(asking(server, "patient"), server)
    assert f"did not help ({why})" in check_outcome(answer, 412)


@pytest.mark.parametrize(
    "name", ["..", "p1/../p2", "p1?x=y", "p1&_count=1", "p1#", "a b", "x" * 65, "%2e%2e"]
)
def test_an_id_that_is_none_is_not_asked_for(name: str) -> None:
    server = Server(record(RECORD))
    document = asking(server, "patient", "Condition")
    document["context"]["patientId"] = name
    check_outcome(call(document, server), 412)
    assert server.asked == []


def test_another_patient_is_not_made_good_by_asking() -> None:
    server = Server(record(RECORD))
    document = asking(server)
    document["prefetch"]["patient"] = person("p2")
    assert "another Patient came" in check_outcome(call(document, server), 412)
    assert server.asked == []


# -- what came, but is no answer ------------------------------------------------------------------------------


def test_a_failure_of_the_client_is_tried_again_and_a_refusal_is_respected() -> None:
    server = Server(record(RECORD))
    document = asking(server)
    document["prefetch"] |= {"MedicationRequest": OUTCOME, "Condition": REFUSED}
    answer = call(document, server)
    assert [asked.target for asked in server.asked] == ["/fhir/MedicationRequest?patient=p1"]
    coverage = review_of(answer)["coverage"]
    assert (coverage["MedicationRequest"], coverage["Condition"]) == ("supplied", "forbidden")


# -- drugs by reference -----------------------------------------------------------------------------------------


def by_reference(reference: str, **more: Any) -> Json:
    item = order("o1", "")
    del item["medicationCodeableConcept"]
    return {**item, "medicationReference": {"reference": reference, **more}}


MEDICATION: Json = {
    "resourceType": "Medication",
    "id": "m1",
    "code": drug("oxycodone hydrochloride 5 MG Oral Tablet"),
}


@pytest.mark.parametrize("prefix", ["", "{base}/"])
@pytest.mark.parametrize("prefetched", [True, False])
def test_a_drug_that_is_only_referred_to_is_fetched(prefix: str, prefetched: bool) -> None:
    server = Server(record([]))
    item = by_reference(prefix.format(base=server.base) + "Medication/m1")
    server.answer = record([*RECORD[:1], item, MEDICATION])
    document = asking(server, *([] if prefetched else ["MedicationRequest"]))
    if prefetched:
        document["prefetch"]["MedicationRequest"] = searchset(item)
    answer = call(document, server)
    assert server.asked[-1].target == "/fhir/Medication/m1"
    assert ACTIVE in topics(answer)
    assert "unclassified" not in review_of(answer)


@pytest.mark.parametrize(
    ("reference", "more"),
    [("Medication/m1", {"display": "oxycodone hydrochloride 5 MG Oral Tablet"}), ("Medication/..", {}), ("#m1", {}), ("https://elsewhere.example/Medication/m1", {}), ("Practitioner/m1", {})],
)  # fmt: skip
def test_no_other_reference_is_followed(reference: str, more: Json) -> None:
    server = Server(record([MEDICATION]))
    document = asking(server)
    document["prefetch"]["MedicationRequest"] = searchset(by_reference(reference, **more))
    call(document, server)
    assert server.asked == []


def test_so_many_drugs_are_fetched_and_no_more() -> None:
    server = Server(record([]))
    document = asking(server)
    many = [{**by_reference(f"Medication/m{number}"), "id": f"o{number}"} for number in range(60)]
    document["prefetch"]["MedicationRequest"] = searchset(*many)
    answer = call(document, server)
    assert len(server.asked) == 20
    assert "Medication could not be fetched" in told(answer)


# -- what is written about it -----------------------------------------------------------------------------------


def test_fetches_are_counted_by_outcome() -> None:
    server = Server(but(record(RECORD), Condition=says(http(b"", "403 No")), Task=says(HTML)))
    ehr = Ehr(options=Options(settings=Settings(fhir_servers=(server.listed(),), budget_ms=20_000)))
    call(asking(server, "MedicationRequest", "Condition", "Task"), server, ehr=ehr)
    page = ehr.send("GET", "/metrics").text
    for outcome in ("fetched", "forbidden", "failed"):
        assert f'cds_fetches_total{{outcome="{outcome}"}} 1.0' in page
    assert "cds_fetch_seconds_count 3.0" in page
    assert 'outcome="late"' not in page


def test_neither_token_nor_patient_is_ever_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = Server(but(record(RECORD), Condition=says(HTML), Task=dies_after(b"x")))
    ehr = Ehr(options=Options(settings=Settings(fhir_servers=(server.listed(),), budget_ms=20_000)))
    document = asking(server, *request()["prefetch"])
    document["context"]["patientId"] = "marker-patient"
    answer = call(document, server, ehr=ehr)
    assert TOKEN not in answer.text
    assert server.asked
    written = caplog.text + json.dumps(ehr.events) + ehr.send("GET", "/metrics").text
    assert "marker" not in written
    assert "127.0.0.1" not in written
