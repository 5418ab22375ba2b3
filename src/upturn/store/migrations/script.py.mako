"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Every row that was there stays."""
    ${upgrades if upgrades else "raise NotImplementedError"}
