"""Turns whose gate looks in stages: one look, fewer calls, the same answer after a kill."""

from __future__ import annotations

import pytest

from tests.pipeline.conftest import answer
from upturn.errors import ConfigError
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.turn import run_turn
from upturn.testing.engine import FakeEngine

STAGES = ("gate.design=group_sequential", "gate.design_settings.spending=pocock")


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


def looks(project):
    entries = Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: None).entries()
    return [e.data["alpha"] for e in entries if e.kind is EntryKind.LOOK]


def reset(project):
    for path in sorted((project.root / "mlruns").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    project.tracker, project.registry = type(project.tracker)(), type(project.registry)()


def test_a_turn_in_stages_saves_calls_and_goes_on_after_a_kill(project):
    whole = run_turn(project.parts(), project.world())
    reset(project)
    staged = run_turn(project.parts(*STAGES), project.world())
    assert (whole.verdict, staged.verdict) == ("PROMOTE", "PROMOTE")
    assert staged.n < whole.n
    # The rest of the holdout was asked of nobody, on either side.
    assert staged.calls == whole.calls - 2 * (whole.n - staged.n)
    assert looks(project) == [0.025]
    told = (project.root / "mlruns" / "turns" / staged.turn / "decision.md").read_text()
    saved = whole.n - staged.n
    assert f"{saved} of {whole.n} rows and {2 * saved} calls saved" in told

    reset(project)
    served = []

    def dying(request):
        served.append(1)
        if len(served) > staged.calls - 5:  # inside the gate's last stage
            raise Killed
        return answer(request)

    project.engine = FakeEngine(dying)
    with pytest.raises(Killed):
        run_turn(project.parts(*STAGES), project.world())
    project.engine = FakeEngine(answer)
    resumed = run_turn(project.parts(*STAGES), project.world())
    assert (resumed.turn, resumed.verdict) == (staged.turn, staged.verdict)
    assert (resumed.effect, resumed.low, resumed.n) == (staged.effect, staged.low, staged.n)
    assert resumed.looks == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("gate.design=group_sequental", "did you mean group_sequential?"),
        ("gate.design_settings.stages=3", "design fixed has no settings; got stages"),
    ],
)
def test_a_wrong_design_is_refused_before_anything_runs(project, given, told):
    with pytest.raises(ConfigError, match=r"gate: .*" + told.replace("?", r"\?")):
        project.parts(given)
