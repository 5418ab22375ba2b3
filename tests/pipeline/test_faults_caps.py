"""Caps that are reached in the middle of a block, and clocks that jump."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.pipeline.conftest import NOW, PROGRAM
from tests.pipeline.faults import SMALL, Faulty, champion, entries, forget_everything, run
from upturn.errors import BudgetExceededError
from upturn.ledger import EntryKind
from upturn.lm import Caps, Meter
from upturn.pipeline.turn import run_turn

#: 10 US dollars a million words: a call of the scripted model costs a fifth of a cent at most.
PRICED = (
    "model.usd_per_million_input=10",
    "model.usd_per_million_output=10",
    "gate.guards.cost_ratio=100",
)
#: Calls its predictor twice a row: more than the gate's share is reckoned with.
TWICE = PROGRAM.replace(
    "        return self.triage(message=message)",
    "        self.triage(message=message + ' twice')\n        return self.triage(message=message)",
)


def test_a_cap_on_calls_ends_the_search_and_the_gate_has_its_share(project):
    project.engine = Faulty().engine()
    free = run(project, "promotion=ask")
    for less in (30, 60):
        forget_everything(project)
        faulty = Faulty()
        project.engine = faulty.engine()
        result = run(project, f"budget.max_calls={free.calls - less}")
        assert faulty.paid.total() == result.calls <= free.calls - less
        assert (result.verdict, result.looks, result.n) == ("PROMOTE", 1, free.n)


def test_a_cap_on_calls_in_mid_gate_is_no_verdict_and_a_higher_one_goes_on(make_project):
    project = make_project(program=TWICE)
    faulty = Faulty()
    project.engine = faulty.engine()
    capped = run(project, "budget.max_calls=480")
    assert faulty.paid.total() == capped.calls == 480
    assert capped.verdict == "INCONCLUSIVE"
    assert "rows were lost to outages or budget" in capped.reasons[0]
    assert champion(project) == "1"
    assert EntryKind.PROMOTION not in entries(project)

    final = run(project, "budget.max_calls=5000")
    assert (final.turn, final.verdict, final.looks) == (capped.turn, "PROMOTE", 1)
    assert faulty.paid.total() == capped.calls + final.calls
    assert faulty.paid_twice == []


def test_a_cap_on_money_is_overshot_by_the_calls_in_flight_at_most(project):
    faulty = Faulty()
    project.engine = faulty.engine()
    # Reached in the gate: the search's prompts were shorter than those of what it found.
    cap = 0.5
    capped = run(project, *PRICED, f"budget.max_usd={cap}")
    with closing(sqlite3.connect(project.root / "mlruns" / "cache.db")) as db:
        dearest, paid = db.execute("select max(cost_usd), sum(cost_usd) from answers").fetchone()
    assert capped.usd == pytest.approx(paid)
    assert paid <= cap + project.parts().config.model.concurrency * dearest
    assert capped.verdict == "INCONCLUSIVE"
    assert champion(project) == "1"

    final = run(project, *PRICED, "budget.max_usd=50")
    assert (final.turn, final.verdict) == (capped.turn, "PROMOTE")
    assert faulty.paid_twice == []


def test_a_cap_that_pays_for_no_trial_spends_no_more_than_the_baseline(project):
    project.engine = Faulty().engine()
    capped = run(project, *PRICED, "budget.max_usd=0.1")
    assert (capped.verdict, capped.looks) == ("INCONCLUSIVE", 0)
    assert "the caps do not allow even one trial" in capped.reasons[0]
    assert capped.usd < 0.1


def test_a_wall_clock_that_jumps_back_changes_no_verdict(project):
    told = []

    def clock():
        told.append(1)
        return NOW if len(told) < 3 else NOW - timedelta(days=400)

    result = run_turn(project.parts(*SMALL), replace(project.world(), clock=clock))
    assert result.verdict == "PROMOTE"
    assert result.seconds >= 0
    assert champion(project) == "2"
    assert run(project, "promotion=ask").looks == 2


def test_a_meter_whose_clock_jumps_stops_or_goes_on_but_never_forgets_calls():
    now = [100.0]
    meter = Meter(Caps(max_calls=2, max_seconds=60.0), clock=lambda: now[0])
    meter.reserve()
    meter.cancel()
    now[0] = -1e6
    meter.reserve()
    now[0] = 1e6
    with pytest.raises(BudgetExceededError, match="seconds must stay below the cap of 60"):
        meter.reserve()
