"""Nothing of a record, a token or a caller in what is written: markers in every field, then a search.

A 200 goes to whoever sent the record and may hold it; everything else may not: the log, metrics,
health, the bodies of errors, and the store beyond what feedback says itself.
"""

from __future__ import annotations

import gzip
import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import cds.hooks.desk
from cds.hooks.app import Options
from cds.hooks.calls import Limits
from cds.hooks.settings import Rate, Settings
from tests.hooks.clients import PUBLIC_URL, SIGN, Client, bearer, site
from tests.hooks.ehr import Ehr
from tests.hooks.test_serve import serving
from tests.hooks.test_tls import write_site
from tests.records import Json, draft, order, person, request, searchset

MARK = "ZQX"
"""Stands in every field; nothing else here has these letters in a row."""
NUMBER = "77553311"
"""Stands in every number."""

CLIENT = Client()
CLAIMS: dict[str, Any] = {
    "sub": f"{MARK}sub",
    "tenant": f"{MARK}tenant",
    "more": {f"{MARK}k": f"{MARK}v"},
}
HEADERS = {
    "user-agent": f"{MARK}agent",
    "cookie": f"a={MARK}",
    "referer": f"https://{MARK}.example.org/Patient/{MARK}",
    "x-forwarded-for": f"{MARK}, 10.0.0.9",
    f"x-{MARK}": MARK,
}


def record() -> Json:
    """A call about a patient of whom everything is marked, with a card to come of it."""
    name = f"{MARK}-1"
    patient = person(
        name,
        identifier=[{"system": f"urn:{MARK}", "value": NUMBER}],
        telecom=[{"system": "phone", "value": NUMBER}],
        address=[{"line": [f"{MARK} street"], "city": MARK, "postalCode": NUMBER}],
    )
    called = {"family": f"{MARK}family", "given": [f"{MARK}given"], "text": f"{MARK} text"}
    patient["name"] = [called]
    known = order(
        f"{MARK}-o1", f"oxycodone 5 MG Oral Tablet {MARK}", name,
        note=[{"text": f"{MARK} note"}], requester={"display": f"{MARK} doctor"},
        dosageInstruction=[{"text": f"{MARK} by mouth", "additionalInstruction": [{"text": MARK}]}],
    )  # fmt: skip
    odd = order(f"{MARK}-o2", MARK, name, authoredOn=f"{MARK}-date", status=f"{MARK}status")
    written = draft(f"{MARK}-d1", f"naltrexone 1.5 MG Oral Capsule {MARK}", 1.5, name)
    found = request(
        written, patientId=name, userId=f"Practitioner/{MARK}", encounterId=MARK,
        prefetch={"patient": patient, "MedicationRequest": searchset(known, odd)},
    )  # fmt: skip
    found["hookInstance"] = f"{MARK}-instance"
    found["fhirServer"] = f"https://{MARK}.example.org/fhir"
    found["fhirAuthorization"] = {
        "access_token": f"{MARK}token", "token_type": "Bearer", "expires_in": 300,
        "scope": f"patient/{MARK}.read", "subject": f"{MARK}client", "patient": name,
    }  # fmt: skip
    found["extension"] = {f"org.{MARK}": {MARK: MARK}}
    found[f"more{MARK}"] = [MARK]
    return found


def changed(*path: str, to: object) -> Json:
    found = record()
    inner = found
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return found


def entry(**changes: object) -> Json:
    usual = {
        "card": f"{MARK}-card", "outcome": "overridden", "outcomeTimestamp": "2026-06-10T14:05:00Z",
        "overrideReason": {
            "reason": {"code": f"{MARK}code", "system": f"urn:{MARK}", "display": MARK},
            "userComment": f"{MARK} comment {NUMBER}",
        },
        "acceptedSuggestions": [{"id": f"{MARK}-suggestion"}],
    }  # fmt: skip
    return {**usual, **changes}


def said(*entries: object) -> Json:
    return {"feedback": list(entries), f"more{MARK}": MARK}


FEEDBACK = SIGN + "/feedback"

