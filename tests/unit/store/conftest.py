"""An empty database, and a store in it, once for every kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.store.stores import KINDS, database
from upturn.store import FeedbackStore


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def url(kind: str, tmp_path: Path) -> Iterator[str]:
    with database(kind, tmp_path) as url:
        yield url


@pytest.fixture
def store(url: str) -> Iterator[FeedbackStore]:
    with FeedbackStore.open(url, clock=lambda: datetime(2026, 6, 1, tzinfo=UTC)) as store:
        yield store
