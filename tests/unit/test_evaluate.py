"""Every row ends scored, unscored or failed, with what it cost; nothing is run twice."""

import pytest
from dspy.lm15 import ServerError

from upturn.errors import BudgetExceededError, MetricError, OutageError
from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, Caps, Meter, ModelSpec
from upturn.lm.connect import connect_engine
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.records import Example, FailureKind, Outcome
from upturn.testing.engine import FakeEngine

PROGRAM = """
import dspy


class Echo(dspy.Module):
    def __init__(self):
        super().__init__()
        self.say = dspy.Predict("text -> word")

    def forward(self, text):
        if text == "boom":
            raise ValueError("the program's own fault")
        return self.say(text=text)
"""


def example(text, label="yes"):
    return Example(id=text, inputs={"text": text}, labels={"word": label}, group=f"g-{text}")


def equal(example, prediction):
    return None if example.word == "?" else example.word == prediction.word


@pytest.fixture
def make(tmp_path):
    (tmp_path / "p.py").write_text(PROGRAM)
    caches = []

    def build(answer="[[ ## word ## ]]\nyes\n", *, fail=lambda r: None, caps=None, metric=equal):
        engine = FakeEngine(answer if callable(answer) else lambda r: answer, fail=fail)
        cache = AnswerCache(tmp_path / "cache.db")
        caches.append(cache)
        meter = Meter(caps)
        spec = ModelSpec(model="fake", usd_per_million_input=1e6, usd_per_million_output=0.0)
        connection = connect_engine(engine, model_id="fake@1", cache=cache, meter=meter, spec=spec)
        program = Program("p.py:Echo", tmp_path)
        evaluator = Evaluator(program, Metric(function=metric, name="m"), connection, meter)
        return evaluator, program.seed, engine

    yield build
    for cache in caches:
        cache.close()


def test_rows_come_back_in_order_with_their_outcome(make):
    evaluator, seed, _ = make()
    rows = evaluator.evaluate(seed, [example("a"), example("b", "no"), example("c", "?")]).rows
    assert [r.example_id for r in rows] == ["a", "b", "c"]
    assert [r.score for r in rows] == [1.0, 0.0, None]
    assert rows[2].outcome is Outcome.UNSCORED
    assert rows[0].outputs == {"word": "yes"}
    assert rows[0].group == "g-a"


def test_a_row_knows_what_it_cost(make):
    evaluator, seed, _ = make()
    row = evaluator.evaluate(seed, [example("a")]).rows[0]
    assert (row.calls, row.cached_calls) == (1, 0)
    assert row.cost_usd == pytest.approx(row.input_tokens)
    assert row.input_tokens > 10


def test_a_row_is_run_once_and_another_process_pays_nothing(make):
    evaluator, seed, engine = make()
    rows = [example("a"), example("b")]
    assert evaluator.evaluate(seed, rows) == evaluator.evaluate(seed, rows)
    assert engine.calls == 2
    other, seed, engine = make()
    again = other.evaluate(seed, rows).rows
    assert engine.calls == 0
    assert [r.cached_calls for r in again] == [1, 1]
    assert again[0].score == 1.0


def test_an_answer_in_a_broken_format_is_a_failure_of_the_programs_own(make):
    evaluator, seed, _ = make("no field at all")
    row = evaluator.evaluate(seed, [example("a")]).rows[0]
    assert (row.outcome, row.failure, row.score, row.value) == (
        Outcome.FAILED,
        FailureKind.FORMAT,
        None,
        0.0,
    )
    assert "AdapterParseError" in row.message


def test_an_exception_in_the_program_is_a_failed_row(make):
    evaluator, seed, _ = make()
    result = evaluator.evaluate(seed, [example("boom"), example("a")])
    assert [r.failure for r in result.rows] == [FailureKind.PROGRAM, None]
    assert result.score == 0.5


def test_a_few_outages_are_rows_and_are_asked_again(make):
    down = {"b"}

    def fail(request):
        text = request.messages[-1].text
        return ServerError("down") if any(f"\n{d}\n" in text for d in down) else None

    evaluator, seed, _ = make(fail=fail)
    rows = [example(t) for t in "abcd"]
    first = evaluator.evaluate(seed, rows)
    assert first.failures(FailureKind.OUTAGE) == 1
    assert first.score == 1.0
    down.clear()
    assert evaluator.evaluate(seed, rows).failures() == 0


def test_when_half_is_lost_the_turn_stops(make):
    evaluator, seed, _ = make(fail=lambda r: ServerError("down"))
    with pytest.raises(OutageError, match="2 of 2 rows could not reach the model"):
        evaluator.evaluate(seed, [example("a"), example("b")])
    tolerant = evaluator.evaluate(seed, [example("a")], tolerant=True)
    assert tolerant.rows[0].failure is FailureKind.OUTAGE
    assert tolerant.score is None


def test_a_cap_holds_and_is_told(make):
    evaluator, seed, engine = make(caps=Caps(max_calls=3))
    with pytest.raises(BudgetExceededError, match="cap of 3"):
        evaluator.evaluate(seed, [example(t) for t in "abcdefgh"])
    assert engine.calls == 3


def test_a_broken_metric_stops_everything(make):
    evaluator, seed, _ = make(metric=lambda e, p: "good")
    with pytest.raises(MetricError, match="got 'good'"):
        evaluator.evaluate(seed, [example("a")])


def test_a_trace_names_what_each_predictor_read_and_wrote(make):
    evaluator, seed, engine = make()
    evaluator.evaluate(seed, [example("a")])
    assert evaluator.trace(seed, example("a")) == {"say": {"text": "a", "word": "yes"}}
    assert engine.calls == 1
