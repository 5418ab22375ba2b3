"""Another model under the same name is found and the champion run again; the same model is not."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from dspy.lm15 import InvalidRequestError, ServerError

from tests.pipeline.conftest import Project, answer
from tests.pipeline.faults import SMALL, Faulty, champion, entries, run
from upturn.errors import ConfigError, ModelError
from upturn.ledger import EntryKind
from upturn.pipeline.canary.canaries import watch
from upturn.pipeline.progress import Silent
from upturn.pipeline.seams import World
from upturn.pipeline.turn import run_turn
from upturn.testing.engine import FakeEngine

ON = "canaries={rows: 8}"
OTHER = "[[ ## team ## ]]\nreturns\n\n[[ ## completed ## ]]\n"


def other(request: Any) -> str:
    """Another model: it reads nothing and always says the same."""
    return OTHER if "[[ ##" in request.messages[-1].text else "ok"


@dataclass
class Log:
    """What a turn said, by step."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def step(self, name: str, detail: str = "") -> None:
        self.said.append((name, detail))

    def bar(self, name: str, total: int):
        return Silent().bar(name, total)

    @property
    def canaries(self) -> str:
        return [d for n, d in self.said if n == "canaries"][-1]


def told(project: Project, *overrides: str) -> tuple[Any, str]:
    """Runs a turn with canaries; returns its result and what they said."""
    log = Log()
    world: World = replace(project.world(), progress=log)
    result = run_turn(project.parts(*SMALL, ON, *overrides), world)
    return result, log.canaries


def settled(project: Project) -> Any:
    """Turns until nothing is new: the champion is known, and the last answer stands."""
    first, said = told(project)
    assert first.verdict == "PROMOTE"
    assert said.startswith("Nothing to compare with yet")
    second, said = told(project)
    assert said.startswith("The same model as before")
    third, said = told(project)
    assert (third.turn, third.repeated) == (second.turn, True)
    return third


def test_a_model_that_changes_between_two_turns_is_found_and_the_champion_run_again(project):
    before = settled(project)
    # Demos no longer help this one: only what says what each team is for does.
    project.engine = FakeEngine(lambda r: other(r) if len(r.messages) > 3 else answer(r))
    after, said = told(project)
    assert "fake answers as another model since 2026-10-01" in said
    assert "canary rows changed, p = 0.0" in said
    assert (after.turn != before.turn, after.repeated) == (True, False)
    # The old model's answers are in the cache, and all that was said now was asked now.
    assert after.calls == project.engine.calls - 2 > 100  # but for the probes
    # The report says it before the verdict.
    assert after.n > 0
    notice = project.tracker.turn.decision.split("Read first:")[1]
    assert notice.startswith("** fake answers as another model since 2026-10-01: ")
    assert "what runs now, chosen before, is run again." in notice
    again, said = told(project)
    assert said.startswith("The same model as before")
    assert (again.turn == after.turn) is not after.promoted


def test_without_canaries_a_known_question_costs_nothing_and_ids_are_the_same(project):
    settled(project)
    calls = project.engine.calls
    result = run(project)
    with_canaries, _ = told(project)
    assert (result.repeated, result.turn) == (True, with_canaries.turn)
    assert (result.calls, with_canaries.calls) == (0, 8)
    assert project.engine.calls == calls + 8 + 1  # and a probe


@pytest.mark.parametrize("seed", range(6))
def test_a_model_that_varies_by_itself_is_not_accused(make_project, seed):
    project = make_project()
    rng = random.Random(seed)

    def noisy(request: Any) -> str:
        return other(request) if rng.random() < 0.2 else answer(request)

    parts = project.parts(ON, "gate.min_gain=0.1")
    engine = FakeEngine(noisy)
    project.engine = engine
    snapshot = parts.snapshot(project.world().clock())
    seen = [watch(parts, project.world(), snapshot, parts.program.seed, "fake@1") for _ in range(6)]
    assert {w.model_id for w in seen} == {"fake@1"}
    assert [w.totals.calls for w in seen] == [16, 8, 8, 8, 8, 8]


def test_the_server_says_that_it_is_another_model(project):
    parts = project.parts(ON)
    snapshot = parts.snapshot(project.world().clock())

    def seen(name: str) -> str:
        project.engine = Named(name)
        return watch(parts, project.world(), snapshot, parts.program.seed, "fake@1").model_id

    assert seen("m-2026-05") == seen("m-2026-05") == "fake@1"
    assert seen("m-2026-09") != "fake@1"


class Named(FakeEngine):
    """Answers the same under another name."""

    def __init__(self, name: str) -> None:
        super().__init__(answer)
        self._name = name

    def complete(self, request: Any) -> Any:
        return replace(super().complete(request), model=self._name)


