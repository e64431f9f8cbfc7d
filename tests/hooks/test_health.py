"""/health, /health/live, /metrics and the id of a request, as a load balancer and a scrape see them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cds.hooks.app import Options, Seat, create_app
from cds.hooks.board import Board
from cds.hooks.gate import Gate
from cds.hooks.settings import Settings
from tests.hooks.ehr import Ehr, check_outcome
from tests.records import AS_OF, CONTRAST, ZONE, draft, order, request, rulebook, searchset

ACTIVE = "opioid.active-with-naltrexone-order"
FAILED = {"resourceType": "OperationOutcome"}
DRAFT = draft("d1", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5)
CALL = request(
    DRAFT,
    prefetch={"MedicationRequest": searchset(order("o1", "oxycodone 5 MG Oral Tablet"))},
)


def ehr(gate: Gate | None = None, board: Board | None = None, store: str = "") -> Ehr:
    """The service over the second pack, in a seat of the test's making."""
    found = Ehr.__new__(Ehr)
    found.events = []
    found.app = create_app(
        rulebook(CONTRAST), ZONE, lambda: AS_OF, found.events.append,
        Options(Settings(store=store)), Seat(gate or Gate(), board),
    )  # fmt: skip
    return found


def numbers(of: Ehr) -> dict[str, float]:
    text = of.send("GET", "/metrics").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


# -- health -------------------------------------------------------------------------------------------


def test_a_service_that_is_well() -> None:
    answer = ehr().send("GET", "/health")
    found = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert (found["status"], found["store"]) == ("ok", {"state": "none"})
    assert found["engines"] == {"reference": "ok", "second": "off"}
    assert (found["pack"]["id"], found["rulebook"]) == ("contrast", rulebook(CONTRAST).digest)
    assert found["workers"] == {"wanted": 1, "serving": 1, "deaths": 0}
    assert "why" not in found


