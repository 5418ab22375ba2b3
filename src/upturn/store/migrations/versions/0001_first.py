"""The first schema: events, tombstones, checkpoints, marks.

Tables are written out, not taken from the models: a revision must stay what it was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _columns(required: str, optional: str = "") -> list[sa.Column[str]]:
    names = [*required.split(), *optional.split()]
    return [sa.Column(n, _TEXT, nullable=n not in required.split()) for n in names]


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "requests",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        *_columns("id time program", "user session parent version model"),
        sa.Column("latency_ms", sa.Double),
        sa.Column("cost_usd", sa.Double),
        *_columns("", "error"),
        *_columns("inputs outputs", "usage"),
        *_columns("slices", "consent"),
        *_columns("origin", "raw"),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        *_columns("received_at"),
    )
    op.create_index("ix_requests_program", "requests", ["program"])
    op.create_table(
        "feedback",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        *_columns("id"),
        sa.Column("request_key", sa.LargeBinary, nullable=False),
        *_columns("request_id time signal", "value"),
        *_columns("rater role", "comment name program consent"),
        *_columns("origin", "raw"),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        *_columns("received_at"),
    )
    op.create_index("ix_feedback_request_key", "feedback", ["request_key"])
    op.create_table(
        "tombstones", sa.Column("hash", sa.LargeBinary, primary_key=True), *_columns("kind")
    )
    op.create_table(
        "checkpoints",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        *_columns("source"),
        sa.Column("position", sa.BigInteger, nullable=False),
        *_columns("state updated_at"),
    )
    op.create_table("marks", sa.Column("name", _TEXT, primary_key=True), *_columns("value"))
