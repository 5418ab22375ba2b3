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
import sys, time
sys.path.insert(0, sys.argv[2])
from tests.unit.lm.test_lm_cache import AnswerCache, answer
cache = AnswerCache(sys.argv[1], turn="t")
for i in range(10_000):
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
    with pytest.raises(StorageError, match="version must be 1, got 9") as caught:
        AnswerCache(path)
    assert not isinstance(caught.value, CorruptionError)


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    edit(tmp_path / "a.db", "create table mine (x)")
    with pytest.raises(StorageError, match="version must be 1, got 0"):
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
