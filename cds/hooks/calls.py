"""One call from the socket to the desk and back: limits, threads, and one line of log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from cds.hooks.deadline import Deadline
from cds.hooks.desk import Desk, Read, Reply, refusal
from cds.hooks.discovery import Service
from cds.hooks.fetching import Fetcher
from cds.hooks.gaps import Gaps
from cds.hooks.gate import failure
from cds.hooks.journal import Log
from cds.hooks.metrics import Metrics
from cds.hooks.outcome import Outcome, Refused, quoted
from cds.hooks.request import drafts_of, too_large

# A small body is judged in less time than it takes to hand it to a thread and wait for the
# interpreter's lock; a larger one would keep everybody else waiting, so a thread has it.
INLINE_BYTES = 256 * 1024
# So is one about many orders, each of which may have a card that lists what it was found beside.
INLINE_DRAFTS = 10
# Judging is Python, and one interpreter runs one thread at a time: more threads answer no sooner.
WORKERS = 2
# Calls and bytes in hand at once; beyond, a call is asked to come again, so that memory is bounded.
MAX_CALLS = 256
MAX_HELD_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What all calls together may take, and from what size on a call is no quick one."""

    inline_bytes: int = INLINE_BYTES
    inline_drafts: int = INLINE_DRAFTS
    workers: int = WORKERS
    max_calls: int = MAX_CALLS
    max_held_bytes: int = MAX_HELD_BYTES


Answered = TypeVar("Answered", Reply, Reply | Gaps | Read)
Answering = Callable[[Service, bytes, str], Awaitable[Reply]]


