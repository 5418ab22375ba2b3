"""A holdout answers for the looks that saw its rows, under whatever name; what is left of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from upturn.gate import exposure, look_alpha, remaining, sketch_rows
from upturn.gate.overlap import SHARED, SKETCH_ROWS, PastLook
from upturn.ledger import EntryKind, Ledger

ALPHA = 0.05


def sketch(rows: Sequence[int]) -> tuple[str, ...]:
    return sketch_rows(hashlib.sha256(f"row {i}".encode()).hexdigest() for i in rows)


def past(rows: Sequence[int], turn: str = "t1", *, alpha: float = 0.025, holdout: str = ""):
    name = holdout or f"h{min(rows)}-{max(rows)}"
    return PastLook(holdout=name, turn=turn, alpha=alpha, sketch=sketch(rows))


def seen(rows: Sequence[int], *looks: PastLook, holdout: str = "now") -> tuple[int, float, int]:
    found = exposure(holdout, sketch(rows), looks)
    return found.looks, found.spent, found.inherited


def test_a_holdout_of_new_rows_starts_anew_and_the_same_rows_do_not():
    assert seen(range(300), past(range(300, 600))) == (0, 0.0, 0)
    assert seen(range(300), past(range(300), holdout="other")) == (1, 0.025, 1)
    assert seen(range(300), past(range(300), holdout="now")) == (1, 0.025, 0)


def test_a_share_of_a_tenth_is_let_pass_and_more_is_not():
    assert seen(range(300), past(range(270, 570))) == (0, 0.0, 0)  # 30 of 300
    assert seen(range(300), past(range(269, 569))) == (1, 0.025, 1)  # 31
    # Two looks that saw little each have seen a fifth together.
    both = past(range(270, 570)), past(range(-270, 30), "t2")
    assert seen(range(300), *both) == (1, 0.025, 1)


def test_what_is_charged_is_what_all_but_a_tenth_of_the_rows_stay_below():
    twice = past(range(300), "t1"), past(range(150, 450), "t2", alpha=0.0125)
    assert seen(range(300), *twice) == (2, pytest.approx(0.0375), 2)
    # Of these rows 270 were seen once, and only 30 twice.
    less = past(range(300), "t1"), past(range(270, 570), "t2", alpha=0.0125)
    assert seen(range(300), *less) == (1, 0.025, 1)


def test_a_turn_counts_once_under_all_the_names_of_its_holdout():
    looks = past(range(300), holdout="first"), past(range(20, 300), holdout="after forget")
    assert seen(range(300), *looks) == (1, 0.025, 1)
    assert seen(range(20, 300), *looks, holdout="after forget") == (1, 0.025, 0)


def test_without_sketches_only_the_same_name_counts():
    bare = PastLook(holdout="before", turn="t1", alpha=0.025)
    assert seen(range(300), bare) == (0, 0.0, 0)
    assert exposure("before", sketch(range(300)), [bare]).looks == 1
    assert exposure("now", (), [past(range(300))]).looks == 0


@pytest.mark.parametrize(("share", "counts"), [(0.05, 0), (0.2, 1), (0.6, 1)])
def test_sketches_of_large_holdouts_tell_the_share(share: float, counts: int):
    n = 6000
    start = round(n * (1 - share))
    rows, before = range(n), range(start, start + 2 * n)
    assert len(sketch(rows)) == SKETCH_ROWS
    assert seen(rows, past(before))[0] == counts


def test_a_look_too_large_to_tell_counts_as_one_that_saw_every_row():
    # 512 of 100,000 rows: hardly one of them could be among 300 others.
    assert seen(range(300), past(range(1000, 101_000))) == (1, 0.025, 1)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.integers(0, 9))
def test_no_row_but_a_tenth_ever_spends_more_than_alpha(shifts: list[int], seed: int):
    """Month after month the holdout moves on by some rows; every look takes what it is given."""
    rng = np.random.default_rng(seed)
    spent: dict[int, float] = {}
    looks: list[PastLook] = []
    start = 0
    for month, shift in enumerate(shifts):
        start += shift
        rows = range(start, start + int(rng.integers(80, 120)))
        found = exposure(f"h{month}", sketch(rows), looks)
        level = look_alpha(ALPHA, found.looks + 1, spent=found.spent)
        over = [r for r in rows if spent.get(r, 0.0) + level > ALPHA + 1e-12]
        assert level == 0.0 or len(over) <= SHARED * len(rows)
        for r in rows:
            spent[r] = spent.get(r, 0.0) + level
        name = f"h{month}"
        looks.append(PastLook(holdout=name, turn=f"t{month}", alpha=level, sketch=sketch(rows)))


def test_a_slowly_moving_holdout_runs_dry_and_fresh_rows_fill_it_again():
    looks: list[PastLook] = []
    levels: list[float] = []
    # Thirteen nights with five new rows of 200 each, then a month's new rows at once.
    for start in (*range(0, 65, 5), 300):
        rows = range(start, start + 200)
        found = exposure(f"h{start}", sketch(rows), looks)
        levels.append(look_alpha(ALPHA, found.looks + 1, spent=found.spent))
        looks.append(past(rows, f"t{start}", alpha=levels[-1], holdout=f"h{start}"))
    assert levels[:5] == pytest.approx([0.025, 0.0125, 0.00625, 0.003125, 0.0015625])
    assert levels[5:13] == [0.0] * 8
    assert levels[13] == 0.025


def test_what_is_left_is_told_in_numbers_and_in_words():
    new = remaining(ALPHA, looks=0, spent=0.0, rows=300)
    assert (new.looks_left, new.next_level, new.fresh_rows) == (5, 0.025, 270)
    assert new.left == pytest.approx(sum(ALPHA / 2**k for k in range(1, 6)))
    third = remaining(ALPHA, looks=2, spent=0.0375)
    assert (third.looks_left, third.next_level) == (3, 0.00625)
    assert third.sentence == "3 more looks of 5; the next may err with 0.0063"
    none = remaining(ALPHA, looks=5, spent=0.0485, rows=300)
    assert (none.looks_left, none.left, none.next_level) == (0, 0.0, 0.0)
    assert none.sentence == "no look is left after 5: bring 270 fresh rows for a new holdout"
    # An alpha that was lowered after two looks leaves no more than it holds itself.
    assert remaining(0.0376, looks=2, spent=0.0375).looks_left == 0


def test_the_ledger_keeps_one_sketch_a_holdout_and_no_id(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.jsonl", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))

    def look(holdout: str, turn: str, rows: Sequence[int]):
        return ledger.open_look(
            holdout * 64,
            turn=turn,
            program="p",
            alpha=lambda number, spent: look_alpha(ALPHA, number, spent=spent),
            sketch=sketch(rows),
        )

    assert (look("a", "t1", range(300)).number, look("a", "t2", range(300)).number) == (1, 2)
    moved = look("b", "t3", range(30, 330))
    assert (moved.number, moved.alpha) == (3, 0.00625)
    assert look("b", "t3", range(30, 330)) == moved  # a resumed turn
    assert ledger.is_recorded(moved)
    fresh = look("c", "t4", range(1000, 1300))
    assert (fresh.number, fresh.alpha) == (1, 0.025)
    kept = [e.data.get("sketch") for e in ledger.entries() if e.kind is EntryKind.LOOK]
    assert [bool(k) for k in kept] == [True, False, True, True]
    assert all(len(digits) == 8 for digits in kept[0])
    assert "row " not in json.dumps(kept)
    assert ledger.exposure("b" * 64).looks == 3
    assert ledger.exposure("b" * 64).inherited == 2
    assert ledger.exposure("d" * 64, sketch(range(2000, 2300))).looks == 0


def test_over_months_the_looks_at_a_row_err_together_no_more_than_alpha():
    """Weekly looks at a holdout that moves on by a tenth, and nothing is ever better."""
    rng = np.random.default_rng(17)
    size, shift, weeks, worlds = 200, 20, 30, 400
    looks: list[PastLook] = []
    for week in range(weeks):
        rows = range(week * shift, week * shift + size)
        found = exposure(f"h{week}", sketch(rows), looks)
        level = look_alpha(ALPHA, found.looks + 1, spent=found.spent)
        looks.append(past(rows, f"t{week}", alpha=level, holdout=f"h{week}"))
    row = weeks // 2 * shift  # looked at in ten weeks
    seeing = [w for w in range(weeks) if w * shift <= row < w * shift + size]
    assert len(seeing) == 10
    levels = np.array([looks[w].alpha for w in seeing])
    # A new challenger each week, better and worse on as many rows: a sign test on a half of them.
    gains = rng.binomial(size // 2, 0.5, size=(worlds, len(seeing)))
    p_values = stats.binom.sf(gains - 1, size // 2, 0.5)
    charged = (p_values <= levels).any(axis=1).mean()
    by_name = (p_values <= ALPHA / 2).any(axis=1).mean()
    assert charged <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / worlds)
    assert by_name > 2 * ALPHA  # a fresh budget for every new name
