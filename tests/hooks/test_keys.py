"""Keys at a client's own address: fetched from the listed one alone, kept, renewed, never waited for."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

import cds.hooks.guard
import cds.hooks.keys
from cds.hooks.app import Options
from cds.hooks.egress import Allowance
from cds.hooks.settings import Issuer, Settings
from tests.hooks.clients import EHR, PUBLIC_URL, SIGN, Client, bearer, key_set, reasons
from tests.hooks.ehr import Ehr
from tests.records import draft, request

CALL = json.dumps(
    request(draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5))
).encode()
LOOPBACK = (ip_network("127.0.0.0/8"),)


class KeyServer:
    """A client's server on loopback. ``asked`` are the paths that it was asked for."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, key_set(), dict[str, str]()
        self.asked: list[str] = []
        self.came = threading.Event()
        self.hold: threading.Event | None = None
        self.url = ""


@contextmanager
def serving() -> Iterator[KeyServer]:
    keys = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            keys.asked.append(self.path)
            keys.came.set()
            if keys.hold is not None:
                keys.hold.wait(30)
            self.send_response(keys.status)
            for name, value in keys.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(keys.body)))
            self.end_headers()
            self.wfile.write(keys.body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    keys.url = f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield keys
    finally:
        if keys.hold is not None:
            keys.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with serving() as keys:
        yield keys


def ehr_with(jku: str, **more: Any) -> Ehr:
    issuer = Issuer(EHR, jku=jku, **{"networks": LOOPBACK, "plain_http": True, **more})
    return Ehr(options=Options(Settings(public_url=PUBLIC_URL, issuers=(issuer,))))


def statuses(ehr: Ehr, *tokens: str) -> list[int]:
    """What calls with the tokens are answered, one after another on one event loop."""

    async def work(client: httpx.AsyncClient) -> list[int]:
        found = [await client.post(SIGN, content=CALL, headers=bearer(item)) for item in tokens]
        return [answer.status_code for answer in found]

    answered: list[int] = ehr.run(work)
    return answered


def failures(ehr: Ehr) -> list[object]:
    return [event["error"] for event in ehr.events if event["event"] == "keys"]


def test_a_set_is_fetched_once_for_many_calls(server: KeyServer) -> None:
    client = Client()
    server.body = key_set(client.jwk())
    ehr = ehr_with(server.url)
    assert statuses(ehr, *(client.token() for _ in range(5))) == [200] * 5
    assert server.asked == ["/jwks.json"]


def test_a_new_key_is_fetched_when_a_token_names_it(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Client(kid="old"), Client(kid="new")
    server.body = key_set(old.jwk())
    ehr = ehr_with(server.url)
    assert statuses(ehr, old.token()) == [200]
    server.body = key_set(new.jwk())
    # Too soon: whatever keys tokens name, the server is not asked again and again.
    assert (
        statuses(ehr, *(Client(kid=f"k{n}").token() for n in range(20)), new.token()) == [401] * 21
    )
    assert len(server.asked) == 1
    monkeypatch.setattr(cds.hooks.keys, "AGAIN_SECONDS", 0.0)
    assert statuses(ehr, new.token()) == [200]
    assert statuses(ehr, old.token()) == [401]
    assert set(reasons(ehr.events)) == {"kid"}


def test_a_set_that_is_old_is_renewed_while_it_serves(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    server.body = key_set(client.jwk())
    ehr = ehr_with(server.url)
    assert statuses(ehr, client.token()) == [200]
    monkeypatch.setattr(cds.hooks.keys, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(cds.hooks.keys, "FRESH_SECONDS", 0.0)
    server.hold = threading.Event()
    server.came.clear()

    async def work(http: httpx.AsyncClient) -> int:
        """A call while the server hangs, and whether it is asked all the same."""
        answer = await http.post(SIGN, content=CALL, headers=bearer(client.token()))
        assert not ehr.app.state.parts.door.keys[EHR]._fetching.done()  # nobody waits for it
        assert await asyncio.to_thread(server.came.wait, 30)
        return answer.status_code

    assert ehr.run(work) == 200
    server.hold.set()
    server.status = 500
    assert statuses(ehr, client.token(), client.token()) == [200, 200]
    monkeypatch.setattr(cds.hooks.keys, "USABLE_SECONDS", 0.0)
    assert statuses(ehr, client.token()) == [401]


def test_calls_at_once_wait_for_one_fetch(server: KeyServer) -> None:
    client = Client()
    server.body = key_set(client.jwk())
    ehr = ehr_with(server.url)

    async def many(http: httpx.AsyncClient) -> list[int]:
        calls = (http.post(SIGN, content=CALL, headers=bearer(client.token())) for _ in range(8))
        return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert ehr.run(many) == [200] * 8
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "headers", "why"),
    [
        (404, b"", {}, "status 404"),
        (500, b"SECRET", {}, "status 500"),
        (200, b"SECRET", {}, "is no JSON"),
        (200, b"[" * 100_000, {}, "is no JSON"),
        (200, b'["SECRET"]', {}, "is no JWK Set"),
        (200, b" " * (cds.hooks.keys.MAX_BYTES + 1), {}, "TooLarge"),
        (302, b"", {"location": "http://127.0.0.1/SECRET"}, "Redirected"),
    ],
)
def test_a_server_that_lies_lets_nobody_in(
    server: KeyServer, status: int, body: bytes, headers: dict[str, str], why: str
) -> None:
    server.status, server.body, server.headers = status, body, headers
    ehr = ehr_with(server.url)
    client = Client()
    assert statuses(ehr, client.token(), client.token()) == [401, 401]
    assert failures(ehr) == [why]
    assert reasons(ehr.events) == ["kid", "kid"]
    assert "SECRET" not in json.dumps(ehr.events)
    assert server.asked == ["/jwks.json"]


def test_a_server_that_hangs_is_given_up(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cds.hooks.guard, "_FETCH", Allowance(seconds=0.05))
    server.hold = threading.Event()
    ehr = ehr_with(server.url)
    assert statuses(ehr, Client().token()) == [401]
    assert failures(ehr) == ["TooSlow"]


def test_only_the_listed_address_is_asked(server: KeyServer) -> None:
    client = Client()
    server.body = key_set(client.jwk())
    ehr = ehr_with(server.url)
    named = [server.url + "?x", server.url.replace("127.0.0.1", "localhost"), "", 7, [server.url]]
    tokens = [client.signed(client.header(jku=jku), client.claims()) for jku in named]
    assert statuses(ehr, *tokens) == [401] * 5
    assert reasons(ehr.events) == ["jku"] * 5
    assert server.asked == []
    right = client.signed(client.header(jku=server.url), client.claims())
    assert statuses(ehr, right) == [200]


@pytest.mark.parametrize(
    ("jku", "more"),
    [
        (None, {"networks": ()}),  # a private address that the entry does not name
        (None, {"plain_http": False}),
        ("http://169.254.169.254/jwks", {"networks": (ip_network("0.0.0.0/0"),)}),
        ("http://[::ffff:169.254.169.254]/jwks", {"networks": (ip_network("::/0"),)}),
    ],
)
def test_an_address_that_must_not_be_is_not_asked(
    server: KeyServer, jku: str | None, more: dict[str, Any]
) -> None:
    ehr = ehr_with(jku or server.url, **more)
    assert statuses(ehr, Client().token()) == [401]
    assert failures(ehr) == ["NotAllowed"]
    assert server.asked == []


def test_a_token_that_fails_before_has_nobody_asked(server: KeyServer) -> None:
    ehr = ehr_with(server.url)
    client = Client()
    bad = [client.token(iss="x"), client.token(aud="x"), client.token(exp=1)]
    assert statuses(ehr, *bad) == [401] * 3
    assert server.asked == []
