"""`cds serve` as a site runs it without a proxy: TLS and tokens; and what it does not start with."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from cds.hooks.doorstep import Address, Unservable, check_auth
from cds.hooks.settings import Issuer, Settings
from cds.hooks.tls import Tls, TlsError, read_tls
from tests.hooks.clients import EHR, PUBLIC_URL, SIGN, Client, bearer, key_set
from tests.hooks.ehr import check_response
from tests.hooks.test_serve import CALL, serving, started

CLIENT = Client()
MORE_HEADERS = {f"x-{number}": "y" for number in range(101)}


def write_certificate(folder: Path, name: str = "server", password: bytes = b"") -> Tls:
    """A certificate of its own for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    sealing = BestAvailableEncryption(password) if password else NoEncryption()
    found = Tls(folder / f"{name}.pem", folder / f"{name}.key")
    found.certificate.write_bytes(made.public_bytes(Encoding.PEM))
    found.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing))
    return found


def write_site(folder: Path, client: Client) -> Path:
    """A configuration with one client and a store."""
    (folder / "ehr.json").write_bytes(key_set(client.jwk()))
    config = folder / "site.yaml"
    config.write_text(
        f"""\
timezone: UTC
service:
  public-url: {PUBLIC_URL}
  issuers: [{{iss: {EHR}, keys: ehr.json}}]
  store: sqlite:///{folder}/store.db
""",
        encoding="utf-8",
    )
    return config


@dataclass
class Site:
    url: str
    port: int
    context: ssl.SSLContext
    folder: Path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    tls = write_certificate(folder)
    config = write_site(folder, CLIENT)
    options = (
        "--config",
        str(config),
        "--tls-cert",
        str(tls.certificate),
        "--tls-key",
        str(tls.key),
    )
    with serving(*options) as (address, process):
        port = int(address.rpartition(":")[2].partition("/")[0])
        context = ssl.create_default_context(cafile=str(tls.certificate))
        yield Site(address.removesuffix("/cds-services"), port, context, folder)
        process.terminate()
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "not checked" not in err
        events = [json.loads(line) for line in err.splitlines()]
        assert {event.get("reason") for event in events if event["event"] == "refused"} == {
            "missing",
            "replayed",
        }
        assert "Traceback" not in err


def test_calls_are_answered_over_tls_to_those_who_belong(running: Site) -> None:
    assert running.url.startswith("https://127.0.0.1:")
    with httpx.Client(verify=running.context, timeout=60) as client:
        now = datetime.now(UTC).timestamp()
        headers = bearer(CLIENT.token(iat=now, exp=now + 300))
        answer = client.post(running.url + SIGN, json=CALL, headers=headers)
        check_response(answer)
        assert answer.json()["cards"]
        assert client.post(running.url + SIGN, json=CALL, headers=headers).status_code == 401
        assert client.get(running.url + "/cds-services").status_code == 401
        assert client.get(running.url + "/health").json()["status"] == "ok"
        crowded = client.post(running.url + SIGN, json=CALL, headers=MORE_HEADERS)
        assert crowded.status_code == 431
    written = b"".join(path.read_bytes() for path in running.folder.glob("store.db*"))
    assert headers["authorization"].encode() not in written
    assert b"jti-" not in written


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_tls_is_not_spoken(running: Site) -> None:
    context = ssl.create_default_context(cafile=str(running.folder / "server.pem"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    raw = socket.create_connection(("127.0.0.1", running.port), timeout=30)
    with raw, pytest.raises((ssl.SSLError, ConnectionResetError)):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_what_is_no_tls_gets_nothing(running: Site) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            answer = raw.recv(1000)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 200")


# -- starts -------------------------------------------------------------------------------------------


def test_the_files_must_fit(tmp_path: Path) -> None:
    one, two = write_certificate(tmp_path), write_certificate(tmp_path, "other")
    locked = write_certificate(tmp_path, "locked", b"secret")
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.write_bytes(b"")
    assert read_tls(None, None) is None
    assert read_tls(one.certificate, one.key) == one
    for certificate, key, told in (
        (one.certificate, None, "--tls-key is missing; accepted: both --tls-cert and --tls-key"),
        (None, one.key, "--tls-cert is missing"),
        (missing, one.key, f"--tls-cert: there is no file {missing}"),
        (one.certificate, missing, f"--tls-key: there is no file {missing}"),
        (
            one.certificate,
            two.key,
            "cannot be used (KEY_VALUES_MISMATCH); accepted: a certificate and the key",
        ),
        (empty, one.key, "cannot be used ("),
        (one.key, one.certificate, "cannot be used ("),
        (locked.certificate, locked.key, "in PEM, without a password"),
    ):
        with pytest.raises(TlsError) as error:
            read_tls(certificate, key)
        assert told in str(error.value)


def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    tls = write_certificate(tmp_path, password=b"secret")
    done = started("--port", "0", "--tls-cert", str(tls.certificate), "--tls-key", str(tls.key))
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


ANYWHERE, HERE = Address("0.0.0.0", 0), Address("127.0.0.1", 0)


def test_when_tokens_are_checked(tmp_path: Path) -> None:
    tls = write_certificate(tmp_path)
    keys = tmp_path / "keys.json"
    keys.write_bytes(key_set(CLIENT.jwk()))
    named = Settings(public_url=PUBLIC_URL, issuers=(Issuer(EHR, keys),))
    for auth in (None, "jwt"):
        assert check_auth(auth, HERE, named, None) == ""
        assert check_auth(auth, ANYWHERE, named, tls) == ""
        assert "no TLS on 0.0.0.0" in check_auth(auth, ANYWHERE, named, None)
    assert "not checked" in check_auth(None, HERE, Settings(), tls)
    assert "not checked" in check_auth("none", ANYWHERE, Settings(), tls)
    for auth, address, settings, told in (
        ("none", HERE, named, "--auth none: the configuration names issuers"),
        ("jwt", HERE, Settings(), "--auth jwt: no issuer is named"),
        (None, ANYWHERE, Settings(), "accepted: a loopback address"),
    ):
        with pytest.raises(Unservable) as error:
            check_auth(auth, address, settings, tls)
        assert told in str(error.value)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (None, "no such file or directory"),
        (b"{", "is no JSON"),
        (b"[]", "is no JWK Set"),
        (b'{"keys": []}', "holds no key for ES384 or RS384 with a kid"),
        (b" " * 300_000, "has more than 262144 bytes"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_read_stop_the_start(
    tmp_path: Path, body: bytes | None, told: str
) -> None:
    keys = tmp_path / "keys.json"
    if body is not None:
        keys.write_bytes(body)
    settings = Settings(public_url=PUBLIC_URL, issuers=(Issuer(EHR, keys),))
    with pytest.raises(Unservable) as error:
        check_auth(None, HERE, settings, None)
    assert f"the keys of issuer {EHR} cannot be read: {keys}: {told}" in str(error.value)
