"""Whole turns in which adapters and prompts stand before the same gate."""

from __future__ import annotations

import shutil

import pytest

from tests.pipeline.conftest import NOW
from tests.pipeline.weighing import (
    JOB,
    LOCAL,
    TRAINED_UNDER,
    WEIGHTS,
    Weighed,
    base,
    narrow,
    skilled,
    trained,
)
from upturn.errors import ConfigError, ModelError
from upturn.ledger import Ledger
from upturn.pipeline.releases.release import Releases
from upturn.pipeline.turn import run_turn
from upturn.tracking import RunKind
from upturn.weights.adapter import FILES

pytest.importorskip("torch", reason="adapters are made with torch")


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("adapters")


def champion(project):
    return project.registry.champion("tickets")


def releases(project):
    ledger = Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: NOW)
    return Releases(project.registry, ledger, "tickets")


@pytest.fixture
def promoted(project, kept):
    """A project whose champion is a prompt with weights, and the adapter."""
    adapter = trained(project, kept)
    project.engine = Weighed({adapter.id: skilled})
    result = run_turn(project.parts(*LOCAL, WEIGHTS), project.world())
    assert (result.verdict, result.version) == ("PROMOTE", "2"), result.reasons
    return project, adapter, result


def test_weights_are_promoted_with_the_prompt_and_lie_in_the_version(promoted):
    project, adapter, result = promoted
    found = champion(project)
    assert found.candidate.settings == {"weights": adapter.id}
    assert {n: found.files[n] for n in FILES} == {
        n: (adapter.folder / n).read_bytes() for n in FILES
    }
    assert set(FILES) < set(found.manifest["files"])
    facts = found.manifest["facts"]
    assert (facts["weights"], facts["weights_base"]) == (adapter.id, adapter.base_id)
    decision = found.files["decision.md"].decode()
    assert f"weights: none -> {adapter.id}" in decision
    assert "120 rows" in decision
    assert f"Nobody can say whether adapter {adapter.id}" in decision
    page = (project.root / "mlruns" / "turns" / result.turn / "report.html").read_text()
    assert f"challenger: {adapter.id}" in page
    guard = next(g for g in found.report["guards"] if g["name"] == "forgetting general form")
    assert guard["ok"]
    assert (guard["baseline"], guard["challenger"]) == (1.0, 1.0)


def test_an_adapter_enters_first_under_the_prompt_it_was_trained_under(promoted):
    project, adapter, _ = promoted
    trials = {
        r.record.name: r.record
        for r in project.tracker.turn.runs.values()
        if r.record.kind is RunKind.TRIAL
    }
    first = trials["t001"]
    assert first.candidate.settings == {"weights": adapter.id}
    assert first.candidate.states["triage"].instruction == TRAINED_UNDER
    assert first.tags["origin.triage.instruction"] == f"adapter:{adapter.id}"
    # Its own prompt without it, and it with other prompts, are tried as well.
    with_weights = [t for t in trials.values() if t.candidate.settings.get("weights")]
    assert 1 < len(with_weights) < len(trials)


def test_rolling_back_and_forth_moves_prompt_and_weights_as_one(promoted):
    project, adapter, _ = promoted
    moved = releases(project)
    assert moved.rollback(to=None, who="tester", because="worse in use") == "1"
    assert champion(project).candidate.settings == {}
    project.engine = Weighed({})
    run_turn(project.parts(*LOCAL, "promotion=ask"), project.world())
    assert project.engine.put_on == []
    moved.rollback(to="2", who="tester", because="it was not the weights")
    assert champion(project).candidate.settings == {"weights": adapter.id}


def test_a_champions_adapter_comes_back_out_of_its_version(promoted):
    project, adapter, first = promoted
    shutil.rmtree(project.root / "mlruns" / "adapters")
    shutil.rmtree(project.root / "mlruns" / "jobs")
    project.engine = Weighed({adapter.id: skilled})
    # A second look that promotes nothing withholds its scores.
    second = run_turn(project.parts(*LOCAL, "gate.scores=exact"), project.world())
    assert second.turn != first.turn
    assert second.verdict == "HOLD"
    assert second.baseline_score == 1.0  # what runs now ran with its weights
    folder = project.root / "mlruns" / "adapters" / adapter.id
    assert {p.name for p in folder.iterdir()} == set(FILES)
    trials = [r.record for (k, _), r in project.tracker.turn.runs.items() if k == RunKind.TRIAL]
    tried = {t.candidate.settings.get("weights") for t in trials}
    assert tried == {None, adapter.id}  # a search must be able to take the weights off


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.mark.parametrize("share", [0.3, 0.97])
def test_a_killed_turn_goes_on_and_pays_once(promoted, kept, share):
    project, adapter, whole = promoted
    for path in ("cache.db", "ledger.jsonl", "turns"):
        target = project.root / "mlruns" / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    project.tracker, project.registry = type(project.tracker)(), type(project.registry)()
    served = []

    def dying():
        served.append(1)
        if len(served) > share * whole.calls:
            raise Killed

    project.engine = Weighed({adapter.id: skilled}, before=dying)
    with pytest.raises(Killed):
        run_turn(project.parts(*LOCAL, WEIGHTS), project.world())
    project.engine = Weighed({adapter.id: skilled})
    resumed = run_turn(project.parts(*LOCAL, WEIGHTS), project.world())
    assert (resumed.turn, resumed.verdict, resumed.effect) == (
        whole.turn,
        whole.verdict,
        whole.effect,
    )
    assert resumed.looks == 1
    assert champion(project).candidate.settings == {"weights": adapter.id}
    assert share * whole.calls + resumed.calls <= whole.calls * 1.02 + 8


