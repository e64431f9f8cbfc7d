"""The HTTP application: routes, CORS, and what is said when there is no such route.

The routes are Starlette's, so that a body goes from the socket to the decoder without a model in
between; FastAPI gives the page that describes them.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

import cds
from cds.cards.wire import encode
from cds.engine.review import evaluator
from cds.hooks.calls import Counter, Limits, Log, respond
from cds.hooks.description import describe
from cds.hooks.desk import Clock, Desk, Reply, refusal
from cds.hooks.discovery import services
from cds.hooks.egress import Egress
from cds.hooks.fetching import Fetcher
from cds.hooks.keeper import Keeper
from cds.hooks.metrics import CONTENT_TYPE, Metrics
from cds.hooks.opinion import SecondOpinion
from cds.hooks.outcome import IssueCode, Outcome
from cds.hooks.settings import Settings
from cds.rulebook.model import Rulebook


@dataclass(frozen=True, slots=True)
class Options:
    """How the service behaves. ``judging`` is off only to measure what judging costs;
    ``second_opinion`` has the second engine judge again what was answered.
    """

    settings: Settings = field(default_factory=Settings)
    limits: Limits = field(default_factory=Limits)
    judging: bool = True
    second_opinion: bool = False


def create_app(
    rulebook: Rulebook, zone: ZoneInfo, clock: Clock, log: Log, options: Options | None = None
) -> FastAPI:
    """The service for one rulebook. ``clock`` is asked for the moment of each call."""
    options = options or Options()
    offered = services(rulebook)
    evaluator(rulebook)  # compiled now, so that the first call is no slower than the others
    opinion = _second_opinion(rulebook, log) if options.second_opinion else None
    aside = opinion.offer if opinion is not None else None
    keeper = Keeper(options.settings.store, rulebook, log) if options.settings.store else None
    metrics, settings = Metrics(opinion), options.settings
    fetcher = _fetcher(settings, metrics) if settings.fhir_servers else None
    allows = fetcher.allows if fetcher is not None else None
    desk = Desk(rulebook, zone, clock, settings.max_bytes, options.judging, aside, keeper, allows)
    counter = Counter(desk, offered, options.limits, log, metrics, settings.budget_ms, fetcher)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # The rulebook lives as long as the service: it is not searched for garbage at every call.
        gc.collect()
        gc.freeze()
        yield
        await counter.close()
        if opinion is not None:
            opinion.close()
        if keeper is not None:
            keeper.close()
        gc.unfreeze()

    app = FastAPI(title=rulebook.pack.title, version=cds.__version__, lifespan=lifespan)
    app.state.second_opinion, app.state.keeper, app.state.fetcher = opinion, keeper, fetcher
    discovery = Reply(200, encode({"services": [item.as_json() for item in offered.values()]}))
    health = Reply(200, encode(_health(rulebook)))

    async def discover(_: Request) -> Response:
        return respond(discovery)

    async def healthy(_: Request) -> Response:
        return respond(health)

    async def measured(_: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    app.add_route("/metrics", measured, ["GET"])
    app.add_route("/cds-services", discover, ["GET"])
    app.add_route("/cds-services/{id}", counter.call, ["POST"])
    app.add_route("/cds-services/{id}/feedback", counter.feedback, ["POST"])
    app.add_route("/health", healthy, ["GET"])
    app.add_exception_handler(HTTPException, _no_route)
    app.openapi = lambda: describe(rulebook.pack.title, offered)  # type: ignore[method-assign]
    _allow_origins(app, options.settings.origins)
    return app


def _fetcher(settings: Settings, metrics: Metrics) -> Fetcher:
    return Fetcher(Egress(settings.fhir_servers), settings.max_bytes, metrics)


def _second_opinion(rulebook: Rulebook, log: Log) -> SecondOpinion:
    from cds.second.engine import DurableEngine

    return SecondOpinion(DurableEngine(rulebook), log)


def _allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Browsers' clients may call; a preflight carries no token, and cookies are never used."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "content-encoding"],
        allow_credentials=False,
        max_age=3600,
    )


def _health(rulebook: Rulebook) -> Mapping[str, Any]:
    return {
        "status": "ok",
        "pack": {"id": rulebook.pack.id, "version": rulebook.pack.version},
        "rulebook": rulebook.digest,
        "engine": "reference",
        "rules": [rule.id for rule in rulebook.rules],
        "version": cds.__version__,
    }


_NO_ROUTE = {404: "there is nothing at this address", 405: "this address has no such method"}


async def _no_route(_: Request, error: Exception) -> Response:
    """404 and 405 as an OperationOutcome that says what there is."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    accepted = "GET /cds-services, POST /cds-services/{id}, GET /health, GET /metrics"
    what = _NO_ROUTE.get(status, "the request could not be answered")
    code: IssueCode = "not-found" if status == 404 else "not-supported"
    response = respond(refusal(Outcome(status, code, what, accepted)))
    headers = error.headers if isinstance(error, HTTPException) else None
    response.headers.update(headers or {})
    return response
