"""What a site says of its service, under ``service:`` of the configuration.

Who may call (JWT), which FHIR servers may be asked, where feedback is kept, how long and how much a
call may take. Everything has a default that lets nobody in and asks nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from cds.hooks.addresses import is_never
from cds.rulebook.document import Node
from cds.rulebook.reading import Author, first

_MIB = 1024 * 1024
_MEASURE = re.compile(r"^(\d+(?:\.\d+)?) ?([A-Za-z]+)$")
_DURATIONS = {"ms": 1, "s": 1000, "seconds": 1000, "minutes": 60_000, "hours": 3_600_000}
_SIZES = {"KiB": 1024, "MiB": _MIB}
_RATE = re.compile(r"^(\d+) (?:calls )?per (second|minute)$")
_SECONDS = {"second": 1, "minute": 60}

MOST_WORKERS = 64

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Issuer:
    """A client that may call (CDS Hooks 2.0, Trusting CDS Clients).

    Its keys are in the file ``keys`` (a JWK Set, given out of band), or at ``jku``, the one address
    that a token of its may name. ``tenants`` are those allowed; () means that none is asked for.
    ``networks`` and ``plain_http`` say of ``jku`` what they say of a FHIR server.
    """

    iss: str
    keys: Path | None = None
    jku: str = ""
    tenants: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class FhirServer:
    """A FHIR server that may be asked for what did not come, by its origin.

    Addresses in ``networks`` are allowed beside public ones (a hospital's private range);
    ``plain_http`` allows http.
    """

    origin: str
    networks: tuple[Network, ...] = ()
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls of one client in so many seconds."""

    calls: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The service as a site runs it.

    ``public_url`` is the address that clients call, without a path's end (behind a proxy it is not
    the one that is listened on); a token's ``aud`` is compared with it. ``budget_ms`` is how long
    a call may take before the answer says what was not checked. ``store`` is the database's URL.
    ``workers`` processes answer. Told to stop, the service says so in its health for ``notice_ms``
    and still takes calls, then takes no more and has ``grace_ms`` to finish those it has.
    ``open_pages`` are those that need no token where others do.
    """

    public_url: str = ""
    issuers: tuple[Issuer, ...] = ()
    fhir_servers: tuple[FhirServer, ...] = ()
    origins: tuple[str, ...] = ("*",)
    budget_ms: int = 400
    max_bytes: int = 25 * _MIB
    rate: Rate | None = None
    store: str = ""
    proxies: tuple[Network, ...] = field(default_factory=tuple)
    workers: int = 1
    notice_ms: int = 0
    grace_ms: int = 10_000
    open_pages: tuple[str, ...] = ("health", "metrics")


_KEYS = (
    "public-url", "issuers", "fhir-servers", "origins", "budget", "largest-body", "rate", "store",
    "proxies", "open", "workers", "notice", "grace",
)  # fmt: skip


def read_settings(node: Node | None, author: Author, folder: Path) -> Settings:
    """The settings under ``service:``; files are named relative to ``folder``.

    What is wrong is reported to ``author``, with its place and what would be accepted.
    """
    if node is None:
        return Settings()
    author.only(node, _KEYS, "the service")
    usual = Settings()
    issuers = tuple(_issuer(item, author, folder) for item in first(node.get("issuers")).items)
    public_url = _address(node, "public-url", author)
    if issuers and not public_url:
        what = "'public-url' is missing: a token is made out to the address that is called"
        author.error(node.place, what, "public-url: https://cds.example.org", "missing")
    _each_once(node, author)
    return Settings(
        public_url=public_url.rstrip("/"),
        issuers=issuers,
        fhir_servers=tuple(
            _fhir_server(item, author) for item in first(node.get("fhir-servers")).items
        ),
        origins=author.words(node, "origins") or usual.origins,
        budget_ms=_measure(node, "budget", _DURATIONS, usual.budget_ms, author),
        max_bytes=_measure(node, "largest-body", _SIZES, usual.max_bytes, author),
        rate=_rate(node.get("rate"), author),
        store=author.text(node, "store"),
        proxies=_networks(node, "proxies", author),
        workers=_workers(node.get("workers"), author),
        notice_ms=_measure(node, "notice", _DURATIONS, usual.notice_ms, author),
        grace_ms=_measure(node, "grace", _DURATIONS, usual.grace_ms, author),
        open_pages=_open(node, author, usual.open_pages),
    )


def _issuer(node: Node, author: Author, folder: Path) -> Issuer:
    known = ("iss", "keys", "jku", "tenants", "networks", "plain-http")
    author.only(node, known, "an issuer")
    keys, jku = author.text(node, "keys"), _address(node, "jku", author)
    plain = author.choice(node, "plain-http", ("yes", "no"), "no") == "yes"
    if jku.lower().startswith("http:") and not plain:
        what = f"'{jku}' is not https"
        author.error(first(node.get("jku")).place, what, "https, or plain-http: yes", "value")
    if not keys and not jku:
        what = "an issuer without keys"
        author.error(node.place, what, "keys: a file with a JWK Set, or jku: its address", "value")
    return Issuer(
        iss=author.text(node, "iss", required=True),
        keys=folder / keys if keys else None,
        jku=jku,
        tenants=author.words(node, "tenants"),
        networks=_networks(node, "networks", author),
        plain_http=plain,
    )


def _each_once(node: Node, author: Author) -> None:
    seen: set[str] = set()
    for item in first(node.get("issuers")).items:
        iss = first(item.get("iss"))
        if iss.text and iss.text in seen:
            what = f"the issuer '{iss.text}' stands twice"
            author.error(iss.place, what, "one entry with all of its keys", "value")
        seen.add(iss.text)


_PAGES = ("health", "metrics", "page")


def _open(node: Node, author: Author, usual: tuple[str, ...]) -> tuple[str, ...]:
    if node.get("open") is None:
        return usual
    for item in first(node.get("open")).items:
        if item.text and item.text not in _PAGES:
            author.error(item.place, f"'{item.text}' is no page", ", ".join(_PAGES), "value")
    return author.words(node, "open")


def _fhir_server(node: Node, author: Author) -> FhirServer:
    author.only(node, ("origin", "networks", "plain-http"), "a FHIR server")
    origin = author.text(node, "origin", required=True).rstrip("/")
    plain = author.choice(node, "plain-http", ("yes", "no"), "no") == "yes"
    parts = _parts(origin)
    if origin and not _is_origin(parts):
        author.error(first(node.get("origin")).place, f"'{origin}' is no origin", _ORIGIN, "value")
    elif parts.scheme == "http" and not plain:
        what = f"'{origin}' is not https"
        author.error(first(node.get("origin")).place, what, "https, or plain-http: yes", "value")
    return FhirServer(origin, _networks(node, "networks", author), plain)


def _parts(address: str) -> SplitResult:
    """The parts of an address; of one that is none, no parts."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts


