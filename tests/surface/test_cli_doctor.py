"""``upturn doctor`` finds what is broken, and mends the cache where it is asked to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.surface.conftest import Finished, Ran, Upturn

pytestmark = pytest.mark.local  # the embedded model is one of the checks


def failing(ran: Ran) -> dict[str, str]:
    checks = ran.json["checks"]
    assert isinstance(checks, list)
    return {c["name"]: c["detail"] for c in checks if not c["ok"]}


def test_a_whole_workspace_is_fit(finished: Finished, upturn: Upturn):
    ran = upturn("doctor", "--json")
    assert (ran.code, ran.json["ok"], failing(ran)) == (0, True, {})
    shown = upturn("doctor")
    assert shown.code == 0
    assert "MEND" not in shown.out


def test_a_folder_without_runs_is_fit_and_stays_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upturn: Upturn
):
    monkeypatch.chdir(tmp_path)
    assert upturn("doctor", "--json").code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_changed_answer_is_found_and_only_it_is_dropped(finished: Finished, upturn: Upturn):
    with closing(sqlite3.connect(finished.workspace / "cache.db")) as db, db:
        (count,) = db.execute("select count(*) from answers").fetchone()
        (key,) = db.execute("select max(key) from answers").fetchone()
        db.execute("update answers set text = 'forged' where key = ?", (key,))
    found = upturn("doctor", "--json")
    assert found.code == 2
    assert "--repair-cache" in failing(found)["answer cache"]
    mended = upturn("doctor", "--repair-cache", "--json")
    assert (mended.code, failing(mended)) == (0, {})
    assert "dropped 1 broken answers" in mended.err
    with closing(sqlite3.connect(finished.workspace / "cache.db")) as db:
        assert db.execute("select count(*) from answers").fetchone() == (count - 1,)


def test_a_cache_that_is_no_database_is_moved_aside(finished: Finished, upturn: Upturn):
    for path in finished.workspace.glob("cache.db*"):
        path.unlink()
    (finished.workspace / "cache.db").write_bytes(b"no sqlite file at all" * 500)
    assert "answer cache" in failing(upturn("doctor", "--json"))
    mended = upturn("doctor", "--repair-cache", "--json")
    assert mended.code == 0
    assert "moved to" in mended.err
    assert len(list(finished.workspace.glob("cache.db.corrupt-*"))) == 1


def test_a_changed_ledger_and_a_changed_snapshot_are_found(finished: Finished, upturn: Upturn):
    ledger = finished.workspace / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"alpha":0.025', '"alpha":0.05'))
    rows = finished.workspace / "snapshots" / finished.first.snapshot[:12] / "dev.jsonl"
    rows.write_text(rows.read_text().replace("returns", "billing", 1))
    found = upturn("doctor", "--json")
    assert found.code == 2
    assert set(failing(found)) == {"ledger", "snapshots"}