# What is sent, and the status that comes of it where callers must bring a token.
CALLS: list[tuple[str, object, int]] = [
    (SIGN, record(), 200),
    (SIGN, f'{{"name": "{MARK}", {MARK}'.encode(), 400),
    (SIGN, f'{{"name": {NUMBER}e{NUMBER}{NUMBER}, "n": -{MARK}}}'.encode(), 400),
    (SIGN, f"{MARK}\xff".encode("latin-1"), 400),
    (SIGN, [record()], 400),
    (SIGN, f'{{"{MARK}":'.encode() + b"[" * 100_000, 400),
    (SIGN, changed("hook", to=7), 400),
    (SIGN, changed("context", to=MARK), 400),
    (SIGN, changed("context", "patientId", to=[MARK]), 400),
    (SIGN, changed("context", "patientId", to="Patient/"), 400),
    (SIGN, changed("context", "draftOrders", to=MARK), 400),
    (SIGN, changed("prefetch", to=MARK), 400),
    (SIGN, changed("prefetch", "patient", to=None), 412),
    (SIGN, changed("prefetch", "patient", to=person(f"{MARK}-other")), 412),
    (SIGN, changed("prefetch", "patient", to={**person(), "id": MARK, "birthDate": MARK}), 412),
    (SIGN, changed("prefetch", "patient", to={"resourceType": MARK}), 412),
    (SIGN, changed("context", "draftOrders", to={MARK: MARK}), 200),
    (f"/{MARK}", record(), 404),
    (f"{SIGN}/{MARK}", record(), 404),
    (f"{SIGN}?patient={MARK}", record(), 200),
    (FEEDBACK, said(entry()), 200),
    (FEEDBACK, said(entry(outcome=MARK)), 400),
    (FEEDBACK, said(entry(card=f"{MARK} {MARK}")), 400),
    (FEEDBACK, said(entry(outcomeTimestamp=MARK)), 400),
    (FEEDBACK, said(entry(acceptedSuggestions=[{"id": f"{MARK} "}]), MARK, {MARK: MARK}), 200),
    (FEEDBACK, {"feedback": MARK}, 400),
    (FEEDBACK, f'{{"feedback": [{{"userComment": "{MARK}'.encode(), 400),
]
BAD_TOKENS: list[Callable[[], str]] = [
    lambda: f"{MARK}.{MARK}.{MARK}",
    lambda: CLIENT.token(iss=f"https://{MARK}.example.org"),
    lambda: CLIENT.token(aud=f"https://{MARK}.example.org"),
    lambda: CLIENT.token(exp=1, **CLAIMS),
    lambda: CLIENT.token(jti=f"{MARK}jti", **CLAIMS),
    lambda: CLIENT.signed(CLIENT.header(kid=f"{MARK}kid"), CLIENT.claims()),
    lambda: CLIENT.signed(CLIENT.header(jku=f"https://{MARK}.example.org"), CLIENT.claims(exp=2)),
    lambda: CLIENT.signed(CLIENT.header(alg=MARK), CLIENT.claims()),
    lambda: CLIENT.token(**CLAIMS)[:-9] + MARK,
]


def find(text: str, where: str) -> None:
    """Fails where a marker is, in any case."""
    for mark in (MARK, NUMBER):
        at = text.upper().find(mark)
        assert at < 0, f"{where}: …{text[max(0, at - 200) : at + 60]}…"


class Wire:
    """Sends marked calls, and keeps what must hold no marker."""

    def __init__(self, send: Callable[..., httpx.Response]) -> None:
        self.send, self.numbers = send, 0

    def post(self, path: str, body: object, token: str | None = None, **more: str) -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.numbers += 1
        plain = path.partition("?")[0]
        token = token or CLIENT.token(plain, jti=f"{MARK}-{self.numbers}", **CLAIMS)
        headers = {**HEADERS, **bearer(token), **more}
        answer = self.send("POST", path, content=content, headers=headers)
        find(str(answer.headers), f"the headers of {path}")
        if answer.status_code != 200 or path.endswith("/feedback"):
            find(answer.text, f"the body of {answer.status_code} at {path}")
        return answer.status_code

    def pages(self) -> None:
        for path in ("/metrics", "/health"):
            answer = self.send("GET", path, headers=HEADERS)
            assert answer.status_code == 200
            find(answer.text, path)


@contextmanager
def watched(ehr: Ehr, capfd: pytest.CaptureFixture[str]) -> Iterator[Wire]:
    """The service in this process, with every logger on; all that was written is searched."""
    root = logging.getLogger()
    handler, level = logging.StreamHandler(sys.stderr), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    wire = Wire(ehr.send)
    try:
        yield wire
        wire.pages()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        ehr.app.state.parts.door.close()
        if ehr.app.state.parts.keeper is not None:
            ehr.app.state.parts.keeper.wait()
            ehr.app.state.parts.keeper.close()
    find(json.dumps(ehr.events), "the log")
    written = capfd.readouterr()
    # The test's own client is in this process, and writes the addresses that it asks.
    lines = [line for line in written.err.splitlines() if not line.startswith("HTTP Request: ")]
    find(written.out + "\n".join(lines), "what was printed")


def with_store(folder: Path, **more: Any) -> Settings:
    return site(
        folder / "keys.json", CLIENT.jwk(), store=f"sqlite:///{folder / 'store.db'}", **more
    )


def test_every_kind_of_answer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ehr = Ehr(options=Options(with_store(tmp_path)))
    with watched(ehr, capfd) as wire:
        for path, body, status in CALLS:
            assert wire.post(path, body) == status, path
        for forge in BAD_TOKENS:
            assert wire.post(SIGN, record(), forge()) in (200, 401)
            assert wire.post(f"/{MARK}?a={MARK}", record(), forge()) == 401
        zipped = gzip.compress(json.dumps(record()).encode())
        assert wire.post(SIGN, zipped[:-9], **{"content-encoding": "gzip"}) == 400
        assert wire.post(SIGN, MARK.encode(), **{"content-encoding": "gzip"}) == 400
    assert len(ehr.events) > len(CALLS)
    feedback = (
        f"{MARK}code",
        f"{MARK} comment",
        f"urn:{MARK}",
        f"{MARK}-card",
        f"{MARK}-suggestion",
    )
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*")).decode("latin-1")
    assert f"{MARK} comment {NUMBER}" in stored
    for words in feedback:
        stored = stored.replace(words, "").replace(words.lower(), "")
    find(stored.replace(NUMBER, ""), "the store")


