"""The feedback store: every event once, in SQLite or PostgreSQL (docs/store.md)."""

from upturn.store.records import Added, Checkpoint, Conflict, Forgotten, StoreCounts
from upturn.store.rows import broken_rule
from upturn.store.store import FeedbackStore

__all__ = [
    "Added",
    "Checkpoint",
    "Conflict",
    "FeedbackStore",
    "Forgotten",
    "StoreCounts",
    "broken_rule",
]
