"""Told to end, a service finishes what it took and ends with 0; told twice, it ends at once."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from cds.store.report import feedback_by_rule
from cds.store.store import Store
from tests.hooks.process import CALL, SIGN, Service, service

BODY = json.dumps(CALL).encode()
HALF = len(BODY) // 2


@contextmanager
def half_sent(of: Service) -> Iterator[socket.socket]:
    """A call whose body has come only by half: it is in flight for as long as the test likes."""
    head = (
        f"POST /cds-services/{SIGN} HTTP/1.1\r\nHost: cds.test\r\nX-Request-ID: slow\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", of.port), timeout=60) as found:
        found.sendall(head.encode() + BODY[:HALF])
        of.until(lambda: of.metrics()["cds_requests_in_flight"] > 1)
        yield found


def answer_on(connection: socket.socket) -> bytes:
    data = b""
    while part := connection.recv(65_536):
        data += part
    return data


def is_refused(of: Service) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", of.port), timeout=5):
            return False
    except OSError:
        return True


def test_what_is_in_flight_is_answered_and_stored(tmp_path: Path) -> None:
    with service(tmp_path, "--workers", "2") as running:
        entry = {"card": "c1", "outcome": "accepted", "outcomeTimestamp": "2026-06-10T14:00:00Z"}
        told = httpx.post(f"{running.services}/{SIGN}/feedback", json={"feedback": [entry]})
        assert told.status_code == 200
        with half_sent(running) as slow:
            running.process.send_signal(signal.SIGTERM)
            running.until(lambda: is_refused(running))
            slow.sendall(BODY[HALF:])
            answer = answer_on(slow)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in answer.lower()
        assert b'"cards":' in answer
        assert running.process.wait(60) == 0
        assert running.events(event="call", request="slow", status=200)
        assert [event["code"] for event in running.events(state="ended")] == [0, 0]
    store = Store(f"sqlite:///{running.store}")
    assert feedback_by_rule(store)["unknown"].accepted == 1
    store.close()


def test_its_health_says_first_that_it_ends_and_a_second_signal_ends_it(tmp_path: Path) -> None:
    config = "  notice: 1 hours\n  grace: 1 hours\n"
    with service(tmp_path, config=config) as running, half_sent(running):
        running.process.send_signal(signal.SIGTERM)
        running.until(lambda: httpx.get(f"{running.url}/health").status_code == 503)
        assert running.health()["status"] == "draining"
        assert httpx.get(f"{running.url}/health/live").status_code == 200
        # It is only on its way out: calls that still come are answered.
        assert httpx.post(f"{running.services}/{SIGN}", json=CALL).status_code == 200
        assert running.process.poll() is None
        assert running.stop(signal.SIGINT) == 128 + signal.SIGTERM


def test_a_call_that_never_ends_is_cut_when_the_grace_is_over(tmp_path: Path) -> None:
    with service(tmp_path, config="  grace: 300 ms\n") as running, half_sent(running) as slow:
        assert running.stop() == 0
        answer = answer_on(slow)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"the service is ending" in answer


def test_nobody_who_reads_the_log_keeps_a_call_waiting(tmp_path: Path) -> None:
    # The log goes into a pipe that nobody reads: it is full after 64 KiB.
    with service(tmp_path, stuck=True) as running:
        with httpx.Client(timeout=30) as client:
            named = {"X-Request-ID": "x" * 64}
            for _ in range(400):
                answer = client.post(f"{running.services}/{SIGN}", content=b"{}", headers=named)
                assert answer.status_code == 400
        told = running.metrics()
        assert told[f'cds_calls_total{{service="{SIGN}",status="400"}}'] == 400
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0


UNFORKED = """
import cds.hooks.serving as serving
serving.can_supervise = lambda: False
from cds.cli import main
main()
"""


def test_where_nothing_can_be_forked_one_process_serves_and_ends_in_order(tmp_path: Path) -> None:
    with service(tmp_path, program=UNFORKED) as running, half_sent(running) as slow:
        assert running.health()["process"]["id"] == running.process.pid
        running.process.send_signal(signal.SIGTERM)
        running.until(lambda: is_refused(running))
        slow.sendall(BODY[HALF:])
        assert answer_on(slow).startswith(b"HTTP/1.1 200")
        assert running.process.wait(60) == 0
