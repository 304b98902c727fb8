"""The table of requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "request",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("extension", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("moot_after", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("next_try_at", sa.Double, nullable=False),
        sa.Column("leased_by", sa.Text),
        sa.Column("leased_until", sa.Double),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("settled_at", sa.Double),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'delivered', 'parked', 'moot')", name="request_state_known"
        ),
    )
    op.create_index("request_call", "request", ["call_id", "id"])
    op.create_index("request_due", "request", ["state", "next_try_at", "id"])
    op.create_index("request_age", "request", ["state", "created_at", "id"])
    op.create_index("request_moot", "request", ["state", "moot_after"])
