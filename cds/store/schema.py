"""The tables. No name, no id of a person and nothing of a record stands in them.

A patient, and what a card was about, are kept as digests that only the same database can compare.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)

salts = Table(
    "salts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    comment="One row: what digests are made with, so that they mean nothing elsewhere.",
)

# Moments are UTC, ISO 8601 to the millisecond, so that text sorts as time does in both databases.
cards = Table(
    "cards",
    metadata,
    Column("card", String(36), primary_key=True, comment="its uuid"),
    Column("rule", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("indicator", String(8), nullable=False),
    Column("hook", Text, nullable=False),
    Column("answered_at", String(24), nullable=False, comment="the first time"),
    Index("ix_cards_rule", "rule"),
    comment="Cards that were answered, each once.",
)

memories = Table(
    "memories",
    metadata,
    Column("patient", String(64), primary_key=True, comment="digest"),
    Column("about", String(64), primary_key=True, comment="digest of what a card was about"),
    Column("answered_at", String(24), nullable=False, comment="the last time that it was shown"),
    comment="What rules that ask once in a while have asked.",
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("card", String(36), nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("at", String(24), nullable=False, comment="outcomeTimestamp"),
    Column("service", Text, nullable=False),
    Column("reason", Text, nullable=False, comment="code of the override reason"),
    Column("reason_system", Text, nullable=False),
    Column("comment", Text, nullable=False, comment="what the clinician wrote"),
    Column("suggestions", Text, nullable=False, comment="ids of those accepted, spaces between"),
    UniqueConstraint("card", "outcome", "at"),
    CheckConstraint("outcome in ('accepted', 'overridden')", name="outcome"),
    Index("ix_feedback_at", "at"),
    comment="What clinicians did with cards: once for each card, outcome and moment.",
)

tokens = Table(
    "tokens",
    metadata,
    Column("token", String(32), primary_key=True, comment="digest of issuer and jti"),
    Column("until", BigInteger, nullable=False, comment="seconds of the epoch; then forgotten"),
    Index("ix_tokens_until", "until"),
    comment="Tokens that were used: each is let in once.",
)
