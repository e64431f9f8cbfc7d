"""A call has so much time; then it is answered, with what was not checked."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

import cds.hooks.deadline
import cds.hooks.desk
from cds.cards.judge import read_request
from cds.hooks.app import Options
from cds.hooks.calls import Limits
from cds.hooks.deadline import Deadline
from cds.hooks.settings import Settings
from tests.hooks.ehr import Ehr, review_of
from tests.hooks.fhir_server import (
    Answer,
    Server,
    but,
    hangs,
    hangs_after,
    http,
    record,
    says_json,
)
from tests.hooks.test_fetching import ACTIVE, DRAFT, OPIOID, RECORD, asking, next_page, told, topics
from tests.records import Json, judged, request, rulebook, searchset, setting

GOOD = request(DRAFT, prefetch={"MedicationRequest": searchset(OPIOID)})
NOT_IN_TIME = "not checked in time"
BRIEF = 150
LATE = "cds_late_calls_total"


def call(document: Json, server: Server, budget_ms: int = BRIEF) -> httpx.Response:
    settings = Settings(fhir_servers=(server.listed(),), budget_ms=budget_ms)
    ehr = Ehr(options=Options(settings=settings))

    async def work(client: httpx.AsyncClient) -> httpx.Response:
        async with server.running():
            answer = await client.post("/cds-services/ldn-order-sign", json=document)
            await ehr.app.state.parts.fetcher.close()
            return answer

    answer: httpx.Response = ehr.run(work)
    return answer


@pytest.fixture
def a_second_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a budget of 20 seconds is for judging: the machine may be a slow one."""
    monkeypatch.setattr(cds.hooks.deadline, "_MOST_RESERVED", 19.0)
    monkeypatch.setattr(cds.hooks.deadline, "_RESERVED_SHARE", 1.0)


def unchecked(answer: httpx.Response) -> list[str]:
    """The rules that nobody had the time for."""
    unknown = review_of(answer).get("unknown", [])
    return [item["rule"] for item in unknown if item["missing"] == [NOT_IN_TIME]]


def rules() -> list[str]:
    return [
        rule.id
        for rule in rulebook().rules
        if "order-sign" in rule.hooks and "order-sign" not in rule.off_on
    ]


# -- fetching ends with it ----------------------------------------------------------------------------------


ENDLESS: list[tuple[str, Answer]] = [
    ("never answers", hangs),
    ("never ends its head", hangs_after(b"HTTP/1.1 200 OK\r\ncontent-")),
    ("never ends its body", hangs_after(http(b"{", content_length="999"))),
]


@pytest.mark.parametrize(
    "endless", [case[1] for case in ENDLESS], ids=[case[0] for case in ENDLESS]
)
@pytest.mark.usefixtures("a_second_to_fetch")
def test_what_does_not_come_is_not_waited_for(endless: Answer) -> None:
    server = Server(but(record(RECORD), Condition=endless))
    answer = call(asking(server, "Condition", "MedicationRequest"), server, budget_ms=20_000)
    coverage = review_of(answer)["coverage"]
    assert (coverage["Condition"], coverage["MedicationRequest"]) == ("failed", "supplied")
    assert "Condition could not be fetched: it did not come in time" in told(answer)
    assert ACTIVE in topics(answer)
    assert unchecked(answer) == []


@pytest.mark.usefixtures("a_second_to_fetch")
def test_pages_that_came_in_time_are_judged() -> None:
    server = Server(record(RECORD))
    first = says_json(searchset(OPIOID, **next_page(f"{server.base}/More?page=2")))
    server.answer = but(hangs, MedicationRequest=first)
    answer = call(asking(server, "MedicationRequest"), server, budget_ms=20_000)
    assert review_of(answer)["coverage"]["MedicationRequest"] == "truncated"
    assert "came in part: it did not come in time" in told(answer)
    assert ACTIVE in topics(answer)


def test_a_patient_that_does_not_come_in_time_is_none() -> None:
    server = Server(hangs)
    answer = call(asking(server, "patient"), server)
    assert answer.status_code == 412
    assert "did not help (late)" in answer.text


def test_late_fetches_are_counted() -> None:
    server = Server(hangs)
    ehr = Ehr(options=Options(settings=Settings(fhir_servers=(server.listed(),), budget_ms=BRIEF)))

    async def work(client: httpx.AsyncClient) -> str:
        async with server.running():
            await client.post(
                "/cds-services/ldn-order-sign", json=asking(server, "Task", "Condition")
            )
            await ehr.app.state.parts.fetcher.close()
        return (await client.get("/metrics")).text

    assert 'cds_fetches_total{outcome="late"} 2.0' in ehr.run(work)


# -- judging ends with it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("checked", [0, 1, 7, 1000])
def test_rules_that_are_left_are_unknown(checked: int) -> None:
    asked = itertools.count()
    by = replace(setting(hook="order-sign"), stop=lambda: next(asked) >= checked)
    (found,) = judged(GOOD, by)
    (whole,) = judged(GOOD, setting(hook="order-sign"))
    left = rules()[checked:]
    late = [verdict for verdict in found.answer.unknown if verdict.missing == (NOT_IN_TIME,)]
    assert [verdict.rule.id for verdict in late] == left
    assert all(verdict.traces[0].missing == (NOT_IN_TIME,) for verdict in late)
    assert [verdict.truth for verdict in found.answer.review.verdicts][:checked] == [
        verdict.truth for verdict in whole.answer.review.verdicts
    ][:checked]
    problems = [problem.what for problem in found.problems if problem.kind == "deadline"]
    assert problems == (
        [f"{len(left)} of {len(rules())} rules were not checked in time"] if left else []
    )


