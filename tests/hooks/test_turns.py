"""Calls at once: each has its turn, and what arrives meanwhile is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cds.hooks.desk import Desk
from tests.hooks.clients import SIGN
from tests.hooks.ehr import Ehr
from tests.records import draft, request

CALL = json.dumps(
    request(draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5))
).encode()


def test_a_body_in_pieces_does_not_wait_for_all_others_with_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []
    reply = Desk.reply

    def noted(self: Desk, service: Any, body: bytes, *more: Any) -> Any:
        happened.append(f"judged {len(body)}")
        return reply(self, service, body, *more)

    monkeypatch.setattr(Desk, "reply", noted)
    long = CALL + b" " * 100

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(long), len(long) // 4):
            happened.append("piece")
            yield long[start : start + len(long) // 4]
            await asyncio.sleep(0)

    async def calls(client: httpx.AsyncClient) -> list[httpx.Response]:
        short = [client.post(SIGN, content=CALL) for _ in range(8)]
        return await asyncio.gather(client.post(SIGN, content=pieces()), *short)

    answers = Ehr().run(calls)
    assert [answer.status_code for answer in answers] == [200] * 9
    assert len({answer.text for answer in answers}) == 1
    last = len(happened) - happened[::-1].index("piece")
    assert happened.count("piece") == 5
    # Between two pieces one of the others is answered at most, and nobody passes them by.
    assert happened[:last].count(f"judged {len(CALL)}") <= 5
    assert happened[-1] == f"judged {len(long)}"
