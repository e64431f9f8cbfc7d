"""Who is let in: each check of a token, in the standard's order, and what a caller learns of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

import cds.hooks.replay
from cds.hooks.app import Options
from cds.hooks.settings import Issuer, Settings
from cds.store.tokens import Tokens
from tests.hooks.clients import (
    EHR,
    NOW,
    PUBLIC_URL,
    SIGN,
    Client,
    b64,
    bearer,
    key_set,
    reasons,
    site,
)
from tests.hooks.ehr import Ehr, review_of
from tests.records import draft, request

EC = Client()
RSA = Client(RSAKey.generate_key(2048), "k2")
OTHER = Client(ECKey.generate_key("P-384"), "k1")
CALL = json.dumps(
    request(draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5))
).encode()


@pytest.fixture
def ehr(tmp_path: Path) -> Ehr:
    return Ehr(options=Options(site(tmp_path / "keys.json", EC.jwk(), RSA.jwk())))


def call(ehr: Ehr, token: str | None, path: str = SIGN) -> httpx.Response:
    headers = bearer(token) if token is not None else {}
    return ehr.send("POST", path, content=CALL, headers=headers)


def assert_bare(answer: httpx.Response) -> None:
    """A 401 that says nothing but that a token is wanted."""
    assert answer.status_code == 401
    assert answer.content == b""
    assert set(answer.headers) <= {
        "www-authenticate", "cache-control", "content-length", "x-request-id", "vary",
        "access-control-allow-origin", "access-control-expose-headers",
    }  # fmt: skip
    assert answer.headers["www-authenticate"] == "Bearer"


def denied(ehr: Ehr, answer: httpx.Response, reason: str) -> None:
    assert_bare(answer)
    assert reasons(ehr.events) == [reason]
    metrics = ehr.send("GET", "/metrics").text
    assert f'cds_refused_total{{reason="{reason}"}} 1.0' in metrics


# -- let in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [EC, RSA], ids=["ES384", "RS384"])
def test_a_good_token_is_let_in(ehr: Ehr, client: Client) -> None:
    assert review_of(call(ehr, client.token()))["hook"] == "order-sign"
    discovery = ehr.send("GET", "/cds-services", headers=bearer(client.token("/cds-services")))
    assert discovery.json()["services"]
    assert reasons(ehr.events) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["https://else.example.org", PUBLIC_URL + SIGN]},
        {"exp": NOW + 300.5},
        {"exp": NOW - 20},  # clocks differ
        {"iat": NOW + 20},
        {"nbf": NOW + 20},
        {"exp": NOW + 10_000_000},
        {"tenant": "any", "sub": "u", "fhir": {"more": [1]}, "aud2": None},
    ],
)
def test_what_real_clients_say_is_taken(ehr: Ehr, changes: dict[str, Any]) -> None:
    assert call(ehr, EC.token(**changes)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [{"typ": "jwt"}, {"jku": "https://anywhere.example.org/keys"}, {"x": 1, "x5c": ["a"]}],
)
def test_header_parameters_that_decide_nothing_are_ignored(
    ehr: Ehr, changes: dict[str, Any]
) -> None:
    assert call(ehr, EC.signed(EC.header(**changes), EC.claims())).status_code == 200


def test_the_scheme_is_read_whatever_its_case(ehr: Ehr) -> None:
    headers = {"authorization": f"bearer  {EC.token()}"}
    assert ehr.send("POST", SIGN, content=CALL, headers=headers).status_code == 200


# -- turned away --------------------------------------------------------------------------------------

CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://evil.example.org"}, "iss"),
    ({"iss": EHR + "/"}, "iss"),
    ({"iss": None}, "iss"),
    ({"iss": [EHR]}, "iss"),
    ({"aud": None}, "aud"),
    ({"aud": PUBLIC_URL}, "aud"),
    ({"aud": PUBLIC_URL + SIGN + "/"}, "aud"),
    ({"aud": PUBLIC_URL + "/cds-services/ldn-patient-view"}, "aud"),
    ({"aud": (PUBLIC_URL + SIGN).upper()}, "aud"),
    ({"aud": "http://cds.example.org" + SIGN}, "aud"),
    ({"aud": [PUBLIC_URL + "/cds-services", 7]}, "aud"),
    ({"aud": {PUBLIC_URL + SIGN: 1}}, "aud"),
    ({"exp": None}, "exp"),
    ({"exp": NOW - 31}, "exp"),
    ({"exp": str(NOW + 300)}, "exp"),
    ({"exp": True}, "exp"),
    ({"exp": 10**30}, "exp"),
    ({"exp": -1}, "exp"),
    ({"iat": None}, "iat"),
    ({"iat": NOW + 31}, "iat"),
    ({"iat": NOW - 3700, "exp": NOW + 1000}, "exp"),  # no token counts for longer than an hour
    ({"nbf": NOW + 31}, "nbf"),
    ({"nbf": "now"}, "nbf"),
    ({"nbf": True}, "nbf"),
    ({"jti": None}, "jti"),
    ({"jti": ""}, "jti"),
    ({"jti": 7}, "jti"),
]


@pytest.mark.parametrize(("changes", "reason"), CLAIMS)
def test_each_claim_is_checked(ehr: Ehr, changes: dict[str, Any], reason: str) -> None:
    denied(ehr, call(ehr, EC.token(**changes)), reason)


HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"alg": "none"}, "alg"),
    ({"alg": "None"}, "alg"),
    ({"alg": "HS384"}, "alg"),
    ({"alg": "RS384"}, "kid"),  # the key of that name is for another algorithm
    ({"alg": "ES256"}, "alg"),
    ({"alg": "PS384"}, "alg"),
    ({"alg": ["ES384"]}, "alg"),
    ({"kid": None}, "kid"),
    ({"kid": ""}, "kid"),
    ({"kid": "k9"}, "kid"),
    ({"kid": {"k1": 1}}, "kid"),
    ({"kid": "../../keys.json"}, "kid"),
    ({"typ": None}, "typ"),
    ({"typ": "JWE"}, "typ"),
    ({"typ": 1}, "typ"),
    ({"crit": ["exp"]}, "crit"),
    ({"b64": False, "crit": ["b64"]}, "malformed"),  # its payload is read otherwise
    ({"b64": True}, "crit"),
    ({"x5c": 5}, "signature"),  # what the library finds wrong
]


@pytest.mark.parametrize(("changes", "reason"), HEADERS)
def test_each_header_parameter_is_checked(ehr: Ehr, changes: dict[str, Any], reason: str) -> None:
    denied(ehr, call(ehr, EC.signed(EC.header(**changes), EC.claims())), reason)


def unsigned() -> str:
    return f"{b64(EC.header(alg='none'))}.{b64(EC.claims())}."


def by_public_key() -> str:
    """The public key as a secret: the oldest confusion of algorithms."""
    text = f"{b64(RSA.header(alg='HS384'))}.{b64(RSA.claims())}"
    secret = RSA.key.as_pem(private=False)
    return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha384).digest())}"


def brought_along() -> str:
    """A key in the header is nobody's key."""
    return OTHER.signed(OTHER.header(jwk=OTHER.jwk(), kid="k9"), OTHER.claims())


