"""Whole turns on a scripted model: promotion, the second run, resume, caps, outages, roll-back."""

import json

import pytest
from dspy.lm15 import ServerError

from tests.pipeline.conftest import answer
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.turn import run_turn
from upturn.testing.engine import FakeEngine
from upturn.tracking import RunKind


def ledger(project):
    return Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: None)


def kinds(project):
    return [e.kind for e in ledger(project).entries("tickets")]


def test_a_turn_promotes_what_is_better_on_unseen_rows(project):
    result = run_turn(project.parts(), project.world())
    assert result.verdict == "PROMOTE"
    assert result.low > 0
    assert result.effect == pytest.approx(result.challenger_score - result.baseline_score)
    assert result.looks == 1
    assert result.calls == project.engine.calls - 1  # the probe is not the turn's
    champion = project.registry.champion("tickets")
    assert champion.version == result.version == "2"
    assert champion.candidate.states["triage"].demos or "billing:" in (
        champion.candidate.states["triage"].instruction
    )
    assert kinds(project) == [
        EntryKind.ADOPTION,
        EntryKind.LOOK,
        EntryKind.DECISION,
        EntryKind.PROMOTION,
    ]
    page = (project.root / "mlruns" / "turns" / result.turn / "report.html").read_text()
    assert "PROMOTE" in page


def test_the_second_turn_pays_for_nothing_twice_and_holds(project):
    first = run_turn(project.parts(), project.world())
    asked = []
    project.engine = FakeEngine(lambda r: (asked.append(_key(r)), answer(r))[1])
    second = run_turn(project.parts(), project.world())
    assert second.verdict == "HOLD"
    assert second.looks == 2
    assert second.version == first.version
    assert len(asked) == len(set(asked))
    assert kinds(project).count(EntryKind.PROMOTION) == 1
    assert kinds(project).count(EntryKind.LOOK) == 2

    third = run_turn(project.parts(), project.world())
    assert third.repeated
    assert (third.verdict, third.calls, third.looks) == ("HOLD", 0, 2)
    assert kinds(project).count(EntryKind.LOOK) == 2


