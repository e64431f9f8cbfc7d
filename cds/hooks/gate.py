"""What every request passes on its way in and out: its id, and whether more may come.

``request.state.request_id`` is the id of a request everywhere behind the gate.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cds.hooks.outcome import Outcome

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cds.hooks.journal import Log

HEADER = "x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")
_RANDOM_BYTES = 8


@dataclass(slots=True)
class Gate:
    """How far a process is on its way out, and how many requests are inside.

    ``retiring``: others have taken its place (a reload), the service is well. ``stopping``: the
    service ends. In both an answer tells its client to connect anew.
    """

    state: Literal["open", "retiring", "stopping"] = "open"
    inside: int = 0


def read_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id that the caller gave (X-Request-ID), if it is 1 to 64 of A-Z a-z 0-9 . _ -; else a new
    one.
    """
    given = next((value for name, value in headers if name == HEADER.encode()), b"")
    return given.decode() if _SANE.match(given) else os.urandom(_RANDOM_BYTES).hex()


class Passage:
    """The gate as ASGI middleware, outside of all other: whatever is answered carries the id.

    An exception that nobody caught is an answer with status 500 that says where to look, and a line
    of log with its class.
    """

    def __init__(self, app: ASGIApp, gate: Gate, log: Log) -> None:
        self._app, self._gate, self._log = app, gate, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = read_request_id(scope["headers"])
        scope.setdefault("state", {})["request_id"] = name
        answered = False

        async def sending(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                message = {**message, "headers": [*message.get("headers", ()), *self._added(name)]}
            await send(message)

        self._gate.inside += 1
        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:  # the grace time is over
            if answered:
                raise
            await _send(_ENDING, sending)
        except Exception as error:
            self._log({"event": "failed", "request": name, "error": type(error).__name__})
            if answered:
                raise
            await _send(failure(name), sending)
        finally:
            self._gate.inside -= 1

    def _added(self, name: str) -> list[tuple[bytes, bytes]]:
        found = [(HEADER.encode(), name.encode())]
        if self._gate.state != "open":
            found.append((b"connection", b"close"))
        return found


def failure(request_id: str) -> Outcome:
    """What is said of a request that could not be answered by our own fault."""
    what = f"the call could not be answered (request {request_id}); the log has more"
    return Outcome(500, "exception", what)


_ENDING = Outcome(503, "transient", "the service is ending", "the same call a little later")


async def _send(outcome: Outcome, send: Send) -> None:
    body = outcome.body()
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": outcome.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
