"""FHIR servers as the tests play them, on real sockets of this machine: good ones and every other kind."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cds.hooks.settings import FhirServer
from tests.hooks.ehr import owners
from tests.records import Json, searchset

LOOPBACK = (ip_network("127.0.0.0/8"),)


@dataclass(frozen=True)
class Asked:
    """One GET as it came."""

    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


Writer = asyncio.StreamWriter
Answer = Callable[[Asked, Writer], Awaitable[None]]


class Server:
    """Answers every GET by ``answer``; ``asked`` is what came, ``connections`` how many clients did."""

    def __init__(
        self, answer: Answer, context: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.answer, self.context = answer, context
        self.asked: list[Asked] = []
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.base = f"{self.origin}/fhir"

    def listed(self, **more: Any) -> FhirServer:
        return FhirServer(self.origin, LOOPBACK, plain_http=True, **more)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            self.connections += 1
            with suppress(asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                    fields = dict(line.split(": ", 1) for line in head[1:] if line)
                    asked = Asked(head[0].split()[1], {k.lower(): v for k, v in fields.items()})
                    self.asked.append(asked)
                    await self.answer(asked, writer)
                    await writer.drain()
            writer.transport.abort()

        server = await asyncio.start_server(serve, sock=self._socket, ssl=self.context)
        try:
            yield
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)


def http(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A response with its length, unless the headers say otherwise."""
    fields = {
        "content-length": str(len(body)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def says(response: bytes) -> Answer:
    """A server that has one answer to everything."""

    async def answer(_: Asked, writer: Writer) -> None:
        writer.write(response)

    return answer


def says_json(value: object, **headers: str) -> Answer:
    return says(http(json.dumps(value).encode(), content_type="application/fhir+json", **headers))


async def hangs(_: Asked, writer: Writer) -> None:
    """Never answers."""
    await asyncio.Event().wait()


def hangs_after(start: bytes) -> Answer:
    """Begins an answer, and never ends it."""

    async def answer(asked: Asked, writer: Writer) -> None:
        writer.write(start)
        await writer.drain()
        await hangs(asked, writer)

    return answer


def dies_after(start: bytes) -> Answer:
    """Begins an answer, and resets the connection in the middle of it."""

    async def answer(_: Asked, writer: Writer) -> None:
        writer.write(start)
        await writer.drain()
        writer.transport.abort()
        raise ConnectionError

    return answer


def record(resources: Iterable[Json]) -> Answer:
    """A good server: reads by id, and searches by patient."""
    stored = list(resources)

    async def answer(asked: Asked, writer: Writer) -> None:
        writer.write(found(stored, asked))

    return answer


def found(stored: list[Json], asked: Asked) -> bytes:
    parts = urlsplit(asked.target)
    kind = parts.path.removeprefix("/fhir/")
    if "/" in kind:
        one = [item for item in stored if f"{item['resourceType']}/{item['id']}" == kind]
        return http(json.dumps(one[0]).encode()) if one else http(b"", "404 Not Found")
    patient = parse_qs(parts.query)["patient"][0]
    mine = [item for item in stored if item["resourceType"] == kind and patient in owners(item)]
    return http(json.dumps(searchset(*mine)).encode())


def but(usual: Answer, **other: Answer) -> Answer:
    """As usual, but for the types that are named."""

    async def answer(asked: Asked, writer: Writer) -> None:
        kind = asked.path.removeprefix("/fhir/").partition("/")[0]
        await other.get(kind, usual)(asked, writer)

    return answer
