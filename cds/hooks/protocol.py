"""HTTP on a socket with limits that the server does not have: of headers, of bytes, and of time.

The parser takes headers of any size and number and waits for ever for the rest of a request, so a
few clients could hold all memory or all connections.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from cds.hooks.outcome import Outcome
from cds.hooks.settings import Settings

MOST_HEADERS = 100
MOST_HEADER_BYTES = 32 * 1024
"""The line of the request and all headers; a token has at most 8 KiB of it."""
HEADERS_SECONDS = 10.0
"""So long may the headers of a request take, from the connection or from their first byte on."""
REQUEST_SECONDS = 60.0
"""So long may the body take after them."""
_MIB = 1024 * 1024

_TOO_LARGE = Outcome(
    431,
    "too-long",
    "the headers are too large",
    f"at most {MOST_HEADERS} headers of {MOST_HEADER_BYTES // 1024} KiB together",
)
_TOO_SLOW = Outcome(408, "timeout", "the request did not arrive in time")


class Limited(HttpToolsProtocol):
    """One connection."""

    most_bytes = 64 * _MIB
    """So many bytes of one request are taken from the socket; beyond, the connection is closed."""

    _timer: asyncio.TimerHandle | None = None
    _heading = True  # headers are awaited, or still come
    _taken = 0  # bytes of the request so far, and what else came with them
    _too_large = False

    # -- what the server calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(HEADERS_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came; ends the connection where that is too much."""
        if self.transport.is_closing():
            return
        if self._heading and self._timer is None:
            self._wait(HEADERS_SECONDS)
        self._taken += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._heading and self._taken > MOST_HEADER_BYTES:
            self._end(_TOO_LARGE)
        elif self._taken > self.most_bytes:
            self._leave()

    def send_400_response(self, msg: str) -> None:
        """Answers what the parser could not take."""
        if self._too_large:
            self._end(_TOO_LARGE)
        else:
            self._stop_waiting()
            super().send_400_response(msg)

    # -- what the parser calls --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._timer is None:
            self._wait(HEADERS_SECONDS)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header; what comes after the body (a trailer) is none."""
        if self._heading:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hands the request on; an error of ours stops the parser."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.headers) > MOST_HEADERS or size > MOST_HEADER_BYTES:
            self._too_large = True
            raise ValueError("the headers are too large")
        self._heading = False
        self._wait(REQUEST_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop_waiting()
        self._heading, self._taken = True, 0
        super().on_message_complete()

    # -- ends --------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self._heading and not self._taken:
            self.transport.close()
            return
        self.logger.warning("A request did not arrive in time.")
        self._end(_TOO_SLOW)

    def _end(self, outcome: Outcome) -> None:
        """Answers from here if nobody else has begun to, and closes the connection."""
        if self._may_answer():
            body = outcome.body()
            lines = (
                b"content-type: application/json\r\ncache-control: no-store\r\n"
                b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            )
            self.transport.write(STATUS_LINE[outcome.status] + lines + body)
        self._leave()

    def _may_answer(self) -> bool:
        """Whether the request at hand has no answer yet, and comes next on this connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or self.pipeline:
            return cycle is None
        return cycle.response_complete if self._heading else not cycle.response_started

    def _leave(self) -> None:
        """Closes the connection; whoever still waits for the request learns that it is gone."""
        self._stop_waiting()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


def server_options(settings: Settings) -> dict[str, Any]:
    """What the server is started with: these limits, no sockets of the other kind, and addresses of
    clients as they are (those behind trusted proxies are worked out by the application).
    """
    most = {"most_bytes": 2 * settings.max_bytes + _MIB}
    return {"http": type("Limited", (Limited,), most), "ws": "none", "proxy_headers": False}
