"""Guards: harm beyond a margin that is sure breaks them, and nothing that fails mends them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gate.gate_worlds import look, row, side
from upturn.gate import GateRules, GuardResult, Guards, decide
from upturn.gate.guards import judge
from upturn.gate.noninferiority import p_better
from upturn.gate.pairing import compare
from upturn.gate.slices import judge_slices, slice_results
from upturn.records import Evaluation, FailureKind, Outcome, Row, Verdict

NAMES = (
    *("failure rate", "unscored rate", "p95 latency", "cost per row"),
    *("output tokens per row", "slice part=a", "slice part=b", "slice auto half=x"),
)


def made(rows) -> Evaluation:
    return Evaluation(candidate_id="c", rows=tuple(rows))


def plain(count: int) -> list[Row]:
    """Rows of one second, one cent and 100 tokens, half of them in each part."""
    return [
        replace(
            row(i, 0.5, group=f"g{i:03d}", latency_s=1.0, cost_usd=0.01),
            output_tokens=100,
            slices={"part": "ab"[i % 2], "auto half": "xy"[i < count // 2]},
        )
        for i in range(count)
    ]


def judged(before, after, **rules) -> dict[str, GuardResult]:
    given, sides = Guards(**rules), (made(before), made(after))
    slices = slice_results(compare(*sides), draws=1000, seed=0)
    found = (*judge(*sides, given, draws=1000, seed=0), *judge_slices(slices, given))
    return {g.name: g for g in found}


def harmed(name: str, rows: list[Row], count: int) -> list[Row]:
    """The same rows with harm to the first so many (of part a, for its slice)."""
    change = {
        "failure rate": {"outcome": Outcome.FAILED, "score": None, "failure": FailureKind.FORMAT},
        "unscored rate": {"outcome": Outcome.UNSCORED, "score": None},
        "p95 latency": {"latency_s": 9.0},
        "cost per row": {"cost_usd": 0.1},
        "output tokens per row": {"output_tokens": 9000},
        "slice part=a": {"score": 0.0},
    }[name]
    places = [i for i, r in enumerate(rows) if "slice" not in name or r.slices["part"] == "a"]
    chosen = set(places[:count])
    return [replace(r, **change) if i in chosen else r for i, r in enumerate(rows)]


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [
        ("failure rate", 2, 8),
        ("unscored rate", 2, 8),
        ("p95 latency", 4, 8),
        ("cost per row", 4, 8),
        ("output tokens per row", 3, 8),
        ("slice part=a", 4, 10),
    ],
)
def test_each_guard_breaks_by_harm_that_is_sure_and_by_nothing_else(name, few, many):
    rows = plain(60)
    same = judged(rows, rows)
    assert sorted(same) == sorted((*NAMES, "slice auto half=y"))
    assert all(g.ok and g.p_value == 1.0 and g.n in (30, 60) for g in same.values())
    unsure = judged(rows, harmed(name, rows, few))[name]
    assert (unsure.ok, unsure.note) == (True, "may be chance")
    assert unsure.p_value > 0.05
    # a row without a score harms its slices, too
    broken = judged(rows, harmed(name, rows, many), slice_margin=0.1 if "slice" in name else 1.0)
    assert not broken[name].ok
    assert broken[name].p_value <= 0.05
    # the rows of part a that were harmed are all in this half
    assert {n for n, g in broken.items() if not g.ok} - {"slice auto half=y"} == {name}
    # less harm than the margin is none, however sure
    margins = {
        "failure_rate_margin": 0.5, "failure_rate_cap": 0.5, "p95_latency_ratio": 10.0,
        "cost_ratio": 10.0, "output_tokens_ratio": 100.0, "slice_margin": 0.4,
    }  # fmt: skip
    assert judged(rows, harmed(name, rows, many), **margins)[name].ok
    # the champion's harm is the challenger's gain
    assert all(g.ok for g in judged(harmed(name, rows, many), rows).values())


def test_the_cap_on_failures_is_hard():
    failing = harmed("failure rate", plain(60), 13)
    found = judged(failing, failing)["failure rate"]
    assert (found.ok, found.p_value) == (False, 1.0)
    assert "failure_rate_cap" in found.note


def test_rows_lost_to_the_world_are_slow_dear_and_long():
    rows = plain(60)
    lost = [
        replace(r, outcome=Outcome.FAILED, score=None, failure=FailureKind.OUTAGE,
                latency_s=0.0, cost_usd=0.0, output_tokens=0) if i < 10 else r
        for i, r in enumerate(rows)
    ]  # fmt: skip
    found = judged(rows, lost)
    assert found["p95 latency"].challenger is None
    assert not found["p95 latency"].ok
    assert found["cost per row"].challenger == pytest.approx(0.01)
    assert found["output tokens per row"].challenger == 100.0


def test_a_slice_named_by_somebody_does_not_pay_for_automatic_ones():
    rows = [
        replace(r, slices={"part": "a", "auto n": str(i % 9)}) for i, r in enumerate(plain(270))
    ]
    worse = [replace(r, score=0.3 if i % 2 else 0.5) for i, r in enumerate(rows)]
    found = judged(rows, worse)
    raw = {s.name: s.p_value for s in slice_results(compare(made(rows), made(worse)),
                                                    draws=1000, seed=0)}  # fmt: skip
    assert found["slice part=a"].p_value == raw["part=a"]
    least = min(raw, key=lambda n: (raw[n], n) if n.startswith("auto") else (2.0, n))
    assert found[f"slice {least}"].p_value == pytest.approx(min(1.0, 9 * raw[least]))


def test_a_better_challenger_with_one_bad_slice_is_held_and_the_slice_named():
    rng = np.random.default_rng(0)
    before, after = [], []
    for i in range(1200):
        part = f"p{i % 4}"
        right = rng.random() < 0.6
        turned = rng.random() < (0.3 if part != "p3" else 0.35)
        now = (right and not turned) if part == "p3" else (right or turned)
        rows = [replace(row(i, float(s)), slices={"plan": part}) for s in (right, now)]
        before.append(rows[0])
        after.append(rows[1])
    report = decide(made(before), made(after), rules=GateRules(draws=1000), look=look())
    assert report.effect > 0.03
    assert report.p_value < 0.01
    assert report.verdict is Verdict.HOLD
    assert report.reasons[0].startswith("Guard broken: slice plan=p3")
    assert [g.name for g in report.guards if not g.ok] == ["slice plan=p3"]


def test_equal_sides_break_a_guard_no_more_often_than_its_level():
    rng, broken, runs = np.random.default_rng(4), dict.fromkeys(NAMES, 0), 150
    for _ in range(runs):
        hard = rng.random(size=80)
        sides = [
            [
                replace(
                    row(i, float(rng.random() < hard[i]), latency_s=rng.lognormal(),
                        cost_usd=0.01 * rng.lognormal()),
                    output_tokens=int(50 * rng.lognormal()),
                    slices={"part": "ab"[i % 2], "auto half": "xy"[i < 40]},
                )
                for i in range(80)
            ]
            for _ in range(2)
        ]  # fmt: skip
        # no margin: the test alone decides
        found = judged(*sides, slice_margin=0.0, p95_latency_ratio=1.0, p95_latency_slack_s=0.0,
                       cost_ratio=1.0, cost_slack_usd=0.0, output_tokens_ratio=1.0,
                       output_tokens_slack=0.0)  # fmt: skip
        for name in NAMES:
            broken[name] += not found[name].ok
    # .05 of 150 is 7.5; 17 is 3.5 standard errors more
    assert all(count <= 17 for count in broken.values())
    assert sum(broken.values()) > 0


kinds = st.sampled_from(list(FailureKind))
states = st.sampled_from(["right", "wrong", "unscored", "slow", "dear", "long", "failed"])


def _row(index: int, state: str) -> Row:
    score = None if state in ("unscored", "failed") else float(state != "wrong")
    failure = FailureKind.PROGRAM if state == "failed" else None
    made_row = row(index, score, group=f"g{index % 11}", failure=failure,
                   latency_s=9.0 if state == "slow" else 0.1,
                   cost_usd=1.0 if state == "dear" else 0.01)  # fmt: skip
    return replace(
        made_row,
        output_tokens=5000 if state == "long" else 50,
        slices={"part": "ab"[index % 2], "auto half": "xyz"[index % 3]},
    )


EAGER = {"slice_min_rows": 3, "measured_min_rows": 3, "level": 0.3, "failure_rate_cap": 1.0}
sides_of = st.lists(st.tuples(states, states), min_size=6, max_size=36)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(sides_of, st.data())
def test_no_failed_row_mends_what_the_guards_say_together(pairs, data: st.DataObject):
    before = [_row(i, a) for i, (a, _) in enumerate(pairs)]
    after = [_row(i, b) for i, (_, b) in enumerate(pairs)]
    index, kind = data.draw(st.integers(0, len(after) - 1)), data.draw(kinds)
    failed = [*after]
    failed[index] = replace(after[index], outcome=Outcome.FAILED, score=None, failure=kind)
    first, second = judged(before, after, **EAGER), judged(before, failed, **EAGER)
    for name, found in first.items():
        unscored = name == "unscored rate"  # failing may turn it into the failure rate's matter
        assert found.ok or not second[name].ok or unscored
        if not unscored:
            assert second[name].p_value <= found.p_value + 1e-12
    assert all(g.ok for g in second.values()) <= all(g.ok for g in first.values())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(sides_of)
def test_neither_order_nor_names_matter_to_a_guard(pairs):
    before, after = ([_row(i, p[k]) for i, p in enumerate(pairs)] for k in (0, 1))

    def renamed(rows):
        new = {f"g{k}": f"x{(k * 7 + 3) % 11}" for k in range(11)}
        return [
            replace(r, example_id=f"z{(997 * i) % 1009}", group=new[r.group])
            for i, r in enumerate(rows)
        ]

    first = judged(before, after, **EAGER)
    assert judged(before[::-1], after, **EAGER) == first
    assert judged(renamed(before), renamed(after), **EAGER) == first


@settings(max_examples=60, deadline=None, derandomize=True)
@given(sides_of)
def test_the_same_rows_again_make_a_guard_surer_and_nothing_else(pairs):
    before, after = ([_row(i, p[k]) for i, p in enumerate(pairs)] for k in (0, 1))

    def again(rows):
        more = [replace(r, example_id=f"{r.example_id}b", group=f"{r.group}b") for r in rows]
        return [*rows, *more]

    once = judged(before, after, slice_min_rows=1, measured_min_rows=1)
    twice = judged(again(before), again(after), slice_min_rows=1, measured_min_rows=1)
    for name, found in once.items():
        assert twice[name].challenger == pytest.approx(found.challenger)
        if found.ok and found.note != "may be chance":
            assert twice[name].ok, name  # within the margin: no number of copies breaks it


def test_raising_a_sum_never_raises_the_p_of_a_harm():
    rng = np.random.default_rng(1)
    for _ in range(200):
        sums = rng.choice([-1.0, -0.37, 0.0, 0.5, 1.0], size=rng.integers(1, 40))
        raised = sums.copy()
        raised[rng.integers(len(sums))] += rng.uniform(0, 1)
        first, second = (p_better(s, draws=1000, seed=3) for s in (sums, raised))
        assert second <= first


def test_a_group_that_is_harmed_as_a_whole_is_one_piece_of_evidence():
    rows = [replace(r, group="one" if i < 12 else r.group) for i, r in enumerate(plain(60))]
    found = judged(rows, harmed("failure rate", rows, 12))["failure rate"]
    assert (found.ok, found.note) == (True, "may be chance")
    assert found.p_value == pytest.approx(0.5, abs=0.06)


def test_a_report_has_all_guards_and_reads_old_json():
    report = decide(side([0.0] * 30), side([1.0] * 30), rules=GateRules(draws=1000), look=look())
    assert [g.name for g in report.guards] == list(NAMES[:5])
    old = report.to_json()
    old["guards"] = [
        {k: v for k, v in g.items() if k not in ("p_value", "n", "unit")} for g in old["guards"]
    ]
    for key in ("power", "standard_error"):
        del old[key]
    read = type(report).from_json(old)
    assert (read.guards[0].p_value, read.power, read.verdict) == (None, None, report.verdict)
