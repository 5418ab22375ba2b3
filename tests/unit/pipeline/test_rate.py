"""The rate of fresh holdout rows: known rates, week-ends, bursts, old tails, no times."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from upturn.datasets import Order, Snapshot, SplitRules, freeze, week_of
from upturn.pipeline.rate import rows_per_day
from upturn.records import Example
from upturn.report.data_card import CardEvidence
from upturn.report.data_card_source import EVIDENCE, evidence_to_json, weeks_from_counts

START = datetime(2026, 6, 1, 9, tzinfo=UTC)  # a Monday


def row(number: int, time: datetime | None) -> Example:
    return Example(
        id=f"r{number:05d}",
        inputs={"text": str(number)},
        labels={"team": "a"},
        group=f"g{number:05d}",
        time=time.isoformat() if time else "",
    )


def days(n: int, rate: Callable[[datetime], float], start: datetime = START) -> list[datetime]:
    """Times of rows: on each day as many as the rate says on average, seeded."""
    rng = random.Random(7)
    found: list[datetime] = []
    for day in (start + timedelta(days=i) for i in range(n)):
        wanted = rate(day)
        rows = int(wanted) + (rng.random() < wanted - int(wanted))
        found += [day + timedelta(minutes=rng.randrange(480)) for _ in range(rows)]
    return found


def snapshot(
    folder: Path,
    times: Sequence[datetime | None],
    *,
    share: float = 0.25,
    order: Order = Order.TIME,
    left_out: int = 0,
) -> Snapshot:
    """A snapshot whose last ``left_out`` labelled rows were left out by curation."""
    rows = [row(i, t) for i, t in enumerate(times)]
    labelled = Counter(week_of(e.time) for e in rows)
    evidence = CardEvidence(weeks=weeks_from_counts(labelled=labelled))
    return freeze(
        rows[: len(rows) - left_out],
        rules=SplitRules(holdout=share, dev=0.35, order=order),
        folder=folder,
        provenance={"config": "x", EVIDENCE: evidence_to_json(evidence)},
    )


@pytest.mark.parametrize("order", list(Order))
def test_a_steady_rate_is_found(tmp_path: Path, order: Order):
    found = rows_per_day(snapshot(tmp_path, days(70, lambda _: 12.0), order=order))
    assert found == pytest.approx(12.0 * 0.25)


def test_empty_week_ends_count_as_the_days_that_they_are(tmp_path: Path):
    times = days(70, lambda day: 14.0 if day.weekday() < 5 else 0.0)
    assert rows_per_day(snapshot(tmp_path, times)) == pytest.approx(14.0 * 5 / 7 * 0.25)


def test_one_burst_of_imported_rows_moves_nothing(tmp_path: Path):
    steady = days(70, lambda _: 6.0)
    burst = [START + timedelta(days=45, seconds=i) for i in range(900)]
    assert rows_per_day(snapshot(tmp_path, steady + burst)) == pytest.approx(6.0 * 0.25)


def test_an_old_tail_and_a_slow_past_move_nothing(tmp_path: Path):
    old = [START - timedelta(days=700 + 9 * i) for i in range(30)]
    slow = days(140, lambda _: 1.0, START - timedelta(days=140))
    times = old + slow + days(77, lambda _: 8.0)
    assert rows_per_day(snapshot(tmp_path, times)) == pytest.approx(8.0 * 0.25)


def test_the_week_that_is_not_over_is_no_slow_week(tmp_path: Path):
    # Nine weeks and one Monday: the last week has a seventh of its rows.
    found = rows_per_day(snapshot(tmp_path, days(64, lambda _: 10.0), share=0.5))
    assert found == pytest.approx(5.0)


def test_a_noisy_rate_is_found_within_its_noise(tmp_path: Path):
    rng = random.Random(11)
    times = days(84, lambda _: max(0.0, rng.gauss(20.0, 5.0)))
    # Seven days of sd 5 give a week an sd of 13 rows in 140; the median of eight, about a third.
    assert rows_per_day(snapshot(tmp_path, times)) == pytest.approx(20.0 * 0.25, rel=0.1)


def test_a_young_collection_gives_its_rows_by_its_days(tmp_path: Path):
    found = rows_per_day(snapshot(tmp_path, days(10, lambda _: 30.0), share=0.3))
    # Ten working days are nine nights and one day of eight hours.
    assert found == pytest.approx(300 / 9.3 * 0.3, rel=0.02)


def test_a_young_collection_after_a_long_gap_is_not_spread_over_the_gap(tmp_path: Path):
    before = days(60, lambda _: 4.0, START - timedelta(days=200))
    times = before + days(10, lambda _: 30.0)
    assert rows_per_day(snapshot(tmp_path, times)) == pytest.approx(300 / 9.3 * 0.25, rel=0.02)


def test_rows_that_curation_leaves_out_do_not_come_into_a_holdout(tmp_path: Path):
    times = days(70, lambda _: 12.0)
    found = rows_per_day(snapshot(tmp_path, times, left_out=len(times) // 3))
    assert found == pytest.approx(12.0 * 2 / 3 * 0.25)


@pytest.mark.parametrize(
    "times",
    [
        [None] * 200,
        days(3, lambda _: 5.0),
        days(2, lambda _: 40.0),
        days(19, lambda _: 1.0),
    ],
    ids=["no times", "few rows", "two days", "nineteen rows"],
)
def test_what_tells_no_rate_gives_none(tmp_path: Path, times: list[datetime | None]):
    assert rows_per_day(snapshot(tmp_path, times, order=Order.HASH)) is None


def test_a_snapshot_without_volumes_gives_none(tmp_path: Path):
    rows = [row(i, t) for i, t in enumerate(days(70, lambda _: 2.0))]
    frozen = freeze(rows, rules=SplitRules(), folder=tmp_path, provenance={"config": "x"})
    assert rows_per_day(frozen) is None
