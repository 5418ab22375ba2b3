"""Turns with several challengers, several runs of a row, and several looks at the same rows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.pipeline.conftest import CUES, answer, events
from upturn.errors import ConfigError
from upturn.events import write_log
from upturn.gate import GateReport
from upturn.gate.ladder import best_released, released
from upturn.ledger import EntryKind, Ledger
from upturn.lm.keys import request_key
from upturn.pipeline.progress import Silent
from upturn.pipeline.reports import read_document
from upturn.pipeline.turn import run_turn
from upturn.testing.engine import FakeEngine
from upturn.tracking import RunKind

HOPELESS = "gate.min_gain=0.9"


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


def entries(project, kind: EntryKind):
    ledger = Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: None)
    return [e for e in ledger.entries() if e.kind is kind]


def decided(project) -> list[GateReport]:
    """The exact reports in the ledger."""
    found = entries(project, EntryKind.DECISION)
    return [GateReport.from_json(e.data["report"]) for e in found]


def reset(project):
    for path in sorted((project.root / "mlruns").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    project.tracker, project.registry = type(project.tracker)(), type(project.registry)()


def dying(project, *, after: int, engine=answer):
    served = []

    def serve(request):
        served.append(1)
        if len(served) > after:
            raise Killed
        return engine(request)

    project.engine = FakeEngine(serve)


def by_chance(request) -> str:
    """Right seven times of ten where the scripted model is, by the request and its rollout."""
    said = answer(request)
    if int(request_key("chance", request)[:8], 16) % 10 < 7 or said == "ok":
        return said
    team = next(t for t in CUES if t not in said)
    return f"[[ ## team ## ]]\n{team}\n\n[[ ## completed ## ]]\n"


def test_three_challengers_share_one_look_and_the_best_is_registered(project):
    alone = run_turn(project.parts(), project.world())
    reset(project)
    result = run_turn(project.parts("gate.challengers=3"), project.world())
    (report,) = decided(project)
    assert (result.verdict, report.challenger_id in result.version) == ("PROMOTE", False)
    m = 1 + len(report.rivals)
    assert m > 1, "the search has one finalist only"
    # One look for all; the champion runs once.
    assert [e.data["alpha"] for e in entries(project, EntryKind.LOOK)] == [0.025]
    assert result.calls == alone.calls + (m - 1) * result.n
    assert report.alpha >= 0.025 / m
    promotable = [r for r in report.rivals if str(r.verdict) == "PROMOTE"]
    assert all(report.effect >= r.effect for r in promotable)

    reset(project)
    dying(project, after=result.calls - 5)  # in the last challenger's rows
    with pytest.raises(Killed):
        run_turn(project.parts("gate.challengers=3"), project.world())
    project.engine = FakeEngine(answer)
    again = run_turn(project.parts("gate.challengers=3"), project.world())
    assert (again.turn, again.verdict, again.effect) == (
        result.turn,
        result.verdict,
        result.effect,
    )
    assert decided(project)[0].rivals == report.rivals
    assert len(entries(project, EntryKind.LOOK)) == 1


def test_the_budget_pays_for_every_challenger_and_run(project):
    run_turn(project.parts(HOPELESS), project.world())
    rows = decided(project)[0].rows
    reset(project)
    needed = []
    for more in ((), ("gate.challengers=3",), ("gate.challengers=3", "gate.replicates=2")):
        with pytest.raises(ConfigError, match=r"max_calls must be >= \d+") as caught:
            run_turn(project.parts("budget.max_calls=1", *more), project.world())
        needed.append(int(caught.value.what.split(">= ")[1].split(" ")[0]))
    assert [n - needed[0] for n in needed] == [0, 2 * rows, 6 * rows]


def test_more_challengers_than_finalists_are_refused(project):
    with pytest.raises(ConfigError, match=r"gate.challengers must be <= search.finalists \(3\)"):
        project.parts("gate.challengers=4")


def test_rows_of_a_model_that_answers_by_chance_are_run_several_times(project):
    project.engine = FakeEngine(by_chance)
    asked = (HOPELESS, "gate.replicates=3", "model.temperature=0.7")
    once = run_turn(project.parts(HOPELESS, "model.temperature=0.7"), project.world())
    reset(project)
    result = run_turn(project.parts(*asked), project.world())
    (report,) = decided(project)
    assert result.calls == once.calls + 2 * 2 * report.rows
    noise = report.noise
    assert noise is not None
    assert noise.replicates == 3
    assert noise.within > 0.1  # of 0 and 1, the chance of 3 in 10 alone is 0.21 on each side
    counted = report.challenger_counts
    assert counted.scored + counted.unscored + counted.failed == 3 * report.rows

    reset(project)
    dying(project, after=result.calls - 5, engine=by_chance)
    with pytest.raises(Killed):
        run_turn(project.parts(*asked), project.world())
    project.engine = FakeEngine(by_chance)
    again = run_turn(project.parts(*asked), project.world())
    # Every answer of every replicate is kept: what was paid for is not paid for again.
    assert again.calls <= 5 + project.parts().config.model.concurrency
    assert (again.verdict, again.effect) == (result.verdict, result.effect)
    assert decided(project)[0].noise == noise


def test_a_later_look_that_promotes_nothing_withholds_its_scores(project):
    first = run_turn(project.parts(HOPELESS), project.world())
    second = run_turn(project.parts("gate.min_gain=0.8"), project.world())
    assert first.effect is not None
    assert (first.looks, second.looks) == (1, 2)
    assert (second.verdict, second.low, second.challenger_score) == ("HOLD", None, None)
    assert "exact scores are withheld" in second.reasons[0]
    exact = decided(project)[1]
    assert exact.effect is not None
    assert exact.challenger_score is not None

    shown = read_document(project.root / "mlruns/turns" / second.turn / "report.json")
    assert shown.turn.gate.withheld
    assert shown.turn.gate == released(
        exact, best_released(decided(project)[:1], exact.baseline_id)
    )
    assert (shown.fixed, shown.broken, shown.slice_limits) == ((), (), {})
    logged = project.tracker.turn
    assert (logged.metrics["holdout/effect"], logged.metrics["holdout/low"]) == (None, None)
    run = logged.runs[RunKind.CHALLENGER, "challenger"]
    assert (set(run.record.metrics), run.rows) == ({"holdout/rows", "dev/score"}, None)

    kept = entries(project, EntryKind.DECISION)
    assert "released" not in kept[0].data
    assert kept[1].data["released"]["low"] is None

    told = run_turn(project.parts("gate.min_gain=0.8", "gate.scores=exact"), project.world())
    assert told.looks == 3
    assert told.effect == decided(project)[2].effect is not None


class Heard(Silent):
    """Keeps what a turn tells."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    def step(self, name: str, detail: str = "") -> None:
        self.steps.append((name, detail))


