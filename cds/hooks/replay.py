"""Each token once: what was seen of ``jti`` is remembered until the token would have ended anyway.

A process remembers by itself; where the site has a store, all processes that share it do. While the
store cannot be asked, or not in time, calls are answered all the same (each process still refuses
what it has seen itself): a card that does not come is worse than one that an eavesdropper could ask
for a second time within minutes. It is counted and logged.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING

from cds.store.database import StoreError
from cds.store.tokens import Tokens

if TYPE_CHECKING:
    from cds.hooks.journal import Log

MOST = 200_000
"""So many tokens a process remembers; beyond, those that end first are forgotten."""
WAIT_SECONDS = 0.25
"""So long a call waits for the store."""
AGAIN_SECONDS = 5.0
"""So long it is left alone after it could not be asked."""
_MINUTE = 60


class Memory:
    """What one process has seen, by the minute in which it may be forgotten."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: dict[bytes, int] = {}
        self._minutes: dict[int, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def take(self, digest: bytes, until: float, now: float) -> bool:
        """Whether it is new; it is remembered until then (seconds of the epoch)."""
        for minute in [minute for minute in self._minutes if (minute + 1) * _MINUTE < now]:
            self._forget(minute)
        if digest in self._seen:
            return False
        if len(self._seen) >= self._most:
            self._forget(min(self._minutes))
        minute = int(until) // _MINUTE
        self._seen[digest] = minute
        self._minutes.setdefault(minute, []).append(digest)
        return True

    def _forget(self, minute: int) -> None:
        for digest in self._minutes.pop(minute):
            del self._seen[digest]


class Replay:
    """Remembers tokens here, and in the store at ``url`` if there is one. ``alone`` is told of each
    call for which the store could not be asked.
    """

    def __init__(
        self,
        url: str,
        log: Log,
        alone: Callable[[], None] = lambda: None,
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        self._memory = Memory()
        self._tokens = Tokens(url) if url else None
        self._log, self._alone, self._ticks = log, alone, ticks
        self._failed_at = float("-inf")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="tokens") if url else None

    async def take(self, issuer: str, jti: str, until: float, now: float) -> bool:
        """Whether the token comes for the first time, as far as can be known."""
        name = f"{issuer}\0{jti}".encode("utf-8", "backslashreplace")
        digest = hashlib.blake2b(name, digest_size=16).digest()
        if not self._memory.take(digest, until, now):
            return False
        return await self._asked(digest, until, now)

    async def _asked(self, digest: bytes, until: float, now: float) -> bool:
        if self._tokens is None or self._worker is None:
            return True
        if self._ticks() - self._failed_at < AGAIN_SECONDS:
            self._alone()
            return True
        asking = asyncio.get_running_loop().run_in_executor(
            self._worker, self._tokens.take, digest, int(until), int(now)
        )
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await asking
        except TimeoutError:
            self._fail("it did not answer in time")
        except StoreError as error:
            self._fail(str(error))
        return True

    def _fail(self, why: str) -> None:
        self._failed_at = self._ticks()
        self._alone()
        self._log({"event": "tokens", "error": why})

    def close(self) -> None:
        """Lets go of the store."""
        if self._worker is not None:
            self._worker.shutdown(wait=False, cancel_futures=True)
        if self._tokens is not None:
            self._tokens.close()
