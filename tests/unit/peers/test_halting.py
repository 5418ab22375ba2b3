"""An outage or a cap ends an optimizer; it never becomes a score of zero."""

import threading
from dataclasses import replace

import dspy
import pytest
from dspy.lm15 import TransportError

from tests.unit.peers.conftest import Desk, answer, run
from upturn.errors import BudgetExceededError, MetricError, OutageError, UpturnError
from upturn.lm import Caps
from upturn.peers import PEERS
from upturn.peers.halt import Halt, Switch
from upturn.peers.model import PeerModel
from upturn.peers.observe import observe
from upturn.testing.engine import FakeEngine

REASON = "the rest is set aside for the gate"


def refuse_after(calls: int):
    """A ``may_go_on`` that allows so many calls."""
    lock, left = threading.Lock(), [calls]

    def may_go_on() -> str:
        with lock:
            left[0] -= 1
            return "" if left[0] >= 0 else REASON

    return may_go_on


def failing_after(calls: int) -> FakeEngine:
    """Answers so many calls; then the model is gone."""
    lock, left = threading.Lock(), [calls]

    def fail(request) -> Exception | None:
        with lock:
            left[0] -= 1
            return TransportError("gone") if left[0] < 0 else None

    return FakeEngine(answer, fail=fail)


@pytest.mark.parametrize("name", sorted(PEERS))
def test_a_refusal_ends_the_run_with_what_it_has(desk, name):
    allowed = {"simba": 6 * 24 + 60}.get(name, 80)
    result, _ = run(desk, name, may_go_on=refuse_after(allowed))
    assert result.stopped == REASON
    assert result.trials
    assert not any("the choice of" in t.reason for t in result.trials)
    rows = [r for t in result.trials for r in t.evaluation.rows]
    assert {r.failure for r in rows} == {None}
    # Every row that was recorded says what it says when nothing ends the run.
    with desk.open() as (ground, evaluator):
        trial = result.trials[-1]
        ids = {r.example_id for r in trial.evaluation.rows}
        again = evaluator.evaluate(
            trial.candidate, [e for e in (*ground.train, *ground.searched) if e.id in ids]
        )
        assert ground.meter.totals().calls == 0
    assert [r.score for r in again.rows] == [r.score for r in trial.evaluation.rows]


@pytest.mark.parametrize("name", sorted(PEERS))
def test_an_outage_in_mid_run_is_not_learned_from(desk, name):
    desk.engine = failing_after(40)
    with pytest.raises(OutageError, match="could not be reached"):
        run(desk, name)


def test_after_an_outage_the_same_run_goes_on_where_it_was(desk, tmp_path):
    whole, needed = run(Desk(folder=tmp_path / "other"), "mipro")
    desk.engine = failing_after(40)
    with pytest.raises(OutageError):
        run(desk, "mipro")
    desk.engine = FakeEngine(answer)
    result, paid = run(desk, "mipro")
    assert paid == needed - 40
    assert [t.estimate for t in result.trials] == [t.estimate for t in whole.trials]


def test_a_cap_before_the_first_judged_row_is_an_error(desk):
    desk.caps = Caps(max_calls=1)
    with pytest.raises(BudgetExceededError, match="calls must stay below the cap of 1"):
        run(desk, "mipro")


def test_a_metric_that_raises_is_its_authors_error(desk):
    def broken(example, prediction):
        raise KeyError("oops")

    desk.metric = replace(desk.metric, function=broken)
    with pytest.raises(MetricError, match="KeyError: 'oops'"):
        run(desk, "bootstrap_random_search")


def test_an_interrupt_goes_through(desk):
    def interrupted(example, prediction):
        raise KeyboardInterrupt

    desk.metric = replace(desk.metric, function=interrupted)
    desk.rules = replace(desk.rules, concurrency=1)
    with desk.open() as (ground, _):
        with pytest.raises(KeyboardInterrupt):
            observe(PEERS["mipro"], ground, rules=desk.rules)
        assert ground.meter.totals().calls == 1


def test_an_optimizer_that_fails_at_once_is_an_error_with_a_way_out(desk):
    desk.train = []
    with pytest.raises(UpturnError, match="mipro must come to its end, got ValueError") as caught:
        run(desk, "mipro")
    assert "optimizer: upturn" in str(caught.value)


def test_an_optimizer_that_fails_late_leaves_what_it_judged(desk):
    # Only the later rounds of COPRO show attempts.
    def answers(request):
        return "hm" if "attempted_instructions" in str(request.system) else answer(request)

    desk.engine = FakeEngine(answers)
    result, _ = run(desk, "copro")
    assert result.stopped.startswith("copro must come to its end, got AdapterParseError")
    assert result.finalists


def test_nothing_of_dspy_catches_a_halt():
    from dspy.evaluate import Evaluate

    class Halting(dspy.Module):
        def forward(self, x):
            raise Halt(UpturnError("enough"))

    row = dspy.Example(x=1).with_inputs("x")
    for threads in (1, 3):
        evaluate = Evaluate(devset=[row] * 9, metric=lambda e, p: 1.0, num_threads=threads)
        with pytest.raises(Halt, match="enough"):
            evaluate(Halting())
        with pytest.raises(Halt, match="enough"):
            dspy.Parallel(num_threads=threads, disable_progress_bar=True)([(Halting(), row)] * 9)


def test_a_switch_waits_for_the_calls_in_flight_and_admits_no_other():
    switch, entered, leave = Switch(), threading.Event(), threading.Event()

    def call():
        with switch.call():
            entered.set()
            leave.wait()

    caller = threading.Thread(target=call)
    caller.start()
    entered.wait()
    first = switch.off(OutageError("first"))
    assert switch.off(OutageError("second")).error is first.error
    with pytest.raises(Halt, match="first"), switch.call():
        pytest.fail("no call is admitted")
    waiter = threading.Thread(target=switch.wait)
    waiter.start()
    assert caller.is_alive()
    leave.set()
    waiter.join()
    caller.join()
    switch.wait()


def test_samples_are_asked_for_and_kept_apart(desk):
    told = []
    desk.engine = FakeEngine(lambda r: str(told.append(1) or len(told)))
    for expected in (5, 0):
        with desk.open() as (ground, _):
            model = PeerModel(ground.connection, Switch(), "prompt")
            warm = model.copy(temperature=1.0)
            assert model("hello") == ["1"]
            assert warm("hello", n=3) == ["2", "3", "4"]
            assert warm.copy(rollout_id=9)("hello") == ["5"]
            assert warm.copy(rollout_id=9)("hello") == ["5"]
            assert ground.meter.totals().calls == expected
