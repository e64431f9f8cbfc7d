"""The one way out: listed origins alone, at addresses that were checked, within limits."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cds.hooks.addresses import allowed_address
from cds.hooks.egress import (
    Allowance,
    Broken,
    Egress,
    EgressError,
    NotAllowed,
    Page,
    Redirected,
    Resolve,
    TooLarge,
    TooSlow,
)
from cds.hooks.settings import FhirServer
from tests.hooks.fhir_server import (
    LOOPBACK,
    Asked,
    Server,
    Writer,
    dies_after,
    hangs,
    hangs_after,
    http,
    says,
)

NAME = "fhir.hospital.test"
EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))
UNHURRIED = Allowance(seconds=20)
BRIEF = Allowance(seconds=0.05)


def run(
    server: Server, work: Callable[[Egress], Awaitable[Any]], egress: Egress | None = None
) -> Any:
    egress = egress or Egress((server.listed(),))

    async def go() -> Any:
        async with server.running():
            try:
                return await work(egress)
            finally:
                await egress.close()

    return asyncio.run(go())


def got(server: Server, address: str = "", egress: Egress | None = None, **more: Any) -> Page:
    more.setdefault("allowance", UNHURRIED)
    found: Page = run(server, lambda each: each.get(address or f"{server.base}/x", **more), egress)
    return found


def resolving(*answers: Sequence[str]) -> tuple[Resolve, list[str]]:
    """A resolver that gives each answer once, the last one for ever; and the names it was asked."""
    names: list[str] = []

    async def resolve(host: str, _: int) -> Sequence[str]:
        names.append(host)
        return answers[min(len(names), len(answers)) - 1]

    return resolve, names


def named(server: Server, networks: Any = LOOPBACK) -> tuple[str, FhirServer]:
    """The server under a name, at which the resolver decides where it is."""
    origin = f"http://{NAME}:{server.port}"
    return f"{origin}/fhir/x", FhirServer(origin, networks, plain_http=True)


# -- which addresses ----------------------------------------------------------------------------------


NEVER = (
    "169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "224.0.0.1",
    "239.255.255.255", "ff02::1", "255.255.255.255", "", "localhost", "0x7f.1", "127.1", "2130706433", "[::1]",
)  # fmt: skip


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_are_never_connected_to(text: str) -> None:
    assert allowed_address(text, EVERYTHING) == ""


@pytest.mark.parametrize(
    ("text", "network", "plain"),
    [
        ("127.0.0.1", "127.0.0.0/8", "127.0.0.1"),
        ("::1", "::1/128", "::1"),
        ("10.1.2.3", "10.0.0.0/8", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.0.0.0/8", "10.1.2.3"),
        ("192.168.1.1", "192.168.0.0/16", "192.168.1.1"),
        ("100.64.0.1", "100.64.0.0/10", "100.64.0.1"),
        ("fd00::1", "fd00::/8", "fd00::1"),
    ],
)
def test_a_private_address_is_connected_to_where_it_is_named(
    text: str, network: str, plain: str
) -> None:
    assert allowed_address(text, ()) == ""
    assert allowed_address(text, (ip_network("203.0.113.0/24"),)) == ""
    assert allowed_address(text, (ip_network(network),)) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("2606:4700::1111", "2606:4700::1111"),
        ("64:ff9b::808:808", "64:ff9b::808:808"),
    ],
)
def test_a_public_address_is_connected_to(text: str, plain: str) -> None:
    assert allowed_address(text, ()) == plain


@pytest.mark.parametrize(
    "text", ["64:ff9b::a00:1", "2002:a00:1::1", "::10.0.0.1", "2001:0:a00:1::1"]
)
def test_what_leads_to_a_private_address_is_private(text: str) -> None:
    assert allowed_address(text, ()) == ""


# -- which origins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/fhir/x",
        "http://127.0.0.1:{other}/fhir/x",
        "https://127.0.0.1:{port}/fhir/x",
        "http://localhost:{port}/fhir/x",
        "http://user@127.0.0.1:{port}/fhir/x",
        "http://127.0.0.1:{port}@evil.example/fhir/x",
        "http://evil.example#@127.0.0.1:{port}/fhir/x",
        "http://127.0.0.1:{port}.evil.example/",
        "ftp://127.0.0.1:{port}/x",
        "unix:///run/x.sock",
        "//127.0.0.1:{port}/x",
        "127.0.0.1:{port}",
        "http://",
        "http://[",
        "",
    ],
)
def test_another_origin_is_not_asked(address: str) -> None:
    server = Server(says(http(b"x")))
    text = address.format(port=server.port, other=server.port ^ 1)
    assert not Egress((server.listed(),)).allows(text)
    with pytest.raises(NotAllowed):
        run(server, lambda egress: egress.get(text))
    assert server.connections == 0


def test_an_origin_is_the_same_however_it_is_written() -> None:
    server = Server(says(http(b"x")))
    resolve, _ = resolving(["127.0.0.1"])
    address, entry = named(server)
    egress = Egress((entry,), resolve=resolve)
    assert got(server, address.replace("http://fhir.h", "HTTP://FHIR.H"), egress).body == b"x"
    assert Egress((FhirServer("https://a.example"),)).allows("https://a.example:443/fhir")


def test_plain_http_is_asked_only_where_the_entry_says_so() -> None:
    server = Server(says(http(b"x")))
    with pytest.raises(NotAllowed):
        got(server, egress=Egress((FhirServer(server.origin, LOOPBACK),)))
    assert server.connections == 0


# -- the name, and the address behind it --------------------------------------------------------------------


def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    server = Server(says(http(b"x", connection="close")))
    # Good when it is checked, then something else: whoever asked twice would go there.
    resolve, names = resolving(["127.0.0.1"], ["169.254.169.254"])
    address, entry = named(server)
    egress = Egress((entry,), resolve=resolve)
    assert got(server, address, egress).body == b"x"
    assert names == [NAME]
    assert server.asked[0].headers["host"] == f"{NAME}:{server.port}"


def test_each_new_connection_is_checked_anew() -> None:
    server = Server(dies_after(http(b"x", connection="close")))
    resolve, names = resolving(["127.0.0.1"], ["169.254.169.254"])
    address, entry = named(server)

    async def twice(egress: Egress) -> None:
        await egress.get(address)
        with pytest.raises(NotAllowed, match="leads to no address"):
            await egress.get(address)

    server.answer = says(http(b"x", connection="close"))
    run(server, twice, Egress((entry,), resolve=resolve))
    assert (names, server.connections) == ([NAME, NAME], 1)


@pytest.mark.parametrize(
    ("found", "networks"),
    [
        (["169.254.169.254"], EVERYTHING),
        (["::ffff:169.254.169.254", "fd00:ec2::254"], EVERYTHING),
        (["127.0.0.1"], ()),
        (["127.0.0.1", "::1"], (ip_network("10.0.0.0/8"),)),
        ([], EVERYTHING),
    ],
)
def test_a_name_that_leads_where_it_must_not_is_not_followed(
    found: list[str], networks: Any
) -> None:
    server = Server(says(http(b"x")))
    resolve, _ = resolving(found)
    address, entry = named(server, networks)
    with pytest.raises(NotAllowed):
        got(server, address, Egress((entry,), resolve=resolve))
    assert server.connections == 0


def test_of_several_addresses_an_allowed_one_is_taken() -> None:
    server = Server(says(http(b"x")))
    # Nobody listens at 127.0.0.2 on that port.
    resolve, _ = resolving(["169.254.169.254", "127.0.0.2", "127.0.0.1"])
    address, entry = named(server)
    assert got(server, address, Egress((entry,), resolve=resolve)).body == b"x"


def test_a_name_that_is_not_known_is_no_server() -> None:
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    server = Server(says(http(b"x")))
    address, entry = named(server)
    with pytest.raises(Broken):
        got(server, address, Egress((entry,), resolve=unknown))


def test_a_name_that_nobody_answers_for_is_slow() -> None:
    async def never(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    server = Server(says(http(b"x")))
    address, entry = named(server)
    with pytest.raises(TooSlow):
        got(server, address, Egress((entry,), resolve=never), allowance=BRIEF)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a server of that name, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2099))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = signed.public_bytes(serialization.Encoding.PEM)
    pem.write_bytes(private + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=public.decode())


def test_tls_is_of_the_name_and_not_of_the_address(tmp_path: Path) -> None:
    asked: list[str | None] = []
    theirs, ours = certificate(tmp_path, NAME)
    theirs.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = Server(says(http(b"x")), theirs)
    resolve, _ = resolving(["127.0.0.1"])
    entry = FhirServer(f"https://{NAME}:{server.port}", LOOPBACK)
    egress = Egress((entry,), resolve=resolve, context=ours)
    assert got(server, f"{entry.origin}/fhir", egress).body == b"x"
    assert asked == [NAME]


def test_a_certificate_of_another_name_or_of_nobody_known_is_refused(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path, "other.hospital.test")
    for context in (ours, None):
        server = Server(says(http(b"x")), theirs)
        resolve, _ = resolving(["127.0.0.1"])
        entry = FhirServer(f"https://{NAME}:{server.port}", LOOPBACK)
        with pytest.raises(Broken):
            got(server, f"{entry.origin}/x", Egress((entry,), resolve=resolve, context=context))
        assert server.asked == []


# -- what is sent, and what is not --------------------------------------------------------------------------


def test_proxies_passwords_and_cookies_of_elsewhere_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server = Server(says(http(b"x", set_cookie="session=1; Path=/")))

    async def twice(egress: Egress) -> None:
        for _ in range(2):
            await egress.get(f"{server.base}/x")

    run(server, twice)
    assert [asked.headers.keys() & {"cookie", "authorization"} for asked in server.asked] == [
        set(),
        set(),
    ]


def test_the_token_goes_as_a_bearer_token() -> None:
    server = Server(says(http(b"x")))
    got(server, token="abc", accept="application/json")
    headers = server.asked[0].headers
    assert (headers["authorization"], headers["accept"]) == ("Bearer abc", "application/json")


# -- what comes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent", "304 Not"]
)
def test_a_redirect_is_refused(status: str) -> None:
    target = Server(says(http(b"x")))
    server = Server(says(http(b"", status, location=target.base)))
    with pytest.raises(Redirected):
        got(server, egress=Egress((server.listed(), target.listed())))
    assert len(server.asked) == 1
    target._socket.close()


def test_any_other_status_comes_with_its_body() -> None:
    server = Server(says(http(b"no", "403 Forbidden")))
    assert got(server) == Page(403, b"no")


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_gzip_is_unpacked(encoding: str) -> None:
    body = b"many words " * 10_000
    server = Server(says(http(gzip.compress(body, mtime=0), content_encoding=encoding)))
    assert got(server).body == body


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "response",
    [
        http(b"x" * 1001),
        http(b"", content_length="1001"),
        CHUNKED + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
        http(gzip.compress(b"x" * 1001, mtime=0), content_encoding="gzip"),
        http(gzip.compress(b"x" * 50_000_000, mtime=0), content_encoding="gzip"),
    ],
    ids=["said", "claimed", "in pieces", "packed", "bomb"],
)
def test_a_body_beyond_the_limit_is_refused(response: bytes) -> None:
    with pytest.raises(TooLarge):
        got(Server(says(response)), allowance=Allowance(20, 1000))


def test_a_body_at_the_limit_is_taken() -> None:
    assert len(got(Server(says(http(b"x" * 1000))), allowance=Allowance(20, 1000)).body) == 1000
    packed = http(gzip.compress(b"x" * 1000, mtime=0), content_encoding="gzip")
    assert len(got(Server(says(packed)), allowance=Allowance(20, 1000)).body) == 1000


@pytest.mark.parametrize(
    "response",
    [
        http(b"x", content_encoding="br"),
        http(b"x", content_encoding="gzip"),
        http(gzip.compress(b"x" * 100, mtime=0)[:-4], content_encoding="gzip"),
        http(b"", content_length="x"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        CHUNKED + b"zz\r\n",
    ],
)
def test_what_cannot_be_read_is_broken(response: bytes) -> None:
    with pytest.raises(Broken):
        got(Server(says(response)))


async def drips(_: Asked, writer: Writer) -> None:
    """A byte now and then, so that no single wait is a long one."""
    writer.write(http(b"", content_length="1000000"))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "answer",
    [hangs, hangs_after(b"HTTP/1.1 200 OK\r\n"), hangs_after(http(b"", content_length="9")), drips],
)
def test_one_limit_of_time_holds_whatever_is_waited_for(answer: Any) -> None:
    with pytest.raises(TooSlow):
        got(Server(answer), allowance=BRIEF)


def test_those_given_up_leave_room_for_others() -> None:
    server = Server(hangs)

    async def crowd(egress: Egress) -> Page:
        for _ in range(8):
            calls = [egress.get(f"{server.base}/x", allowance=Allowance(0.01)) for _ in range(6)]
            for found in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(found, TooSlow)
        server.answer = says(http(b"x"))
        return await egress.get(f"{server.base}/x", allowance=UNHURRIED)

    assert run(server, crowd, Egress((server.listed(),), max_connections=2)).body == b"x"


def test_only_so_many_connections_at_once() -> None:
    server = Server(says(http(b"x")))

    async def crowd(egress: Egress) -> None:
        await asyncio.gather(
            *(egress.get(f"{server.base}/x", allowance=UNHURRIED) for _ in range(20))
        )

    run(server, crowd, Egress((server.listed(),), max_connections=3))
    assert (len(server.asked), server.connections) == (20, 3)


def test_a_connection_that_went_away_while_nobody_used_it_is_replaced() -> None:
    server = Server(says(http(b"x")))

    async def again(egress: Egress) -> None:
        await egress.get(f"{server.base}/x", allowance=UNHURRIED)
        server.answer = once_more
        await egress.get(f"{server.base}/x", allowance=UNHURRIED)

    async def once_more(asked: Asked, writer: Writer) -> None:
        server.answer = says(http(b"y"))
        await dies_after(b"")(asked, writer)

    run(server, again)
    assert server.connections == 2


def test_what_is_said_names_an_origin_and_nothing_else() -> None:
    server = Server(says(http(b"", "302 Found", location="http://evil.example/")))
    with pytest.raises(EgressError) as caught:
        got(server, f"{server.base}/Patient/marker?x=marker", token="marker")
    assert str(caught.value) == f"{server.origin} sends to another address, which is not followed"


def test_one_may_be_used_from_one_event_loop_after_another() -> None:
    server = Server(says(http(b"x", connection="close")))
    egress = Egress((server.listed(),), max_connections=1)

    async def crowd() -> None:
        async with server.running():
            await asyncio.gather(*(egress.get(f"{server.base}/x") for _ in range(3)))

    asyncio.run(crowd())
    server = Server(says(http(b"y", connection="close")), port=server.port)
    asyncio.run(crowd())
    assert len(server.asked) == 3
