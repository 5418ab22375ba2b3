"""The database file: made once, and refused when it is not ours."""

from __future__ import annotations

import resource
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from upturn.errors import StorageError
from upturn.testing.tracker import migrated_store
from upturn.tracking import TurnInfo
from upturn.tracking.database import DATABASE, Schema, prepare, read_revision
from upturn.tracking.mlflow import MlflowTracker
from upturn.tracking.mlflow_store import open_store


def migrate_to(revision: str, calls: list[Path]) -> Schema:
    def migrate(path: Path) -> None:
        calls.append(path)
        with closing(sqlite3.connect(path)) as db:
            db.execute("create table alembic_version (version_num text)")
            db.execute("insert into alembic_version values (?)", (revision,))
            db.commit()

    return Schema(version="3.17.2", head="head", known=frozenset({"old", "head"}), migrate=migrate)


def test_many_threads_make_one_database(tmp_path: Path) -> None:
    calls: list[Path] = []
    schema = migrate_to("head", calls)
    threads = [threading.Thread(target=prepare, args=(tmp_path, schema)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert calls[0].name != DATABASE, "it is made beside its name, then moved"
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        assert db.execute("pragma journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("revision", "message", "fix"),
    [
        ("old", "found old, of an older MLflow", "mlflow db upgrade sqlite:///"),
        ("alien", "found alien, of a newer MLflow", "install the MLflow that wrote it"),
    ],
)
def test_another_version_is_refused_with_both_revisions(
    tmp_path: Path, revision: str, message: str, fix: str
) -> None:
    with pytest.raises(StorageError) as caught:
        prepare(tmp_path, migrate_to(revision, []))
    assert message in caught.value.what
    assert "revision head (MLflow 3.17.2)" in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.exit_code == 2
    assert read_revision(tmp_path / DATABASE) == revision, "nothing was upgraded"


def test_a_foreign_or_broken_file_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute("create table mine (x)")
    with pytest.raises(StorageError, match="must be an MLflow database"):
        prepare(tmp_path, migrate_to("head", []))
    (tmp_path / DATABASE).write_text("not a database, whatever its name says" * 40)
    with pytest.raises(StorageError, match="file is not a database"):
        prepare(tmp_path, migrate_to("head", []))


def test_a_leftover_file_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "meta.yaml").write_text("name: Default")
    with pytest.raises(StorageError, match=r"file store of an older MLflow \(0/meta.yaml\)"):
        prepare(tmp_path, migrate_to("head", []))


def test_a_folder_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        prepare(tmp_path / "file" / "mlruns", migrate_to("head", []))
    assert "readable and writable" in caught.value.what


INFO = TurnInfo(
    turn="t", program="p", config_yaml="", snapshot_id="0" * 64, study="s", model_id="m", seed=0
)


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp().parent / "mlflow"


def test_a_real_database_of_a_newer_mlflow_is_refused(cache: Path, tmp_path: Path) -> None:
    migrated_store(cache, tmp_path).close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute("update alembic_version set version_num = 'from_the_future'")
        db.commit()
    with pytest.raises(StorageError, match="found from_the_future, of a newer MLflow"):
        open_store(tmp_path)


def test_a_database_written_through_a_server_is_named(cache: Path, tmp_path: Path) -> None:
    store = migrated_store(cache, tmp_path)
    store.client.create_experiment("p", "mlflow-artifacts:/1")
    with pytest.raises(StorageError, match="was written through a server") as caught:
        MlflowTracker(store).start_turn(INFO)
    assert "tracking.uri" in caught.value.fix
    store.close()


def test_a_moved_folder_and_the_trash_are_named(cache: Path, tmp_path: Path) -> None:
    store = migrated_store(cache, tmp_path)
    store.client.create_experiment("p", (tmp_path / "elsewhere").as_uri())
    with pytest.raises(StorageError, match="must lie in"):
        store.experiment("p")
    store.client.delete_experiment(store.experiment("q"))
    with pytest.raises(StorageError, match="it is in the trash") as caught:
        store.experiment("q")
    assert "mlflow experiments restore" in caught.value.fix
    store.close()


def test_a_full_disk_is_a_storage_error_without_noise(
    cache: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = migrated_store(cache, tmp_path)
    tracker = MlflowTracker(store)
    tracker.start_turn(INFO)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError) as caught:
            tracker.log_files({"big.bin": b"x" * 100_000})
        with pytest.raises(StorageError):
            tracker.start_turn(TurnInfo(**{**vars(INFO), "turn": "u"}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 2
    assert caught.value.fix
    assert capfd.readouterr() == ("", "")
    store.close()


def test_a_dead_server_is_a_storage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StorageError) as caught:
        open_store(tmp_path, uri="http://user:hunter2@127.0.0.1:9")
    assert "hunter2" not in str(caught.value)
    assert "http://***@127.0.0.1:9" in str(caught.value)
