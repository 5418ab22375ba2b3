"""The gate's numbers against those of scipy and statsmodels, to 1e-9."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.unit.gate.gate_worlds import binary_pair, look, row, side
from upturn.gate import GateRules, decide
from upturn.gate.noninferiority import p_better
from upturn.gate.statistics import cluster
from upturn.records import Evaluation

RULES = GateRules(draws=1000)


@pytest.mark.parametrize("seed", range(4))
def test_mcnemars_exact_p_is_that_of_statsmodels(seed: int):
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    before, after = binary_pair(np.random.default_rng(seed), 150, 0.55, 0.7)
    table = [[np.sum((before == b) & (after == a)) for a in (1, 0)] for b in (1, 0)]
    assert table[1][0] > table[0][1]  # on the better side one side's p is half of both sides'
    two_sided = tables.mcnemar(table, exact=True).pvalue
    report = decide(side(before), side(after), rules=RULES, look=look())
    assert report.test == "exact McNemar"
    assert report.p_value == pytest.approx(two_sided / 2, abs=1e-9)


@pytest.mark.parametrize("groups", [1, 5, 9, 12])
def test_sign_flips_of_groups_are_scipys_permutation_test(groups: int):
    rng = np.random.default_rng(groups)
    scores = rng.uniform(0, 1, size=(2, 30)).round(3)
    names = [f"g{i % groups}" for i in range(30)]
    sides = [
        Evaluation(
            candidate_id="c",
            rows=tuple(row(i, s, group=g) for i, (s, g) in enumerate(zip(own, names, strict=True))),
        )
        for own in scores
    ]
    sums = cluster((scores[1] - scores[0]).tolist(), names).sums
    if groups == 1:  # one sum has two signs; scipy wants two observations
        expected = 0.5 if sums[0] > 0 else 1.0
    else:
        expected = stats.permutation_test(
            (sums, np.zeros(groups)),
            lambda x, y, axis: np.sum(x - y, axis=axis),
            permutation_type="samples",
            alternative="greater",
            n_resamples=np.inf,
            vectorized=True,
        ).pvalue
    assert decide(*sides, rules=RULES, look=look()).p_value == pytest.approx(expected, abs=1e-9)
    # what guards use is the same where sets can be counted
    assert p_better(sums, draws=1000, seed=0) == pytest.approx(expected, abs=1e-9)


def test_a_guards_drawn_p_is_the_exact_one_but_for_its_draws():
    sums = np.array([1.0] * 21 + [-1.0] * 9 + [0.0] * 70)
    exact = stats.binomtest(21, 30, alternative="greater").pvalue
    # five standard errors
    assert p_better(sums, draws=20_000, seed=0) == pytest.approx(
        exact, abs=5 * (exact / 20_000) ** 0.5
    )
    shuffled = np.random.default_rng(0).permutation(sums)
    assert p_better(shuffled, draws=1000, seed=0) == p_better(sums, draws=1000, seed=0)


def test_the_robust_variance_is_that_of_statsmodels():
    model = pytest.importorskip("statsmodels.regression.linear_model")
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 25, size=120)
    values = rng.choice([-1.0, 0.0, 1.0], size=120)
    found = cluster(values.tolist(), [f"g{g:02d}" for g in groups])
    fitted = model.OLS(values, np.ones(120)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    present = len(found.sums)
    expected = fitted.cov_params()[0][0] * present / (present - 1)
    assert found.variance == pytest.approx(expected, abs=1e-9)
