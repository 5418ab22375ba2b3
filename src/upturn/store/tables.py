"""The tables. Two rules shape them.

Ids are never in an index themselves: ``key`` is a 16-byte BLAKE2b of the id. An index over random
text makes every insert touch a page of its own, and PostgreSQL refuses index entries above 2,704
bytes; over short keys, ids may have any length and a million rows take a third less time. What is
read in the order of ids is sorted when it is read.

No foreign keys: feedback may come before its request, or without it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Double, LargeBinary, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# "C" sorts by code point, as SQLite and Python do; a database's own language would sort otherwise.
_Sorted = Text().with_variant(Text(collation="C"), "postgresql")


class Base(DeclarativeBase):
    """Metadata that all tables share."""


class RequestRow(Base):
    """A request. JSON is kept as text: it comes back exactly as it was, on every database."""

    __tablename__ = "requests"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    id: Mapped[str] = mapped_column(_Sorted)
    time: Mapped[str] = mapped_column(_Sorted)  # ISO 8601 in UTC, always written the same way
    program: Mapped[str] = mapped_column(_Sorted, index=True)
    user: Mapped[str | None] = mapped_column(_Sorted)
    session: Mapped[str | None] = mapped_column(_Sorted)
    parent: Mapped[str | None] = mapped_column(_Sorted)
    version: Mapped[str | None] = mapped_column(_Sorted)
    model: Mapped[str | None] = mapped_column(_Sorted)
    latency_ms: Mapped[float | None] = mapped_column(Double)
    cost_usd: Mapped[float | None] = mapped_column(Double)
    error: Mapped[str | None] = mapped_column(_Sorted)
    inputs: Mapped[str] = mapped_column(_Sorted)
    outputs: Mapped[str] = mapped_column(_Sorted)
    usage: Mapped[str | None] = mapped_column(_Sorted)
    slices: Mapped[str] = mapped_column(_Sorted)
    consent: Mapped[str | None] = mapped_column(_Sorted)
    origin: Mapped[str] = mapped_column(_Sorted)
    raw: Mapped[str | None] = mapped_column(_Sorted)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[str] = mapped_column(_Sorted)


class FeedbackRow(Base):
    """A piece of feedback, whether its request is there or not."""

    __tablename__ = "feedback"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    id: Mapped[str] = mapped_column(_Sorted)
    request_key: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    request_id: Mapped[str] = mapped_column(_Sorted)
    time: Mapped[str] = mapped_column(_Sorted)
    signal: Mapped[str] = mapped_column(_Sorted)
    value: Mapped[str | None] = mapped_column(_Sorted)
    rater: Mapped[str] = mapped_column(_Sorted)
    role: Mapped[str] = mapped_column(_Sorted)
    comment: Mapped[str | None] = mapped_column(_Sorted)
    name: Mapped[str | None] = mapped_column(_Sorted)
    program: Mapped[str | None] = mapped_column(_Sorted)
    consent: Mapped[str | None] = mapped_column(_Sorted)
    origin: Mapped[str] = mapped_column(_Sorted)
    raw: Mapped[str | None] = mapped_column(_Sorted)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[str] = mapped_column(_Sorted)


class TombstoneRow(Base):
    """Something that must not come back: the sha256 of its kind and id, and nothing else of it."""

    __tablename__ = "tombstones"

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    kind: Mapped[str] = mapped_column(_Sorted)


class CheckpointRow(Base):
    """How far a source was read."""

    __tablename__ = "checkpoints"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    source: Mapped[str] = mapped_column(_Sorted)
    position: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(_Sorted)
    updated_at: Mapped[str] = mapped_column(_Sorted)


class MarkRow(Base):
    """A fact about the store itself, by name."""

    __tablename__ = "marks"

    name: Mapped[str] = mapped_column(_Sorted, primary_key=True)
    value: Mapped[str] = mapped_column(_Sorted)


def table(row: type[Base]) -> Table:
    """Returns a model's table, for Core statements."""
    found: Any = row.__table__
    assert isinstance(found, Table), "every model here is one table"
    return found
