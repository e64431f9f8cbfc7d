"""Cards, memories and feedback."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the first tables."""
    op.create_table(
        "salts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "cards",
        sa.Column("card", sa.String(36), primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("rule_version", sa.Text, nullable=False),
        sa.Column("indicator", sa.String(8), nullable=False),
        sa.Column("hook", sa.Text, nullable=False),
        sa.Column("answered_at", sa.String(24), nullable=False),
    )
    op.create_index("ix_cards_rule", "cards", ["rule"])
    op.create_table(
        "memories",
        sa.Column("patient", sa.String(64), primary_key=True),
        sa.Column("about", sa.String(64), primary_key=True),
        sa.Column("answered_at", sa.String(24), nullable=False),
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("card", sa.String(36), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("at", sa.String(24), nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("reason_system", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("suggestions", sa.Text, nullable=False),
        sa.UniqueConstraint("card", "outcome", "at", name="uq_feedback"),
        sa.CheckConstraint("outcome in ('accepted', 'overridden')", name="outcome"),
    )


def downgrade() -> None:
    """Drops them."""
    for name in ("feedback", "memories", "cards", "salts"):
        op.drop_table(name)
