"""What ``GET /health`` says: whether this process should get calls, and how the service is.

For a load balancer: 200 while calls are answered, 503 once the service is ending. Old rules after a
reload that failed, a store or a second engine that cannot be used are "degraded" with 200, since
cards still come: taking every process out of service for them would help nobody.
``GET /health/live`` says 200 as long as the process answers at all, while it drains too, so that
whoever restarts what is dead does not kill what is about to finish.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import cds
from cds.cards.wire import encode
from cds.hooks.board import Board
from cds.hooks.desk import Reply
from cds.hooks.gate import Gate
from cds.hooks.keeper import OUTCOMES as KEPT
from cds.hooks.keeper import Keeper
from cds.hooks.opinion import OUTCOMES as OPINIONS
from cds.hooks.opinion import SecondOpinion
from cds.rulebook.model import Rulebook

ALIVE = Reply(200, b'{"status":"alive"}')
_STORE_SECONDS = 1.0
_STORE_ASKED_EVERY = 2.0


@dataclass(slots=True)
class Health:
    """The state of one process, and on the ``board`` what its parent says of the others."""

    rulebook: Rulebook
    gate: Gate
    keeper: Keeper | None = None
    opinion: SecondOpinion | None = None
    board: Board | None = None
    began: float = field(default_factory=monotonic)
    _store: tuple[float, str] = (0.0, "")

    async def reply(self) -> Reply:
        """The state as it is now; the store is asked at most every two seconds, for one."""
        notice = self.board.read() if self.board is not None else {}
        store = await self._store_state()
        reload = notice.get("reload", {"outcome": "none"})
        why = [f"store: {store}"] if store not in ("ok", "none") else []
        if reload.get("outcome") == "failed":
            why.append("the last reload failed: older rules are in force")
        status = "degraded" if why else "ok"
        if self.gate.state == "stopping":
            status = "draining"
        found = self._about() | {
            "status": status,
            "store": self._about_store(store),
            "engines": {"reference": "ok", "second": self._about_second()},
            "reload": reload,
            "workers": notice.get("workers", {"wanted": 1, "serving": 1, "deaths": 0}),
            "uptimeSeconds": int(monotonic() - notice.get("began", self.began)),
            "process": {"id": os.getpid(), "uptimeSeconds": int(monotonic() - self.began)},
        }
        if why:
            found["why"] = why
        return Reply(503 if status == "draining" else 200, encode(found))

    def _about(self) -> dict[str, Any]:
        rulebook = self.rulebook
        return {
            "status": "",
            "pack": {"id": rulebook.pack.id, "version": rulebook.pack.version},
            "rulebook": rulebook.digest,
            "engine": "reference",
            "rules": [rule.id for rule in rulebook.rules],
            "version": cds.__version__,
        }

    def _about_store(self, state: str) -> Mapping[str, object]:
        if self.keeper is None:
            return {"state": state}
        cards = {name: self.keeper.outcomes[name] for name in KEPT}
        return {"state": state, "cards": cards}

    def _about_second(self) -> object:
        opinion = self.opinion
        return {name: opinion.outcomes[name] for name in OPINIONS} if opinion else "off"

    async def _store_state(self) -> str:
        """ "ok", "none" where there is no store, or why it cannot be used."""
        if self.keeper is None:
            return "none"
        at, found = self._store
        if not found or monotonic() - at > _STORE_ASKED_EVERY:
            asked = asyncio.to_thread(self.keeper.status)
            try:
                found = await asyncio.wait_for(asked, _STORE_SECONDS)
            except TimeoutError:
                found = "it does not answer"
            self._store = (monotonic(), found)
        return found
