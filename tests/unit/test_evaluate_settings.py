"""Settings change how rows are run, and which answer they get; several candidates run at once."""

import threading
from dataclasses import replace

import dspy
import pytest
from dspy.lm15 import ServerError

from tests.unit.evaluating import CHAT, bench, example
from upturn.errors import BudgetExceededError, ConfigError, OutageError, ProgramError
from upturn.lm import Caps
from upturn.records import Candidate, FailureKind, PromptState

JSON, XML = '{"word": "yes"}', "<word>yes</word>"
THOUGHT = "[[ ## reasoning ## ]]\nbecause\n\n[[ ## word ## ]]\nyes\n"


def test_temperature_reaches_the_model_and_the_key(tmp_path):
    asked = []

    def answer(request):
        asked.append(request.config.temperature)
        return CHAT

    with bench(tmp_path, answer) as b:
        for settings in ({}, {"temperature": 0.7}, {"temperature": 0.0}, {"temperature": 0.7}):
            row = b.evaluator.evaluate(b.candidate(**settings), [example("a")]).rows[0]
            assert row.score == 1.0
    assert asked == [0.0, 0.7], "0.0 is what the config has: the same question"


@pytest.mark.parametrize(
    ("name", "right", "wrong"), [("chat", CHAT, JSON), ("json", JSON, CHAT), ("xml", XML, CHAT)]
)
def test_the_adapter_writes_the_prompt_and_reads_the_answer(tmp_path, name, right, wrong):
    asked = []

    def answer(request):
        asked.append(request)
        return wrong if "wrong" in request.messages[-1].text else right

    with bench(tmp_path, answer) as b:
        candidate = b.candidate(adapter=name)
        rows = b.evaluator.evaluate(candidate, [example("a"), example("wrong")]).rows
        written = b.program.messages(candidate, {"text": "a"})
    assert [r.failure for r in rows] == [None, FailureKind.FORMAT]
    assert [r.calls for r in rows] == [1, 1], "no second call in another format"
    first = next(r for r in asked if "wrong" not in r.messages[-1].text)
    assert [first.system, first.messages[0].text] == [m["content"] for m in written]
    assert first.config.response_format is None


def test_cot_reasons_first_and_keeps_the_candidates_names(tmp_path):
    with bench(tmp_path, lambda r: THOUGHT) as b:
        candidate = b.candidate(module="cot")
        assert b.evaluator.evaluate(candidate, [example("a")]).rows[0].outputs == {"word": "yes"}
        steps = b.evaluator.trace(candidate, example("a"))
        assert steps == {"say": {"text": "a", "reasoning": "because", "word": "yes"}}
        assert b.engines[""].calls == 1
        plain = b.evaluator.evaluate(b.candidate(), [example("a")]).rows[0]
        assert (plain.score, b.engines[""].calls) == (1.0, 2)


def test_a_model_is_found_by_its_name(tmp_path):
    with bench(tmp_path, models=("big", "small")) as b:
        rows = [example("a"), example("b")]
        big = b.evaluator.evaluate(b.candidate(model="big", temperature=0.5), rows)
        assert big.score == 1.0
        assert [r.calls for r in big.rows] == [1, 1]
        assert all(r.cost_usd == r.input_tokens > 0 for r in big.rows)
        assert {n: e.calls for n, e in b.engines.items()} == {"": 0, "big": 2, "small": 0}
        assert b.meter.totals().calls == 2
        with pytest.raises(ConfigError, match="must be one of big, small, got 'huge'") as caught:
            b.evaluator.evaluate(b.candidate(model="huge"), rows)
        assert caught.value.fix == "add huge under `models` in the config"


def work(b):
    rows = [example(t) for t in "abcd"]
    return [
        (b.candidate("One."), rows[:3]),
        (b.candidate("Two.", adapter="json"), rows[::-1]),
        (b.candidate("One."), rows[2:]),
        (b.candidate("Three."), []),
    ]


def answer_by_instruction(request):
    if "Two." in request.system:
        return JSON if "\nb\n" not in request.messages[-1].text else '{"word": "no"}'
    return CHAT


def test_all_at_once_gives_what_one_after_the_other_gives(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    with bench(tmp_path / "1", answer_by_instruction) as b:
        together = b.evaluator.evaluate_all(work(b))
        calls = b.engines[""].calls
        assert b.evaluator.evaluate_all(work(b)) == together
        assert b.engines[""].calls == calls == 8, "c is asked once for One."
    with bench(tmp_path / "2", answer_by_instruction) as b:
        single = [b.evaluator.evaluate(c, rows) for c, rows in work(b)]

    def timeless(evaluations):
        return [[replace(r, latency_s=0.0) for r in e.rows] for e in evaluations]

    assert timeless(together) == timeless(single)
    assert [e.candidate_id for e in together] == [e.candidate_id for e in single]
    assert [e.score for e in together] == [1.0, 0.75, 1.0, None]


def test_rows_of_all_candidates_are_in_flight_together(tmp_path):
    met = threading.Barrier(4, timeout=60)

    def answer(request):
        met.wait()
        return CHAT

    with bench(tmp_path, answer, concurrency=4) as b:
        done = b.evaluator.evaluate_all(
            [(b.candidate(i), [example("a"), example("b")]) for i in ("One.", "Two.")]
        )
    assert [e.score for e in done] == [1.0, 1.0]


def test_an_outage_of_one_candidate_is_not_diluted_by_the_others(tmp_path):
    def fail(request):
        return ServerError("down") if "Two." in request.system else None

    with bench(tmp_path, fail=fail) as b:
        rows = [example(t) for t in "abcd"]
        some = [(b.candidate("One."), rows), (b.candidate("Two."), rows[:2])]
        with pytest.raises(OutageError, match="2 of 2 rows could not reach the model"):
            b.evaluator.evaluate_all(some)
        calls = b.engines[""].calls
        assert b.evaluator.evaluate(b.candidate("One."), rows).score == 1.0
        assert b.engines[""].calls == calls, "what was answered is known"
        first, second = b.evaluator.evaluate_all(some, tolerant=True)
    assert (first.score, second.score) == (1.0, None)
    assert second.failures(FailureKind.OUTAGE) == 2


def test_a_cap_lets_the_first_candidates_finish(tmp_path):
    with bench(tmp_path, caps=Caps(max_calls=3), concurrency=1) as b:
        rows = [example("a"), example("b")]
        with pytest.raises(BudgetExceededError, match="cap of 3"):
            b.evaluator.evaluate_all([(b.candidate("One."), rows), (b.candidate("Two."), rows)])
        assert b.engines[""].calls == 3
        assert b.evaluator.evaluate(b.candidate("One."), rows).score == 1.0


def test_a_candidate_that_does_not_fit_is_refused_before_a_row_runs(tmp_path):
    with bench(tmp_path) as b:
        other = Candidate(states={"other": PromptState(instruction="x")})
        with pytest.raises(ProgramError, match=r"the candidate sets \['other'\]"):
            b.evaluator.evaluate_all([(b.candidate(), [example("a")]), (other, [example("a")])])
        assert b.engines[""].calls == 0


def test_a_row_leaves_no_trace_in_dspys_history(tmp_path):
    before = len(dspy.clients.base_lm.GLOBAL_HISTORY)
    with bench(tmp_path) as b:
        b.evaluator.evaluate(b.candidate(), [example("a")])
    assert len(dspy.clients.base_lm.GLOBAL_HISTORY) == before
