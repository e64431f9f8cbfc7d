"""Feedback is found by its moment: what was said since then."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the index."""
    op.create_index("ix_feedback_at", "feedback", ["at"])


def downgrade() -> None:
    """Drops it."""
    op.drop_index("ix_feedback_at", "feedback")
