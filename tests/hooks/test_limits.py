"""What one client may take of the service: depth, headers, time on a socket, and calls in a while."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import cds.hooks.protocol
import cds.hooks.throttle
from cds.hooks.app import Options
from cds.hooks.protocol import MOST_HEADER_BYTES, MOST_HEADERS, server_options
from cds.hooks.settings import Rate, Settings
from cds.hooks.throttle import Throttle
from tests.hooks.clients import EHR, SIGN, Client, bearer, reasons, site
from tests.hooks.ehr import Ehr, check_outcome
from tests.records import draft, request

CALL = json.dumps(
    request(draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5))
).encode()

# -- depth --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [900, 5_000, 1_000_000])
@pytest.mark.parametrize("shape", ["[]", '{"a":}'])
def test_a_body_that_is_nested_too_deeply_is_refused(depth: int, shape: str) -> None:
    ehr = Ehr()
    opened, closed = shape[:-1], shape[-1]
    inner = opened * depth + ("1" if shape == '{"a":}' else "") + closed * depth
    for body in (inner, f'{{"hook": "order-sign", "prefetch": {inner}}}'):
        told = check_outcome(ehr.call(body.encode()), 400)
        assert "nested too deeply" in told or depth < 1000
    assert ehr.call(CALL).status_code == 200


# -- how often ----------------------------------------------------------------------------------------


def limited(calls: int = 3, **more: Any) -> Ehr:
    return Ehr(options=Options(Settings(rate=Rate(calls, 3600), **more)))


def test_a_client_that_calls_too_often_is_told_when_to_come_again() -> None:
    ehr = limited()
    assert [ehr.call(CALL).status_code for _ in range(3)] == [200] * 3
    answer = ehr.call(CALL)
    assert "this client calls too often" in check_outcome(answer, 429)
    assert 1190 <= int(answer.headers["retry-after"]) <= 1200
    assert ehr.send("GET", "/cds-services").status_code == 429
    assert ehr.send("GET", "/health").status_code == 200
    assert 'cds_refused_total{reason="rate"} 2.0' in ehr.send("GET", "/metrics").text
    assert reasons(ehr.events) == ["rate"] * 2
    assert "issuer" not in json.dumps(ehr.events)  # nor the address in its place


def test_without_a_rate_everybody_may_call() -> None:
    ehr = Ehr()
    assert {ehr.call(CALL).status_code for _ in range(20)} == {200}


def test_the_address_that_a_proxy_names_counts_only_if_the_proxy_is_trusted() -> None:
    def call(ehr: Ehr, forwarded: str) -> int:
        headers = {"x-forwarded-for": forwarded}
        return ehr.send("POST", SIGN, content=CALL, headers=headers).status_code

    trusting = limited(1, proxies=(ip_network("127.0.0.0/8"),))
    assert [call(trusting, name) for name in ("10.0.0.1", "10.0.0.2", "10.0.0.1")] == [
        200,
        200,
        429,
    ]
    # What a client writes in front of what the proxy adds is its own affair.
    assert call(trusting, "10.9.9.9, 10.0.0.2") == 429
    assert call(trusting, "junk, \x7f, " + "x" * 5000) == 200
    assert call(limited(1), "10.0.0.1") == 200
    doubting = limited(1)
    assert [call(doubting, name) for name in ("10.0.0.1", "10.0.0.2")] == [200, 429]
    other = limited(1, proxies=(ip_network("10.0.0.0/8"),))
    assert [call(other, name) for name in ("10.0.0.1", "10.0.0.2")] == [200, 429]


def test_with_tokens_an_issuer_counts_and_strangers_count_by_their_address(tmp_path: Path) -> None:
    client = Client()
    ehr = Ehr(options=Options(site(tmp_path / "keys.json", client.jwk(), rate=Rate(2, 3600))))

    def call(**changes: Any) -> int:
        headers = bearer(client.token(**changes))
        return ehr.send("POST", SIGN, content=CALL, headers=headers).status_code

    # It may name the client, or not.
    strange: list[dict[str, Any]] = [{"iss": "https://evil.example.org"}, {"exp": 1}, {"exp": 1}]
    assert [call(**changes) for changes in strange] == [401, 401, 429]
    # A stranger at the same address takes nothing from a client that is known.
    assert [call() for _ in range(3)] == [200, 200, 429]
    assert [event.get("issuer") for event in ehr.events if event.get("reason") == "rate"] == [
        EHR,
        EHR,
    ]


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_is_refilled_steadily() -> None:
    ticks = Ticks()
    throttle = Throttle(Rate(10, 60), ticks)
    assert [throttle.take("a") for _ in range(11)] == [0] * 10 + [6]
    assert throttle.take("b") == 0
    ticks.now = 5.0
    assert throttle.take("a") == 1
    ticks.now = 12.0
    assert [throttle.take("a") for _ in range(3)] == [0, 0, 6]
    ticks.now = 1e6
    assert [throttle.take("a") for _ in range(11)] == [0] * 10 + [6]


def test_the_table_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cds.hooks.throttle, "MOST_CLIENTS", 10)
    throttle = Throttle(Rate(1, 60), Ticks())
    for number in range(100):
        assert throttle.take(f"c{number}") == 0
        assert len(throttle) <= 10
    assert throttle.take("c99") == 60


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("x" * 100, "x" * 200, True),
    ],
)
def test_who_counts_as_one_client(one: str, two: str, same: bool) -> None:
    assert (cds.hooks.throttle.client_name(one) == cds.hooks.throttle.client_name(two)) is same


# -- on the socket ------------------------------------------------------------------------------------

Connect = Callable[[], socket.socket]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The application on the server as `cds serve` has it, in a thread."""
    options = Options(Settings(max_bytes=200_000))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Ehr(options=options).app,
        log_config=None,
        lifespan="off",
        **server_options(options.settings),
    )
    server = uvicorn.Server(config)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