def test_an_adapter_of_another_base_is_refused_before_anything_is_paid(project, kept):
    trained(project, kept, base_id="other@2")
    project.engine = Weighed({})
    with pytest.raises(ModelError, match="other@2"):
        run_turn(project.parts(*LOCAL, WEIGHTS), project.world())
    assert project.engine.calls == 0


def test_another_adapter_is_another_question_and_another_name_is_none(promoted, kept):
    project, adapter, first = promoted
    releases(project).rollback(to="1", who="tester", because="asked again from the same start")
    trained(project, kept, job="renamed")
    known = run_turn(project.parts(*LOCAL, "search.space.weights=[renamed]"), project.world())
    assert known.repeated
    assert known.turn == first.turn
    by_id = f"search.space.weights=[{adapter.id[:8]}]"
    assert run_turn(project.parts(*LOCAL, by_id), project.world()).turn == first.turn

    changed = trained(project, kept, seed=1)
    assert changed.id != adapter.id
    project.engine = Weighed({changed.id: skilled})
    asked = run_turn(project.parts(*LOCAL, WEIGHTS), project.world())
    assert asked.turn != first.turn
    assert not asked.repeated


def test_an_adapter_that_forgot_all_other_forms_is_held_back(project, kept):
    adapter = trained(project, kept)
    project.engine = Weighed({adapter.id: narrow})
    result = run_turn(project.parts(*LOCAL, WEIGHTS), project.world())
    assert result.verdict == "HOLD"
    assert result.effect > 0.1  # better at its own task, and that is not enough
    assert "Guard broken: forgetting general form: 0 against the base's 1" in result.reasons[0]
    assert champion(project).version == "1"

    careless = project.parts(*LOCAL, WEIGHTS, "gate.guards.forgetting=null")
    other = run_turn(careless, project.world())
    assert other.turn != result.turn


OTHER_PROGRAM = """
from typing import Literal

import dspy


class Mood(dspy.Module):
    def __init__(self):
        super().__init__()
        self.mood = dspy.Predict(
            dspy.Signature(
                {
                    "message": (str, dspy.InputField()),
                    "team": (Literal["billing", "technical", "returns"], dspy.OutputField()),
                },
                "Name the desk.",
            )
        )

    def forward(self, message):
        return self.mood(message=message)


def metric(example, prediction, trace=None):
    return float(example.team == prediction.team)
"""


def test_another_programs_rows_are_asked_and_its_holdout_stays_sealed(project, kept):
    adapter = trained(project, kept)
    (project.root / "programs" / "mood.py").write_text(OTHER_PROGRAM)
    config = project.config.read_text().replace("name: tickets", "name: desk")
    config = config.replace("programs/triage.py:TicketTriage", "programs/mood.py:Mood")
    config = config.replace("programs/triage.py:metric", "programs/mood.py:metric")
    (project.root / "configs" / "desk.yaml").write_text(config)

    def good_at_home(request):
        if "Name the desk." in request.system:
            return "[[ ## team ## ]]\nreturns\n\n[[ ## completed ## ]]\n"
        return skilled(request)

    def plain(request):
        return skilled(request) if "Name the desk." in (request.system or "") else base(request)

    project.engine = Weighed({adapter.id: good_at_home}, plain=plain)
    section = "gate.guards.forgetting={programs: [configs/desk.yaml], rows: 40, general: false}"
    result = run_turn(project.parts(*LOCAL, WEIGHTS, section), project.world())
    assert result.verdict == "HOLD"
    assert "forgetting desk" in result.reasons[0]
    decision = (project.root / "mlruns" / "turns" / result.turn / "decision.md").read_text()
    assert "| forgetting desk |" in decision
    assert "forgetting general form" not in decision
    snapshots = {p.name for p in (project.root / "mlruns" / "snapshots").iterdir()}
    assert snapshots == {result.snapshot[:12]}  # nothing was written for the other program


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (["search.space.weights=[nobody]"], f"finished jobs: {JOB}; adapters: "),
        ([WEIGHTS, "model.name=fake"], "must run on a local model"),
        ([WEIGHTS, "executor=ray"], "must run in this process"),
        ([WEIGHTS, "optimizer=copro"], "searches prompts alone"),
        (
            [WEIGHTS, "search.space.model=[big]", "models={big: {name: upturn-mini}}"],
            "exclude each other",
        ),
    ],
)
def test_where_weights_cannot_run_they_are_refused(project, kept, overrides, error):
    trained(project, kept)
    project.engine = Weighed({})
    with pytest.raises(ConfigError, match=error):
        run_turn(project.parts(*LOCAL, *overrides), project.world())
    assert project.engine.calls == 0


def test_a_job_that_has_not_ended_is_no_adapter(project, kept):
    (project.root / "mlruns" / "jobs" / JOB).mkdir(parents=True)
    with pytest.raises(ConfigError, match="must have ended with an adapter") as raised:
        run_turn(project.parts(*LOCAL, WEIGHTS), project.world())
    assert raised.value.fix == f"upturn train jobs/{JOB}.yaml"
