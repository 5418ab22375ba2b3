"""Metrics that are constant, random, slow or broken, and prompts that are too long."""

import itertools
import threading
import time
from concurrent.futures import CancelledError

import pytest
from dspy.lm15 import ContextLengthError

from tests.unit.evaluating import bench, example
from upturn.errors import MetricError
from upturn.evaluate.crew import Crew
from upturn.records import Candidate, FailureKind, Outcome, PromptState

ROWS = [example(t) for t in "abcdef"]


@pytest.mark.parametrize(("value", "score"), [(0, 0.0), (True, 1.0), (0.25, 0.25)])
def test_a_constant_metric_scores_every_row_alike(tmp_path, value, score):
    with bench(tmp_path, metric=lambda e, p: value) as b:
        done = b.evaluator.evaluate(b.candidate(), ROWS)
    assert {r.score for r in done.rows} == {score}


def test_a_metric_that_changes_its_mind_is_asked_once_a_row(tmp_path):
    drawn = itertools.count()
    with bench(tmp_path, metric=lambda e, p: 1 / (1 + next(drawn)), concurrency=1) as b:
        first = b.evaluator.evaluate(b.candidate(), ROWS)
        assert b.evaluator.evaluate(b.candidate(), ROWS[::-1]).rows == first.rows[::-1]
    assert [r.score for r in first.rows] == [1 / n for n in range(1, 7)]


def test_a_slow_metric_holds_up_no_other_row(tmp_path):
    others = threading.Event()

    def metric(example, prediction):
        if example.text == "a":
            return others.wait(timeout=60)
        if example.text == "f":
            others.set()
        return True

    with bench(tmp_path, metric=metric, concurrency=2) as b:
        assert b.evaluator.evaluate(b.candidate(), ROWS).score == 1.0


def test_a_metric_that_raises_on_one_row_ends_the_turn_and_names_the_row(tmp_path):
    def metric(example, prediction):
        return 1 / (example.text != "c")

    with bench(tmp_path, metric=metric, concurrency=1) as b:
        with pytest.raises(MetricError, match=r"raised ZeroDivisionError.*\(row c\)") as caught:
            b.evaluator.evaluate(b.candidate(), ROWS)
        assert b.engines[""].calls == 3, "rows that had not begun are dropped"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", ["1", [1.0], 1.5, -0.1, float("nan"), {"right": 1}, object()])
def test_what_is_no_score_ends_the_turn(tmp_path, value):
    with (
        bench(tmp_path, metric=lambda e, p: value) as b,
        pytest.raises(MetricError, match="must return a finite number in"),
    ):
        b.evaluator.evaluate(b.candidate(), ROWS[:1])


def test_a_prompt_longer_than_the_context_is_the_candidates_own_failure(tmp_path):
    def fail(request):
        long = len(request.messages) > 3
        return ContextLengthError("600 tokens do not fit 512") if long else None

    demos = tuple({"text": str(i), "word": "w"} for i in range(20))
    with bench(tmp_path, fail=fail) as b:
        long = Candidate(states={"say": PromptState(instruction="Say.", demos=demos)})
        done = b.evaluator.evaluate(long, ROWS)
        short = b.evaluator.evaluate(b.candidate(), ROWS)
    assert (done.score, short.score) == (0.0, 1.0), "no outage: the turn goes on"
    row = done.rows[0]
    assert (row.outcome, row.failure, row.value) == (Outcome.FAILED, FailureKind.PROGRAM, 0.0)
    assert row.message.startswith(
        f"the candidate's prompt ({long.prompt_chars} characters of instruction and demos) and the "
        "row must fit the model's context: ContextWindowExceededError"
    )
    assert "600 tokens do not fit 512" in row.message


def test_a_crew_returns_results_in_order_and_the_first_error():
    crew = Crew(3)
    assert crew.run([lambda i=i: i * i for i in range(50)]) == [i * i for i in range(50)]
    assert crew.run([]) == []
    late = threading.Event()

    def first():
        late.wait(timeout=60)
        raise ValueError("first")

    def second():
        late.set()
        raise KeyError("second")

    with pytest.raises(ValueError, match="first"):
        crew.run([first, second])
    crew.close()


def test_a_closed_crew_finishes_what_it_began_and_says_that_it_dropped_the_rest():
    crew, ended = Crew(1), []
    closer = threading.Thread(target=crew.close)

    def job():
        closer.start()
        while not crew.closed:
            time.sleep(0.001)
        ended.append(1)

    with pytest.raises(CancelledError, match="before all rows had begun"):
        crew.run([job] * 3)
    closer.join()
    assert ended == [1]
