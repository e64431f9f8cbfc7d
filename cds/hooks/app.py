"""The HTTP application: routes, CORS, and what is said when there is no such route.

The routes are Starlette's, so that a body goes from the socket to the decoder without a model in
between; FastAPI gives the page that describes them.

An application answers by one rulebook and one site's settings for as long as it lives, so what is
made of them in ``create_app`` needs no lock and is never exchanged: a reload makes an application
in new processes, and retires the old ones once they have answered what they took
(``cds.hooks.supervisor``). What one process knows of the others is in its ``Seat``.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import cds
from cds.cards.wire import encode
from cds.engine.review import evaluator
from cds.hooks.annex import Annex
from cds.hooks.board import Board
from cds.hooks.calls import Counter, Limits, respond
from cds.hooks.description import describe
from cds.hooks.desk import Clock, Desk, Reply, refusal
from cds.hooks.discovery import Service, services
from cds.hooks.egress import Egress
from cds.hooks.fetching import Fetcher
from cds.hooks.gate import HEADER, Gate, Passage
from cds.hooks.guard import Door, Guard, open_door
from cds.hooks.health import ALIVE, Health
from cds.hooks.journal import Log
from cds.hooks.keeper import Keeper
from cds.hooks.metrics import CONTENT_TYPE, Metrics, OpinionMetrics, StoreMetrics
from cds.hooks.opinion import SecondOpinion
from cds.hooks.outcome import IssueCode, Outcome
from cds.hooks.page import Page
from cds.hooks.settings import Network, Settings
from cds.hooks.tls import Tls
from cds.hooks.warming import warm
from cds.rulebook.model import Rulebook


@dataclass(frozen=True, slots=True)
class Options:
    """How the service behaves. ``judging`` is off only to measure what judging costs;
    ``second_opinion`` has the second engine judge again what was answered. ``tls`` is the server's.
    ``annex`` is what the page shows beside itself.
    """

    settings: Settings = field(default_factory=Settings)
    limits: Limits = field(default_factory=Limits)
    judging: bool = True
    second_opinion: bool = False
    tls: Tls | None = None
    annex: Annex | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """The place of one process in a service: its own gate, and the board that its parent writes."""

    gate: Gate = field(default_factory=Gate)
    board: Board | None = None


def create_app(
    rulebook: Rulebook,
    zone: ZoneInfo,
    clock: Clock,
    log: Log,
    options: Options | None = None,
    seat: Seat | None = None,
) -> FastAPI:
    """The service for one rulebook. ``clock`` is asked for the moment of each call."""
    options, seat = options or Options(), seat or Seat()
    offered = services(rulebook)
    evaluator(rulebook)  # compiled now, so that the first call is no slower than the others
    parts = _parts(rulebook, zone, clock, log, options)
    health = Health(rulebook, seat.gate, parts.keeper, parts.opinion, seat.board)
    counter = parts.counter(offered, options, log)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        _warm(parts.desk, offered, log)
        # The rulebook lives as long as the service: it is not searched for garbage at every call.
        gc.collect()
        gc.freeze()
        yield
        await counter.close()
        parts.close()
        gc.unfreeze()

    app = FastAPI(title=rulebook.pack.title, version=cds.__version__, lifespan=lifespan)
    app.state.parts, app.state.metrics = parts, parts.metrics
    discovery = Reply(200, encode({"services": [item.as_json() for item in offered.values()]}))

    async def discover(_: Request) -> Response:
        return respond(discovery)

    app.add_route("/cds-services", discover, ["GET"])
    app.add_route("/cds-services/{id}", counter.call, ["POST"])
    app.add_route("/cds-services/{id}/feedback", counter.feedback, ["POST"])
    _watch(app, health, parts.metrics)
    page = Page(rulebook, zone, offered, options.settings, clock, parts.keeper, options.annex)
    page.add_to(app)
    app.add_exception_handler(HTTPException, _no_route)
    app.openapi = lambda: describe(rulebook.pack.title, offered)  # type: ignore[method-assign]
    app.add_middleware(Guard, door=parts.door)
    _allow_origins(app, options.settings.origins)
    app.add_middleware(Passage, gate=seat.gate, log=log)
    _trust_proxies(app, options.settings.proxies)  # the last one is the outermost
    return app


def _warm(desk: Desk, offered: Mapping[str, Service], log: Log) -> None:
    """Has what calls share made before the first one comes; the service starts without it too."""
    try:
        warm(desk, offered)
    except Exception as error:  # noqa: BLE001 - a made-up call is no reason not to answer real ones
        log({"event": "failed", "at": "warming", "error": type(error).__name__})


@dataclass(frozen=True, slots=True)
class Parts:
    """What an application works with; None where the site has no use for it."""

    desk: Desk
    metrics: Metrics
    door: Door
    opinion: SecondOpinion | None
    keeper: Keeper | None
    fetcher: Fetcher | None

    def counter(self, offered: Mapping[str, Service], options: Options, log: Log) -> Counter:
        """The place where its calls arrive."""
        budget = options.settings.budget_ms
        return Counter(self.desk, offered, options.limits, log, self.metrics, budget, self.fetcher)

    def close(self) -> None:
        """Ends them in order: what was answered is written down last."""
        self.door.close()
        if self.opinion is not None:
            self.opinion.close()
        if self.keeper is not None:
            self.keeper.close()


def _parts(rulebook: Rulebook, zone: ZoneInfo, clock: Clock, log: Log, options: Options) -> Parts:
    settings, metrics = options.settings, Metrics()
    opinion = _second_opinion(rulebook, log, metrics) if options.second_opinion else None
    aside = opinion.offer if opinion is not None else None
    keeper = _keeper(rulebook, log, metrics, settings)
    fetcher = _fetcher(settings, metrics) if settings.fhir_servers else None
    allows = fetcher.allows if fetcher is not None else None
    desk = Desk(rulebook, zone, clock, settings.max_bytes, options.judging, aside, keeper, allows)
    return Parts(
        desk=desk,
        metrics=metrics,
        door=open_door(settings, clock, log, metrics),
        opinion=opinion,
        keeper=keeper,
        fetcher=fetcher,
    )


def _watch(app: FastAPI, health: Health, metrics: Metrics) -> None:
    """The addresses for whoever looks after the service."""

    async def healthy(_: Request) -> Response:
        return respond(await health.reply())

    async def alive(_: Request) -> Response:
        return respond(ALIVE)

    async def measured(_: Request) -> Response:
        metrics.refresh(health.gate.inside)
        # In a thread: it adds up the files of all processes, and may wait for their lock.
        return Response(await asyncio.to_thread(metrics.render), media_type=CONTENT_TYPE)

    app.add_route("/metrics", measured, ["GET"])
    app.add_route("/health", healthy, ["GET"])
    app.add_route("/health/live", alive, ["GET"])


def _fetcher(settings: Settings, metrics: Metrics) -> Fetcher:
    return Fetcher(Egress(settings.fhir_servers), settings.max_bytes, metrics)


def _second_opinion(rulebook: Rulebook, log: Log, metrics: Metrics) -> SecondOpinion:
    from cds.second.engine import DurableEngine

    return SecondOpinion(DurableEngine(rulebook), log, metrics=OpinionMetrics(metrics))


def _keeper(rulebook: Rulebook, log: Log, metrics: Metrics, settings: Settings) -> Keeper | None:
    if not settings.store:
        return None
    return Keeper(settings.store, rulebook, log, StoreMetrics(metrics))


def _allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Browsers' clients may call; a preflight carries no token, and cookies are never used."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "content-encoding", HEADER],
        expose_headers=[HEADER],
        allow_credentials=False,
        max_age=3600,
    )


def _trust_proxies(app: FastAPI, proxies: tuple[Network, ...]) -> None:
    """Takes the address of a client from ``X-Forwarded-For``, if such a proxy sends it."""
    if proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=[str(item) for item in proxies])


_NO_ROUTE = {404: "there is nothing at this address", 405: "this address has no such method"}


async def _no_route(_: Request, error: Exception) -> Response:
    """404 and 405 as an OperationOutcome that says what there is."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    accepted = "GET /cds-services, POST /cds-services/{id}, GET /health, GET /metrics, GET /"
    what = _NO_ROUTE.get(status, "the request could not be answered")
    code: IssueCode = "not-found" if status == 404 else "not-supported"
    response = respond(refusal(Outcome(status, code, what, accepted)))
    headers = error.headers if isinstance(error, HTTPException) else None
    response.headers.update(headers or {})
    return response
