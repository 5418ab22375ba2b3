"""Turns with another strategy, generations, settings, a peer, and a proposer of one's own."""

import json

import pytest

from upturn.errors import ConfigError
from upturn.pipeline.turn import run_turn
from upturn.search import STRATEGIES

SMALL = ("search.evaluations=240", "search.n_trials=8")


def trials(project):
    return [r for (kind, _), r in project.tracker.turn.runs.items() if kind == "trial"]


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "racing"])
def test_every_strategy_runs_a_turn_within_its_budget(project, strategy):
    result = run_turn(project.parts(*SMALL, f"search.strategy={strategy}"), project.world())
    assert result.verdict in ("PROMOTE", "HOLD", "INCONCLUSIVE")
    assert result.n == 99
    assert result.calls <= 240 + 2 * 99


def test_a_second_generation_starts_from_the_survivors(project):
    overrides = ("search.evaluations=400", "search.n_trials=8", "search.generations=2")
    result = run_turn(project.parts(*overrides), project.world())
    found = trials(project)
    names = {r.record.name for r in found}
    assert {"t000", "t1000"} <= names
    origins = [v for r in found for k, v in r.record.tags.items() if k.startswith("origin.")]
    assert any(o.startswith("crossover") or o.startswith("shortening") for o in origins)
    assert result.verdict == "PROMOTE"


def test_settings_are_searched_and_a_promoted_one_is_registered(project):
    space = "search.space={temperature: [0.7], order: [reversed], n_demos: [2]}"
    run_turn(project.parts(*SMALL, space), project.world())
    choices = [r.record.candidate.choices for r in trials(project)]
    assert {"@temperature", "@order", "@n_demos"} <= set(choices[0])
    assert {c["@temperature"] for c in choices} == {"s-default", "s-0.7"}
    settings = [dict(r.record.candidate.settings) for r in trials(project)]
    assert {"temperature": 0.7} in settings
    assert all(set(s) <= {"temperature"} for s in settings)


def test_a_further_model_must_be_named_under_models(project):
    with pytest.raises(ConfigError, match=r"names 'big', which is not under models"):
        project.parts("search.space={model: [big]}")


def test_a_proposer_of_ones_own_is_asked_and_part_of_the_question(project):
    path = project.root / "mine.py"
    text = (
        "from dataclasses import dataclass\n"
        "from upturn.propose import Proposal\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Mine:\n"
        "    name: str = 'mine'\n\n"
        "    def propose(self, evidence):\n"
        "        for predictor in evidence.program.predictors:\n"
        "            yield Proposal(predictor=predictor, origin='mine', instruction='TEXT')\n"
    )
    path.write_text(text.replace("TEXT", "Route it."))
    overrides = (*SMALL, "search.proposers=[balanced, 'mine.py:Mine']")
    first = run_turn(project.parts(*overrides), project.world())
    origins = {r.record.tags["origin.triage.instruction"] for r in trials(project)}
    assert "mine" in origins
    path.write_text(text.replace("TEXT", "Send it on."))
    assert run_turn(project.parts(*overrides), project.world()).turn != first.turn


def test_a_peer_goes_through_the_same_gate(project):
    overrides = ("optimizer=bootstrap_random_search", "search.max_demos=3", "search.finalists=1")
    with pytest.raises(ConfigError, match="runs in this process, got executor: ray"):
        _ = project.parts(*overrides, "executor=ray")
    result = run_turn(project.parts(*overrides, "budget.max_calls=1500"), project.world())
    assert result.n == 99
    assert result.trials > 0
    assert project.engine.calls - 1 <= 1500
    report = json.dumps([r.record.tags for r in trials(project)])
    assert "ran on" in report


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.strategy=racng", "must be one of racing, .*did you mean racing"),
        ("search.sampler=tp", "must be one of space_filling, tpe, random"),
        ("optimizer=mipr", "did you mean mipro"),
        ("search.proposers=[balancd]", "'balancd' is no proposer; did you mean balanced"),
    ],
)
def test_a_misspelt_kind_names_the_right_one(project, override, message):
    with pytest.raises(ConfigError, match=message):
        project.parts(override)
