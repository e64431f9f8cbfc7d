"""The door: who may call (JWT), and how often. It stands before everything that reads a body.

CDS Hooks 2.0, Trusting CDS Clients. Deny by default: where tokens are checked, an address that is
not named here as open needs one, be there something at it or not. A caller that is turned away gets
a bare 401; why is counted and logged by kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cds.hooks.bearer import (
    Denied,
    Token,
    check_claims,
    check_header,
    check_signature,
    identity,
    read_token,
)
from cds.hooks.calls import respond
from cds.hooks.desk import refusal
from cds.hooks.egress import Allowance, Egress, EgressError
from cds.hooks.journal import Log
from cds.hooks.keys import MAX_BYTES, Get, Keys, KeysError
from cds.hooks.metrics import Metrics
from cds.hooks.outcome import Outcome
from cds.hooks.replay import Replay
from cds.hooks.settings import FhirServer, Issuer, Settings
from cds.hooks.throttle import Throttle, client_name

_FETCH = Allowance(seconds=3.0, max_bytes=MAX_BYTES)
_PAGES = ("health", "metrics")
_SERVICES = "/cds-services"


@dataclass(frozen=True, slots=True)
class Door:
    """What callers are checked by. ``checked`` is whether they need a token."""

    settings: Settings
    clock: Callable[[], datetime]
    log: Log
    metrics: Metrics
    issuers: Mapping[str, Issuer]
    keys: Mapping[str, Keys]
    replay: Replay | None
    throttle: Throttle | None

    @property
    def checked(self) -> bool:
        return bool(self.issuers)

    def is_open(self, method: str, path: str) -> bool:
        """Whether an address needs no token, and counts for nobody: pages without any record."""
        page = next(
            (name for name in _PAGES if path == f"/{name}" or path.startswith(f"/{name}/")), ""
        )
        if page:
            return page in self.settings.open_pages
        reading = method in ("GET", "HEAD") and not path.startswith(_SERVICES)
        return reading and "page" in self.settings.open_pages

    async def admit(self, scope: Scope) -> str:
        """The issuer of a call's token; raises Denied. In the order of the standard."""
        token = read_token([value for name, value in scope["headers"] if name == b"authorization"])
        now = self.clock().timestamp()
        endpoint = self.settings.public_url + scope["path"]
        issuer, until = check_claims(token, self.issuers, endpoint, now)
        await self._check_signature(token, issuer)
        jti = identity(token, issuer)
        if self.replay is not None and not await self.replay.take(issuer.iss, jti, until, now):
            raise Denied("replayed", issuer.iss)
        return issuer.iss

    async def _check_signature(self, token: Token, issuer: Issuer) -> None:
        kid, alg = check_header(token, issuer)
        key = await self.keys[issuer.iss].find(kid, alg)
        if key is None:
            raise Denied("kid", issuer.iss)
        check_signature(token, key, issuer)

    async def caller(self, scope: Scope) -> str:
        """Who calls: the issuer of the token, else the address; raises Denied."""
        if not self.checked:
            return peer_of(scope)
        try:
            return await self.admit(scope)
        except Denied:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours lets nobody in, and shows nothing
            self.log({"event": "failed", "at": "door", "error": type(error).__name__})
            raise Denied("fault") from None

    def close(self) -> None:
        """Lets go of the store."""
        if self.replay is not None:
            self.replay.close()


def open_door(
    settings: Settings, clock: Callable[[], datetime], log: Log, metrics: Metrics
) -> Door:
    """The door of a site. Key sets are fetched as FHIR servers are asked: listed ones, checked."""
    issuers = {issuer.iss: issuer for issuer in settings.issuers}
    return Door(
        settings=settings,
        clock=clock,
        log=log,
        metrics=metrics,
        issuers=issuers,
        keys={iss: Keys(issuer, _fetcher(issuer), log) for iss, issuer in issuers.items()},
        replay=Replay(settings.store, log, metrics.token_alone) if issuers else None,
        throttle=Throttle(settings.rate) if settings.rate is not None else None,
    )


def _fetcher(issuer: Issuer) -> Get:
    parts = urlsplit(issuer.jku)
    origin = f"{parts.scheme}://{parts.netloc}"
    listed = [FhirServer(origin, issuer.networks, issuer.plain_http)] if issuer.jku else []
    egress = Egress(listed, max_connections=2)

    async def get(address: str) -> bytes:
        try:
            page = await egress.get(address, accept="application/json", allowance=_FETCH)
        except EgressError as error:
            raise KeysError(type(error).__name__) from None
        finally:
            await egress.close()  # the next time is minutes away
        if page.status != 200:
            raise KeysError(f"status {page.status}")
        return page.body

    return get


def peer_of(scope: Scope) -> str:
    """The address of whoever calls, as far as proxies that are trusted say; "" if there is none."""
    client = scope.get("client")
    return client_name(client[0]) if client else ""


class Guard:
    """Lets calls through that the door lets in (ASGI)."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 401 or 429, or hands the call on."""
        if scope["type"] == "http" and not self._passes(scope):
            refused = await self._refused(scope)
            if refused is not None:
                await refused(scope, receive, send)
                return
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    def _passes(self, scope: Scope) -> bool:
        # A preflight carries no token (CDS Hooks 2.0, CORS).
        return scope["method"] == "OPTIONS" or self._door.is_open(scope["method"], scope["path"])

    async def _refused(self, scope: Scope) -> Response | None:
        """What a call is answered that does not come through; None for one that does."""
        door = self._door
        try:
            caller, denied = await door.caller(scope), None
        except Denied as error:
            caller, denied = peer_of(scope), error
        wait = door.throttle.take(caller) if door.throttle is not None else 0
        if wait:
            known = caller if door.checked else ""
            self._note(scope, 429, "rate", known if denied is None else denied.issuer)
            return _throttled(wait)
        if denied is None:
            return None
        self._note(scope, 401, denied.reason, denied.issuer)
        headers = {"www-authenticate": "Bearer", "cache-control": "no-store"}
        return Response(b"", 401, headers)

    def _note(self, scope: Scope, status: int, reason: str, issuer: str) -> None:
        event: dict[str, object] = {"event": "refused", "status": status, "reason": reason}
        request_id = scope.get("state", {}).get("request_id")
        if request_id:
            event["request"] = request_id
        if issuer:
            event["issuer"] = issuer
        self._door.metrics.refused(reason)
        self._door.log(event)


def _throttled(seconds: int) -> Response:
    what, accepted = "this client calls too often", f"the same call in {seconds} s"
    response = respond(refusal(Outcome(429, "throttled", what, accepted)))
    response.headers["retry-after"] = str(seconds)
    return response