def test_canaries_count_under_the_cap(project):
    result, _ = told(project, "budget.max_calls=420")
    assert result.verdict == "PROMOTE"
    assert 400 < result.calls <= 420
    assert result.calls == project.engine.calls - 2  # all but the two probes


def test_a_cap_or_an_outage_leaves_the_canaries_unjudged(project):
    snapshot = project.parts().snapshot(project.world().clock())

    def seen(*overrides: str):
        parts = project.parts(ON, *overrides)
        return watch(parts, project.world(), snapshot, parts.program.seed, "fake@1")

    seen()
    assert seen("budget.max_calls=4").totals.calls == 4
    project.engine = FakeEngine(
        answer, fail=lambda r: ServerError("down") if "[[ ##" in r.messages[-1].text else None
    )
    assert seen().model_id == "fake@1"
    project.engine = FakeEngine(other)
    assert seen().model_id != "fake@1"


def test_a_model_that_is_gone_is_said_and_promotes_nothing(project):
    assert run(project).verdict == "PROMOTE"
    version, looks = champion(project), entries(project).count(EntryKind.LOOK)
    project.engine = FakeEngine(answer, fail=lambda r: InvalidRequestError("no such model"))
    for turn in (told, run):
        with pytest.raises(ModelError, match="no such model"):
            turn(project)
    assert champion(project) == version
    assert entries(project).count(EntryKind.LOOK) == looks


def test_a_local_model_has_no_canaries(project):
    parts = project.parts(ON, "model.name=upturn-mini")
    world = project.world()
    snapshot = parts.snapshot(world.clock())
    assert watch(parts, world, snapshot, parts.program.seed, "mini@1").totals.calls == 0


def test_a_cluster_is_refused_once_the_model_changed(project):
    snapshot = project.parts().snapshot(project.world().clock())

    def seen(*overrides: str) -> str:
        parts = project.parts(*overrides)
        return watch(parts, project.world(), snapshot, parts.program.seed, "fake@1").model_id

    assert seen("executor=ray") == seen(ON) == "fake@1"
    project.engine = FakeEngine(other)
    # Without canaries, too, the model is known to be another one.
    assert seen(ON) == seen() != "fake@1"
    with pytest.raises(ConfigError, match="with executor: ray"):
        seen("executor=ray")


def test_two_programs_on_one_model_find_its_change_once(project):
    snapshot = project.parts().snapshot(project.world().clock())

    def seen(name: str):
        parts = project.parts(ON, f"name={name}")
        return watch(parts, project.world(), snapshot, parts.program.seed, "fake@1")

    assert seen("a").model_id == seen("b").model_id == "fake@1"
    project.engine = FakeEngine(other)
    found = seen("a")
    assert found.model_id != "fake@1"
    # The second has answers of the epoch before, and does not take them for the same model's.
    for _ in range(2):
        met = seen("b")
        assert (met.model_id, met.notices) == (found.model_id, found.notices)
    assert len(found.notices) == 1


def test_the_notice_is_given_until_another_champion_is_chosen(project):
    snapshot = project.parts().snapshot(project.world().clock())
    parts = project.parts(ON)
    seed = parts.program.seed
    later = replace(seed, settings={"temperature": 0.5})

    def seen(champion):
        return watch(parts, project.world(), snapshot, champion, "fake@1")

    seen(seed)
    project.engine = FakeEngine(other)
    assert len(seen(seed).notices) == len(seen(seed).notices) == 1
    now = seen(later)
    assert (now.notices, now.model_id) == ((), seen(seed).model_id)


def test_what_a_turn_has_spent_counts_under_its_cap(project):
    snapshot = project.parts().snapshot(project.world().clock())
    parts = project.parts(ON, "budget.max_calls=500")

    def calls(before: int) -> int:
        start = parts.program.seed
        seen = watch(parts, project.world(), snapshot, start, "fake@1", before=(before, 0.0))
        return seen.totals.calls

    assert (calls(500), calls(497), calls(0)) == (0, 3, 16)


def test_canaries_of_a_resumed_turn_are_all_counted(project):
    faulty = Faulty(fail=lambda k, n, answered: ServerError("down") if answered >= 150 else None)
    project.engine = faulty.engine()
    stopped, _ = told(project, "budget.max_calls=500")
    assert (stopped.verdict, stopped.calls) == ("INCONCLUSIVE", 150)
    faulty.fail = lambda k, n, answered: None
    resumed, _ = told(project, "budget.max_calls=500")
    assert resumed.turn == stopped.turn
    assert stopped.calls + resumed.calls == faulty.paid.total() <= 500
