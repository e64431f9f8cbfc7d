"""The store: cards that were answered, what rules with a memory asked, feedback on cards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

from cds.store.database import StoreError, migrate, open_engine, transaction
from cds.store.schema import cards, feedback, memories

__all__ = ["AnsweredCard", "Feedback", "Store", "StoreError", "moment_text"]

# SQLite takes some thousands of values in a statement; a batch of rows stays well below.
_ROWS = 500


@dataclass(frozen=True, slots=True)
class AnsweredCard:
    """A card that was answered. ``about`` is what a rule with a memory asked about; else ""."""

    card: str
    rule: str
    rule_version: str
    indicator: str
    hook: str
    patient: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One entry of a feedback call (CDS Hooks 2.0, Feedback); "" for what was not said."""

    card: str
    outcome: str
    at: datetime
    service: str
    reason: str = ""
    reason_system: str = ""
    comment: str = ""
    suggestions: tuple[str, ...] = ()


class Store:
    """One database. Every method may raise StoreError; then nothing of it was written."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self._insert = postgresql.insert if self.is_postgresql else sqlite.insert
        try:
            self._salt = migrate(self.engine)
        except StoreError:
            self.engine.dispose()
            raise

    @property
    def is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def close(self) -> None:
        """Lets go of the connections."""
        self.engine.dispose()

    def ping(self) -> None:
        """Returns if the store answers; raises StoreError."""
        with transaction(self.engine, reading=True) as connection:
            connection.execute(sa.select(feedback.c.id).limit(1))

    # -- feedback ---------------------------------------------------------------------------------

    def add_feedback(self, entries: Sequence[Feedback]) -> int:
        """Stores the entries together; how many of them are new.

        One for each (card, outcome, moment to the millisecond): what came before is not repeated.
        Rows are written in one order, so that two that write the same never wait for each other.
        """
        rows = sorted(map(_row, entries), key=_once)
        added = 0
        with transaction(self.engine) as connection:
            for batch in _batches(rows):
                statement: Insert = self._insert(feedback).values(batch)
                added += connection.execute(
                    statement.on_conflict_do_nothing(),  # type: ignore[attr-defined]
                    execution_options={"preserve_rowcount": True},
                ).rowcount
        return added

    # -- cards ------------------------------------------------------------------------------------

    def add_cards(self, answered: Iterable[AnsweredCard], at: datetime) -> None:
        """Remembers cards that were answered at that moment; each once."""
        found = {card.card: card for card in answered}
        moment = moment_text(at)
        rows = [
            {
                "card": card.card,
                "rule": card.rule,
                "rule_version": card.rule_version,
                "indicator": card.indicator,
                "hook": card.hook,
                "answered_at": moment,
            }
            for _, card in sorted(found.items())
        ]
        asked = {
            (self.digest(card.patient), self.digest(card.patient, card.about))
            for card in found.values()
            if card.about
        }
        with transaction(self.engine) as connection:
            for batch in _batches(rows):
                connection.execute(self._insert(cards).values(batch).on_conflict_do_nothing())
            for patient, about in sorted(asked):
                row = {"patient": patient, "about": about, "answered_at": moment}
                statement = self._insert(memories).values(row)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["patient", "about"], set_={"answered_at": moment}
                    )
                )

    def asked(self, patient: str, at: datetime, within: timedelta) -> dict[str, str]:
        """Digests of what was asked about a patient within that time, and when last."""
        query = sa.select(memories.c.about, memories.c.answered_at).where(
            memories.c.patient == self.digest(patient),
            memories.c.answered_at > moment_text(at - within),
            memories.c.answered_at <= moment_text(at),
        )
        with transaction(self.engine, reading=True) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def forget(self, before: datetime) -> int:
        """Removes memories older than that; how many. Cards and feedback stay."""
        statement = memories.delete().where(memories.c.answered_at < moment_text(before))
        with transaction(self.engine) as connection:
            return connection.execute(statement).rowcount

    def digest(self, *words: str) -> str:
        """What stands for the words in this database; the same words give the same."""
        text = "\0".join(words).encode("utf-8", "backslashreplace")
        return hashlib.blake2b(text, key=self._salt, digest_size=32).hexdigest()


def moment_text(moment: datetime) -> str:
    """An aware moment in UTC to the millisecond, as it is stored; text sorts as time does."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _row(entry: Feedback) -> dict[str, str]:
    return {
        "card": entry.card,
        "outcome": entry.outcome,
        "at": moment_text(entry.at),
        "service": entry.service,
        "reason": entry.reason,
        "reason_system": entry.reason_system,
        "comment": entry.comment,
        "suggestions": " ".join(entry.suggestions),
    }


def _once(row: dict[str, str]) -> tuple[str, str, str]:
    """What is stored once."""
    return row["card"], row["outcome"], row["at"]


def _batches(rows: list[dict[str, str]]) -> Iterable[list[dict[str, str]]]:
    for start in range(0, len(rows), _ROWS):
        yield rows[start : start + _ROWS]