def _is_origin(parts: SplitResult) -> bool:
    more = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in ("https", "http") and bool(parts.hostname) and not more


_ORIGIN = "scheme, host and port, such as https://fhir.example.org"


def _networks(node: Node, key: str, author: Author) -> tuple[Network, ...]:
    found = []
    for item in first(node.get(key)).items:
        try:
            network = ip_network(item.text)
            if is_never(network):
                what = f"addresses of '{item.text}' are never connected to"
                author.error(item.place, what, "a private address range", "value")
            found.append(network)
        except ValueError:
            what = f"'{item.text}' is no network"
            author.error(item.place, what, "an address range such as 10.0.0.0/8", "value")
    return tuple(found)


def _address(node: Node, key: str, author: Author) -> str:
    text = author.text(node, key)
    if text and not _is_address(text):
        what = f"'{text}' is no address"
        author.error(first(node.get(key)).place, what, "https://…", "value")
        return ""
    return text


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _measure(node: Node, key: str, units: dict[str, int], usual: int, author: Author) -> int:
    text = author.text(node, key)
    if not text:
        return usual
    match = _MEASURE.match(text)
    if match is not None and match[2] in units:
        value = int(Decimal(match[1]) * units[match[2]])
        if value > 0:
            return value
    accepted = f"a number above 0 with one of {', '.join(units)}"
    author.error(first(node.get(key)).place, f"'{text}' is no {key}", accepted, "value")
    return usual


def _workers(node: Node | None, author: Author) -> int:
    if node is None or not node.text:
        return 1
    if node.text.isascii() and node.text.isdigit() and 0 < int(node.text[:4]) <= MOST_WORKERS:
        return int(node.text)
    accepted = f"a whole number from 1 to {MOST_WORKERS}"
    author.error(node.place, f"'{node.text}' is no number of workers", accepted, "value")
    return 1


def _rate(node: Node | None, author: Author) -> Rate | None:
    if node is None or not node.text:
        return None
    match = _RATE.match(node.text)
    if match is None or not int(match[1]):
        author.error(
            node.place, f"'{node.text}' is no rate", "50 per second, 600 per minute", "value"
        )
        return None
    return Rate(int(match[1]), _SECONDS[match[2]])
