"""A full disk, a held file, a server that goes away: what is raised, and that nothing is lost."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.unit.store.stores import SERVER, database, execute, feedback, request
from upturn.errors import ConfigError, StorageError
from upturn.store import Added, Checkpoint, FeedbackStore

ROOT = str(Path(__file__).parents[3])
# Writes ever larger batches where a file may have 2 MB at most.
FILLER = """
import resource, sys
from tests.unit.store.stores import request
from upturn.errors import StorageError
from upturn.store import Checkpoint, FeedbackStore
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
with FeedbackStore.open(sys.argv[1]) as store:
    for n in range(100):
        batch = [request(f"{n}-{i}", inputs={"m": "x" * 5000}) for i in range(20)]
        try:
            store.add(batch, checkpoint=Checkpoint(source="s", position=n))
        except StorageError as error:
            print(n, error.what, error.fix, sep="|")
            break
"""


def test_a_full_disk_leaves_whole_batches(tmp_path: Path):
    path = tmp_path / "store.db"
    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    batches, what, fix = done.stdout.strip().split("|")
    assert what.startswith("the store needs room on its disk")
    assert fix.startswith("free disk space")
    with FeedbackStore.open(str(path), create=False) as store:
        assert store.counts().requests == int(batches) * 20 > 0
        assert store.checkpoint("s") == Checkpoint(source="s", position=int(batches) - 1)
        assert store.add([request("after")]) == Added(requests=1)


def test_a_held_file_is_waited_for_and_named(tmp_path: Path):
    path, waits = tmp_path / "store.db", list[float]()
    with FeedbackStore.open(str(path), patience_s=0.05, sleep=waits.append) as store:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="must not be held by another process") as error:
            store.add([request()])
        assert error.value.where == str(path)
        assert "run the same command again" in error.value.fix
        assert waits == [0.1, 0.4, 1.6, 3.2]
        holder.execute("ROLLBACK")
        holder.close()
        assert store.add([request()]) == Added(requests=1)


def test_a_lock_that_is_let_go_costs_nothing(tmp_path: Path):
    path = tmp_path / "store.db"
    holder = None

    def let_go(_: float) -> None:
        assert holder is not None
        holder.execute("ROLLBACK")

    with FeedbackStore.open(str(path), patience_s=0.05, sleep=let_go) as store:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert store.add([request()]) == Added(requests=1)
        holder.close()


def test_deleted_content_is_not_called_gone_while_a_reader_holds_it(tmp_path: Path):
    with FeedbackStore.open(str(tmp_path / "store.db"), patience_s=0.05) as store:
        store.add([request(f"r{i:04}") for i in range(1200)])
        reader = store.requests()
        next(reader)
        with pytest.raises(StorageError, match="no reader may hold the store"):
            store.forget(request_ids=["r0000"])
        assert store.request("r0000") is None
        assert sum(1 for _ in reader) == 1199
        assert store.forget(request_ids=["r0000"]).requests == 0


@pytest.mark.parametrize("content", [b"no database " * 100, b"SQLite format 3\x00" + b"\xff" * 900])
def test_a_file_of_another_kind_stays_as_it_is(tmp_path: Path, content: bytes):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="must be an intact SQLite file"):
        FeedbackStore.open(str(path))
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_is_no_url(tmp_path: Path):
    path = tmp_path / "new folder" / "a?b=c#d%20.db"
    with FeedbackStore.open(str(path)) as store:
        assert store.where == str(path)
    assert path.exists()


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "sqlite:///", "x://"]
)
def test_only_files_and_postgresql_are_stores(url: str):
    with pytest.raises(ConfigError, match="a store must be"):
        FeedbackStore.open(url)


def test_a_password_is_never_shown(tmp_path: Path):
    url = "postgresql://upturn:s3cret@127.0.0.1:1/test"
    with pytest.raises(StorageError, match="the store's server must answer") as error:
        FeedbackStore.open(url, sleep=lambda _: None)
    assert "s3cret" not in str(error.value)
    assert error.value.where == "postgresql+psycopg://upturn:***@127.0.0.1:1/test"


def test_what_an_event_holds_is_not_in_an_error(tmp_path: Path):
    path = tmp_path / "store.db"
    with FeedbackStore.open(str(path)) as store:
        execute(f"sqlite:///{path}", "ALTER TABLE requests RENAME TO r")
        with pytest.raises(StorageError) as error:
            store.add([request("secret-id", inputs={"m": "secret-text"})])
    shown = f"{error.value} {error.value.__cause__}"
    assert "no such table" in shown
    assert "secret" not in shown


class Proxy:
    """A server in front of PostgreSQL that can be taken down, with all its connections."""

    def __init__(self) -> None:
        self.port = 0
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.up()

    def up(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        assert self._listener is not None
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(("127.0.0.1", 5432))
                self._open += [here, there]
                for a, b in ((here, there), (there, here)):
                    threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def behind_proxy(tmp_path: Path) -> Generator[tuple[Proxy, str]]:
    proxy = Proxy()
    server = SERVER.replace(":5432", f":{proxy.port}")
    try:
        with database("postgres", tmp_path, server) as url:
            yield proxy, url
    finally:
        proxy.down()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Proxy, str]]:
    with behind_proxy(tmp_path) as both:
        yield both


@pytest.mark.postgres
def test_a_server_that_comes_back_loses_nothing(served: tuple[Proxy, str]):
    proxy, url = served
    waits = list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            proxy.up()

    with FeedbackStore.open(url, sleep=sleep) as store:
        store.add([request()], checkpoint=Checkpoint(source="s", position=1))
        proxy.down()
        again = store.add([request(), feedback()], checkpoint=Checkpoint(source="s", position=2))
        assert again == Added(feedback=1, duplicates=1)
        assert waits == [0.1, 0.4]
        assert store.checkpoint("s") == Checkpoint(source="s", position=2)


@pytest.mark.postgres
def test_a_server_that_stays_away_is_named(served: tuple[Proxy, str]):
    proxy, url = served
    with FeedbackStore.open(url, sleep=lambda _: None) as store:
        store.add([request()])
        proxy.down()
        for call in (lambda: store.add([feedback()]), lambda: list(store.requests())):
            check_away(call)
        proxy.up()
        assert store.counts().feedback == 0
        assert store.add([feedback()]) == Added(feedback=1)


def check_away(call: Callable[[], object]) -> None:
    with pytest.raises(StorageError, match="the store's server must answer") as error:
        call()
    assert "check that it runs" in error.value.fix


@pytest.mark.postgres
def test_a_connection_that_the_server_ends_is_replaced(tmp_path: Path):
    with database("postgres", tmp_path) as url, FeedbackStore.open(url) as store:
        store.add([request()])
        name = url.partition("application_name=")[2].partition("&")[0]
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
        assert execute(SERVER, f"{end}'{name}'") != []
        assert store.add([feedback()], checkpoint=Checkpoint(source="s", position=1)) == Added(
            feedback=1
        )
