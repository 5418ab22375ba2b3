"""``upturn cache`` says what is there, and deletes only when it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surface.conftest import Upturn
from tests.unit.lm.test_lm_cache import answer
from upturn.lm import AnswerCache
from upturn.pipeline.workspace import Workspace

DAY_S = 86400.0


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for days, turn, n in ((1, "t-old", 3), (20_000, "t-new", 2)):
        with AnswerCache(
            tmp_path / "cache.db", turn=turn, clock=lambda days=days: days * DAY_S
        ) as cache:
            for i in range(n):
                cache.put(f"{turn}-{i}", answer("x" * 100_000))
    return tmp_path


def test_stats(workspace: Path, upturn: Upturn):
    told = upturn("cache", "stats", workspace, "--json").json
    assert (told["answers"], told["oldest_s"], told["newest_s"]) == (5, DAY_S, 20_000 * DAY_S)
    assert [(t["turn"], t["answers"], t["cost_usd"]) for t in told["turns"]] == [  # type: ignore[union-attr]
        ("t-old", 3, 0.75),
        ("t-new", 2, 0.5),
    ]
    shown = upturn("cache", "stats", workspace)
    assert shown.out.startswith("5 answers, 0.5 MB, in a file of ")
    assert "written 1970-01-02 to 2024-10-04" in shown.out
    assert "t-old  3        0.3 MB  $0.75" in shown.out


def test_clear_says_what_would_go_and_deletes_with_yes(workspace: Path, upturn: Upturn):
    ask = ("cache", "clear", workspace, "--turn", "t-old")
    assert upturn(*ask).out == "would delete 3 answers that cost $0.75; add --yes to do it\n"
    old = ("cache", "clear", workspace, "--older-than", "1d", "--json")
    assert upturn(*old).json == {"chosen": 5, "cost_usd": 1.25, "deleted": 0}
    assert upturn(*ask, "--yes").out == "deleted 3 answers\n"
    assert upturn(*old, "--yes").json == {"chosen": 2, "cost_usd": 0.5, "deleted": 2}
    assert upturn("cache", "stats", workspace).out.startswith("0 answers, 0.0 MB")


def test_clear_waits_for_no_running_turn(workspace: Path, upturn: Upturn):
    with Workspace(workspace).locked():
        ran = upturn("cache", "clear", workspace, "--yes")
    assert (ran.code, ran.out) == (2, "")
    assert "another run holds this workspace" in ran.err
    assert upturn("cache", "stats", workspace, "--json").json["answers"] == 5


@pytest.mark.parametrize("word", ["30", "month", "0d"])
def test_an_age_is_hours_days_or_weeks(word: str, workspace: Path, upturn: Upturn):
    ran = upturn("cache", "clear", workspace, "--older-than", word, "--yes")
    assert (ran.code, ran.out) == (2, "")
    assert "--older-than" in ran.err


def test_no_cache_is_said(tmp_path: Path, upturn: Upturn):
    for command in ("stats", "clear"):
        ran = upturn("cache", command, tmp_path)
        assert (ran.code, ran.out) == (2, "")
        assert "there is none yet" in ran.err
    assert list(tmp_path.iterdir()) == []
