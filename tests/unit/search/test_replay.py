"""The replay benchmark: recorded tables are whole, and every rule keeps to its budget."""

import numpy as np
import pytest

from benchmarks.peer_rules import PEER_RULES
from benchmarks.record import RECORDED
from benchmarks.replay import MIPRO_MEDIUM, SHARE_OF_MIPRO, our_run, peer_runs, summary, verdicts
from benchmarks.tables import Table

TASKS = ("codes5", "intents8", "teams6")
tables = pytest.mark.parametrize("task", TASKS)


@tables
def test_a_table_is_whole(task):
    table = Table.read(RECORDED / f"{task}.jsonl")
    assert table.values_CR.shape == (221, 400)
    assert table.space.size == 221
    assert set(np.unique(table.values_CR)) == {0.0, 1.0}
    assert 0.1 < table.truth(table.start) < table.truth_C.max() < 0.8


@pytest.mark.parametrize("budget", [300, 700])
def test_our_strategies_keep_to_their_budget_and_repeat_themselves(budget):
    table = Table.read(RECORDED / "codes5.jsonl")
    for strategy in ("racing", "successive_halving", "full"):
        run = our_run(table, strategy, budget, seed=4)
        assert run == our_run(table, strategy, budget, seed=4)
        assert run.spent <= budget


@pytest.mark.parametrize("rule", PEER_RULES)
def test_peers_keep_to_each_budget(rule):
    table = Table.read(RECORDED / "teams6.jsonl")
    runs = peer_runs(table, rule, [300, 600, 1200], seed=1)
    assert [r.budget for r in runs] == [300, 600, 1200]
    assert all(r.spent <= r.budget for r in runs)
    assert runs[0].true == runs[0].start, "300 rows pay for the program as written alone"


def test_the_verdicts_name_where_the_default_is_behind():
    table = Table.read(RECORDED / "codes5.jsonl")
    runs = [
        our_run(table, strategy, 300, seed)
        for strategy in ("racing", "random")
        for seed in range(6)
    ]
    runs += [our_run(table, "racing", round(SHARE_OF_MIPRO * MIPRO_MEDIUM), s) for s in range(6)]
    runs += [r for s in range(6) for r in peer_runs(table, "mipro", [MIPRO_MEDIUM], s)]
    told = verdicts(summary(runs))
    assert told["default_behind"] == []
    ours, mipro = told["mipro_medium_reached_with_35_percent"]["codes5"]
    assert 0.4 < ours <= 0.72
    assert 0.4 < mipro <= 0.72
    worse = [
        r.__class__(**{**r.__dict__, "true": 0.1}) if r.strategy == "racing" else r for r in runs
    ]
    assert verdicts(summary(worse))["default_behind"] == ["codes5 300 random"]
