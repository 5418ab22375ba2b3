"""The answer cache: durable, shared, and unable to hand out a broken answer."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from upturn.errors import CorruptionError, StorageError
from upturn.lm.cache import Answer, AnswerCache, repair


def answer(text: str = "billing", cost_usd: float = 0.25) -> Answer:
    return Answer(
        text=text,
        finish_reason="stop",
        input_tokens=600,
        output_tokens=12,
        latency_s=0.1,
        cost_usd=cost_usd,
    )


def edit(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(sql)
    db.close()


def test_an_answer_survives_closing_and_is_never_overwritten(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "deep" / "answers.db") as cache:
        assert cache.get("k") is None
        cache.put("k", answer("first"))
        cache.put("k", answer("second"))
    with AnswerCache(tmp_path / "deep" / "answers.db") as cache:
        assert cache.get("k") == answer("first")
        assert len(cache) == 1


def test_spent_sums_a_turn_whoever_opened_the_file(tmp_path: Path) -> None:
    with (
        AnswerCache(tmp_path / "a.db", turn="t1") as one,
        AnswerCache(tmp_path / "a.db", turn="t2") as two,
    ):
        one.put("k1", answer())
        one.put("k2", answer())
        two.put("k3", answer(cost_usd=1.0))
        assert two.spent("t1") == (2, 0.5)
        assert one.spent("t2") == (1, 1.0)
        assert one.spent("t3") == (0, 0.0)


def test_many_threads_share_one_cache(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "a.db") as cache, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: cache.put(f"k{i % 50}", answer(str(i % 50))), range(400)))
        assert [cache.get(f"k{i}").text for i in range(50)] == [str(i) for i in range(50)]  # type: ignore[union-attr]
        assert len(cache) == 50


def test_kill_9_loses_no_answer_that_was_put(tmp_path: Path) -> None:
    code = """
import itertools, sys
sys.path.insert(0, sys.argv[2])
from tests.unit.lm.test_lm_cache import AnswerCache, answer
cache = AnswerCache(sys.argv[1], turn="t")
for i in itertools.count():
    cache.put(f"k{i}", answer())
    print(i, flush=True)
