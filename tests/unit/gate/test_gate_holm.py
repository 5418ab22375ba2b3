"""Several challengers at one look: Holm's levels, the family's error rate, and who counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gate.gate_worlds import binary_pair, look, row, side
from upturn.gate import GateReport, GateRules, Guards, Holdout, Told, decide_in_stages, design
from upturn.gate.challengers import decide_among, preferred, step_down
from upturn.gate.holm import holm
from upturn.gate.sequence import Decided
from upturn.records import Evaluation, FailureKind, Verdict, canonical_json

LAX = Guards(failure_rate_margin=1.0, failure_rate_cap=1.0, automatic_slices=False)
RULES = GateRules(draws=1000, guards=LAX)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def judged(
    baseline: Evaluation,
    challengers: Sequence[Evaluation],
    *,
    rules: GateRules = RULES,
    alpha: float = 0.05,
    asked: list[frozenset[str]] | None = None,
) -> tuple[Decided, ...]:
    """Decides over rows that are all known, as a turn would ask for them."""

    def stage(challenger: Evaluation):
        def run(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
            if asked is not None:
                asked.append(groups)
            first, second = (
                replace(s, rows=tuple(r for r in s.rows if r.group in groups))
                for s in (baseline, challenger)
            )
            return first, second

        return run

    return decide_among(
        [stage(c) for c in challengers],
        Holdout(sizes=Counter(r.group for r in baseline.rows)),
        rules=rules,
        look=look(alpha=alpha),
        told=[Told() for _ in challengers],
    )


def family(rng: np.random.Generator, n: int, gains: Sequence[float]):
    """A champion at 0.5 and challengers at 0.5 + gain; on a row all tend to do alike."""
    before, _ = binary_pair(rng, n, 0.5, 0.5)
    agree = rng.random((len(gains), n)) < 0.5
    fresh = rng.random((len(gains), n)) < 0.5
    after = np.where(agree, before, fresh)
    lift = rng.random((len(gains), n)) < 2 * np.array(gains)[:, None]
    after = np.where(lift, 1.0, after)
    return side(before, name="champion"), [side(s, name=f"c{i}") for i, s in enumerate(after)]


def test_adjusted_p_values_are_those_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(0)
    for m in (1, 2, 3, 5, 20):
        for _ in range(10):
            p_values = np.round(rng.random(m) ** 3, 2)  # ties, and small ones
            theirs = multitest.multipletests(p_values, alpha=0.05, method="holm")
            assert np.abs(np.array(holm(p_values.tolist())) - theirs[1]).max() < 1e-9
            levels = step_down(p_values.tolist(), 0.05)
            assert [p <= a for p, a in zip(p_values, levels, strict=True)] == theirs[0].tolist()


def test_holms_own_steps():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    # 0.005 <= .05/4, 0.01 <= .05/3, 0.03 > .05/2: the rest stays at the level that stopped it.
    assert step_down([0.01, 0.04, 0.03, 0.005], 0.05) == pytest.approx(
        (0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4)
    )


@given(P_VALUES, st.data())
def test_a_worse_challenger_never_helps_another(p_values: list[float], data: st.DataObject):
    index = data.draw(st.integers(0, len(p_values) - 1))
    worse = list(p_values)
    worse[index] = data.draw(st.floats(p_values[index], 1))
    before, after = step_down(p_values, 0.05), step_down(worse, 0.05)
    for i in range(len(p_values)):
        if worse[i] <= after[i]:
            assert p_values[i] <= before[i]


def test_equal_challengers_err_together_no_more_than_one_may():
    rng = np.random.default_rng(11)
    worlds, wrong, naive = 300, 0, 0
    for _ in range(worlds):
        before, others = family(rng, 80, [0.0, 0.0, 0.0, 0.0])
        found = judged(before, others, alpha=0.1, rules=replace(RULES, alpha=0.2))
        wrong += any(f.report.verdict is Verdict.PROMOTE for f in found)
        naive += min(f.report.p_value for f in found) <= 0.1
    # Three standard errors of a rate of 0.1 over 300 worlds are 0.052.
    assert wrong / worlds <= 0.1 + 0.052
    # Without a correction the same rows err far more often, so that this could have failed.
    assert naive / worlds > 0.2


def test_the_best_is_promoted_at_its_own_level_and_the_others_are_listed():
    before, others = family(np.random.default_rng(0), 300, [0.0, 0.25, 0.15])
    found = judged(before, others)
    reports = [f.report for f in found]
    assert [r.verdict is Verdict.PROMOTE for r in reports] == [False, True, True]
    # The best at alpha / 3; the second, once that one is rejected, at alpha / 2.
    assert [r.alpha for r in reports] == pytest.approx([0.05, 0.05 / 3, 0.025])
    assert preferred(reports) == 1
    best = reports[1]
    assert [r.candidate_id for r in best.rivals] == ["c0", "c2"]
    assert best.rivals[1].effect == reports[2].effect
    assert best.rivals[1].verdict is Verdict.PROMOTE
    assert 0 < best.low < best.effect < best.high
    again = GateReport.from_json(json.loads(canonical_json(best.to_json())))
    assert again == best
    old = {k: v for k, v in best.to_json().items() if k not in ("rivals", "noise", "withheld")}
    assert GateReport.from_json(old).rivals == ()


def test_one_challenger_is_decided_as_it_always_was():
    before, (after,) = family(np.random.default_rng(5), 200, [0.2])
    (found,) = judged(before, [after])
    alone = decide_in_stages(
        lambda groups: (before, after),
        Holdout(sizes=Counter(r.group for r in before.rows)),
        rules=RULES,
        look=look(alpha=0.05),
    )
    assert found.report == alone.report


@pytest.mark.parametrize("name", ["group_sequential", "betting"])
def test_in_stages_each_challenger_stops_on_its_own_at_an_equal_share(name: str):
    before, others = family(np.random.default_rng(6), 300, [0.3, 0.0])
    asked: list[frozenset[str]] = []
    rules = replace(RULES, design=design(name, {}))
    found = judged(before, others, rules=rules, asked=asked)
    reports = [f.report for f in found]
    assert [r.alpha for r in reports] == [0.025, 0.025]
    assert reports[0].verdict is Verdict.PROMOTE
    assert reports[0].staged.stages_run < reports[0].staged.stages
    assert reports[1].verdict is not Verdict.PROMOTE
    # No challenger was asked for the same groups twice.
    assert max(Counter(asked).values()) <= 2


def test_challengers_in_stages_err_together_no_more_than_one_may():
    rng = np.random.default_rng(12)
    rules = replace(RULES, alpha=0.2, design=design("group_sequential", {}))
    worlds, wrong = 80, 0
    for _ in range(worlds):
        before, others = family(rng, 40, [0.0, 0.0, 0.0])
        found = judged(before, others, alpha=0.1, rules=rules)
        wrong += any(f.report.verdict is Verdict.PROMOTE for f in found)
    assert wrong / worlds <= 0.1 + 3 * np.sqrt(0.09 / worlds)


def test_no_failed_row_of_any_challenger_makes_a_promotion():
    rng = np.random.default_rng(7)
    seen = 0
    for _ in range(30):
        before, others = family(rng, 60, [0.2, 0.22, 0.0])
        was = [f.report.verdict for f in judged(before, others)]
        which, index = int(rng.integers(3)), int(rng.integers(60))
        broken = list(others[which].rows)
        broken[index] = row(index, None, failure=FailureKind.FORMAT)
        worse = list(others)
        worse[which] = replace(others[which], rows=tuple(broken))
        now = [f.report.verdict for f in judged(before, worse)]
        for first, second in zip(was, now, strict=True):
            assert second is not Verdict.PROMOTE or first is Verdict.PROMOTE
        seen += Verdict.PROMOTE in was
    assert 5 < seen < 30  # worlds on both sides of the line


def test_with_no_error_left_nobody_is_promoted():
    before, others = family(np.random.default_rng(8), 200, [0.3, 0.3])
    found = judged(before, others, alpha=0.0)
    assert {f.report.verdict for f in found} == {Verdict.INCONCLUSIVE}
    assert {f.report.alpha for f in found} == {0.0}


def test_of_equal_challengers_the_smaller_id_counts():
    before, (after,) = family(np.random.default_rng(9), 200, [0.2])
    twins = [replace(after, candidate_id=name) for name in ("b", "a")]
    reports = [f.report for f in judged(before, twins)]
    assert preferred(reports) == 1
    worse = replace(reports[1], verdict=Verdict.HOLD)
    assert preferred([reports[0], worse]) == 0
