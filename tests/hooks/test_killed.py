"""What was acknowledged survives a kill, once. `benchmarks/feedback.py` is the long form."""

from __future__ import annotations

import signal

import pytest

from tests.databases import Database
from tests.hooks.killing import Plan, missing_and_doubled, under_fire
from tests.records import CONTRAST

PLAN = Plan(
    total=1_000,
    writers=8,
    kills=2,
    rules=CONTRAST,
    path="/cds-services/contrast-order-sign/feedback",
)


@pytest.mark.slow
def test_no_feedback_is_lost_or_doubled_when_the_service_is_killed(database: Database) -> None:
    def crash(number: int) -> None:
        if number == 0 and database.server is not None:
            database.server.stop(signal.SIGQUIT)
            database.server.start()

    told = under_fire(database.url, PLAN, crash)
    assert told.wrong == []
    assert (told.acknowledged, told.kills) == (PLAN.total, PLAN.kills)
    assert told.cut > 0
    assert told.repeated > 0
    rows = database.rows("select card, outcome, at from feedback")
    assert missing_and_doubled(PLAN, rows) == (0, 0)
