"""`cds serve` as a process of its own: real sockets, signals, and what is refused at start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.hooks.ehr import check_response
from tests.records import ROOT, draft, order, request, searchset

COMMAND = (sys.executable, "-m", "cds", "serve")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
CALL = request(
    draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5),
    prefetch={"MedicationRequest": searchset(order("o1", "oxycodone 5 MG Oral Tablet"))},
)


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A running service with its address; killed if the test did not end it."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.endswith("/cds-services"), process.communicate(timeout=20)
        yield address, process
    finally:
        process.kill()
        process.communicate()


def started(*options: str) -> subprocess.CompletedProcess[str]:
    """A start that ends by itself."""
    return subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_ends_in_order(number: signal.Signals) -> None:
    with serving("--timezone", "America/New_York") as (address, process):
        assert address.startswith("http://127.0.0.1:")
        services = httpx.get(address, timeout=30).json()["services"]
        assert {service["hook"] for service in services} >= {"order-sign", "patient-view"}
        answer = httpx.post(f"{address}/ldn-order-sign", json=CALL, timeout=30)
        assert answer.status_code == 200
        check_response(answer)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == ""
    warning, *events = err.splitlines()
    assert "callers are not checked" in warning
    (event,) = [found for found in map(json.loads, events) if found["event"] == "call"]
    assert (event["service"], event["status"]) == ("ldn-order-sign", 200)
    assert not any(word in err for word in ("p1", "oxycodone", "Traceback"))


def test_a_port_in_use_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = started("--port", port)
    assert done.returncode == 2
    assert (
        f"cannot listen on 127.0.0.1:{port}: address already in use; accepted: a free --port"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--host", "0.0.0.0"), "callers are not checked; accepted: a loopback address"),
        (("--host", "example.org"), "callers are not checked; accepted: a loopback address"),
        (("--auth", "jwt"), "no issuer is named, so nobody could call; accepted: a --config with"),
        (("--auth", "jwt", "--host", "0.0.0.0"), "no issuer is named, so nobody could call"),
        (("--auth", "basic"), "--auth: 'basic' is not accepted; accepted: jwt, none"),
        (("--host", "no such host", "--auth", "none"), "no such address"),
        (("--rules", "nowhere"), "there is no such folder"),
    ],
)  # fmt: skip
def test_what_is_never_served(options: tuple[str, ...], told: str) -> None:
    done = started("--port", "0", *options)
    assert done.returncode == 2
    assert done.stdout == ""
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_configuration_that_names_issuers_is_not_served_open(tmp_path: Path) -> None:
    config = tmp_path / "site.yaml"
    config.write_text("timezone: UTC\nissuers: [https://ehr.example.org]\n", encoding="utf-8")
    done = started("--port", "0", "--config", str(config))
    assert done.returncode == 2
    assert "issuers" in done.stderr


def test_another_address_is_served_when_told_so() -> None:
    with serving("--host", "0.0.0.0", "--auth", "none") as (address, process):
        port = address.rpartition(":")[2].partition("/")[0]
        assert httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).json()["status"] == "ok"
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert "not checked (no authentication) on 0.0.0.0" in err


def test_what_is_no_http_gets_no_traceback() -> None:
    with serving() as (address, process):
        port = int(address.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(b"Maria\x00\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 400")
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    events = [json.loads(line) for line in err.splitlines() if not line.startswith("cds: ")]
    told = [(event["event"], event["level"]) for event in events if event["event"] != "worker"]
    assert told == [("server", "warning")]
    assert "Maria" not in err


def test_a_body_beyond_the_limit_is_answered() -> None:
    with serving() as (address, _):
        answer = httpx.post(f"{address}/ldn-order-sign", content=b" " * 27_000_000, timeout=60)
        assert answer.status_code == 413
        assert httpx.post(f"{address}/ldn-order-sign", json=CALL, timeout=60).status_code == 200


def test_the_command_line_does_not_load_the_server() -> None:
    code = "import cds.cli, sys; print([name for name in ('fastapi', 'uvicorn') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    assert done.stdout.strip() == "[]"