def exchange(port: int, *parts: bytes) -> bytes:
    """Everything that comes back until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        found = b""
        try:
            for part in parts:
                raw.sendall(part)
            while part := raw.recv(65536):
                found += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return found


def is_cut_off(port: int, first: bytes, part: bytes, times: int, pause: float = 0) -> bool:
    """Whether the service ends a connection on which the part comes again and again."""
    paused = threading.Event()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        try:
            raw.sendall(first)
            for _ in range(times):
                raw.sendall(part)
                if pause:
                    paused.wait(pause)
        except (ConnectionResetError, BrokenPipeError):
            return True
    return False


def post(body: bytes, *headers: bytes, path: str = SIGN) -> bytes:
    lines = [b"POST " + path.encode() + b" HTTP/1.1", b"Host: a", *headers]
    return b"\r\n".join([*lines, b"", b""]) + body


LENGTH = b"Content-Length: %d" % len(CALL)
CLOSE = b"Connection: close"


def outcome_of(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    text: str = json.loads(body)["issue"][0]["diagnostics"]
    return text


def test_a_good_call_over_a_raw_socket(port: int) -> None:
    assert exchange(port, post(CALL, LENGTH, CLOSE)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-%d: y" % number for number in range(MOST_HEADERS + 1)],
        [b"X: " + b"y" * MOST_HEADER_BYTES],
        [b"Y" * MOST_HEADER_BYTES + b": y"],
        [b"X-%d: %s" % (number, b"y" * 1000) for number in range(40)],
        [b"X-%d: %s" % (number, b"y" * 1000) for number in range(2000)],
    ],
)
def test_headers_are_bounded_in_number_and_size(port: int, lines: list[bytes]) -> None:
    answer = exchange(port, post(CALL, LENGTH, *lines))
    # A client that still sends may lose the answer with its connection.
    assert answer.startswith(b"HTTP/1.1 431 ") or (not answer and len(lines) == 2000)
    if answer:
        assert "at most 100 headers of 32 KiB together" in outcome_of(answer)


def test_a_header_without_end_is_cut_off(port: int) -> None:
    for start in (b"", b"X", b"X: "):
        head = b"GET /health HTTP/1.1\r\n" + start
        assert exchange(port, head, b"y" * MOST_HEADER_BYTES).startswith(b"HTTP/1.1 431 ")
        assert is_cut_off(port, head, b"y" * 65536, 2000)


def test_a_long_address_is_bounded(port: int) -> None:
    answer = exchange(port, b"GET /" + b"a" * MOST_HEADER_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_headers_within_the_limits_pass(port: int) -> None:
    lines = [b"X-%d: %s" % (number, b"y" * 300) for number in range(MOST_HEADERS - 5)]
    assert exchange(port, post(CALL, LENGTH, CLOSE, *lines)).startswith(b"HTTP/1.1 200 ")


def test_what_comes_after_a_chunked_body_is_bounded(port: int) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n" % (len(CALL), CALL)
    head = post(chunked, b"Transfer-Encoding: chunked", CLOSE)
    assert exchange(port, head + b"X: y\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert is_cut_off(port, head, b"X: " + b"y" * 65536 + b"\r\n", 2000)


@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: a\r\nX"]
)
def test_headers_that_do_not_come_are_not_waited_for(
    port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cds.hooks.protocol, "HEADERS_SECONDS", 0.05)
    answer = exchange(port, sent)
    if sent:
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert outcome_of(answer) == "the request did not arrive in time"
    else:
        assert answer == b""


def test_a_body_that_does_not_come_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cds.hooks.protocol, "REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(cds.hooks.protocol, "HEADERS_SECONDS", 1e6)
    answer = exchange(port, post(CALL[:100], LENGTH))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert exchange(port, post(CALL, LENGTH, CLOSE)).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_sends_drop_by_drop_is_cut_off(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slowloris: a byte now and then keeps no connection open."""
    monkeypatch.setattr(cds.hooks.protocol, "HEADERS_SECONDS", 0.2)
    assert is_cut_off(port, b"GET /health HTTP/1.1\r\n", b"X", 2000, pause=0.02)


def test_a_refused_call_whose_body_still_comes_is_left(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cds.hooks.protocol, "REQUEST_SECONDS", 0.05)
    answer = exchange(port, post(b"{", LENGTH, path="/cds-services/nothing"))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_far_beyond_the_limit_is_not_taken_for_ever(port: int) -> None:
    assert is_cut_off(port, post(b"", b"Content-Length: 100000000"), b" " * 65536, 1500)


def test_calls_on_one_connection_are_answered_in_their_order(port: int) -> None:
    calls = (
        post(CALL, LENGTH) + b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" + post(CALL, LENGTH, CLOSE)
    )
    for cut in (1, 40, len(CALL), len(calls) - 3):
        answer = exchange(port, calls[:cut], calls[cut:])
        assert answer.count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
        b"GET /health HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(port: int, raw: bytes) -> None:
    """Requests that a proxy may end elsewhere than the service does (RFC 9112, Message Body Length)."""
    assert exchange(port, raw).startswith(b"HTTP/1.1 400 ")


def test_no_other_protocol_is_spoken(port: int) -> None:
    upgrade = b"Connection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13"
    answer = exchange(port, b"GET /health HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
