"""Frozen evidence: the same report to the last digit, and nothing in it about anybody."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gate.gate_worlds import look
from upturn.errors import ConfigError
from upturn.gate import (
    Decided,
    GateReport,
    GateRules,
    GuardResult,
    Guards,
    Holdout,
    Told,
    decide,
    decide_in_stages,
    design,
    design_names,
)
from upturn.gate.frozen import Inputs, freeze, rederive, thaw
from upturn.gate.replicates import combine
from upturn.records import Evaluation, FailureKind, Json, Outcome, Row, canonical_json

TOLD = Told(
    guards=(
        GuardResult(name="forgetting x", baseline=0.5, challenger=0.1, limit=0.4, ok=False),
        GuardResult(name="suite y", baseline=None, challenger=None, limit=None, ok=True, note="n"),
    ),
    notices=("The metric is a judge.",),
    rows_per_day=3.5,
    human_part="human",
)
KINDS = (None, None, None, None, *FailureKind)


def world(seed: int) -> tuple[Evaluation, Evaluation, dict[str, float] | None]:
    """Rows of every kind, groups of odd names and sizes, and weights in half of the worlds."""
    rng = np.random.default_rng(seed)
    count, grain = int(rng.integers(1, 70)), int(rng.choice([1, 4, 1000]))
    groups = [f"Müller {rng.integers(0, 1 + count // 2)}@mail" for _ in range(count)]
    ids = [f"req-{k}-é{rng.integers(0, 99)}" for k in rng.permutation(count)]

    def row(k: int) -> Row:
        failure = KINDS[rng.integers(0, len(KINDS))] if rng.random() < 0.3 else None
        unscored = failure is None and rng.random() < 0.05
        score = None if failure or unscored else float(rng.integers(0, grain + 1)) / grain
        outcome = Outcome.FAILED if failure else Outcome.UNSCORED if unscored else Outcome.SCORED
        return Row(
            example_id=ids[k],
            group=groups[k],
            outcome=outcome,
            score=score,
            outputs={"team": "a secret answer"},
            failure=failure,
            message="a secret message" if failure else "",
            parts={"human": score} if score is not None and seed % 4 == 0 and k % 2 else {},
            latency_s=float(rng.exponential(0.3)),
            cost_usd=float(rng.exponential(0.001)),
            input_tokens=int(rng.integers(1, 900)),
            calls=int(rng.integers(0, 4)),
            cached_calls=1,
            slices={"lang": str(rng.choice(["de", "en"]))} if k % 3 else {},
        )

    sides = [tuple(row(k) for k in range(count)) for _ in range(2)]
    if seed % 5 == 0:
        sides = [combined(rows, [row(k) for k in range(count)], s) for s, rows in enumerate(sides)]
    sides[1] = tuple(sides[1][k] for k in rng.permutation(count))
    weights = {i: float(w) for i, w in zip(ids, rng.exponential(1.0, count), strict=True)}
    before, after = (Evaluation(candidate_id=n, rows=r) for n, r in zip("ab", sides, strict=True))
    return before, after, weights if seed % 2 else None


def combined(first: tuple[Row, ...], second: list[Row], side: int) -> tuple[Row, ...]:
    """Every row run twice; a run in a group of its own slices would be no run of the row."""
    again = (replace(b, slices=a.slices) for a, b in zip(first, second, strict=True))
    runs = [Evaluation(candidate_id="x", rows=tuple(rows)) for rows in (first, again)]
    return combine(runs, is_champion=side == 0).rows


def inputs_of(seed: int, name: str) -> tuple[Inputs, Decided]:
    before, after, weights = world(seed)
    sizes: Counter[str] = Counter()
    for r in before.rows:
        sizes[r.group] += weights[r.example_id] if weights else 1  # type: ignore[assignment]

    def run(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
        return tuple(
            replace(side, rows=tuple(r for r in side.rows if r.group in groups))
            for side in (before, after)
        )  # type: ignore[return-value]

    rules = GateRules(
        draws=1000,
        design=design(name),
        min_gain=0.01,
        guards=Guards(slice_min_rows=3, measured_min_rows=5),
        max_outage_share=0.5,
    )
    given = {"rules": rules, "look": look(alpha=0.025), "seed": seed}
    told = TOLD if seed % 3 == 0 else Told()
    holdout = Holdout(sizes=sizes, weights=weights)
    found = decide_in_stages(run, holdout, told=told, **given)  # type: ignore[arg-type]
    inputs = Inputs(
        baseline=found.baseline,
        challenger=found.challenger,
        told=told,
        sample=found.sample,
        rivals=found.report.rivals,
        **given,  # type: ignore[arg-type]
    )
    return inputs, found


def stored(inputs: Inputs) -> Json:
    return json.loads(canonical_json(freeze(inputs)))


@pytest.mark.parametrize("name", design_names())
@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 100_000))
def test_every_decision_is_derived_again_to_the_last_digit(name: str, seed: int):
    inputs, found = inputs_of(seed, name)
    again = rederive(stored(inputs))
    assert again == found.report
    recorded = GateReport.from_json(json.loads(canonical_json(found.report.to_json())))
    assert canonical_json(again.to_json()) == canonical_json(recorded.to_json())


def test_the_frozen_value_names_nobody_and_quotes_nothing():
    inputs, _ = inputs_of(9, "group_sequential")
    text = canonical_json(freeze(inputs))
    for row in (*inputs.baseline.rows, *inputs.challenger.rows):
        assert row.example_id not in text
        assert row.group not in text
    assert "secret" not in text
    assert "req-" not in text


def test_freezing_what_was_thawed_gives_the_same_bytes():
    for seed in range(6):
        value = stored(inputs_of(seed, "fixed")[0])
        assert canonical_json(freeze(thaw(value))) == canonical_json(value)


def test_a_changed_score_changes_the_report():
    inputs, found = inputs_of(4, "fixed")
    value = stored(inputs)
    scores = value["challenger"]["rows"]["score"]
    place = next(k for k, s in enumerate(scores) if s is not None and s < 1)
    scores[place] = 1.0
    assert rederive(value) != found.report


def test_what_no_version_wrote_is_refused():
    value = stored(inputs_of(2, "fixed")[0])
    with pytest.raises(ValueError, match="must have format 1, got 7"):
        rederive({**value, "format": 7})
    with pytest.raises(ValueError, match="has no field 'wish'"):
        rederive({**value, "rules": {**value["rules"], "wish": 1}})
    with pytest.raises(ConfigError, match="dice"):
        rederive({**value, "rules": {**value["rules"], "design": {"name": "dice"}}})
    with pytest.raises(KeyError):
        rederive({k: v for k, v in value.items() if k != "plan"})


def test_rows_that_are_all_there_is_freeze_too():
    inputs, _ = inputs_of(2, "fixed")
    alone = decide(
        inputs.baseline, inputs.challenger, rules=inputs.rules, look=inputs.look, seed=inputs.seed
    )
    assert rederive(stored(replace(inputs, told=Told()))) == alone