def changed() -> str:
    head, _, seal = EC.token().split(".")
    return f"{head}.{b64(EC.claims(sub='x'))}.{seal}"


def encrypted() -> str:
    head = {"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "k2", "typ": "JWT"}
    return ".".join((b64(head), b64(b"key"), b64(b"iv"), b64(b"text"), b64(b"tag")))


FORGED: list[tuple[Callable[[], str], str]] = [
    (unsigned, "alg"),
    (by_public_key, "alg"),
    (brought_along, "kid"),
    (changed, "signature"),
    (OTHER.token, "signature"),
    (lambda: EC.token().rpartition(".")[0] + ".", "signature"),
    (lambda: EC.token().rpartition(".")[0] + "." + b64(bytes(96)), "signature"),
    (lambda: RSA.token().rpartition(".")[0] + "." + b64(bytes(256)), "signature"),
    (lambda: RSA.token().rpartition(".")[0] + "." + b64(b"short"), "signature"),
    (encrypted, "malformed"),
    (lambda: "", "malformed"),
    (lambda: "..", "malformed"),
    (lambda: EC.token() + ".x", "malformed"),
    (lambda: "=" + EC.token(), "malformed"),
    (lambda: EC.token(more="x" * 9000), "malformed"),
    (lambda: EC.signed(EC.header(x5c=["x" * 3000]), EC.claims(more="x" * 4000)), "malformed"),
    (lambda: EC.signed(["alg"], EC.claims()), "malformed"),
    (lambda: EC.signed("alg", EC.claims()), "malformed"),
    (lambda: EC.signed({"kid": "k1"}, EC.claims()), "malformed"),
    (lambda: EC.signed(EC.header(), [EC.claims()]), "malformed"),
    (lambda: EC.signed(EC.header(), b"[" * 4000), "malformed"),
    (lambda: EC.signed(b'{"alg":' + b"[" * 4000, EC.claims()), "malformed"),
    (lambda: EC.signed(EC.header(), b'{"iss": "' + b"\xff" + b'"}'), "malformed"),
    (lambda: EC.signed(EC.header(), b'{"exp": NaN}'), "malformed"),
]


@pytest.mark.parametrize(("forge", "reason"), FORGED)
def test_a_forged_token_is_turned_away(ehr: Ehr, forge: Callable[[], str], reason: str) -> None:
    denied(ehr, call(ehr, forge()), reason)


def test_the_header_must_be_one_bearer_token(ehr: Ehr) -> None:
    for headers, reason in (
        ([], "missing"),
        ([("authorization", "Basic YTpi")], "scheme"),
        ([("authorization", EC.token())], "scheme"),
        ([("authorization", f"Bearer {EC.token()}")] * 2, "scheme"),
        ([("authorization", "")], "scheme"),
        ([("cookie", f"token={EC.token()}")], "missing"),
    ):
        ehr.events.clear()
        assert_bare(ehr.send("POST", SIGN, content=CALL, headers=headers))
        assert reasons(ehr.events) == [reason]


def test_a_token_in_the_address_is_none(ehr: Ehr) -> None:
    denied(ehr, call(ehr, None, f"{SIGN}?access_token={EC.token()}"), "missing")


ORDER: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("iss", {"iss": "x"}, {}, True),
    ("aud", {"aud": "x"}, {}, True),
    ("exp", {"exp": NOW - 99}, {}, True),
    ("tenant", {"tenant": "x"}, {}, True),
    ("alg", {}, {"alg": "none"}, True),
    ("signature", {}, {}, False),
    ("jti", {"jti": None}, {}, True),
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_order_of_checks_is_the_standards(tmp_path: Path, first: int) -> None:
    ehr = Ehr(options=Options(site(tmp_path / "keys.json", EC.jwk(), tenants=("a",))))
    claims: dict[str, Any] = {"tenant": "a"}
    header: dict[str, Any] = {}
    good = True
    for _, changed_claims, changed_header, well_signed in ORDER[first:]:
        claims = {**claims, **changed_claims}
        header = {**header, **changed_header}
        good = good and well_signed
    signer = EC if good else OTHER
    denied(ehr, call(ehr, signer.signed(EC.header(**header), EC.claims(**claims))), ORDER[first][0])


@pytest.mark.parametrize("tenant", [None, "b", ["a"], {"a": 1}, ""])
def test_the_tenant_must_be_a_listed_one(tmp_path: Path, tenant: object) -> None:
    ehr = Ehr(options=Options(site(tmp_path / "keys.json", EC.jwk(), tenants=("a",))))
    assert call(ehr, EC.token(tenant="a")).status_code == 200
    denied(ehr, call(ehr, EC.token(tenant=tenant)), "tenant")


def test_the_log_names_an_issuer_that_is_listed_and_nothing_else(ehr: Ehr) -> None:
    call(ehr, EC.token(exp=NOW - 99, sub="SECRET", jti="SECRET"))
    call(ehr, EC.token(iss="https://SECRET.example.org"))
    call(ehr, EC.signed(EC.header(kid="SECRET"), EC.claims(sub="SECRET")))
    refused = [event for event in ehr.events if event["event"] == "refused"]
    assert [event.get("issuer") for event in refused] == [EHR, None, EHR]
    assert "SECRET" not in json.dumps(ehr.events)


# -- which addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/cds-services"),
        ("HEAD", "/cds-services"),
        ("POST", SIGN),
        ("POST", f"{SIGN}/feedback"),
        ("POST", "/cds-services/nothing"),
        ("GET", "/cds-services/"),
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
        ("GET", "/healthy"),
        ("PUT", "/metrics2"),
    ],
)
def test_every_address_needs_a_token(ehr: Ehr, method: str, path: str) -> None:
    denied(ehr, ehr.send(method, path), "missing")


