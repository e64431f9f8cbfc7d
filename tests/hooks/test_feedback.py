"""Feedback is stored once per card, outcome and moment; rules with a memory ask once in 30 days."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cds.hooks.app import Options
from cds.hooks.settings import Settings
from cds.store.report import feedback_by_rule
from cds.store.store import Store
from tests.databases import POISON, Database
from tests.hooks.ehr import Ehr, check_outcome
from tests.records import AS_OF, Json
from tests.test_cli import cds

ROOT = Path(__file__).parent.parent.parent
ORDERED = json.loads((ROOT / "fhir_examples/01-opioid-active/request.json").read_bytes())
VIEWED = json.loads(
    (ROOT / "fhir_examples/20-ldn-and-opioid-both-on-record/request.json").read_bytes()
)
SIGN, VIEW = "ldn-order-sign", "ldn-patient-view"
BOTH = "opioid.concurrent-on-record"
WHEN = "2026-06-10T14:05:00Z"


OPENED: list[Ehr] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Lets go of the stores that a test's services opened."""
    yield
    while OPENED:
        OPENED.pop().app.state.parts.keeper.close()


def ehr_at(url: str, days: float = 0) -> Ehr:
    OPENED.append(Ehr(options=Options(Settings(store=url)), now=AS_OF + timedelta(days=days)))
    return OPENED[-1]


def entry(card: str, outcome: str = "overridden", at: str = WHEN, **more: Any) -> Json:
    return {"card": card, "outcome": outcome, "outcomeTimestamp": at, **more}


def send(ehr: Ehr, *entries: object, service: str = SIGN) -> Any:
    return ehr.send("POST", f"/cds-services/{service}/feedback", json={"feedback": list(entries)})


def told(url: str) -> dict[str, Json]:
    store = Store(url)
    try:
        return {rule: dict(found.as_json()) for rule, found in feedback_by_rule(store).items()}
    finally:
        store.close()


def rules(ehr: Ehr, document: Json, service: str) -> list[str]:
    answer = ehr.call(document, service)
    assert answer.status_code == 200, answer.text
    found = [card["source"]["topic"]["code"] for card in answer.json()["cards"]]
    ehr.app.state.parts.keeper.wait()
    return found


def test_feedback_is_counted_by_the_rule_of_its_card(url: str) -> None:
    ehr = ehr_at(url)
    card = ehr.call(ORDERED, SIGN).json()["cards"][0]["uuid"]
    ehr.app.state.parts.keeper.wait()
    reason = {"reason": {"code": "record-inaccurate", "system": "https://x"}, "userComment": "no"}
    assert send(ehr, entry(card, overrideReason=reason)).status_code == 200
    found = told(url)["opioid.active-with-naltrexone-order"]
    assert (found["answered"], found["accepted"], found["overridden"]) == (1, 0, 1)
    assert found["reasons"] == {"record-inaccurate": 1}
    assert found["weeks"] == {"2026-W24": {"accepted": 0, "overridden": 1}}


def test_what_is_said_twice_is_stored_once_and_the_latest_counts(url: str) -> None:
    ehr = ehr_at(url)
    same = entry("c1")
    assert send(ehr, same, same).status_code == 200
    assert (
        send(ehr, same, {**same, "outcomeTimestamp": "2026-06-10T10:05:00.000-04:00"}).status_code
        == 200
    )
    assert send(ehr, entry("c1", "accepted", "2026-06-10T14:06:00Z")).status_code == 200
    assert told(url)["unknown"]["accepted"] == 1
    assert told(url)["unknown"]["overridden"] == 0


def test_entries_that_cannot_be_read_are_told_and_the_others_kept(url: str) -> None:
    answer = send(
        ehr_at(url), entry("c1"), {"card": "c2"}, entry("c3", at="yesterday"), 7, entry("")
    )
    assert answer.status_code == 200
    issues = answer.json()["issue"]
    assert [issue["severity"] for issue in issues] == ["warning"] * 4
    assert [issue["expression"][0] for issue in issues] == [
        "feedback[1].outcome", "feedback[2].outcomeTimestamp", "feedback[3]", "feedback[4].card",
    ]  # fmt: skip
    assert told(url)["unknown"]["overridden"] == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "feedback is missing"),
        ({"feedback": {}}, "feedback is no list"),
        ({"feedback": []}, "feedback is no list"),
        ({"feedback": [entry("c1", "ignored")]}, "feedback[0].outcome: is no outcome; accepted: accepted or overridden"),
    ],
)  # fmt: skip
def test_what_is_no_feedback_is_refused(url: str, body: Json, words: str) -> None:
    answer = ehr_at(url).send("POST", f"/cds-services/{SIGN}/feedback", json=body)
    assert words in check_outcome(answer, 400)


