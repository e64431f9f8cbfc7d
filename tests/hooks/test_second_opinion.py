"""`--second-opinion`: answers are judged again beside the calls, whatever becomes of the child."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from cds.hooks.app import Options
from cds.hooks.opinion import SecondOpinion
from cds.second.planes import Planes
from tests.hooks.ehr import Ehr, check_response
from tests.hooks.test_serve import CALL, serving
from tests.second.durable import needs_durable
from tests.second.test_commands import unanswered

ACTIVE = "opioid.active-with-naltrexone-order"


@contextmanager
def ehr() -> Iterator[Ehr]:
    found = Ehr(options=Options(second_opinion=True))
    try:
        yield found
    finally:
        found.app.state.parts.opinion.close()


def metrics(of: Ehr) -> dict[str, float]:
    answer = of.send("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert all(
        re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? (?:[0-9.e+-]+|\+Inf)', line)
        for line in samples
    )
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in samples)}


def second(outcome: str) -> str:
    return f'cds_second_opinions_total{{outcome="{outcome}"}}'


@needs_durable
def test_fifty_kills_under_load_and_no_call_fails() -> None:
    with ehr() as found:
        opinion = found.app.state.parts.opinion
        for number in range(50):
            check_response(found.call(CALL))
            # Now and then it is done before the blow, now and then it is struck at work.
            if number % 2:
                opinion.wait()
            pid = opinion._engine.supervisor.pid
            with suppress(ProcessLookupError, TypeError):
                os.kill(pid, signal.SIGSEGV if number % 3 else signal.SIGKILL)
        opinion.wait()
        found.call(CALL)
        opinion.wait()
        told = metrics(found)
        assert told['cds_calls_total{service="ldn-order-sign",status="200"}'] == 51
        assert told[second("disagreed")] == 0
        assert told[second("agreed")] + told[second("failed")] + told[second("dropped")] == 51
        assert told[second("agreed")] > 25
        assert told["cds_second_engine_starts_total"] > 25


@needs_durable
def test_a_disagreement_is_counted_and_logged_by_rule_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Planes, "_or_unanswered", lambda _, found, *__: found)
    with ehr() as found:
        check_response(found.call(unanswered()))
        found.app.state.parts.opinion.wait()
        (event,) = [event for event in found.events if event["event"] == "second-opinion"]
        assert set(event) == {"event", "hook", "disagree"}
        assert ACTIVE in event["disagree"]  # type: ignore[operator]
        told = metrics(found)
        assert told[second("disagreed")] == 1
        assert told[f'cds_second_opinion_disagreements_total{{rule="{ACTIVE}"}}'] == 1


def test_what_does_not_fit_is_dropped_and_a_failure_is_counted() -> None:
    going, events = threading.Event(), list[Any]()

    def review(*_: object) -> None:
        going.wait()
        raise ValueError("a patient's name")

    engine: Any = SimpleNamespace(
        review=review,
        close=lambda: None,
        supervisor=SimpleNamespace(started=0, interrupt=lambda: None),
    )
    opinion = SecondOpinion(engine, events.append, waiting=2)
    one: Any = SimpleNamespace(chart=None, hook=None, clock=SimpleNamespace(now=None), shown=())
    for _ in range(9):
        opinion.offer(one)
    going.set()
    opinion.wait()
    opinion.close()
    assert opinion.outcomes["dropped"] in (6, 7)
    assert opinion.outcomes["failed"] == 9 - opinion.outcomes["dropped"]
    assert events[0] == {"event": "second-opinion", "error": "ValueError"}


def test_metrics_without_a_second_opinion() -> None:
    found = Ehr()
    found.call(b"{}")
    told = metrics(found)
    assert told['cds_calls_total{service="ldn-order-sign",status="400"}'] == 1
    assert not [name for name in told if "second_" in name]


@needs_durable
def test_cds_serve_with_a_second_opinion_ends_in_order() -> None:
    with serving("--second-opinion", "--timezone", "America/New_York") as (address, process):
        assert httpx.post(f"{address}/ldn-order-sign", json=CALL).status_code == 200
        page = httpx.get(address.replace("/cds-services", "/metrics")).text
        assert "cds_second_opinions_total" in page
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