def test_a_token_counts_for_its_own_address_alone(ehr: Ehr) -> None:
    assert_bare(call(ehr, EC.token(), f"{SIGN}/feedback"))
    assert_bare(call(ehr, EC.token(f"{SIGN}/feedback"), SIGN))
    assert call(ehr, EC.token(f"{SIGN}/feedback"), f"{SIGN}/feedback").status_code == 400
    assert call(ehr, EC.token("/nothing"), "/nothing").status_code == 404


def test_a_preflight_is_open(ehr: Ehr) -> None:
    wanted = {
        "origin": "https://sandbox.example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    answer = ehr.send("OPTIONS", SIGN, headers=wanted)
    assert answer.status_code == 200
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert ehr.send("OPTIONS", SIGN).status_code == 405


def test_a_browser_may_read_that_it_was_turned_away(ehr: Ehr) -> None:
    answer = ehr.send("POST", SIGN, headers={"origin": "https://sandbox.example.org"})
    assert_bare(answer)
    assert answer.headers["access-control-allow-origin"] == "*"


def test_health_and_metrics_are_open_unless_the_site_says_otherwise(tmp_path: Path) -> None:
    for open_pages, statuses in (
        (("health", "metrics"), [200, 200, 401]),
        (("health",), [200, 401, 401]),
        ((), [401, 401, 401]),
        (("page",), [401, 401, 200]),
    ):
        settings_ = site(tmp_path / "keys.json", EC.jwk(), open_pages=open_pages)
        ehr = Ehr(options=Options(settings_))
        found = [ehr.send("GET", path).status_code for path in ("/health", "/metrics", "/docs")]
        assert found == statuses
        assert_bare(ehr.send("GET", "/cds-services"))
        assert_bare(ehr.send("POST", SIGN))


def test_without_issuers_nobody_is_asked() -> None:
    assert Ehr().send("GET", "/cds-services").status_code == 200


# -- each token once ----------------------------------------------------------------------------------


def test_a_token_is_let_in_once(ehr: Ehr) -> None:
    token = EC.token()
    assert call(ehr, token).status_code == 200
    denied(ehr, call(ehr, token), "replayed")


def test_the_same_jti_in_another_token_is_the_same(ehr: Ehr) -> None:
    assert call(ehr, EC.token(jti="a", exp=NOW + 300)).status_code == 200
    denied(ehr, call(ehr, RSA.token(jti="a", exp=NOW + 3000)), "replayed")


def test_a_token_with_a_bad_signature_uses_up_nothing(ehr: Ehr) -> None:
    assert_bare(call(ehr, OTHER.token(jti="b")))
    assert call(ehr, EC.token(jti="b")).status_code == 200


def test_of_many_at_once_one_is_let_in(ehr: Ehr) -> None:
    token = EC.token()

    async def many(client: httpx.AsyncClient) -> list[int]:
        calls = (client.post(SIGN, content=CALL, headers=bearer(token)) for _ in range(8))
        return sorted(answer.status_code for answer in await asyncio.gather(*calls))

    assert ehr.run(many) == [200] + [401] * 7


def test_processes_that_share_a_store_let_a_token_in_once(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    settings_ = site(tmp_path / "keys.json", EC.jwk(), store=store)
    one, two = Ehr(options=Options(settings_)), Ehr(options=Options(settings_))
    token = EC.token()
    assert call(one, token).status_code == 200
    denied(two, call(two, token), "replayed")
    assert call(two, EC.token()).status_code == 200
    for ehr in (one, two):
        ehr.app.state.parts.door.close()
        ehr.app.state.parts.keeper.close()


def test_what_has_ended_is_forgotten_by_the_store(tmp_path: Path) -> None:
    tokens = Tokens(f"sqlite:///{tmp_path / 'store.db'}")
    assert tokens.take(b"a", until=1000, now=500)
    assert not tokens.take(b"a", until=1000, now=999)
    assert tokens.take(b"b", until=2000, now=1061)
    assert tokens.take(b"a", until=2000, now=1062)
    tokens.close()


def test_without_its_store_the_service_answers_and_remembers_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a file"
    folder.write_text("")
    store = f"sqlite:///{folder}/store.db"
    ehr = Ehr(options=Options(site(tmp_path / "keys.json", EC.jwk(), store=store)))
    token = EC.token()
    assert call(ehr, token).status_code == 200
    assert_bare(call(ehr, token))
    assert any(event["event"] == "tokens" for event in ehr.events)
    assert "cds_tokens_alone_total 1.0" in ehr.send("GET", "/metrics").text
    ehr.app.state.parts.door.close()
    ehr.app.state.parts.keeper.close()


def test_a_store_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    monkeypatch.setattr(Tokens, "take", lambda *_: held.wait(30))
    monkeypatch.setattr(cds.hooks.replay, "WAIT_SECONDS", 0.01)
    store = f"sqlite:///{tmp_path / 'store.db'}"
    ehr = Ehr(options=Options(site(tmp_path / "keys.json", EC.jwk(), store=store)))
    try:

        async def two(client: httpx.AsyncClient) -> list[int]:
            headers = (bearer(EC.token()) for _ in range(2))
            found = [await client.post(SIGN, content=CALL, headers=item) for item in headers]
            held.set()
            return [answer.status_code for answer in found]

        assert ehr.run(two) == [200, 200]
    finally:
        held.set()
        ehr.app.state.parts.door.close()
        ehr.app.state.parts.keeper.close()
    assert [event for event in ehr.events if event["event"] == "tokens"] == [
        {"event": "tokens", "error": "it did not answer in time"}
    ]


def test_the_memory_of_tokens_is_bounded() -> None:
    memory = cds.hooks.replay.Memory(most=100)
    for number in range(1000):
        assert memory.take(b"%d" % number, until=NOW + number, now=NOW)
        assert len(memory) <= 100
    assert not memory.take(b"999", until=NOW, now=NOW)
    assert memory.take(b"x", until=NOW + 5000, now=NOW + 4000)
    assert len(memory) == 1


# -- no token breaks the service ----------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
CLAIM = st.sampled_from(["iss", "aud", "exp", "iat", "nbf", "tenant", "jti", "sub"])
PARAMETER = st.sampled_from(
    ["alg", "kid", "typ", "jku", "crit", "b64", "jwk", "x5c", "x5u", "cty", "enc"]
)
FUZZ = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(
    header=st.dictionaries(PARAMETER, JSON, min_size=1),
    claims=st.dictionaries(CLAIM, JSON, min_size=1),
)
def test_any_header_and_any_claims(
    ehr: Ehr, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    token = EC.signed({**EC.header(), **header}, {**EC.claims(), **claims})
    if len(token) < 7000:
        assert call(ehr, token).status_code in (200, 401)
    assert "fault" not in reasons(ehr.events)


@FUZZ
@given(st.binary(max_size=300), st.sampled_from(["Bearer ", "bearer\t", ""]))
def test_any_bytes(ehr: Ehr, junk: bytes, scheme: str) -> None:
    texts = [
        base64.urlsafe_b64encode(junk).decode(),
        re.sub(r"[^!-~]", ".", junk.decode("latin-1")),
    ]
    for text in texts:
        assert_bare(ehr.send("POST", SIGN, content=CALL, headers={"authorization": scheme + text}))
    assert "fault" not in reasons(ehr.events)


# -- keys ---------------------------------------------------------------------------------------------


BAD_KEYS: list[dict[str, Any]] = [
    EC.jwk(use="enc"),
    EC.jwk(alg="ES256"),
    EC.jwk(key_ops=["sign"]),
    EC.jwk(key_ops="verify"),
    EC.jwk(kid=None),
    EC.jwk(kid=7),
    EC.jwk(kty="oct", k="AAAA"),
    EC.jwk(kty=["EC"]),
    EC.jwk(crv="P-256"),
    EC.jwk(x="AAAA"),
    EC.jwk(x=5),
    EC.jwk(y="*"),
    {**Client(ECKey.generate_key("P-256"), "k1").jwk()},
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_is_not_for_this_checks_nothing(tmp_path: Path, key: dict[str, Any]) -> None:
    ehr = Ehr(options=Options(site(tmp_path / "keys.json", key, RSA.jwk())))
    denied(ehr, call(ehr, EC.token()), "kid")
    assert call(ehr, RSA.token()).status_code == 200


def test_a_weak_key_checks_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library says so too
        client = Client(RSAKey.generate_key(1024), "k3")
    ehr = Ehr(options=Options(site(tmp_path / "keys.json", client.jwk())))
    denied(ehr, call(ehr, client.token()), "kid")


def test_a_set_with_private_keys_and_strangers_is_read(tmp_path: Path) -> None:
    private = {**EC.key.as_dict(private=True), "kid": "k1"}
    keys = ["x", None, {}, {"kty": "ML-DSA"}, private]
    ehr = Ehr(options=Options(site(tmp_path / "keys.json", *keys)))
    assert call(ehr, EC.token()).status_code == 200


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ehr = Ehr(options=Options(site(path, EC.jwk())))
    new = Client(kid="new")
    assert_bare(call(ehr, new.token()))
    path.write_bytes(key_set(new.jwk()))
    assert call(ehr, new.token()).status_code == 200
    assert_bare(call(ehr, EC.token()))
    path.write_bytes(b"{half of it")
    assert call(ehr, new.token()).status_code == 200
    path.unlink()
    assert call(ehr, new.token()).status_code == 200
    assert [event["error"] for event in ehr.events if event["event"] == "keys"] == [
        "is no JSON", "FileNotFoundError",
    ]  # fmt: skip


def test_the_key_of_one_issuer_is_no_key_of_another(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(key_set(EC.jwk()))
    (tmp_path / "b.json").write_bytes(key_set(OTHER.jwk()))
    issuers = (
        Issuer(EHR, tmp_path / "a.json"),
        Issuer("https://b.example.org", tmp_path / "b.json"),
    )
    ehr = Ehr(options=Options(Settings(public_url=PUBLIC_URL, issuers=issuers)))
    assert call(ehr, OTHER.token(iss="https://b.example.org")).status_code == 200
    denied(ehr, call(ehr, EC.token(iss="https://b.example.org")), "signature")
