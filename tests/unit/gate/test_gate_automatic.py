"""Automatic slices: what they are cut by, and what they never look at."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.error_rates_slices import measure, p_values, table
from tests.unit.gate.gate_worlds import look, row
from upturn.gate import GateRules, decide
from upturn.gate.automatic import AutomaticSlices
from upturn.gate.noninferiority import p_better
from upturn.records import Evaluation, Example, Verdict


def example(index: int, **inputs) -> Example:
    return Example(
        id=f"e{index}",
        group=f"g{index}",
        inputs={"text": "x" * (index % 90 + 1), "plan": ("free", "paid")[index % 2], **inputs},
        labels={"topic": f"t{index % 3}"},
    )


ROWS = [example(i) for i in range(300)]


def slices(train, row) -> dict[str, str]:
    return dict(AutomaticSlices.of(train).apply([row])[0].slices)


def test_categories_by_value_and_texts_by_thirds_of_their_length():
    cut = AutomaticSlices.of(ROWS)
    assert cut.values == {
        "input plan": frozenset({"free", "paid"}),
        "label topic": frozenset({"t0", "t1", "t2"}),
    }
    assert set(cut.lengths) == {"input text"}
    found = [slices(ROWS, example(i)) for i in (0, 45, 89)]
    assert [f["auto input text length"] for f in found] == ["short", "medium", "long"]
    assert found[1] == {
        "auto input plan": "paid", "auto label topic": "t0", "auto input text length": "medium"
    }  # fmt: skip


def test_own_slices_stay_and_what_train_does_not_know_is_no_slice():
    row = example(0, plan="new")
    named = Example(**{**vars(row), "slices": {"lang": "de"}})
    found = slices(ROWS, named)
    assert found["lang"] == "de"
    assert "auto input plan" not in found


def test_the_order_of_train_changes_nothing_and_an_empty_train_cuts_nothing():
    assert AutomaticSlices.of(ROWS[::-1]) == AutomaticSlices.of(ROWS)
    assert slices([], ROWS[0]) == {}


@pytest.mark.parametrize(
    ("values", "cut"),
    [
        ([True, False], ("true", "false")),
        ([1, 2, 3], ("1", "2", "3")),
        (list(range(13)), None),  # too many
        ([1.5, 2.5], None),  # a measure
        (["only"], None),
        ([None, "a"], None),
        ([["a"], ["b"]], None),
        (["a"] * 99 + ["b"], ("a",)),  # one row in a hundred has b
    ],
)
def test_what_is_a_category(values, cut):
    rows = [example(i, field=values[i % len(values)]) for i in range(300)]
    found = AutomaticSlices.of(rows).values.get("input field")
    assert found == (None if cut is None else frozenset(cut))


def test_texts_of_one_length_have_no_thirds():
    rows = [example(i, text=f"{i:04d}") for i in range(300)]
    assert not AutomaticSlices.of(rows).lengths


def test_the_benchmark_has_the_products_p_values_and_a_curve():
    sums = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], p=[0.3, 0.5, 0.2], size=(60, 5))
    found = p_values(np.random.default_rng(1), sums)
    for world in range(5):
        exact = p_better(-sums[:, world], draws=20_000, seed=0)
        # five standard errors of both sets of draws
        assert found[world] == pytest.approx(exact, abs=5 * (exact / 2000 + exact / 20_000) ** 0.5)
    lines = measure(0, worlds=40, sizes=((4, 60), (4, 500)))
    by_rows = {(x.world, x.rows): x.caught.value for x in lines}
    assert by_rows["binary", 500] > 0.8 > 0.3 > by_rows["binary", 60]
    assert all(x.one_equal.value <= 0.1 for x in lines)
    assert len(table(lines).splitlines()) == 2 + 6


def test_a_slice_by_label_is_shown_and_holds_nobody_back():
    """A champion that always says "t0" is right on all of t0; who mends it loses some there."""
    labels = ["t0"] * 100 + ["t1"] * 100
    rows = [row(i, 1.0 if t == "t0" else 0.0, **{"auto label topic": t})
            for i, t in enumerate(labels)]  # fmt: skip
    mended = [row(i, float(i % 10 < 8), **{"auto label topic": t}) for i, t in enumerate(labels)]
    report = decide(
        Evaluation(candidate_id="a", rows=tuple(rows)),
        Evaluation(candidate_id="b", rows=tuple(mended)),
        rules=GateRules(min_gain=0.05),
        look=look(),
    )
    fallen = next(s for s in report.slices if s.name.endswith("=t0"))
    assert fallen.effect == pytest.approx(-0.2)
    assert report.verdict is Verdict.PROMOTE
    assert not any("label" in g.name for g in report.guards)
