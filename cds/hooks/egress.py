"""The one way out: GETs to the servers that a site lists, and to nowhere else.

Addresses come from callers (``fhirServer``, ``next`` links, ``jku``), so nothing of them is
trusted. Only a listed origin is asked; its name is resolved here, the address is checked and that
very address is connected to, so that a name which changes in between gains nothing. Redirects are
refused, proxies, cookies and passwords of the environment are not used, and time and size have
limits.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore
import httpx

from cds.hooks.settings import FhirServer
from cds.hooks.transport import (
    Checked,
    EgressError,
    NotAllowed,
    Resolve,
    Transport,
    system_resolve,
)

__all__ = [
    "Allowance", "Broken", "Egress", "EgressError", "NotAllowed", "Page", "Redirected", "Resolve",
    "Room", "TooLarge", "TooSlow", "origin_of",
]  # fmt: skip

_MIB = 1024 * 1024
_SECURE_PORT, _PLAIN_PORT = 443, 80


class Redirected(EgressError):  # noqa: N818 - it says what happened
    """The server sent us elsewhere; nobody follows."""


class TooLarge(EgressError):  # noqa: N818 - it says what happened
    """The body is beyond the limit."""


class TooSlow(EgressError):  # noqa: N818 - it says what happened
    """The server did not answer in time."""


class Broken(EgressError):  # noqa: N818 - it says what happened
    """The server could not be reached, went away, or does not speak HTTP."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How long one GET may take altogether, and how much may come, unpacked."""

    seconds: float = 5.0
    max_bytes: int = 25 * _MIB


class Room:
    """Bytes that may still come; a call's room is a part of everybody's, given back at its end."""

    __slots__ = ("_taken", "_whole", "size")

    def __init__(self, size: int, whole: Room | None = None) -> None:
        self.size, self._whole, self._taken = size, whole, 0

    @property
    def taken(self) -> int:
        return self._taken

    @property
    def left(self) -> int:
        """How many more; below 0 once it was too many."""
        left = self.size - self._taken
        return left if self._whole is None else min(left, self._whole.left)

    def take(self, count: int) -> bool:
        """Counts bytes that came; whether there is room for them."""
        self._taken += count
        if self._whole is not None:
            self._whole.take(count)
        return self.left >= 0

    def give_back(self) -> None:
        """What came is no longer held."""
        if self._whole is not None:
            self._whole.take(-self._taken)
        self._taken = 0


@dataclass(frozen=True, slots=True)
class Page:
    """What a server answered: any status but a redirect, and the whole body, unpacked."""

    status: int
    body: bytes


