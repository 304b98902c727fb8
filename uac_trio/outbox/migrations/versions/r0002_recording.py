"""The table of recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "recording",
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column("pbx", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("extension", sa.Text, nullable=False),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("request", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("settled_at", sa.Double),
        sa.CheckConstraint("state IN ('waiting', 'ready', 'missing', 'unseen')", name="recording_state_known"),
    )
    op.create_index("recording_awaited", "recording", ["state", "pbx", "created_at"])
    op.create_index("recording_call", "recording", ["call_id"])
    op.create_index("recording_age", "recording", ["at"])