def test_without_a_store_cards_flow_and_feedback_is_refused_for_now(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    ehr = ehr_at(f"sqlite:///{blocked}/store.sqlite")
    assert rules(ehr, ORDERED, SIGN) == ["opioid.active-with-naltrexone-order"]
    answer = send(ehr, entry("card-of-somebody"))
    assert "nothing of it was" in check_outcome(answer, 503)
    assert answer.headers["retry-after"]
    assert not any("card-of-somebody" in json.dumps(event) for event in ehr.events)
    assert ehr.app.state.parts.keeper.outcomes["failed"] == 1


def test_a_store_that_goes_away_and_comes_back_needs_no_restart(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds.store.database._WAIT_SECONDS", 1)
    monkeypatch.setattr("cds.hooks.keeper._AGAIN_SECONDS", 0)
    ehr = ehr_at(database.url)
    assert send(ehr, entry("c1")).status_code == 200
    with database.down():
        assert rules(ehr, VIEWED, VIEW) == [BOTH]
        answer = send(ehr, *[entry(f"c{number}") for number in range(700)])
        assert "nothing of it was" in check_outcome(answer, 503)
        assert ehr.app.state.parts.keeper.status() != "ok" or database.server is None
    assert database.rows("select card from feedback") == [("c1",)]
    assert send(ehr, entry("c1"), entry("c2")).status_code == 200
    assert database.rows("select card from feedback order by card") == [("c1",), ("c2",)]
    assert ehr.app.state.parts.keeper.status() == "ok"
    assert rules(ehr, VIEWED, VIEW) == [BOTH]
    assert rules(ehr, VIEWED, VIEW) == []


def test_a_store_that_fails_in_the_midst_of_a_batch_keeps_nothing_of_it(database: Database) -> None:
    ehr = ehr_at(database.url)
    batch = [*(entry(f"c{number}") for number in range(700)), entry(POISON)]
    with database.choking():
        assert "nothing of it was" in check_outcome(send(ehr, *batch), 503)
        assert database.rows("select count(*) from feedback") == [(0,)]
    assert send(ehr, *batch).status_code == 200
    assert database.rows("select count(*) from feedback") == [(701,)]


def test_a_store_that_hangs_is_waited_for_once_and_cards_flow(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ehr = ehr_at(url)
    asked, answer = [], threading.Event()

    def hang(*_: object) -> None:
        asked.append(1)
        answer.wait(60)

    monkeypatch.setattr(Store, "asked", hang)
    try:
        assert [rules(ehr, VIEWED, VIEW) for _ in range(3)] == [[BOTH]] * 3
    finally:
        answer.set()
    assert asked == [1]
    told = [event for event in ehr.events if event["event"] == "store"]
    assert told == [{"event": "store", "error": "the store did not answer in time"}]


def test_an_id_that_is_no_uuid_of_ours_is_told_in_both_databases(url: str) -> None:
    ehr = ehr_at(url)
    card = ehr.call(ORDERED, SIGN).json()["cards"][0]["uuid"]
    ehr.app.state.parts.keeper.wait()
    answer = send(ehr, entry(f"urn:uuid:{card.upper()}"), entry("c" * 37))
    assert [issue["expression"][0] for issue in answer.json()["issue"]] == ["feedback[1].card"]
    assert told(url)["opioid.active-with-naltrexone-order"]["overridden"] == 1


# -- memory --------------------------------------------------------------------------------------------


def test_a_rule_with_a_memory_asks_once_in_thirty_days(url: str) -> None:
    assert rules(ehr_at(url), VIEWED, VIEW) == [BOTH]
    assert rules(ehr_at(url), VIEWED, VIEW) == []
    # Its entries are old by then: judge what was known, with another date of asking.
    store = Store(url)
    patient = VIEWED["context"]["patientId"]
    asked = store.asked(patient, AS_OF + timedelta(days=29), timedelta(days=30))
    assert len(asked) == 1
    assert store.asked(patient, AS_OF + timedelta(days=30), timedelta(days=30)) == {}
    store.close()


def test_another_patient_is_asked_about(url: str) -> None:
    assert rules(ehr_at(url), VIEWED, VIEW) == [BOTH]
    other = json.loads(json.dumps(VIEWED).replace(VIEWED["context"]["patientId"], "somebody-else"))
    assert rules(ehr_at(url), other, VIEW) == [BOTH]


def test_no_id_of_a_patient_is_stored(database: Database) -> None:
    ehr = ehr_at(database.url)
    rules(ehr, VIEWED, VIEW)
    send(ehr, entry("c1"))
    tables = ("cards", "memories", "feedback")
    stored = str([database.rows(f"select * from {name}") for name in tables])
    assert BOTH in stored
    assert VIEWED["context"]["patientId"] not in stored
    if database.server is None:
        written = b"".join(path.read_bytes() for path in database.path.parent.iterdir())
        assert VIEWED["context"]["patientId"].encode() not in written


# -- the command ---------------------------------------------------------------------------------------


def test_the_command_shows_what_was_done(url: str) -> None:
    ehr = ehr_at(url)
    send(ehr, *[entry(f"c{number}") for number in range(9)], entry("c9", "accepted"))
    assert 'needsReview":false' not in cds("feedback", "--store", url, "--format", "json").stdout
    shown = cds("feedback", "--store", url)
    assert shown.returncode == 0
    assert "90% !" in shown.stdout
    assert "unknown is overridden in more than 80%" in shown.stdout


def test_a_store_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    done = cds("feedback", "--store", "mysql://x/y")
    assert done.returncode == 2
    assert "'mysql' is no database for the store; accepted: sqlite:///" in done.stderr
