"""Rows that were run several times: what a row is worth, and what is the model's own chance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gate.gate_worlds import look, row
from upturn.gate import GateReport, GateRules, Guards, decide
from upturn.gate.evidence import Sample
from upturn.gate.frozen import Inputs, freeze, rederive
from upturn.gate.pairing import compare
from upturn.gate.replicates import (
    MOST_REPLICATES,
    best_replicates,
    combine,
    every_run,
    noise_of,
)
from upturn.gate.told import NOTHING
from upturn.records import Evaluation, FailureKind, Outcome, Row, Verdict, canonical_json
from upturn.scaleout.wire import row_from_json, row_to_json

RULES = GateRules(draws=1000, guards=Guards(automatic_slices=False))
LOST, BROKEN = FailureKind.OUTAGE, FailureKind.FORMAT


def one(score: float | None = None, failure: FailureKind | None = None, **given: float) -> Row:
    return row(0, score, failure=failure, **given)


def merged(*runs: Row, is_champion: bool = False) -> Row:
    sides = [Evaluation(candidate_id="c", rows=(r,)) for r in runs]
    return combine(sides, is_champion=is_champion).rows[0]


def noisy(scores_KE: np.ndarray, *, name: str, is_champion: bool) -> Evaluation:
    """Combines K runs of E rows."""
    runs = [
        Evaluation(candidate_id=name, rows=tuple(row(i, float(s)) for i, s in enumerate(scores)))
        for scores in scores_KE
    ]
    return combine(runs, is_champion=is_champion)


def world(
    rng: np.random.Generator, n: int, k: int, *, gain: float = 0.0
) -> tuple[Evaluation, Evaluation]:
    """Rows differ in how likely an answer is right; runs of a row are drawn from that."""
    skill_E = rng.beta(0.8, 0.8, size=n)
    better_E = np.clip(skill_E + gain, 0, 1)
    sides = [(rng.random((k, n)) < p).astype(float) for p in (skill_E, better_E)]
    return (
        noisy(sides[0], name="champion", is_champion=True),
        noisy(sides[1], name="challenger", is_champion=False),
    )


def test_a_rows_score_is_the_mean_of_its_runs_and_a_failed_one_counts_0():
    found = merged(one(1.0, latency_s=1.0, cost_usd=0.2), one(failure=BROKEN), one(0.5))
    assert (found.outcome, found.value) == (Outcome.SCORED, 0.5)
    assert found.latency_s == pytest.approx((1.0 + 0.1 + 0.1) / 3)
    assert found.cost_usd == pytest.approx(0.2 / 3)
    assert (found.calls, len(found.runs)) == (3, 3)
    gone = merged(one(failure=BROKEN), one(failure=FailureKind.PROGRAM))
    assert (gone.outcome, gone.failure, gone.value) == (Outcome.FAILED, BROKEN, 0.0)
    lost = merged(one(1.0), one(failure=LOST))
    assert (lost.failure, lost.value) == (LOST, None)


def test_what_is_not_known_counts_against_the_challenger():
    half = merged(one(1.0), one(None))
    assert (half.outcome, half.value) == (Outcome.SCORED, 0.5)
    assert merged(one(1.0), one(None), is_champion=True).outcome is Outcome.UNSCORED
    assert merged(one(None), one(None)).outcome is Outcome.UNSCORED
    assert merged(one(None), one(failure=BROKEN)).value == 0.0


@given(
    st.lists(st.sampled_from(["0", "1", "0.5", "unscored", "broken"]), min_size=2, max_size=5),
    st.data(),
)
def test_breaking_a_run_never_helps_the_challenger(kinds: list[str], data: st.DataObject):
    def made(kind: str) -> Row:
        if kind in ("unscored", "broken"):
            return one(None, failure=BROKEN if kind == "broken" else None)
        return one(float(kind))

    index = data.draw(st.integers(0, len(kinds) - 1))
    worse = [*kinds[:index], "broken", *kinds[index + 1 :]]
    assert (merged(*map(made, worse)).value or 0.0) <= (merged(*map(made, kinds)).value or 0.0)


def test_one_run_is_left_as_it_is():
    side = Evaluation(candidate_id="c", rows=(one(1.0),))
    assert combine([side], is_champion=True) is side
    assert every_run(side) is side
    assert noise_of(compare(side, side), row_cost_calls=10.0) is None


def test_guards_and_counts_are_of_runs():
    rng = np.random.default_rng(1)
    before, after = world(rng, 60, 3, gain=0.2)
    # Every third run of the challenger fails: no row fails as a whole.
    broken = [
        combine(
            [
                Evaluation(candidate_id="challenger", rows=(r,))
                for r in (*own.runs[:2], replace(row(i, None, failure=BROKEN)))
            ],
            is_champion=False,
        ).rows[0]
        for i, own in enumerate(after.rows)
    ]
    worse = replace(after, rows=tuple(broken))
    assert worse.failures() == 0
    report = decide(before, worse, rules=RULES, look=look(alpha=0.05))
    assert report.challenger_counts.failed == 60
    assert report.challenger_counts.scored == 120
    assert report.verdict is Verdict.HOLD
    (failing,) = [g for g in report.guards if not g.ok and g.name.startswith("failure")][:1]
    assert failing.challenger == pytest.approx(1 / 3)
    assert len(every_run(before).rows) == len({r.example_id for r in every_run(before).rows}) == 180


def test_the_components_of_variance_are_found():
    """Beta(0.8, 0.8) rows: E[p (1 - p)] = 0.8² / (1.6 · 2.6), Var[p] = that / 1.6."""
    within = 0.8**2 / (1.6 * 2.6)
    between = 1 / (4 * 2.6)
    rng = np.random.default_rng(2)
    found = [noise_of(compare(*world(rng, 300, 4)), row_cost_calls=10.0) for _ in range(30)]
    mean = {
        name: np.mean([getattr(f, name) for f in found])
        for name in ("baseline_within", "challenger_within", "baseline_between", "within")
    }
    assert mean["baseline_within"] == pytest.approx(within, rel=0.03)
    assert mean["challenger_within"] == pytest.approx(within, rel=0.03)
    assert mean["baseline_between"] == pytest.approx(between, rel=0.05)
    assert mean["within"] == pytest.approx(2 * within, rel=0.03)
    # The two are equal on every row, so rows do not differ in the difference.
    assert np.median([f.between for f in found]) < 0.01


def test_the_standard_error_is_the_spread_of_the_effect():
    rng = np.random.default_rng(3)
    effects, errors = [], []
    for _ in range(120):
        compared = compare(*world(rng, 90, 3, gain=0.1))
        effects.append(np.mean([c.difference for c in compared]))
        found = noise_of(compared, row_cost_calls=10.0)
        errors.append(found.error)
        assert found.error_twice_rows == pytest.approx(found.error / np.sqrt(2))
        assert found.error_twice_rows <= found.error_twice_replicates <= found.error
    # The spread of 120 effects is known to 6.5 %.
    assert np.mean(errors) == pytest.approx(np.std(effects, ddof=1), rel=0.2)


@pytest.mark.parametrize(
    ("between", "within", "row_cost"),
    [(0.05, 0.3, 10), (0.2, 0.1, 10), (0.01, 0.5, 40), (0.1, 0.4, 0.5)],
)
def test_the_best_number_of_replicates_is_the_best(between: float, within: float, row_cost: float):
    def variance_for(k: int, calls: float = 1e6) -> float:
        rows = calls / (row_cost + 2 * k)
        return (between + within / k) / rows

    found = best_replicates(between=between, within=within, row_cost=row_cost, replicate_cost=2.0)
    assert found == min(range(1, MOST_REPLICATES + 1), key=variance_for)


def test_the_ends_of_the_formula():
    assert best_replicates(between=0.1, within=0.0, row_cost=10, replicate_cost=2) == 1
    assert best_replicates(between=0.0, within=0.1, row_cost=10, replicate_cost=2) == 64
    assert best_replicates(between=0.1, within=0.5, row_cost=0, replicate_cost=2) == 1


def test_replicates_find_a_gain_that_single_runs_miss():
    """The same rows, a model that answers by chance: the power of one run and of eight."""
    sure = {1: 0, 8: 0}
    for seed in range(40):
        for k in sure:
            before, after = world(np.random.default_rng([seed, k]), 60, k, gain=0.12)
            report = decide(before, after, rules=RULES, look=look(alpha=0.05))
            sure[k] += report.verdict is Verdict.PROMOTE
    assert sure[8] >= sure[1] + 12


def test_equal_noisy_models_are_promoted_no_more_often_than_alpha():
    wrong = 0
    for seed in range(120):
        before, after = world(np.random.default_rng([seed, 9]), 40, 3)
        wrong += decide(before, after, rules=RULES, look=look(alpha=0.05)).verdict is (
            Verdict.PROMOTE
        )
    assert wrong / 120 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def test_noise_is_told_and_kept():
    before, after = world(np.random.default_rng(4), 80, 3, gain=0.2)
    report = decide(before, after, rules=RULES, look=look(alpha=0.05))
    noise = report.noise
    assert noise.replicates == 3
    assert noise.row_cost_calls == 10.0
    assert noise.sentence.startswith("Each row was run 3 times on each side; the model's own")
    assert GateReport.from_json(json.loads(canonical_json(report.to_json()))) == report
    old: dict[str, object] = {k: v for k, v in report.to_json().items() if k != "noise"}
    assert GateReport.from_json(old).noise is None


def runs_of(side: Evaluation) -> Sequence[int]:
    return [len(r.runs) for r in side.rows]


def test_frozen_evidence_and_rows_from_other_machines_keep_their_runs():
    before, after = world(np.random.default_rng(5), 30, 3, gain=0.2)
    inputs = Inputs(
        baseline=before,
        challenger=after,
        rules=RULES,
        look=look(alpha=0.05),
        seed=0,
        told=NOTHING,
        sample=Sample.whole(before),
    )
    frozen = json.loads(canonical_json(freeze(inputs)))
    assert rederive(frozen) == inputs.decide()
    assert [row_from_json(row_to_json(r)) for r in after.rows] == list(after.rows)
    assert set(runs_of(after)) == {3}
