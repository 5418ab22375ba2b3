"""A local registry's aliases without MLflow are what MLflow answers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.tracking.test_tracking_database import migrate_to
from upturn.tracking.database import DATABASE, prepare
from upturn.tracking.local_aliases import read_local
from upturn.tracking.versions import Aliases

_TABLES = """
create table registered_model_aliases (alias text, version integer, name text);
create table registered_model_tags (key text, value text, name text);
insert into registered_model_aliases values ('champion', 3, 'p'), ('staging', 4, 'p');
insert into registered_model_aliases values ('champion', 9, 'q'), ('mine', 1, 'p');
insert into registered_model_tags values ('upturn.ledger.settled', 'abc', 'p'), ('x', 'y', 'p');
"""


def database(root: Path) -> Path:
    prepare(root, migrate_to("head", []))
    with closing(sqlite3.connect(root / DATABASE)) as db:
        db.executescript(_TABLES)
    return root / DATABASE


@pytest.mark.parametrize("folder", ["runs", "runs?mode=memory#x %41"])
def test_the_aliases_and_the_mark_of_one_program(tmp_path: Path, folder: str) -> None:
    root = tmp_path / folder
    before = database(root).read_bytes()
    assert read_local(root, "p") == Aliases(champion="3", staging="4", settled="abc")
    assert read_local(root, "q") == Aliases(champion="9")
    assert read_local(root, "nobody") == Aliases()
    assert (root / DATABASE).read_bytes() == before


def test_what_cannot_be_read_this_way_is_for_mlflow(tmp_path: Path) -> None:
    assert read_local(tmp_path, "p") is None
    assert not (tmp_path / DATABASE).exists(), "reading makes no file"
    with closing(sqlite3.connect(database(tmp_path))) as db:
        db.execute("alter table registered_model_aliases rename column alias to label")
    assert read_local(tmp_path, "p") is None
    (tmp_path / DATABASE).write_bytes(b"no database" * 100)
    assert read_local(tmp_path, "p") is None
