"""Statistics tested as statistics: worlds where nothing, or a known amount, is better."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.gate.gate_worlds import binary_pair, clustered_pair, look, side
from upturn.gate import GateRules, decide, look_alpha, looks_affordable
from upturn.records import Evaluation, FailureKind, Look, Outcome, Row, Verdict

RULES = GateRules(draws=1000)
RUNS = 400


def promoted(baseline, challenger, *, groups=None, at: Look | None = None) -> bool:
    sides = (side(s, groups=groups) for s in (baseline, challenger))
    return decide(*sides, rules=RULES, look=at or look()).verdict is Verdict.PROMOTE


def test_equal_programs_are_promoted_in_at_most_five_of_a_hundred() -> None:
    rng = np.random.default_rng(1)
    first = whole = 0
    for _ in range(RUNS):
        sides = (side(s) for s in binary_pair(rng, 120, 0.6, 0.6))
        # the whole alpha in one look is the hardest case; the first look spends half of it
        report = decide(*sides, rules=RULES, look=look(alpha=0.05))
        whole += report.verdict is Verdict.PROMOTE
        first += (report.p_value or 1.0) <= look_alpha(RULES.alpha, 1)
    assert first <= 0.025 * RUNS + 3 * (0.025 * 0.975 * RUNS) ** 0.5
    assert 1 <= whole <= 0.05 * RUNS  # a gate that never errs would test nothing


def test_equal_graded_programs() -> None:
    rng = np.random.default_rng(3)
    wins = sum(promoted(*rng.beta(2, 2, size=(2, 60))) for _ in range(RUNS))
    assert 1 <= wins <= 0.05 * RUNS


def test_equal_programs_on_rows_that_come_in_groups() -> None:
    rng = np.random.default_rng(4)
    wins = naive = 0
    for _ in range(RUNS):
        baseline, challenger, names = clustered_pair(rng, 30, 0.6)
        wins += promoted(baseline, challenger, groups=names)
        naive += promoted(baseline, challenger)
    assert wins <= 0.05 * RUNS
    assert naive > 0.05 * RUNS  # the same rows taken as independent would break the promise


def test_ten_looks_at_one_holdout_err_in_at_most_five_of_a_hundred_worlds() -> None:
    # Ten equal challengers, one after the other, against one champion on one holdout. They are
    # alike (as prompts of one model are) so their errors depend on each other.
    rng = np.random.default_rng(5)
    paid = looks_affordable(RULES.alpha)
    assert [look_alpha(RULES.alpha, k) for k in range(paid + 1, 11)] == [0.0] * (10 - paid)
    wrong = 0
    for _ in range(RUNS):
        skill = rng.normal(size=40) * 0.6**0.5
        scores = (skill + rng.normal(size=(11, 40)) * 0.4**0.5 < 0.2).astype(float)
        looks = (look(k, look_alpha(RULES.alpha, k)) for k in range(1, paid + 2))
        wrong += any(promoted(scores[0], scores[at.number], at=at) for at in looks)
    assert 1 <= wrong <= 0.05 * RUNS


def test_a_challenger_that_is_ten_points_better_is_promoted_on_300_rows() -> None:
    # One model, two prompts: the same rows tend to be hard for both, a third of them differ.
    rng = np.random.default_rng(6)
    wins = sum(promoted(*binary_pair(rng, 300, 0.55, 0.65, rho=0.6)) for _ in range(200))
    assert wins >= 0.8 * 200


def failing(share: float, kind: FailureKind, n: int, rng: np.random.Generator) -> Evaluation:
    """Right on every row it answers; fails the given share."""
    lost = set(rng.permutation(n)[: round(share * n)].tolist())
    rows = (
        Row(
            example_id=r.example_id,
            group=r.group,
            outcome=Outcome.FAILED if i in lost else Outcome.SCORED,
            score=None if i in lost else 1.0,
            failure=kind if i in lost else None,
        )
        for i, r in enumerate(side(np.ones(n)).rows)
    )
    return Evaluation(candidate_id="flaky", rows=tuple(rows))


def test_a_model_that_fails_a_third_of_its_calls_is_never_promoted() -> None:
    rng = np.random.default_rng(7)
    verdicts = {kind: set() for kind in FailureKind}
    for run in range(200):
        kind = list(FailureKind)[run % 4]
        # against a champion that is poor, and (every other round) one that fails as often
        weak = (rng.random(120) < 0.3).astype(float)
        champion = failing(1 / 3, kind, 120, rng) if run % 8 >= 4 else side(weak)
        challenger = failing(1 / 3, kind, 120, rng)
        verdicts[kind].add(decide(champion, challenger, rules=RULES, look=look()).verdict)
    assert verdicts[FailureKind.OUTAGE] == verdicts[FailureKind.BUDGET] == {Verdict.INCONCLUSIVE}
    assert verdicts[FailureKind.FORMAT] == verdicts[FailureKind.PROGRAM] == {Verdict.HOLD}


def test_rows_needed_is_the_size_that_decides() -> None:
    rng = np.random.default_rng(8)
    # a pilot of 100 rows with the true rates
    pilot = [1.0] * 14 + [-1.0] * 9 + [0.0] * 77
    baseline = [0.0 if d == 1 else 1.0 for d in pilot]
    report = decide(side(baseline), side(np.add(baseline, pilot)), rules=RULES, look=look())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.rows_needed is not None
    # variance (.23 - .0025) * 100/99, gain .05, reach 1.960 + .842: what a normal mean would take.
    # Flips that know no gain, and whole numbers, take a few rows in a hundred more.
    normal = 0.2298 * (2.8016 / 0.05) ** 2
    assert 1.03 * normal < report.rows_needed < 1.10 * normal
    size = report.rows_needed
    wins = 0
    for _ in range(200):
        d = rng.choice([1.0, -1.0, 0.0], p=[0.14, 0.09, 0.77], size=size)
        base = (d != 1).astype(float)
        wins += promoted(base, base + d)
    assert wins / 200 == pytest.approx(0.8, abs=0.085)  # planned; three standard errors
