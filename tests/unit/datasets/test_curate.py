"""Caps: nobody, no template and no week fills the data alone; who stays is fixed."""

from __future__ import annotations

import random

import pytest

from upturn.datasets.curate import CurateRules, curate, template_text, week_of
from upturn.errors import ConfigError, DataError
from upturn.records import Example


def row(n: int, *, user: str = "", text: str = "", day: int = 1, weight: float = 1.0) -> Example:
    return Example(
        id=f"r{n:03}",
        inputs={"message": text or random.Random(n).randbytes(20).hex()},
        labels={"team": "billing"},
        group=user or f"u{n}",
        time=f"2026-09-{day:02}T10:00:00+00:00",
        weight=weight,
    )


def test_nothing_is_capped_by_default():
    rows = [row(n, user="same", text="the same text", day=1) for n in range(20)]
    assert curate(rows) == (rows, {})


def test_a_user_keeps_the_surest_rows():
    rows = [row(n, user="bot", weight=0.9 if n in (3, 7, 11) else 0.4) for n in range(30)]
    rows += [row(n) for n in range(30, 40)]
    left, dropped = curate(rows, rules=CurateRules(max_per_user=3))
    assert [e.id for e in left if e.group == "bot"] == ["r003", "r007", "r011"]
    assert len(left) == 13
    assert dropped == {"over_user_cap": 27}


def test_ties_fall_the_same_way_in_any_order():
    rows = [row(n, user="bot") for n in range(50)]
    first, _ = curate(rows, rules=CurateRules(max_per_user=5))
    assert [e.id for e in first] != [f"r{n:03}" for n in range(5)]
    for seed in range(5):
        shuffled = list(rows)
        random.Random(seed).shuffle(shuffled)
        assert curate(shuffled, rules=CurateRules(max_per_user=5))[0] == first


def test_digits_names_and_marks_do_not_make_another_template():
    texts = [
        "Hello Anna, my parcel 123 to 10115 Berlin has not come yet, please look into it",
        "Hello Peter Schmidt, my parcel 9 to 20095 Berlin has not come yet, please look into it",
        "Hello <NAME:0123456789ab>, my parcel 77 to 1 Berlin has not come yet, please look into it",
        "Hello x@y.org, my parcel 77 to 1 Berlin has not come yet, please look into it",
    ]
    rows = [row(n, text=text) for n, text in enumerate(texts)] + [row(9)]
    left, dropped = curate(rows, rules=CurateRules(max_per_template=1))
    assert dropped == {"over_template_cap": 3}
    assert len(left) == 2
    assert template_text("Dear Mr. Smith, hi") == template_text("Dear Miller Jones, hi")
    assert "Berlin" in template_text(texts[0])


def test_weeks_are_counted_in_utc_and_rows_without_time_are_not():
    assert week_of("2026-09-06T23:30:00-02:00") == week_of("2026-09-07T00:00:00+00:00")
    assert week_of("2026-01-01T00:00:00+00:00") == "2026-W01"
    rows = [row(n, day=1 + n % 2 * 7) for n in range(20)]
    rows += [Example(id=f"x{n}", inputs={}, labels={}, group="", time="") for n in range(5)]
    left, dropped = curate(rows, rules=CurateRules(max_per_week=4))
    assert dropped == {"over_week_cap": 12}
    assert len(left) == 8 + 5
    with pytest.raises(DataError, match="must be ISO 8601, got 'soon'"):
        week_of("soon")


def test_caps_follow_each_other_and_every_row_has_one_reason():
    rows = [
        row(n, user=f"u{n % 4}", text=f"same words for everybody {n}", day=2) for n in range(40)
    ]
    rules = CurateRules(max_per_user=5, max_per_template=12, max_per_week=7)
    left, dropped = curate(rows, rules=rules)
    assert dropped == {"over_user_cap": 20, "over_template_cap": 8, "over_week_cap": 5}
    assert len(left) == 7


def test_a_cap_below_one_is_refused():
    with pytest.raises(ConfigError, match="max_per_week must be >= 1, got 0"):
        CurateRules(max_per_week=0)