class Counter:
    """The place where calls arrive: hands them to the desk, keeps count, writes the log."""

    def __init__(
        self,
        desk: Desk,
        services: Mapping[str, Service],
        limits: Limits,
        log: Log,
        metrics: Metrics,
        budget_ms: int,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.metrics, self.budget, self.fetcher = metrics, budget_ms / 1000, fetcher
        self.desk, self.services, self.limits, self.log = desk, services, limits, log
        self._open = self._held = 0
        self._workers = ThreadPoolExecutor(limits.workers, thread_name_prefix="judge")
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)
        if self.fetcher is not None:
            await self.fetcher.close()

    async def call(self, request: Request) -> Response:
        """Answers ``POST /cds-services/{id}``."""
        return await self._answered(request, self._reply)

    async def _answered(self, request: Request, answer: Answering) -> Response:
        """Reads the body, has it answered, writes the log; nothing but ourselves ends a call."""
        started, request_id = perf_counter(), request.state.request_id
        name, body = request.path_params["id"], b""
        self._open += 1
        try:
            service = self.service(name)
            self._check_room()
            body = await self._body(request)
            reply = await answer(service, body, _encoding(request))
        except Refused as refused:
            reply = refusal(refused.outcome)
        except ClientDisconnect:
            reply = Reply(499, b"")
        except Exception as error:  # noqa: BLE001 - one call that fails never stops the service
            self.log({"event": "failed", "request": request_id, "error": type(error).__name__})
            reply = refusal(failure(request_id))
        finally:
            self._open -= 1
            self._held -= len(body)
        known = name if name in self.services else "unknown"
        self._note(known, request_id, reply, len(body), perf_counter() - started)
        return respond(reply)

    async def feedback(self, request: Request) -> Response:
        """Answers ``POST /cds-services/{id}/feedback`` once what was said is stored, not before."""
        return await self._answered(request, self._feedback)

    async def _feedback(self, service: Service, body: bytes, encoding: str) -> Reply:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._workers, self.desk.take_feedback, service, body, encoding
        )

    def service(self, name: str) -> Service:
        """The service of that id; raises Refused (404)."""
        found = self.services.get(name)
        if found is None:
            what, accepted = f"{quoted(name)} is no service here", ", ".join(self.services)
            raise Refused(Outcome(404, "not-found", what, accepted))
        return found

    def _check_room(self, size: int = 0) -> None:
        limits = self.limits
        if size > self.desk.max_bytes:
            raise too_large(self.desk.max_bytes)
        if self._open > limits.max_calls or self._held > limits.max_held_bytes:
            what = "too many calls at once"
            raise Refused(Outcome(503, "throttled", what, "the same call a little later"))

    async def _body(self, request: Request) -> bytes:
        """The whole body, held until the call ends; reading stops at the limit, whatever was said.

        Raises Refused (413, 503); then nothing is held.
        """
        limit = self.desk.max_bytes
        said = request.headers.get("content-length", "")
        if said.isdigit() and int(said[:20]) > limit:
            raise too_large(limit)
        parts: list[bytes] = []
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                self._held += len(part)
                self._check_room(size)
                parts.append(part)
        except BaseException:
            self._held -= size
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _reply(self, service: Service, body: bytes, encoding: str) -> Reply:
        """The reply within the budget, which runs from when the call is taken up, whole."""
        limits = self.limits
        if len(body) <= limits.inline_bytes and not encoding:
            most = limits.inline_drafts
            async with self._in_turn():
                deadline = Deadline(self.budget)
                found = self.desk.reply(service, body, encoding, deadline, most)
        else:
            deadline = Deadline(self.budget)
            begin = partial(self.desk.reply, service, body, encoding, deadline)
            found = await self._in_time(begin, service, deadline)
        if isinstance(found, Gaps):
            found = await self._filled(found, len(body), service, deadline)
        elif isinstance(found, Read):
            judge = partial(self.desk.reply_read, service, found, deadline)
            found = await self._in_time(judge, service, deadline)
        if found.late:
            self.metrics.late()
        return found

    async def _filled(self, gaps: Gaps, size: int, service: Service, deadline: Deadline) -> Reply:
        """The reply to a call of so many bytes once what it left open is fetched."""
        assert self.fetcher is not None
        fetched = await self.fetcher.fetch(gaps, deadline)
        read = Read(fetched.request, fetched.problems, fetched.outcomes.get("patient", ""))
        small = size + fetched.room.taken <= self.limits.inline_bytes
        try:
            if small and drafts_of(read.request) <= self.limits.inline_drafts:
                async with self._in_turn():
                    return self.desk.reply_read(service, read, deadline)
            judge = partial(self.desk.reply_read, service, read, deadline)
            return await self._in_time(judge, service, deadline)
        finally:
            fetched.room.give_back()

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """Quick calls are answered here, one after the other as they came.

        Between two of them whatever arrived is read: else those whose bodies come in several
        pieces would wait for all the others with every piece.
        """
        async with self._turn:
            yield
            await asyncio.sleep(0)

    async def _in_time(
        self, work: Callable[[], Answered], service: Service, deadline: Deadline
    ) -> Answered | Reply:
        """What a thread makes of a call, or, when that takes too long, that nobody looked at it.

        A call that still waits for a thread at its deadline is given up; one that is being judged
        stops by itself, and has a little longer to say so.
        """
        task = self._workers.submit(work)
        waiting = asyncio.wrap_future(task)
        waiting.add_done_callback(_seen)
        await asyncio.wait((waiting,), timeout=deadline.left())
        if not waiting.done():
            if task.cancel():
                return self.desk.reply_late(service)
            await asyncio.wait((waiting,), timeout=deadline.reserved)
        if waiting.done() or not deadline.claim():
            return await waiting
        return self.desk.reply_late(service)

    def _note(self, name: str, request_id: str, reply: Reply, size: int, seconds: float) -> None:
        event: dict[str, object] = {
            "event": "call",
            "request": request_id,
            "service": name,
            "status": reply.status,
            "bytes": size,
            "ms": round(seconds * 1000, 1),
        }
        if reply.status == 200:
            event["rules"] = tuple(rule for rule, _ in reply.cards)
            self.metrics.judged(reply)
        if reply.late:
            event["late"] = True
        self.metrics.call(name, reply.status, seconds)
        self.log(event)


def _seen(waiting: asyncio.Future[Any]) -> None:
    """Takes note of how it ended, so that nobody else logs an exception that nobody waits for."""
    if not waiting.cancelled():
        waiting.exception()


def _encoding(request: Request) -> str:
    said = request.headers.get("content-encoding", "").strip().lower()
    return "" if said == "identity" else said


def respond(reply: Reply) -> Response:
    """The reply as HTTP; nobody is to keep a copy of it."""
    headers = {"cache-control": "no-store"}
    if reply.status == 503:
        headers["retry-after"] = "1"
    return Response(reply.body, reply.status, headers, "application/json")
