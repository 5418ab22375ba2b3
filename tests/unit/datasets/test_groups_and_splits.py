"""Groups and splits: nothing straddles, the newest is held out, the order of rows is no news."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upturn.datasets import GroupRules, Order, SplitRules, group_examples
from upturn.datasets.split import Splits, make_splits
from upturn.errors import ConfigError, DataError
from upturn.records import Example

START = datetime(2026, 9, 1, tzinfo=UTC)


def row(n: int, group: str, *, text: str = "", day: float = 0.0) -> Example:
    return Example(
        id=f"r{n:04}",
        inputs={"message": text or f"{n} " + random.Random(n).randbytes(12).hex()},
        labels={"team": "billing"},
        group=group,
        time=(START + timedelta(days=day)).isoformat(),
    )


def sizes(splits: Splits) -> tuple[int, int, int]:
    return len(splits.train), len(splits.dev), len(splits.holdout)


def test_near_duplicates_join_their_customers():
    same = "the parcel never arrived and nobody answers my mails"
    rows = [row(1, "c2"), row(2, "c2", text=same), row(3, "c1", text=same + "!"), row(4, "c3")]
    rows += [row(n, f"d{n}") for n in range(5, 10)]
    grouped, report = group_examples(rows)
    assert {e.id: e.group for e in grouped if e.group < "d"} == {
        "r0001": "c1",
        "r0002": "c1",
        "r0003": "c1",
        "r0004": "c3",
    }
    assert (report.clusters, report.clustered_rows, report.groups) == (1, 2, 7)
    assert (report.largest, report.largest_rows) == ("c1", 3)


def test_a_chain_that_swallows_a_fifth_warns_with_its_cause():
    same = "where is my refund, I have been waiting for weeks"
    rows = [row(n, f"c{n}", text=same) for n in range(30)] + [
        row(n, f"d{n}") for n in range(30, 99)
    ]
    _, report = group_examples(rows)
    assert report.warning.startswith(
        "group 'c0' holds 30 of 99 rows: 1 near-duplicate clusters join"
    )
    assert "rows like 'where is my refund" in report.warning
    assert report.to_json() == {
        "rows": 99,
        "groups": 70,
        "clusters": 1,
        "clustered_rows": 30,
        "largest_rows": 30,
    }


def test_a_group_of_more_than_half_is_an_error_and_one_customer_is_named():
    rows = [row(n, "bot") for n in range(60)] + [row(n, f"d{n}") for n in range(60, 99)]
    with pytest.raises(DataError, match=r"one customer \(bot\) sent 60 requests"):
        group_examples(rows)
    _, report = group_examples(rows, rules=GroupRules(max_share=0.7))
    assert report.largest == "bot"
    with pytest.raises(DataError, match="at least one row, got 0"):
        group_examples([])


def test_small_groups_do_not_warn():
    assert group_examples([row(n, f"c{n % 10}") for n in range(100)])[1].warning == ""


def test_sizes_are_the_stated_ones_where_groups_allow():
    rows = [row(n, f"c{n}", day=n) for n in range(200)]
    assert sizes(make_splits(rows, rules=SplitRules())) == (70, 70, 60)
    by_hash = SplitRules(holdout=0.25, dev=0.25, order=Order.HASH)
    assert sizes(make_splits(rows, rules=by_hash)) == (100, 50, 50)


def test_the_holdout_is_the_newest_groups_whole():
    rows = [row(n, f"c{n % 50}", day=n) for n in range(100)]
    splits = make_splits(rows, rules=SplitRules())
    assert {e.group for e in splits.holdout} == {f"c{n}" for n in range(35, 50)}
    assert len(splits.holdout) == 30
    late = max(splits.train + splits.dev, key=lambda e: e.time)
    assert late.id == "r0084"


def test_time_zones_are_compared_as_moments():
    rows = [row(n, f"c{n}") for n in range(10)]
    early = Example(
        id="x", inputs={}, labels={}, group="x", time="2026-09-01T01:00:00+02:00"
    )  # an hour before all others, though its text sorts after theirs
    splits = make_splits([*rows, early], rules=SplitRules(holdout=0.9, dev=0.05))
    assert "x" not in {e.id for e in splits.holdout}


def test_large_groups_are_fitted_as_close_as_whole_groups_allow():
    rows = [row(n, "big", day=99) for n in range(40)]
    rows += [row(n, f"c{n}", day=n / 100) for n in range(40, 100)]
    assert len(make_splits(rows, rules=SplitRules(holdout=0.3, dev=0.2)).holdout) == 40
    old = [row(n, "big", day=-99) for n in range(40)] + rows[40:]
    assert sizes(make_splits(old, rules=SplitRules(holdout=0.3, dev=0.2))) == (50, 20, 30)


def test_another_seed_moves_train_and_dev_but_not_the_newest():
    rows = [row(n, f"c{n}", day=n) for n in range(100)]
    a, b = (make_splits(rows, rules=SplitRules(seed=s)) for s in (0, 1))
    assert a.holdout == b.holdout
    assert a.train != b.train


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Example], SplitRules]:
    groups = draw(st.lists(st.integers(0, 12), min_size=5, max_size=60))
    rows = [row(n, f"g{g}", day=draw(st.integers(0, 9))) for n, g in enumerate(groups)]
    order = draw(st.sampled_from(list(Order)))
    return rows, SplitRules(holdout=draw(st.sampled_from([0.1, 0.3, 0.5])), dev=0.3, order=order)


@settings(max_examples=150, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_no_group_in_two_splits_and_any_order_gives_the_same(
    world: tuple[list[Example], SplitRules], rng: random.Random
):
    rows, rules = world
    if len({e.group for e in rows}) < 3:
        return
    splits = make_splits(rows, rules=rules)
    parts = [{e.group for e in part} for part in (splits.train, splits.dev, splits.holdout)]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert sum(sizes(splits)) == len(rows)
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert make_splits(shuffled, rules=rules) == splits


def test_too_few_groups_and_rows_without_time_are_refused():
    with pytest.raises(DataError, match=r"at least 3 groups .* got 2 of 5 rows"):
        make_splits([row(n, f"c{n % 2}") for n in range(5)], rules=SplitRules())
    rows = [row(n, f"c{n}") for n in range(5)]
    bad: Any = Example(id="x", inputs={}, labels={}, group="x", time="")
    with pytest.raises(DataError, match=r"row x: split by time needs rows .* got ''"):
        make_splits([*rows, bad], rules=SplitRules())
    assert sum(sizes(make_splits([*rows, bad], rules=SplitRules(order=Order.HASH)))) == 6


@pytest.mark.parametrize(("holdout", "dev"), [(0, 0.3), (0.3, 0), (0.5, 0.5), (-0.1, 0.5)])
def test_shares_must_leave_something_for_each_split(holdout: float, dev: float):
    with pytest.raises(ConfigError, match=f"holdout={holdout}, dev={dev}"):
        SplitRules(holdout=holdout, dev=dev)


def test_group_shares_must_be_in_order():
    with pytest.raises(ConfigError, match=r"got 0.6, 0.5"):
        GroupRules(warn_share=0.6)