@contextmanager
def time_flies(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[None]:
    """The clock of deadlines stands still, and jumps by an hour once it was read so often."""
    reads = itertools.count()
    with monkeypatch.context() as patched:
        patched.setattr(cds.hooks.deadline, "perf_counter", lambda: 3600.0 * (next(reads) >= after))
        yield


def test_a_call_whose_time_is_over_says_what_was_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ehr = Ehr()
    with time_flies(monkeypatch, after=4):
        answer = ehr.call(GOOD)
    assert unchecked(answer) == rules()[3:]
    assert f"{len(rules()) - 3} of {len(rules())} rules were not checked in time" in told(answer)
    # What was looked at is told all the same.
    assert review_of(answer)["coverage"]["MedicationRequest"] == "supplied"
    assert ehr.events[-1]["late"] is True
    assert f"{LATE} 1.0" in ehr.send("GET", "/metrics").text


def test_a_call_in_time_says_nothing_of_time() -> None:
    ehr = Ehr()
    answer = ehr.call(GOOD)
    assert unchecked(answer) == []
    assert NOT_IN_TIME not in answer.text
    assert "late" not in ehr.events[-1]
    assert f"{LATE} 0.0" in ehr.send("GET", "/metrics").text


# -- waiting for a thread counts -----------------------------------------------------------------------------


class Stuck:
    """Judging that lasts until it is let go, in the threads of the service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()

        self.calls = 0

        def stuck(*args: Any) -> Any:
            self.calls += 1
            self.begun.set()
            assert self.go.wait(timeout=30)
            try:
                return read_request(*args)
            finally:
                self.ended.set()

        monkeypatch.setattr(cds.hooks.desk, "read_request", stuck)

    def finish(self) -> None:
        """Lets it go, and returns when it is over; on a slow machine it may never have begun."""
        self.go.set()
        if self.begun.is_set():
            assert self.ended.wait(timeout=30)


def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on calls have all the time there is."""
    monkeypatch.setattr(cds.hooks.deadline, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(Deadline, "left", lambda _: 60.0)


def threaded(budget_ms: int, store: str = "") -> Ehr:
    """A service that gives every call to its one thread."""
    settings = Settings(budget_ms=budget_ms, store=store)
    return Ehr(options=Options(settings=settings, limits=Limits(inline_bytes=0, workers=1)))


def test_neither_the_one_that_hangs_nor_the_one_that_waits_is_left_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stuck, ehr = Stuck(monkeypatch), threaded(BRIEF)
    body = json.dumps(GOOD).encode()

    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        calls = [client.post("/cds-services/ldn-order-sign", content=body) for _ in range(3)]
        return await asyncio.gather(*calls)

    try:
        for answer in ehr.run(work):
            review = review_of(answer)
            assert answer.json()["cards"] == []
            assert unchecked(answer) == rules()
            assert set(review["coverage"].values()) == {"unread"}
            assert "MedicationRequest" in review["coverage"]
            assert review["problems"] == [
                {"what": "nothing was checked in time", "severity": "warning"}
            ]
            assert (review["hook"], review["asOf"]) == ("order-sign", "2026-06-10T10:00:00-04:00")
    finally:
        stuck.finish()
    assert [event["late"] for event in ehr.events] == [True] * 3
    # Those that waited were taken back: nobody works for them any more.
    no_hurry(monkeypatch)
    assert ACTIVE in topics(ehr.call(GOOD))
    assert stuck.calls <= 2
    assert f"{LATE} 3.0" in ehr.send("GET", "/metrics").text


def test_a_call_about_many_orders_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck(monkeypatch)
    ehr = Ehr(options=Options(settings=Settings(budget_ms=1000)))
    many = request(*[{**DRAFT, "id": f"d{number}"} for number in range(11)])

    async def work(client: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
        heavy = asyncio.create_task(client.post("/cds-services/ldn-order-sign", json=many))
        assert await asyncio.to_thread(stuck.begun.wait, 30)
        other = await client.get("/health")
        return await heavy, other

    try:
        heavy, other = ehr.run(work)
    finally:
        stuck.finish()
    assert (unchecked(heavy), other.status_code) == (rules(), 200)


def test_cards_that_nobody_waited_for_are_not_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept: list[object] = []
    stuck, ehr = Stuck(monkeypatch), threaded(BRIEF, f"sqlite:///{tmp_path}/store.db")
    keeper = ehr.app.state.parts.keeper
    monkeypatch.setattr(keeper, "keep", lambda *args: kept.append(args))
    try:
        assert unchecked(ehr.call(GOOD)) == rules()
    finally:
        stuck.finish()
    # The thread takes one call after another: once this is answered, the first is done.
    no_hurry(monkeypatch)
    assert ACTIVE in topics(ehr.call(GOOD))
    assert len(kept) == 1
    keeper.close()


def test_a_call_in_a_thread_is_answered_in_full_when_there_is_time() -> None:
    assert threaded(60_000).call(GOOD).json() == Ehr().call(GOOD).json()


def test_what_fails_after_its_time_is_nobodys_matter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, ehr = Stuck(monkeypatch), threaded(BRIEF)
    monkeypatch.setattr(cds.hooks.desk, "judge", lambda *args: 1 / 0)

    async def work(client: httpx.AsyncClient) -> httpx.Response:
        answer = await client.post("/cds-services/ldn-order-sign", json=GOOD)
        await asyncio.to_thread(stuck.finish)
        await asyncio.sleep(0.05)
        return answer

    assert unchecked(ehr.run(work)) == rules()
    assert caplog.text == ""


def test_one_of_two_answers_and_never_both() -> None:
    deadline = Deadline(1.0)
    assert [deadline.claim() for _ in range(3)] == [True, False, False]
    assert deadline.reserved == pytest.approx(0.1)
    assert Deadline(0.2).reserved == pytest.approx(0.05)