def _key(request):
    return json.dumps([request.system, *[(m.role, m.text) for m in request.messages]])


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
def test_a_killed_turn_goes_on_with_the_same_winner_and_pays_once(make_project, share, tmp_path):
    whole = make_project()
    expected = run_turn(whole.parts(), whole.world())
    paid = expected.calls
    after = int(share * paid)
    for path in sorted((tmp_path / "mlruns").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    whole.tracker, whole.registry = type(whole.tracker)(), type(whole.registry)()

    served = []

    def dying(request):
        served.append(1)
        if len(served) > after:
            raise Killed
        return answer(request)

    whole.engine = FakeEngine(dying)
    with pytest.raises(Killed):
        run_turn(whole.parts(), whole.world())
    whole.engine = FakeEngine(answer)
    resumed = run_turn(whole.parts(), whole.world())
    assert resumed.verdict == expected.verdict
    assert resumed.effect == expected.effect
    assert whole.registry.champion("tickets").candidate.id == _winner(expected, whole)
    assert after + resumed.calls <= paid * 1.02 + 4
    assert resumed.looks == 1


def _winner(expected, project):
    runs = [r for r in project.tracker.turn.runs.values() if r.record.kind is RunKind.CHALLENGER]
    return runs[0].record.candidate.id


def test_an_outage_makes_the_turn_inconclusive_and_it_can_go_on(project):
    calls = []

    def fail(request):
        calls.append(1)
        return ServerError("down") if len(calls) > 300 else None

    project.engine = FakeEngine(answer, fail=fail)
    result = run_turn(project.parts("model.num_retries=0"), project.world())
    assert result.verdict == "INCONCLUSIVE"
    assert "could not reach the model" in result.reasons[0]
    assert EntryKind.LOOK not in kinds(project)
    assert project.registry.champion("tickets").version == "1"

    project.engine = FakeEngine(answer)
    again = run_turn(project.parts("model.num_retries=0"), project.world())
    assert again.verdict == "PROMOTE"
    assert again.turn == result.turn


def test_an_outage_at_the_gate_is_never_a_promotion(project):
    opened = []
    project.engine = FakeEngine(
        answer, fail=lambda r: ServerError("down") if opened and len(opened) > 0 else None
    )
    world = project.world()

    class Watch(type(world.progress)):
        def step(self, name, detail=""):
            if name == "gate":
                opened.append(1)

    from dataclasses import replace

    result = run_turn(project.parts(), replace(world, progress=Watch()))
    assert result.verdict == "INCONCLUSIVE"
    assert any("lost to outages" in r for r in result.reasons)
    project.engine = FakeEngine(answer)
    again = run_turn(project.parts(), project.world())
    assert (again.verdict, again.looks) == ("PROMOTE", 1)


def test_a_cap_on_calls_holds_and_leaves_the_gate_its_share(project):
    result = run_turn(project.parts("budget.max_calls=480"), project.world())
    assert project.engine.calls - 1 <= 480
    assert result.n > 0
    # Uncapped, the turn pays for about 700.
    assert project.engine.calls - 1 >= 400


def test_a_budget_that_cannot_pay_for_a_gate_is_refused_before_it_is_spent(project):
    from upturn.errors import ConfigError

    with pytest.raises(ConfigError, match="max_calls must be >= "):
        run_turn(project.parts("budget.max_calls=100"), project.world())
    assert project.engine.calls <= 1


def test_promotion_ask_registers_and_waits(project):
    result = run_turn(project.parts("promotion=ask"), project.world())
    assert (result.verdict, result.version, result.promoted) == ("PROMOTE", "2", False)
    assert project.registry.champion("tickets").version == "1"


def test_a_roll_back_is_not_undone_by_running_again(project):
    from upturn.pipeline.releases.release import Releases

    run_turn(project.parts(), project.world())
    releases = Releases(project.registry, ledger_with_clock(project), "tickets")
    assert releases.rollback(to=None, who="tester", because="worse in use") == "1"
    again = run_turn(project.parts(), project.world())
    assert again.repeated
    assert not again.promoted
    assert project.registry.champion("tickets").version == "1"


def ledger_with_clock(project):
    from tests.pipeline.conftest import NOW

    return Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: NOW)


def test_a_promotion_that_was_killed_before_the_alias_moved_is_finished(project):
    move = project.registry.set_champion

    def dies_once(program, version):
        if version == "2":
            project.registry.set_champion = move
            raise Killed
        move(program, version)

    project.registry.set_champion = dies_once
    with pytest.raises(Killed):
        run_turn(project.parts(), project.world())
    assert project.registry.champion("tickets").version == "1"
    result = run_turn(project.parts(), project.world())
    assert result.promoted
    assert project.registry.champion("tickets").version == "2"
    assert kinds(project).count(EntryKind.PROMOTION) == 1


def test_the_same_config_and_snapshot_give_the_same_trials(make_project, tmp_path):
    project = make_project()
    run_turn(project.parts("promotion=ask"), project.world())
    first = trials(project)
    project.tracker, project.registry = type(project.tracker)(), type(project.registry)()
    run_turn(project.parts("promotion=ask", "workspace=elsewhere"), project.world())
    assert trials(project) == first
    assert len(first) > 3


def trials(project):
    return [
        (r.record.name, r.record.candidate.id)
        for r in project.tracker.turn.runs.values()
        if r.record.kind is RunKind.TRIAL
    ]


def test_what_is_tracked_has_the_objective_first_and_every_part(project):
    run_turn(project.parts(), project.world())
    runs = {(r.record.kind, r.record.name): r.record for r in project.tracker.turn.runs.values()}
    challenger = runs[RunKind.CHALLENGER, "challenger"]
    assert next(iter(challenger.metrics)) == "holdout/score"
    assert "holdout/length" in challenger.metrics
    assert next(iter(runs[RunKind.BASELINE, "baseline"].metrics)) == "dev/score"
    assert project.tracker.turn.verdict == "PROMOTE"
