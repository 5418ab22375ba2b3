"""Credit on a real evaluator: two steps on a scripted model that errs in one of them."""

import pytest

from tests.unit.propose.worlds import changed
from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, Meter
from upturn.lm.connect import connect_engine
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.propose import PROPOSERS, ask
from upturn.propose.credit import faults
from upturn.records import Example
from upturn.testing.engine import FakeEngine

PROGRAM = """
from typing import Literal

import dspy


class TwoSteps(dspy.Module):
    signature = dspy.Signature("message -> team")

    def __init__(self):
        super().__init__()
        self.topic = dspy.Predict('message -> topic: Literal["money", "access"]')
        self.route = dspy.Predict('topic -> team: Literal["billing", "technical"]')

    def forward(self, message):
        return self.route(topic=self.topic(message=message).topic)
"""
TEAMS = {"money": "billing", "access": "technical"}


def answer(request) -> str:
    """Takes every login for money, and money with a "!" in it breaks the format."""
    asked = request.messages[-1].text
    if "[[ ## topic ## ]]\n" in asked:
        topic = asked.split("[[ ## topic ## ]]\n")[1].split("\n")[0]
        return f"[[ ## team ## ]]\n{TEAMS[topic]}\n"
    return "what?" if "!" in asked else "[[ ## topic ## ]]\nmoney\n"


def row(name: str, message: str, topic: str) -> Example:
    labels = {"topic": topic, "team": TEAMS[topic]}
    return Example(id=name, inputs={"message": message}, labels=labels, group=name)


@pytest.fixture
def failing(evidence, tmp_path):
    """What a turn hands to proposers: the rows that the seed got wrong, and its evaluator."""
    (tmp_path / "two.py").write_text(PROGRAM)
    program = Program("two.py:TwoSteps", tmp_path)
    train = [row(f"t{i}", f"refund my charge {i}", "money") for i in range(6)]
    train += [row(f"u{i}", f"login is broken {i}", "access") for i in range(6)]
    dev = [row("a", "refund it", "money"), row("b", "no login", "access"), row("c", "!", "money")]
    engine, meter = FakeEngine(answer), Meter()
    cache = AnswerCache(tmp_path / "cache.db")
    connection = connect_engine(engine, model_id="fake@1", cache=cache, meter=meter)
    metric = Metric(function=lambda e, p: e.team == p.team, name="team")
    with Evaluator(program, metric, connection, meter) as evaluator:
        rows = evaluator.evaluate(program.seed, dev).rows
        failed = [(e, r) for e, r in zip(dev, rows, strict=True) if r.value == 0.0]
        yield changed(
            evidence,
            program=program,
            start=program.seed,
            train=train,
            searched=dev,
            failures=failed,
            evaluator=evaluator,
        )
    cache.close()


def test_the_first_step_is_to_blame_and_the_second_is_not(failing):
    found = faults(failing)
    assert [f.example.id for f in found["topic"]] == ["b", "c"]
    assert [f.example.id for f in found["route"]] == ["c"]
    assert [f.wrote for f in found["topic"]] == [{"topic": "money"}, {}]


def test_rules_and_near_demos_go_to_the_step_that_erred(failing):
    rules = ask(PROPOSERS["confusion"](), failing)
    assert {p.predictor for p in rules} == {"topic"}
    rule = " When it mentions broken or login choose access, not money."
    assert rules[0].instruction.endswith(rule)
    assert {p.predictor for p in ask(PROPOSERS["nearest"](), failing)} == {"topic"}
