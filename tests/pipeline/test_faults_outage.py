"""Calls that fail, hang or answer garbage: no broken promotion, nothing paid for twice."""

from dataclasses import replace

from dspy.lm15 import AuthError, ServerError, TimeoutError, TransportError

from tests.pipeline.conftest import answer
from tests.pipeline.faults import SMALL, Faulty, champion, entries, run, share
from upturn.ledger import EntryKind
from upturn.pipeline.progress import Silent
from upturn.pipeline.turn import run_turn
from upturn.testing.engine import FakeEngine
from upturn.tracking import TurnStatus

LOST = (ServerError, TimeoutError, TransportError)


def test_while_a_third_of_the_calls_fail_there_is_no_verdict_and_then_there_is(project):
    def flaky(key, attempt, answered):
        # Down, hanging or cut off; an attempt at the same request in another night may pass.
        luck = share(key, salt=str(attempt))
        return LOST[int(luck * 10)]("lost") if luck < 0.3 else None

    faulty = Faulty(fail=flaky)
    project.engine = faulty.engine()
    for _ in range(2):
        result = run(project)
        assert result.verdict == "INCONCLUSIVE"
        assert "could not reach" in result.reasons[0] or "lost to outages" in result.reasons[0]
        assert champion(project) == "1"

    faulty.fail = lambda key, attempt, answered: None
    result = run(project)
    assert result.verdict == "PROMOTE"
    assert result.low > 0
    assert faulty.paid_twice == []
    assert entries(project).count(EntryKind.LOOK) == result.looks == 1


def test_garbage_in_a_third_of_the_answers_is_a_wrong_answer_and_breaks_the_guard(project):
    faulty = Faulty(say=lambda r, key: "%%%" if share(key) < 0.3 else answer(r))
    project.engine = faulty.engine()
    result = run(project)
    # More than a fifth of the answers cannot be read: such a program is not released.
    assert result.verdict == "HOLD"
    assert any("failure" in reason for reason in result.reasons)
    assert result.challenger_score > result.baseline_score
    assert champion(project) == "1"


def test_an_outage_in_mid_run_is_gone_on_from_and_pays_once(project):
    faulty = Faulty(
        fail=lambda key, attempt, answered: ServerError("down") if answered >= 150 else None
    )
    project.engine = faulty.engine()
    stopped = run(project)
    assert stopped.verdict == "INCONCLUSIVE"
    assert "could not reach the model" in stopped.reasons[0]
    assert (stopped.calls, stopped.promoted, champion(project)) == (150, False, "1")
    assert EntryKind.LOOK not in entries(project)

    faulty.fail = lambda key, attempt, answered: None
    resumed = run(project)
    assert (resumed.verdict, resumed.turn) == ("PROMOTE", stopped.turn)
    assert stopped.calls + resumed.calls == faulty.paid.total()
    assert faulty.paid_twice == []


def test_a_key_that_is_revoked_in_mid_run_stops_the_turn_and_says_so(project):
    faulty = Faulty(
        fail=lambda key, attempt, answered: AuthError("key revoked") if answered >= 120 else None
    )
    project.engine = faulty.engine()
    stopped = run(project)
    assert stopped.verdict == "INCONCLUSIVE"
    assert "key revoked" in stopped.reasons[0]
    assert stopped.calls == 120
    assert project.tracker.turn.status is TurnStatus.FAILED

    faulty.fail = lambda key, attempt, answered: None
    assert run(project).verdict == "PROMOTE"
    assert faulty.paid_twice == []


def test_a_champion_that_cannot_run_today_is_no_verdict_and_its_look_is_kept(project):
    steps: list[str] = []

    class Steps(Silent):
        def step(self, name, detail=""):
            steps.append(name)

    def down(request):
        # The program as written has no demos; while the gate is open, nobody answers it.
        gone = (
            "gate" in steps and len(request.messages) == 1 and "[[ ##" in request.messages[0].text
        )
        return ServerError("down") if gone else None

    project.engine = FakeEngine(answer, fail=down)
    world = replace(project.world(), progress=Steps())
    result = run_turn(project.parts(*SMALL), world)
    assert (result.verdict, result.promoted, champion(project)) == ("INCONCLUSIVE", False, "1")
    assert "were lost to outages" in " ".join(result.reasons)
    assert entries(project).count(EntryKind.LOOK) == 1

    project.engine = FakeEngine(answer)
    resumed = run(project)
    assert (resumed.verdict, resumed.turn, resumed.looks) == ("PROMOTE", result.turn, 1)