def test_without_its_store_it_is_degraded_and_keeps_its_calls(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    of = ehr(store=f"sqlite:///{tmp_path / 'file' / 'store.sqlite'}")
    answer = of.send("GET", "/health")
    found = answer.json()
    assert (answer.status_code, found["status"]) == (200, "degraded")
    assert found["why"] == [f"store: {found['store']['state']}"]
    assert str(tmp_path) not in answer.text
    assert of.call({**CALL}, "contrast-order-sign").status_code == 200


def test_the_parent_says_what_a_process_cannot_know() -> None:
    board = Board(1)
    workers = {"wanted": 3, "serving": 2, "deaths": 7}
    board.post({"began": 0.0, "reload": {"outcome": "failed", "errors": ["x"]}, "workers": workers})
    answer = ehr(board=board).send("GET", "/health")
    found = answer.json()
    assert (answer.status_code, found["status"], found["workers"]) == (200, "degraded", workers)
    assert found["why"] == ["the last reload failed: older rules are in force"]
    board.post({"reload": {"outcome": "done"}})
    assert ehr(board=board).send("GET", "/health").json()["status"] == "ok"


def test_a_notice_is_exchanged_whole() -> None:
    board = Board(2)
    assert board.read() == {}
    board.post({"text": "x" * 60_000})
    board.post({"text": "y"})
    assert board.read() == {"text": "y"}
    board._memory[10:12] = b"zz"  # half of another notice
    assert board.read() == {}
    board.post({"text": "y"})
    with pytest.raises(ValueError, match="too long"):
        board.post({"text": "x" * 70_000})
    board.beat(1, 4.5)
    assert (board.beat_of(0), board.beat_of(1), board.read()) == (0.0, 4.5, {"text": "y"})


def test_a_service_that_ends_wants_no_calls_and_is_still_alive() -> None:
    of = ehr(Gate("stopping"))
    answer = of.send("GET", "/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")
    assert answer.headers["connection"] == "close"
    alive = of.send("GET", "/health/live")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert of.call(CALL, "contrast-order-sign").status_code == 200


def test_a_process_that_others_replaced_says_that_the_service_is_well() -> None:
    answer = ehr(Gate("retiring")).send("GET", "/health")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


# -- ids ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health", "/cds-services", "/nowhere", "/metrics"])
def test_every_answer_has_an_id(path: str) -> None:
    of = ehr()
    first, second = (of.send("GET", path).headers["x-request-id"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second


def test_a_sane_id_is_kept_in_answer_and_log() -> None:
    of = ehr()
    name = "Ehr_1.call-7" + "x" * 52
    answer = of.send(
        "POST", "/cds-services/contrast-order-sign", content=b"{}", headers={"X-Request-ID": name}
    )
    assert answer.headers["x-request-id"] == name
    assert of.events[-1]["request"] == name


@pytest.mark.parametrize("name", ["", "x" * 65, "Maria Muster", 'a"b', "ä", "a\tb", "a/b"])
def test_any_other_id_is_replaced(name: str) -> None:
    of = ehr()
    answer = of.send(
        "POST", "/cds-services/contrast-order-sign", content=b"{}",
        headers={"X-Request-ID": name.encode()},
    )  # fmt: skip
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    assert of.events[-1]["request"] == answer.headers["x-request-id"]


def test_a_browser_may_send_and_read_the_id() -> None:
    asked = {
        "Origin": "https://sandbox.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-request-id",
    }
    of = ehr()
    preflight = of.send("OPTIONS", "/cds-services/contrast-order-sign", headers=asked)
    assert preflight.status_code == 200
    answer = of.send("GET", "/cds-services", headers={"Origin": asked["Origin"]})
    assert answer.headers["access-control-expose-headers"] == "x-request-id"


def test_a_mistake_outside_of_calls_is_an_outcome_too(monkeypatch: pytest.MonkeyPatch) -> None:
    of = ehr()

    def broken(*_: object) -> None:
        raise KeyError("Maria")

    monkeypatch.setattr("cds.hooks.health.Health.reply", broken)
    answer = of.send("GET", "/health")
    assert answer.headers["x-request-id"] in check_outcome(answer, 500)
    assert of.events == [
        {"event": "failed", "request": answer.headers["x-request-id"], "error": "KeyError"}
    ]


# -- numbers ------------------------------------------------------------------------------------------


def test_cards_and_unknowns_are_counted_by_rule() -> None:
    of = Ehr()
    for _ in range(3):
        assert of.call(CALL).status_code == 200
    for _ in range(2):
        of.call(request(DRAFT, prefetch={"MedicationRequest": FAILED}))
    of.call(b"{}")
    told = numbers(of)
    assert told[f'cds_cards_total{{indicator="critical",rule="{ACTIVE}"}}'] == 3
    assert told[f'cds_unknowns_total{{reason="not-retrieved",rule="{ACTIVE}"}}'] == 2
    assert told['cds_calls_total{service="ldn-order-sign",status="200"}'] == 5
    assert told['cds_calls_total{service="ldn-order-sign",status="400"}'] == 1
    assert told['cds_call_seconds_count{service="ldn-order-sign"}'] == 6
    assert told["cds_requests_in_flight"] == 1
    assert told["cds_resident_bytes"] > 1_000_000


def test_the_store_is_counted(tmp_path: Path) -> None:
    of = Ehr(options=Options(Settings(store=f"sqlite:///{tmp_path / 'store.sqlite'}")))
    card = of.call(CALL).json()["cards"][0]["uuid"]
    entry = {"card": card, "outcome": "accepted", "outcomeTimestamp": "2026-06-10T14:00:00Z"}
    of.send("POST", "/cds-services/ldn-order-sign/feedback", json={"feedback": [entry]})
    of.app.state.parts.keeper.wait()
    told = numbers(of)
    assert told['cds_store_cards_total{outcome="kept"}'] == 1
    assert told['cds_store_cards_total{outcome="failed"}'] == 0
    assert told['cds_store_feedback_total{outcome="stored"}'] == 1
