"""Schemas of every age: made once, upgraded with all their rows, refused when they are too new."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from tests.unit.store.stores import database, execute, feedback, request
from upturn.errors import StorageError
from upturn.events import Purpose, Signal
from upturn.store import Added, Checkpoint, FeedbackStore
from upturn.store.schema import HEAD, VERSION_TABLE, known_revisions
from upturn.store.tables import Base

#: A dump of every revision with the same events in it, as that revision wrote them.
DUMPS = Path(__file__).parent / "revisions"
EVENTS = (
    request("r1", raw={"n": [1, 2.5, None]}, slices={"language": "de"}, origin="langfuse"),
    request(
        "r2",
        parent="r1",
        user=None,
        session="s",
        version="v1",
        model="m",
        latency_ms=12.5,
        usage={"input_tokens": 3},
        cost_usd=0.001,
        error="timeout; it's late",
        outputs={},
        consent=(Purpose.TRAIN,),
    ),
    feedback("f1", "r1", comment="no", program="triage"),
    feedback("f2", "r9", signal=Signal.SCORE, value=0.5, name="quality", raw="x", consent=()),
)
CHECKPOINT = Checkpoint(source="export.jsonl", position=17, state={"line": 3})


def write_dumps_here(url: str) -> None:
    """Fills an empty store as the dumps are filled."""
    with FeedbackStore.open(url) as store:
        store.add(EVENTS, checkpoint=CHECKPOINT)
        store.forget(request_ids=["gone"])
        store.expire("2020-01-01T00:00:00+00:00")


def test_every_revision_has_its_dumps():
    kinds = ("postgres", "sqlite")
    expected = sorted(f"{r}.{k}.sql" for r in known_revisions() for k in kinds)
    assert sorted(p.name for p in DUMPS.iterdir()) == expected
    assert known_revisions()[0] == HEAD


@pytest.mark.parametrize("revision", sorted(known_revisions()))
def test_an_older_store_keeps_every_row(kind: str, url: str, revision: str):
    dump = (DUMPS / f"{revision}.{kind}.sql").read_text()
    execute(url, *(s.replace(":", "\\:") for s in dump.split(";\n") if s.strip()))
    with FeedbackStore.open(url, create=False) as store:
        assert tuple(store.requests()) == EVENTS[:2]
        assert store.feedback_on("r1") == EVENTS[2:3]
        assert store.feedback_on("r9") == EVENTS[3:]
        assert store.checkpoint("export.jsonl") == CHECKPOINT
        assert store.add(EVENTS) == Added(duplicates=4)
        old = request("old", time="2019-01-01T00:00:00+00:00")
        assert store.add([request("gone"), old]) == Added(forgotten=2)
    assert execute(url, f"SELECT version_num FROM {VERSION_TABLE}") == [(HEAD,)]


def test_models_and_migrations_agree(url: str):
    FeedbackStore.open(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_a_newer_store_is_refused(url: str):
    FeedbackStore.open(url).close()
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StorageError, match=f"revision {HEAD} or older, it is of 9999") as error:
        FeedbackStore.open(url)
    assert error.value.fix == "pip install --upgrade upturn"


def test_tables_of_somebody_else_are_left_alone(url: str):
    execute(url, "CREATE TABLE feedback (id TEXT)", "INSERT INTO feedback VALUES ('theirs')")
    with pytest.raises(StorageError, match="it has feedback, which Upturn did not make"):
        FeedbackStore.open(url)
    assert execute(url, "SELECT id FROM feedback") == [("theirs",)]


def test_other_tables_may_lie_beside_it(url: str):
    execute(url, "CREATE TABLE alembic_version (version_num TEXT)")
    with FeedbackStore.open(url) as store:
        assert store.add([request()]) == Added(requests=1)
    assert execute(url, "SELECT * FROM alembic_version") == []


@pytest.mark.postgres
def test_a_server_store_that_is_not_there_is_not_made(tmp_path: Path):
    with database("postgres", tmp_path) as url:
        with pytest.raises(StorageError, match="the store must exist"):
            FeedbackStore.open(url, create=False)
        assert (
            execute(url, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            == []
        )