def test_what_is_said_of_the_callers_own_words(capfd: pytest.CaptureFixture[str]) -> None:
    """Hook, service and encoding are repeated to the caller, shortened; never in the log."""
    ehr = Ehr()
    answers = [
        ehr.call(changed("hook", to=MARK * 100)),
        ehr.call(record(), MARK * 100),
        ehr.send("POST", SIGN, content=b"{}", headers={"content-encoding": MARK * 100}),
    ]
    assert [answer.status_code for answer in answers] == [400, 404, 415]
    assert all(answer.text.upper().count(MARK) <= 20 for answer in answers)
    find(json.dumps(ehr.events), "the log")


def test_a_fault_of_our_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> object:
        raise ValueError(f"{MARK} of {record()}")

    with watched(Ehr(options=Options(with_store(tmp_path))), capfd) as wire:
        monkeypatch.setattr(cds.hooks.desk, "judge", fails)
        assert wire.post(SIGN, record()) == 500
        monkeypatch.setattr(cds.hooks.desk, "read_feedback", fails)
        assert wire.post(FEEDBACK, said(entry())) == 500
        monkeypatch.setattr("cds.hooks.guard.check_claims", fails)
        assert wire.post(SIGN, record()) == 401


def test_no_room_too_large_too_often_and_no_store(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys.json"
    crowded = Options(site(keys, CLIENT.jwk()), Limits(max_calls=0))
    with watched(Ehr(options=crowded), capfd) as wire:
        assert wire.post(SIGN, record()) == 503
    small = Options(site(keys, CLIENT.jwk(), max_bytes=1000))
    with watched(Ehr(options=small), capfd) as wire:
        assert wire.post(SIGN, record()) == 413
        assert wire.post(FEEDBACK, said(entry())) == 501
    seldom = Options(site(keys, CLIENT.jwk(), rate=Rate(1, 3600)))
    with watched(Ehr(options=seldom), capfd) as wire:
        assert [wire.post(SIGN, record()) for _ in range(2)] == [200, 429]
        assert [wire.post(SIGN, record(), BAD_TOKENS[0]()) for _ in range(2)] == [401, 429]


def test_a_store_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / MARK.lower().replace("z", "s")
    folder.write_text("")
    settings = site(tmp_path / "keys.json", CLIENT.jwk(), store=f"sqlite:///{folder}/store.db")
    with watched(Ehr(options=Options(settings)), capfd) as wire:
        assert wire.post(SIGN, record()) == 200
        assert wire.post(FEEDBACK, said(entry())) == 503


def test_the_running_service(tmp_path: Path) -> None:
    """The same over sockets: all that the process writes while it lives."""
    config = write_site(tmp_path, CLIENT)
    with serving("--config", str(config)) as (address, process):
        base = address.removesuffix("/cds-services")
        with httpx.Client(base_url=base, timeout=60) as client:
            wire = Wire(client.request)
            for path, body, _ in CALLS:
                token = CLIENT.token(
                    path.partition("?")[0], jti=f"{MARK}-{wire.numbers}", **now(), **CLAIMS
                )
                assert wire.post(path, body, token) != 500
            for forge in BAD_TOKENS:
                assert wire.post(SIGN, record(), forge()) == 401
            wire.pages()
        port = int(base.rpartition(":")[2])
        for raw in (
            f"{MARK}\r\n\r\n",
            f"POST /{MARK} HTTP/1.1\r\n{MARK}\r\n\r\n",
            f"POST /{MARK} HTTP/1.1\r\nAuthorization: Bearer {MARK}\r\nX: {MARK * 20_000}\r\n\r\n",
            f"GET /{MARK} HTTP/1.1\r\nHost: {MARK}\r\nConnection: upgrade, close\r\nUpgrade: {MARK}\r\n\r\n",
            f"POST {SIGN} HTTP/1.1\r\nContent-Length: 10\r\n\r\n{MARK}",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(raw.encode())
                connection.shutdown(socket.SHUT_WR)
                find(connection.recv(65536).decode(), "what is no request")
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert len(err.splitlines()) > len(CALLS)
    find(out + err, "what the service wrote")
    assert "Traceback" not in err


def now() -> dict[str, Any]:
    from datetime import UTC, datetime

    moment = datetime.now(UTC).timestamp()
    return {"iat": moment, "exp": moment + 300}


def test_the_search_finds_what_it_should() -> None:
    for text in (MARK, f"x{MARK.lower()}y", f"1{NUMBER}2"):
        with pytest.raises(AssertionError):
            find(text, "here")
    assert json.dumps(record()).count(MARK) > 30
    assert PUBLIC_URL.upper().find(MARK) < 0