def test_a_turn_without_a_look_left_says_so_before_it_searches(project):
    heard = [Heard(), Heard()]
    for own, least in zip(heard, ("0.9", "0.8"), strict=True):
        # Half of this alpha is the smallest that a look is given.
        asked = project.parts("gate.alpha=0.002", f"gate.min_gain={least}")
        run_turn(asked, replace(project.world(), progress=own))
    told = [[text for name, text in own.steps if name == "looks"] for own in heard]
    rows = decided(project)[0].rows
    fresh = rows - rows // 10
    assert told == [[], [f"no look is left after 1: bring {fresh} fresh rows for a new holdout"]]
    names = [name for name, _ in heard[1].steps]
    assert names.index("looks") < names.index("baseline")
    assert decided(project)[1].alpha == 0.0


def test_next_months_holdout_answers_for_the_rows_that_were_seen(make_project):
    log = events(360)
    project = make_project(log=log[:660])
    run_turn(project.parts(HOPELESS), project.world())
    write_log(project.root / "log.jsonl", log[:672])  # six requests more
    run_turn(project.parts(HOPELESS), project.world())
    looks = [e.data for e in entries(project, EntryKind.LOOK)]
    assert looks[0]["holdout"] != looks[1]["holdout"]
    assert [(d["number"], d["alpha"]) for d in looks] == [(1, 0.025), (2, 0.0125)]
    assert "req-" not in json.dumps(looks)
