"""What clinicians did with cards: acceptance and override by rule, reason and week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from cds.store.database import transaction
from cds.store.schema import cards, feedback
from cds.store.store import Store, moment_text

UNKNOWN_RULE = "unknown"
"""The rule of a card that this store has not seen answered."""

# Published practice: a rule that is overridden more often than this is looked at again. Fewer
# decisions than these say too little.
REVIEW_ABOVE = 0.8
LEAST_DECISIONS = 10


@dataclass(slots=True)
class RuleFeedback:
    """What was done with the cards of one rule. A card counts once, by its latest feedback.

    ``weeks`` pairs an ISO week such as 2026-W24 with accepted and overridden; ``reasons`` are codes
    of override reasons, "" where none was given.
    """

    rule: str
    answered: int = 0
    accepted: int = 0
    overridden: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    weeks: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def decided(self) -> int:
        return self.accepted + self.overridden

    @property
    def override_rate(self) -> float | None:
        """Between 0 and 1; None where nobody decided."""
        return self.overridden / self.decided if self.decided else None

    @property
    def needs_review(self) -> bool:
        """Whether it is overridden so often that the rule should be looked at."""
        rate = self.override_rate
        return rate is not None and rate > REVIEW_ABOVE and self.decided >= LEAST_DECISIONS

    def as_json(self) -> dict[str, object]:
        rate = self.override_rate
        return {
            "rule": self.rule,
            "answered": self.answered,
            "accepted": self.accepted,
            "overridden": self.overridden,
            "overrideRate": None if rate is None else round(rate, 4),
            "needsReview": self.needs_review,
            "reasons": dict(sorted(self.reasons.items())),
            "weeks": {week: dict(found) for week, found in sorted(self.weeks.items())},
        }


def feedback_by_rule(store: Store, since: datetime | None = None) -> Mapping[str, RuleFeedback]:
    """Feedback by rule id, sorted; of cards answered and feedback given since then.

    Raises StoreError.
    """
    found: dict[str, RuleFeedback] = {}
    with transaction(store.engine, reading=True) as connection:
        for rule, answered in map(tuple, connection.execute(_answered(since))):
            found[rule] = RuleFeedback(rule, answered=answered)
        for row in connection.execute(_decided(since)):
            rule, outcome, reason, day, number = tuple(row)
            entry = found.setdefault(rule, RuleFeedback(rule))
            week = entry.weeks.setdefault(_week(day), Counter(accepted=0, overridden=0))
            week[outcome] += number
            if outcome == "accepted":
                entry.accepted += number
            else:
                entry.overridden += number
                entry.reasons[reason] += number
    return dict(sorted(found.items()))


def _answered(since: datetime | None) -> sa.Select[Any]:
    query = sa.select(cards.c.rule, sa.func.count()).group_by(cards.c.rule)
    return query.where(cards.c.answered_at >= moment_text(since)) if since else query


def _decided(since: datetime | None) -> sa.Select[Any]:
    """The latest feedback of each card, counted by rule, outcome, reason and day."""
    latest = sa.func.row_number().over(
        partition_by=feedback.c.card, order_by=(feedback.c.at.desc(), feedback.c.id.desc())
    )
    ranked = sa.select(feedback, latest.label("place"))
    if since:
        ranked = ranked.where(feedback.c.at >= moment_text(since))
    last = ranked.subquery()
    rule = sa.func.coalesce(cards.c.rule, UNKNOWN_RULE)
    day = sa.func.substr(last.c.at, 1, 10)
    keys = (rule, last.c.outcome, last.c.reason, day)
    return (
        sa.select(*keys, sa.func.count())
        .select_from(last.outerjoin(cards, cards.c.card == last.c.card))
        .where(last.c.place == 1)
        .group_by(*keys)
    )


def _week(day: str) -> str:
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02}"
