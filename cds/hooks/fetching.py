"""Fetches what a call did not bring, as its prefetch would have brought it.

All keys at once, a bounded number of requests at a time, pages followed, until the call's deadline.
What could not be had becomes the state that it has (refused, failed, in part), and is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from cds.chart.document import UNREADABLE, decode
from cds.chart.fields import Json, as_object
from cds.hooks.deadline import Deadline
from cds.hooks.egress import Allowance, Egress, EgressError, NotAllowed, Room, TooSlow
from cds.hooks.filling import Filling
from cds.hooks.gaps import Gap, Gaps, medications_wanted
from cds.values.problem import Problem

if TYPE_CHECKING:
    from cds.hooks.metrics import Metrics

AT_ONCE = 8
"""So many requests of one call are under way at a time."""
MAX_PAGES = 50
"""So many pages of one key are fetched; what lies beyond is told as not fetched."""
MAX_HELD_BYTES = 256 * 1024 * 1024
"""So much that was fetched is held at once, for all calls together."""
# A page beyond this is decoded in a thread, so that other calls do not wait for it.
_DECODED_INLINE = 256 * 1024
_ACCEPT = "application/fhir+json, application/json;q=0.9"
_DRUGS = "Medication"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A request with what was fetched in its prefetch, and what is to be told of it.

    ``outcomes`` says by key how it went; ``room`` is what the bytes that came are held in.
    """

    request: Json
    outcomes: Mapping[str, str]
    problems: tuple[Problem, ...]
    room: Room


class Fetcher:
    """Asks the FHIR servers that a site lists; ``max_bytes`` bounds what one call may fetch.

    Whoever has done with what was fetched gives its room back.
    """

    def __init__(self, egress: Egress, max_bytes: int, metrics: Metrics) -> None:
        self._egress, self._max_bytes, self._metrics = egress, max_bytes, metrics
        self._room = Room(MAX_HELD_BYTES)

    def allows(self, base: str) -> bool:
        """Whether the site lists a FHIR server."""
        return self._egress.allows(base)

    async def fetch(self, gaps: Gaps, deadline: Deadline) -> Fetched:
        """The call with its gaps filled as far as they can be until the deadline; never raises."""
        errand = _Errand(self._egress, gaps, Room(self._max_bytes, self._room), deadline)
        filled = await errand.fill(gaps.missing)
        request = _with(gaps.request, filled)
        drugs = [
            Gap(f"{_DRUGS}/{name}", _DRUGS, f"{_DRUGS}/{name}")
            for name in medications_wanted(request, gaps.base)
        ]
        named = await errand.fill(drugs) if drugs else []
        for filling in (*filled, *named):
            self._metrics.fetch(filling.outcome, filling.seconds)
        problems = [item.problem() for item in (*filled, *named)]
        return Fetched(
            request=_with_drugs(request, named),
            outcomes={item.gap.key: item.outcome for item in (*filled, *named)},
            problems=tuple(problem for problem in problems if problem is not None),
            room=errand.room,
        )

    async def close(self) -> None:
        await self._egress.close()


class _Errand:
    """What is fetched for one call: its time, its bytes, and so many requests at a time."""

    def __init__(self, egress: Egress, gaps: Gaps, room: Room, deadline: Deadline) -> None:
        self._egress, self._gaps, self.room, self._deadline = egress, gaps, room, deadline
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def fill(self, gaps: Iterable[Gap]) -> list[Filling]:
        """Each gap with what came until the deadline; whatever is under way by then is given up."""
        found = [Filling(gap, self._gaps.patient, self._gaps.base) for gap in gaps]
        tasks = [asyncio.ensure_future(self._fill(item)) for item in found]
        if tasks:
            try:
                await asyncio.wait(tasks, timeout=self._deadline.left_to_fetch())
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        for item in found:
            if not item.outcome:
                item.end("late", "it did not come in time")
        return found

    async def _fill(self, filling: Filling) -> None:
        started = perf_counter()
        try:
            await self._follow(filling)
        except NotAllowed as error:
            filling.end("not-allowed", str(error))
        except TooSlow:
            filling.end("late", "it did not come in time")
        except EgressError as error:
            filling.end("failed", str(error))
        finally:
            filling.seconds = perf_counter() - started

    async def _follow(self, filling: Filling) -> None:
        """Page after page, until there is no further one. Raises EgressError."""
        address, seen = filling.start(), set[str]()
        while address:
            if address in seen or len(seen) == MAX_PAGES:
                filling.end("truncated", f"there are more than {MAX_PAGES} pages, or they go round")
                return
            seen.add(address)
            async with self._gate:
                page = await self._egress.get(
                    address,
                    token=self._gaps.token,
                    accept=_ACCEPT,
                    allowance=Allowance(self._deadline.left_to_fetch()),
                    room=self.room,
                )
            root = await _decoded(page.body) if page.status == 200 else None
            address = filling.take(page.status, root, address)


async def _decoded(body: bytes) -> object:
    """The JSON of a body, fractions as Decimal; None where it is none."""
    try:
        if len(body) <= _DECODED_INLINE:
            return decode(body)
        return await asyncio.to_thread(decode, body)
    except UNREADABLE:
        return None


def _with(request: Json, filled: Iterable[Filling]) -> Json:
    prefetch = dict(as_object(request.get("prefetch")))
    for item in filled:
        prefetch[item.gap.key] = item.value()
    return {**request, "prefetch": prefetch}


def _with_drugs(request: Json, named: Iterable[Filling]) -> Json:
    """The request with the Medications that came beside its prefetch; they speak of no type."""
    came: list[Json] = [{"resource": item.value()} for item in named if item.outcome == "fetched"]
    if not came:
        return request
    prefetch = as_object(request["prefetch"])
    return {**request, "prefetch": {**prefetch, f"{_DRUGS} (fetched)": _collection(came)}}


def _collection(entries: list[Json]) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