"""
    path = tmp_path / "a.db"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(Path(__file__).parents[3])],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout:
        seen = [int(child.stdout.readline()) for _ in range(200)]
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with AnswerCache(path) as cache:
        assert all(cache.get(f"k{i}") == answer() for i in seen)
        assert cache.spent("t")[0] >= 200


def test_a_changed_row_is_corruption_and_repair_drops_only_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with AnswerCache(path) as cache:
        cache.put("good", answer())
        cache.put("bad", answer())
    edit(path, "update answers set text = 'sales' where key = 'bad'")
    with AnswerCache(path) as cache:
        with pytest.raises(CorruptionError) as caught:
            cache.get("bad")
        assert cache.get("good") == answer()
    message = str(caught.value)
    assert "key bad must match its sha256" in message
    assert str(path) in message
    assert "upturn doctor --repair-cache" in message
    assert repair(path) == (1, None)
    with AnswerCache(path) as cache:
        assert cache.get("bad") is None
        assert cache.get("good") == answer()


def test_a_file_that_is_no_database_is_corruption_and_repair_moves_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_text("this is a text file, long enough to be read as a header " * 20)
    with pytest.raises(CorruptionError, match="whole SQLite file"):
        AnswerCache(path)
    dropped, aside = repair(path)
    assert dropped == 0
    assert aside is not None
    assert aside.read_text().startswith("this is a text file")
    with AnswerCache(path) as cache:
        assert len(cache) == 0


def test_a_truncated_file_is_corruption(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with AnswerCache(path) as cache:
        for i in range(300):
            cache.put(f"k{i}", answer("long " * 50))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def read_all() -> None:
        with AnswerCache(path) as cache:
            for i in range(300):
                cache.get(f"k{i}")

    with pytest.raises(CorruptionError, match="whole SQLite file"):
        read_all()


def test_another_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with AnswerCache(path):
        pass
    edit(path, "pragma user_version = 9")
    with pytest.raises(StorageError, match="version must be 2, got 9") as caught:
        AnswerCache(path)
    assert not isinstance(caught.value, CorruptionError)


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    edit(tmp_path / "a.db", "create table mine (x)")
    with pytest.raises(StorageError, match="version must be 2, got 0"):
        AnswerCache(tmp_path / "a.db")


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="folder must be writable") as caught:
        AnswerCache(tmp_path / "file" / "a.db")
    assert caught.value.exit_code == 2


def test_a_read_only_place_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match=r"must (exist and )?be writable"):
        AnswerCache("/proc/upturn-answers.db")


def test_a_full_disk_is_a_storage_error_and_keeps_what_was_there(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "a.db", max_pages=12) as cache:
        cache.put("kept", answer())

        def fill() -> None:
            for i in range(100):
                cache.put(f"k{i}", answer("x" * 2000))

        with pytest.raises(StorageError, match="disk must have room") as caught:
            fill()
        assert cache.get("kept") == answer()
    assert "df -h" in caught.value.fix


VERSION_1 = """
create table answers (
    key text primary key, text text not null, finish_reason text not null,
    input_tokens integer not null, output_tokens integer not null,
    latency_s real not null, cost_usd real not null,
    turn text not null, created_s real not null, sha256 text not null
) without rowid
"""
DAY_S = 86400.0


def make_version_1(path: Path, answers: int) -> None:
    """A file as the version before this one left it, without its column of the last use."""
    with AnswerCache(path, turn="old", clock=lambda: 5.0) as cache:
        for i in range(answers):
            cache.put(f"k{i}", answer(str(i)))
    edit(path, "alter table answers rename to newer")
    edit(path, VERSION_1)
    columns = "key, text, finish_reason, input_tokens, output_tokens, latency_s, cost_usd, turn"
    columns += ", created_s, sha256"
    edit(path, f"insert into answers select {columns} from newer")
    edit(path, "drop table newer")
    edit(path, "pragma user_version = 1")


def test_a_file_of_version_1_keeps_every_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_version_1(path, 500)
    with AnswerCache(path, turn="new") as cache:
        assert [cache.get(f"k{i}") for i in range(500)] == [answer(str(i)) for i in range(500)]
        cache.put("k500", answer())
        assert cache.spent("old") == (500, 125.0)
        assert cache.stats().oldest_s == 5.0
    with AnswerCache(path) as cache:
        assert len(cache) == 501


def test_processes_that_open_an_old_or_a_new_file_at_once_all_can(tmp_path: Path) -> None:
    code = """
import sys
from upturn.lm.cache import Answer, AnswerCache
answer = Answer(
    text="x", finish_reason="stop", input_tokens=1, output_tokens=1, latency_s=0.1, cost_usd=0.1
)
sys.stdin.readline()
with AnswerCache(sys.argv[1], turn=sys.argv[2]) as cache:
    for i in range(20):
        cache.put(f"{sys.argv[2]}-{i}", answer)
