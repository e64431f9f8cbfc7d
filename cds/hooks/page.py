"""The page at ``/``: what the service is, its hooks and health, feedback, and a call to try.

It holds nothing of any patient, loads nothing from elsewhere, and runs no script but its own. Where
callers are checked by token, how feedback turned out is not shown: ``cds feedback`` tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

import cds
from cds.cards.wire import encode
from cds.engine.review import speaks_on
from cds.hooks.annex import Annex, AnnexError, Shelf
from cds.hooks.charts import WEEKS, Charts, charts
from cds.hooks.discovery import Service, when
from cds.hooks.keeper import Keeper
from cds.hooks.settings import Settings
from cds.rulebook.model import Rule, Rulebook
from cds.store.store import StoreError

ASSETS = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "cards.js": "text/javascript",
    "markdown.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src"
        " 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
# The report reads all feedback of half a year; whoever looks again at once gets the same.
_FRESH_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Offer:
    """A hook as the page lists it."""

    service: Service
    when: str
    rules: tuple[Rule, ...]


@dataclass(slots=True)
class Page:
    """The page of one application; ``add_to`` gives it its addresses."""

    rulebook: Rulebook
    zone: ZoneInfo
    services: Mapping[str, Service]
    settings: Settings
    clock: Callable[[], datetime]
    keeper: Keeper | None = None
    annex: Annex | None = None
    _shelf: Shelf = field(init=False)
    _charts: tuple[float, Charts] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._shelf = Shelf(self.annex)

    @property
    def checked(self) -> bool:
        """Whether callers need a token."""
        return bool(self.settings.issuers)

    def add_to(self, app: FastAPI) -> None:
        """Adds the page, what it loads, and the rule book."""
        for path, answer in {
            "/": self.front,
            "/page/feedback": self.feedback,
            "/page/examples": self.examples,
            "/page/examples/{number:int}": self.example,
            "/page/{name}": self.asset,
            "/book": self.to_book,
            "/book/{path:path}": self.book,
        }.items():
            app.add_route(path, answer, ["GET"], include_in_schema=False)

    # -- the page ---------------------------------------------------------------------------------

    async def front(self, _: Request) -> Response:
        """The page itself; nothing of it waits for a store."""
        return _html(
            "page.html",
            pack=self.rulebook.pack,
            digest=self.rulebook.digest,
            version=cds.__version__,
            zone=self.zone.key,
            rules=self.rulebook.rules,
            offers=self._offers(),
            checked=self.checked,
            audience=self.settings.public_url,
            has_store=self.keeper is not None,
            has_annex=self.annex is not None,
        )

    def _offers(self) -> list[Offer]:
        return [
            Offer(
                service,
                when(service.hook),
                tuple(rule for rule in self.rulebook.rules if speaks_on(rule, service.hook)),
            )
            for service in self.services.values()
        ]

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            raise HTTPException(404)
        return _answer(_asset(name), ASSETS[name])

    # -- feedback ---------------------------------------------------------------------------------

    async def feedback(self, _: Request) -> Response:
        """The charts as a piece of a page: 403 where they are not shown, 503 without a store."""
        if self.checked:
            return self._drawn(403, None, "checked")
        if self.keeper is None:
            return self._drawn(503, None, "none")
        try:
            return self._drawn(200, await asyncio.to_thread(self._report, self.keeper), "")
        except StoreError:
            return self._drawn(503, None, "down")

    def _report(self, keeper: Keeper) -> Charts:
        made = self._charts
        if made is None or monotonic() - made[0] > _FRESH_SECONDS:
            now = self.clock()
            found = keeper.report(now - timedelta(weeks=WEEKS))
            made = self._charts = (monotonic(), charts(found, now.astimezone(self.zone).date()))
        return made[1]

    def _drawn(self, status: int, drawn: Charts | None, why: str) -> Response:
        rules = {rule.id: rule.title for rule in self.rulebook.rules}
        return _html(
            "feedback.html",
            status,
            charts=drawn,
            why=why,
            weeks=WEEKS,
            rules=rules,
            has_annex=self.annex is not None,
        )

    # -- what another process makes ---------------------------------------------------------------

    async def examples(self, _: Request) -> Response:
        """The list of requests to try: those that a service of ours answers."""
        try:
            found = await self._shelf.examples()
        except AnnexError as error:
            return _answer(encode({"why": str(error)}), "application/json", 503)
        by_hook = {service.hook: service.id for service in self.services.values()}
        listed = [
            {
                "number": number,
                "rule": item.rule,
                "title": item.title,
                "name": item.name,
                "service": by_hook[item.hook],
            }
            for number, item in enumerate(found)
            if item.hook in by_hook
        ]
        return _answer(encode(listed), "application/json")

    async def example(self, request: Request) -> Response:
        """One request, as if it came today."""
        try:
            found = await self._shelf.examples()
            item = found[request.path_params["number"]]
        except (AnnexError, IndexError):
            raise HTTPException(404) from None
        today = self.clock().astimezone(self.zone).date()
        return _answer(item.on(today).encode(), "application/json")

    async def to_book(self, _: Request) -> Response:
        return RedirectResponse("book/", 307)

    async def book(self, request: Request) -> Response:
        """A file of the rule book, which is made when it is first asked for."""
        path = request.path_params["path"] or "index.html"
        try:
            found = (await self._shelf.book()).get(path)
        except AnnexError as error:
            return _html("nobook.html", 503, pack=self.rulebook.pack, why=str(error))
        if found is None:
            raise HTTPException(404)
        kind = next((kind for end, kind in _TYPES.items() if path.endswith(end)), "text/plain")
        return _answer(found, kind)


@cache
def _asset(name: str) -> bytes:
    return (files("cds.hooks") / "assets" / name).read_bytes()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("cds.hooks"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _html(template: str, status: int = 200, **content: Any) -> Response:
    text = _environment().get_template(template).render(**content)
    return _answer(text.encode(), "text/html", status)


def _answer(body: bytes, kind: str, status: int = 200) -> Response:
    charset = "" if kind == "application/json" else "; charset=utf-8"
    return Response(body, status, {**HEADERS, "content-type": f"{kind}{charset}"})
