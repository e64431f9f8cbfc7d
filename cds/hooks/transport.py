"""Below HTTP: names resolved, addresses checked and connected to, connections kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

import httpcore
import httpx

from cds.hooks.addresses import allowed_address
from cds.hooks.settings import FhirServer

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host name; raises OSError where there are none."""

_ADDRESSES_TRIED = 4
_KEPT_SECONDS = 30.0


class EgressError(Exception):
    """Why a GET gave nothing. The text names an origin at most: no path, no query, no token."""


class NotAllowed(EgressError):  # noqa: N818 - it says what happened
    """The address is not one that the site lists, or its name leads where it must not."""


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name as the system gives them; raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=1)  # SOCK_STREAM
    return [str(address[0]) for *_, address in found]


class Checked(httpcore.AsyncNetworkBackend):
    """Connects to one server: resolves its name, and connects to an address that was checked."""

    def __init__(self, server: FhirServer, resolve: Resolve) -> None:
        self._server, self._resolve = server, resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await self._resolve(host, port)
        plain = dict.fromkeys(allowed_address(text, self._server.networks) for text in found)
        plain.pop("", None)
        if not plain:
            raise NotAllowed(f"the name of {self._server.origin} leads to no address that may be")
        tried = list(plain)[:_ADDRESSES_TRIED]
        share = timeout / len(tried) if timeout is not None else None
        for address in tried[:-1]:
            with suppress(httpcore.NetworkError, httpcore.TimeoutException):
                return await self._network.connect_tcp(
                    address, port, share, local_address, socket_options
                )
        return await self._network.connect_tcp(
            tried[-1], port, share, local_address, socket_options
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Transport(httpx.AsyncBaseTransport):
    """The connections of one origin, kept between requests, and only so many at once.

    The library's own pool loses the place of a request that is cancelled while it waits for one
    (httpcore 1.0.9), and a deadline cancels often.
    """

    def __init__(
        self, network: httpcore.AsyncNetworkBackend, context: ssl.SSLContext | None, most: int
    ) -> None:
        self._network, self._context = network, context
        self._idle: list[httpcore.AsyncHTTPConnection] = []
        self._places = asyncio.Semaphore(most)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = request.url
        url = httpcore.URL(
            scheme=address.raw_scheme,
            host=address.raw_host,
            port=address.port,
            target=address.raw_path,
        )
        asked = httpcore.Request(
            request.method, url, headers=request.headers.raw, extensions=request.extensions
        )
        await self._places.acquire()
        try:
            connection, answer = await self._asked(asked)
        except BaseException:
            self._places.release()
            raise
        stream = _Stream(answer, partial(self._take_back, connection))
        return httpx.Response(answer.status, headers=answer.headers, stream=stream)

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()

    async def _asked(
        self, asked: httpcore.Request
    ) -> tuple[httpcore.AsyncHTTPConnection, httpcore.Response]:
        while self._idle:
            kept = self._idle.pop()
            if kept.has_expired():
                await kept.aclose()
                continue
            # It may have gone away while nobody used it: a GET may be asked once more.
            with suppress(httpcore.NetworkError, httpcore.RemoteProtocolError):
                return kept, await _sent(kept, asked)
            break
        new = httpcore.AsyncHTTPConnection(
            asked.url.origin, self._context, _KEPT_SECONDS, network_backend=self._network
        )
        return new, await _sent(new, asked)

    async def _take_back(
        self, connection: httpcore.AsyncHTTPConnection, answer: httpcore.Response
    ) -> None:
        try:
            await answer.aclose()
        finally:
            self._places.release()
            if connection.is_idle():
                self._idle.append(connection)
            else:
                await connection.aclose()


async def _sent(
    connection: httpcore.AsyncHTTPConnection, asked: httpcore.Request
) -> httpcore.Response:
    try:
        return await connection.handle_async_request(asked)
    except BaseException:
        await connection.aclose()
        raise


class _Stream(httpx.AsyncByteStream):
    """A body as it comes; its connection goes back when it is closed."""

    def __init__(
        self, answer: httpcore.Response, give_back: Callable[[httpcore.Response], Awaitable[None]]
    ) -> None:
        self._answer, self._give_back = answer, give_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._answer.aiter_stream()

    async def aclose(self) -> None:
        await self._give_back(self._answer)