class Egress:
    """GETs to listed origins. ``resolve`` and ``context`` (TLS) are the system's unless given.

    One may be used from several event loops, one after another; connections stay with theirs.
    """

    def __init__(
        self,
        servers: Iterable[FhirServer],
        *,
        resolve: Resolve | None = None,
        context: ssl.SSLContext | None = None,
        max_connections: int = 32,
    ) -> None:
        self._servers = {origin_of(httpx.URL(item.origin)): item for item in servers}
        self._resolve = resolve or system_resolve
        self._context, self._max = context, max_connections
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        for name in ("httpx", "httpcore"):  # they write addresses with patients' ids in them
            logging.getLogger(name).setLevel(logging.WARNING)

    def allows(self, address: str) -> bool:
        """Whether the site lists the origin of an address, for its scheme."""
        try:
            return self._listed(_parsed(address)) is not None
        except NotAllowed:
            return False

    async def get(
        self,
        address: str,
        *,
        token: str = "",
        accept: str = "",
        allowance: Allowance | None = None,
        room: Room | None = None,
    ) -> Page:
        """The answer of a listed server to one GET. ``token`` goes as a bearer token.

        ``room``, where several GETs share one, is what bounds the body instead of the allowance.
        Raises EgressError, in one of its kinds.
        """
        url, limits = _parsed(address), allowance or Allowance()
        client = self._client(url)
        headers = {"accept": accept or "*/*", "accept-encoding": "gzip"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        where = origin_of(url)
        try:
            async with asyncio.timeout(limits.seconds):
                room = room or Room(limits.max_bytes)
                return await _read(client, url, headers, limits.seconds, room)
        except (TimeoutError, httpcore.TimeoutException):
            raise TooSlow(f"{where} did not answer in time") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError, OSError):
            raise Broken(f"{where} could not be reached, or went away") from None
        except (httpx.InvalidURL, ValueError, zlib.error):
            raise Broken(f"{where} answered what could not be read") from None

    async def close(self) -> None:
        """Closes the connections of the running event loop."""
        if self._loop is asyncio.get_running_loop():
            for client in self._clients.values():
                await client.aclose()
        self._clients = {}

    def _listed(self, url: httpx.URL) -> FhirServer | None:
        found = self._servers.get(origin_of(url))
        if found is None or url.userinfo or not (url.scheme == "https" or found.plain_http):
            return None
        return found

    def _client(self, url: httpx.URL) -> httpx.AsyncClient:
        """The client of an origin, one a loop; raises NotAllowed."""
        server = self._listed(url)
        if server is None:
            raise NotAllowed(f"{origin_of(url)} is not among the servers that may be asked")
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._clients = loop, {}
        found = self._clients.get(server.origin)
        if found is None:
            found = self._clients[server.origin] = self._new_client(server)
        return found

    def _new_client(self, server: FhirServer) -> httpx.AsyncClient:
        if self._context is None and not server.plain_http:
            # The system's certificates, so that a hospital's own authority counts (SSL_CERT_FILE).
            self._context = ssl.create_default_context()
        network = Checked(server, self._resolve)
        return httpx.AsyncClient(
            transport=Transport(network, self._context, self._max),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            trust_env=False,
        )


def origin_of(url: httpx.URL) -> str:
    """Scheme, host and port of an address, comparable; "" without a host or for another scheme."""
    if url.scheme not in ("http", "https") or not url.host:
        return ""
    port = url.port or (_SECURE_PORT if url.scheme == "https" else _PLAIN_PORT)
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    return f"{url.scheme}://[{host}]:{port}" if ":" in host else f"{url.scheme}://{host}:{port}"


def _parsed(address: str) -> httpx.URL:
    try:
        return httpx.URL(address)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise NotAllowed("the address is none") from None


async def _read(
    client: httpx.AsyncClient, url: httpx.URL, headers: dict[str, str], seconds: float, room: Room
) -> Page:
    waits = httpx.Timeout(None, connect=seconds)
    async with client.stream("GET", url, headers=headers, timeout=waits) as answer:
        if 300 <= answer.status_code < 400:
            raise Redirected(f"{origin_of(url)} sends to another address, which is not followed")
        said = answer.headers.get("content-length", "")
        if said.isdigit() and int(said[:20]) > room.left:
            raise TooLarge(f"{origin_of(url)} sends more than may come")
        body = _Body(answer.headers.get("content-encoding", ""), room)
        try:
            async for part in answer.aiter_raw():
                if not body.take(part):
                    break
            else:
                return Page(answer.status_code, body.whole())
        except BaseException:
            body.drop()
            raise
        body.drop()  # what is thrown away must not be in the way of what else comes
        raise TooLarge(f"{origin_of(url)} sends more than may come")


class _Body:
    """Collects a body; never more is unpacked than there is room for, however well it is packed."""

    def __init__(self, encoding: str, room: Room) -> None:
        packed = encoding.strip().lower()
        if packed not in ("", "identity", "gzip", "x-gzip"):
            raise ValueError(packed)
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in packed else None
        self._room, self._parts = room, list[bytes]()

    def take(self, part: bytes) -> bool:
        """Takes what came; False where that is too much. Raises zlib.error."""
        if self._unpacker is not None:
            # 0 would mean without a limit.
            part = self._unpacker.decompress(part, max(1, self._room.left + 1))
        self._parts.append(part)
        return self._room.take(len(part))

    def drop(self) -> None:
        """Gives back the room of what came."""
        self._room.take(-sum(map(len, self._parts)))
        self._parts.clear()

    def whole(self) -> bytes:
        if self._unpacker is not None and not self._unpacker.eof:
            raise ValueError("the gzip data ends too early")
        return b"".join(self._parts)