"""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    make_version_1(old, 50)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), turn],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for path in (old, new)
        for turn in ("t1", "t2")
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.communicate()[1] for child in children] == [""] * 4
    with AnswerCache(old) as cache:
        assert len(cache) == 50 + 40
    with AnswerCache(new) as cache:
        assert len(cache) == 40


def test_the_least_recently_used_leave_and_what_the_turn_needs_stays(tmp_path: Path) -> None:
    path, now = tmp_path / "a.db", [0.0]
    with AnswerCache(path, turn="t1", clock=lambda: now[0]) as cache:
        for i in range(100):
            now[0] += 1.0
            cache.put(f"old{i}", answer("x" * 10_000))
    now[0] = 10 * DAY_S
    with AnswerCache(path, turn="t2", clock=lambda: now[0], max_mb=1.2) as cache:
        assert cache.get("old0") == answer("x" * 10_000)
        for i in range(30):
            cache.put(f"new{i}", answer("y" * 10_000))
        kept = [i for i in range(100) if cache.get(f"old{i}")]
        assert kept[0] == 0, "it was used"
        assert kept[1:] == list(range(kept[1], 100)), "the others leave in the order of their use"
        assert all(cache.get(f"new{i}") for i in range(30))
        assert 0.9e6 < cache.stats().bytes <= 1.2e6


def test_a_turn_that_needs_more_than_the_limit_keeps_all_it_has(tmp_path: Path) -> None:
    now = [0.0]
    with AnswerCache(tmp_path / "a.db", turn="t", clock=lambda: now[0], max_mb=0.05) as cache:
        for i in range(60):
            now[0] += DAY_S
            cache.put(f"k{i}", answer("x" * 5_000))
        assert len(cache) == 60
    # Another process's turn may be running: what was used within a day stays, too.
    with AnswerCache(tmp_path / "a.db", turn="u", clock=lambda: now[0], max_mb=0.001) as other:
        other.put("u0", answer("x" * 5_000))
        assert [k for k in ("k57", "k58", "k59", "u0") if other.get(k)] == ["k58", "k59", "u0"]
        assert len(other) == 3


def test_uses_are_written_in_batches_and_only_of_a_turn(tmp_path: Path) -> None:
    path, now = tmp_path / "a.db", [0.0]

    def used() -> int:
        db = sqlite3.connect(path)
        (count,) = db.execute("select count(*) from answers where last_used_s > 0").fetchone()
        db.close()
        return count

    with AnswerCache(path, turn="t", clock=lambda: now[0]) as cache:
        for i in range(300):
            cache.put(f"k{i}", answer())
        assert [cache.get(f"k{i}") for i in range(300)] == [answer()] * 300
        assert used() == 0, "just written is just used"
    now[0] = DAY_S
    with AnswerCache(path, clock=lambda: now[0]) as nobody:
        assert all(nobody.get(f"k{i}") for i in range(300))
    assert used() == 0
    with AnswerCache(path, turn="t", clock=lambda: now[0]) as cache:
        assert all(cache.get(f"k{i}") for i in range(300))
        assert used() == 256
    assert used() == 300


def test_a_busy_file_costs_no_answer(tmp_path: Path) -> None:
    path, now = tmp_path / "a.db", [0.0]
    with AnswerCache(path, turn="t", clock=lambda: now[0]) as cache:
        for i in range(300):
            cache.put(f"k{i}", answer())
        now[0] = DAY_S
        cache._db.execute("pragma busy_timeout=0")
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("begin immediate")
        assert all(cache.get(f"k{i}") for i in range(300))
        with pytest.raises(StorageError, match="may hold the cache longer than 30 s"):
            cache.put("new", answer())
        holder.execute("rollback")
        holder.close()
        cache.put("new", answer())
        assert cache.get("new") == answer()


def test_stats_and_clear(tmp_path: Path) -> None:
    path, now = tmp_path / "a.db", [0.0]
    for day, turn, n in ((1, "t1", 10), (5, "t2", 30), (9, "t3", 20)):
        now[0] = day * DAY_S
        with AnswerCache(path, turn=turn, clock=lambda: now[0]) as cache:
            for i in range(n):
                cache.put(f"{turn}-{i}", answer("x" * 1000))
    now[0] = 10 * DAY_S
    with AnswerCache(path, turn="t4", clock=lambda: now[0]) as cache:
        assert cache.get("t1-0") is not None
        assert cache.get("t1-10") is None
        found = cache.stats()
        assert (found.answers, found.hits, found.misses) == (60, 1, 1)
        assert (found.oldest_s, found.newest_s) == (DAY_S, 9 * DAY_S)
        assert [(t.turn, t.answers, t.cost_usd) for t in found.turns] == [
            ("t2", 30, 7.5),
            ("t3", 20, 5.0),
            ("t1", 10, 2.5),
        ]
        assert found.bytes == sum(t.bytes for t in found.turns) >= 60 * 1000
        # Old and not used since: the one that was just used stays.
        assert cache.worth(older_than_s=4 * DAY_S) == (39, 9.75)
        assert cache.clear(older_than_s=4 * DAY_S) == 39
        assert cache.get("t1-0") is not None
        assert cache.clear(turn="t3", older_than_s=4 * DAY_S) == 0
        assert cache.clear(turn="t3") == 20
        size = path.stat().st_size
        assert cache.clear() == 1
        assert cache.stats().turns == ()
    assert path.stat().st_size <= size
    with AnswerCache(path) as cache:
        assert (len(cache), cache.stats().oldest_s) == (0, None)
