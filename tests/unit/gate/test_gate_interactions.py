"""Rules of the gate that meet: each is right by itself, and must stay so beside the others."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.gate.gate_worlds import look, row, side
from upturn.errors import ConfigError, DataError
from upturn.gate import GateRules, Guards, Holdout, Told, decide, decide_in_stages, design
from upturn.gate.ladder import released
from upturn.gate.prediction_powered import powered
from upturn.gate.replicates import combine, every_run
from upturn.gate.report import SliceResult
from upturn.gate.slices import judge_slices
from upturn.records import Evaluation, FailureKind, Row, Verdict

RULES = GateRules(draws=1000)


def evaluation(rows: list[Row], name: str = "c") -> Evaluation:
    return Evaluation(candidate_id=name, rows=tuple(rows))


def in_stages(name: str, before: Evaluation, after: Evaluation, guards: Guards):
    def run(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
        first, second = (
            replace(s, rows=tuple(r for r in s.rows if r.group in groups)) for s in (before, after)
        )
        return first, second

    sizes = Counter(r.group for r in before.rows)
    rules = GateRules(draws=2000, min_gain=0.05, design=design(name), guards=guards)
    return decide_in_stages(run, Holdout(sizes=sizes), rules=rules, look=look()).report


def one_bad_slice(seed: int, harm: float) -> tuple[Evaluation, Evaluation]:
    """Eight slices of 50 rows: much better, but for the first."""
    rng = np.random.default_rng(seed)
    part_E, luck_E = np.arange(400) % 8, rng.random(400)
    before_E = rng.random(400) < 0.6
    after_E = np.where(
        part_E == 0, before_E & (luck_E > harm / 0.6), before_E | (luck_E < 0.15 / 0.4)
    )
    slices = [f"{seed}.{k}" for k in part_E]
    first, second = (
        evaluation(
            [row(i, float(s), group=f"{seed}-{i}", part=slices[i]) for i, s in enumerate(scores)]
        )
        for scores in (before_E, after_E)
    )
    return first, second


@pytest.mark.parametrize("name", ["group_sequential", "betting"])
def test_an_early_stop_does_not_run_away_from_a_slice(name: str):
    # On all rows the guard breaks; on the few of an early stage it could not.
    verdicts = Counter(in_stages(name, *one_bad_slice(k, 0.3), Guards()).verdict for k in range(20))
    # 12 and 11 of 20 before stages looked ahead
    assert verdicts[Verdict.PROMOTE] <= 3


def test_an_early_stop_is_still_early_where_nothing_is_harmed():
    found = [in_stages("group_sequential", *one_bad_slice(k, 0.0), Guards()) for k in range(10)]
    assert sum(r.verdict is Verdict.PROMOTE for r in found) >= 9
    assert np.mean([r.rows for r in found]) < 300


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize("field", ["latency_s", "cost_usd"])
def test_time_and_money_that_are_no_amounts_are_refused(field: str, bad: float):
    # NaN is beyond no limit, so that one row of it would mend any mean.
    rows = [row(i, 1.0, cost_usd=5.0, latency_s=90.0) for i in range(50)]
    rows[7] = replace(rows[7], **{field: bad})
    with pytest.raises(DataError, match=f"{field} must be a finite number of at least 0"):
        decide(side([0.0] * 50), evaluation(rows), rules=RULES, look=look())


def test_a_later_look_by_betting_tells_no_p_value():
    rules = replace(RULES, design=design("betting"), min_gain=0.9)
    before, after = side([0.0, 1.0] * 40), side([1.0, 1.0] * 30 + [0.0, 1.0] * 10)
    found = decide(before, after, rules=rules, look=look(2, 0.0125))
    other = decide(before, side([1.0] * 80), rules=rules, look=look(2, 0.0125))
    assert (found.verdict, other.verdict) == (Verdict.HOLD, Verdict.HOLD)
    assert found.p_value != other.p_value
    assert released(found, 0.0).test == released(other, 0.0).test


def test_people_who_saw_some_runs_do_not_count_against_the_others():
    def runs(*humans: float | None) -> list[Evaluation]:
        return [
            evaluation([replace(row(0, 1.0), parts={} if h is None else {"human": h})])
            for h in humans
        ]

    for is_champion in (True, False):
        (seen,) = combine(runs(1.0, None, None), is_champion=is_champion).rows
        assert "human" not in seen.parts
        (seen,) = combine(runs(1.0, 0.5, 0.0), is_champion=is_champion).rows
        assert seen.parts == {"human": 0.5}
    broken = evaluation([row(0, None, failure=FailureKind.FORMAT)])
    (seen,) = combine([*runs(1.0), broken], is_champion=True).rows
    assert seen.parts == {"human": 0.5}


def test_runs_have_names_that_no_other_row_has():
    rows = [replace(row(i, 1.0), example_id=name) for i, name in enumerate(("a", "a#2", "a#2#2"))]
    combined = combine([evaluation(rows), evaluation(rows)], is_champion=True)
    names = [r.example_id for r in every_run(combined).rows]
    assert len(set(names)) == len(names) == 6


def test_slices_with_an_equals_sign_stay_apart():
    rows = [row(i, 1.0, **{"a=b": "c"}) for i in range(40)]
    more = [row(i, 1.0, **{"a": "b=c"}) for i in range(40, 240)]
    worse = [replace(r, score=0.0) for r in rows]
    found = decide(evaluation(rows + more), evaluation(worse + more), rules=RULES, look=look())
    assert sorted(s.n for s in found.slices) == [40, 200]
    assert [g.n for g in found.guards if not g.ok] == [40]


def test_many_slices_can_still_break():
    # 60 slices and 1,000 draws: Holm asks for less than the smallest p that these draws can give.
    before = [row(i, 1.0, customer=f"{i % 60:02}") for i in range(60 * 20)]
    after = [replace(r, score=0.0) if r.slices["customer"] == "07" else r for r in before]
    found = decide(evaluation(before), evaluation(after), rules=RULES, look=look())
    assert [g.name for g in found.guards if not g.ok] == ["slice customer=07"]


def test_rows_that_nobody_scores_are_counted_in_the_rows_that_it_takes():
    before, after = [0.0] * 8 + [1.0] * 52, [1.0] * 8 + [0.0] * 4 + [1.0] * 48
    rules = replace(RULES, guards=Guards(failure_rate_margin=1.0))
    whole = decide(side(before), side(after), rules=rules, look=look())
    half = decide(side(before + [None] * 60), side(after + [1.0] * 60), rules=rules, look=look())
    assert whole.rows_needed is not None
    assert half.rows_needed == pytest.approx(2 * whole.rows_needed, abs=2)
    assert half.power is not None
    assert half.power.groups == half.rows_needed


def test_a_spent_look_could_find_nothing():
    found = decide(side([0.0] * 60), side([0.0] * 55 + [1.0] * 5), rules=RULES, look=look(6, 0.0))
    assert found.power is not None
    assert found.power.for_effect == 0.0


def test_the_chance_of_the_model_is_told_for_single_rows():
    rng = np.random.default_rng(0)
    sides = [
        combine([side(rng.integers(0, 2, size=40)) for _ in range(3)], is_champion=first)
        for first in (True, False)
    ]
    found = decide(*sides, rules=RULES, look=look(), told=Told())
    assert found.noise is not None
    assert "rows taken as independent" in found.noise.sentence


def test_rows_that_both_broke_pull_what_people_see_towards_0():
    # People see a gain of 1 on the half that anybody answered, and scored every second row of it.
    human = [1.0 if i < 25 else None for i in range(100)]
    groups = [str(i) for i in range(100)]
    broken = [i >= 50 for i in range(100)]
    found = powered([0.0] * 100, human, groups, level=0.05, broken=broken)
    assert found is not None
    assert found.effect == pytest.approx(0.5)
    assert (found.rows, found.groups) == (25, 25)


@pytest.mark.parametrize(("p_value", "ok"), [(0.0124, False), (0.0126, True)])
def test_slices_share_a_level_of_their_own(p_value: float, ok: bool):
    found = [
        SliceResult(name=f"n={k}", n=90, baseline=0.5, challenger=0.4, p_value=p)
        for k, p in enumerate([p_value] + [0.9] * 7)
    ]
    assert judge_slices(found, Guards())[0].ok is ok
    assert judge_slices(found, Guards(slice_level=0.05))[0].ok


def test_a_level_is_between_0_and_a_half():
    with pytest.raises(ConfigError, match="slice_level must be in"):
        Guards(slice_level=0.5)
