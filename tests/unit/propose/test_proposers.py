"""Proposers: each offers what it says, from train only."""

import numpy as np
import pytest

from upturn.programs import PredictorFields, Program
from upturn.propose import PROPOSERS, Evidence
from upturn.propose.balanced import balanced_order, widest_field
from upturn.propose.contrast import contrast_words
from upturn.records import Candidate, Evaluation, Example, Outcome, PromptState, Row

SOURCE = '''
from typing import Literal

import dspy


class Route(dspy.Signature):
    """Route."""

    message: str = dspy.InputField()
    team: Literal["billing", "technical"] = dspy.OutputField()
    urgent: Literal["no", "yes"] = dspy.OutputField()


class Router(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict(Route)
'''
TEXTS = {
    "billing": [
        "refund the charge",
        "charged twice, want a refund",
        "invoice shows a wrong charge",
    ],
    "technical": ["login fails", "password and login broken", "the login page shows an error"],
}


class ScriptedEvaluator:
    """Answers every second row right; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def evaluate(self, candidate, examples):
        self.asked += [e.id for e in examples]
        rows = tuple(
            Row(example_id=e.id, group=e.group, outcome=Outcome.SCORED, score=float(i % 2))
            for i, e in enumerate(examples)
        )
        return Evaluation(candidate_id=candidate.id, rows=rows)

    def trace(self, candidate, example):
        return {"route": {**example.inputs, **example.labels}}


def examples(n, start=0):
    out = []
    for i in range(start, start + n):
        team = ("billing", "technical")[i % 2]
        text = f"{TEXTS[team][i // 2 % 3]} number {i}"
        labels = {"team": team, "urgent": "no" if i % 3 else "yes"}
        out.append(Example(id=f"e{i:03d}", inputs={"message": text}, labels=labels, group=str(i)))
    return out


@pytest.fixture
def evidence(tmp_path):
    (tmp_path / "p.py").write_text(SOURCE)
    program = Program("p.py:Router", tmp_path)
    failed = [
        (e, Row(example_id=e.id, group=e.group, outcome=Outcome.SCORED, score=0.0))
        for e in examples(6, start=500)
    ]
    return Evidence(
        program=program,
        start=program.seed,
        train=examples(60),
        failures=failed,
        evaluator=ScriptedEvaluator(),
        max_demos=8,
        seed=3,
    )


@pytest.mark.parametrize("name", PROPOSERS)
def test_every_proposer_keeps_the_contract(evidence, name):
    proposer = PROPOSERS[name]()
    assert proposer.name == name
    found = list(proposer.propose(evidence))
    assert found
    train = {e.id for e in evidence.train}
    for p in found:
        assert p.predictor == "route"
        assert (p.instruction is None) != (p.demos is None)
        assert set(p.example_ids) <= train
        assert p.origin.split(":")[0] in (name, "seed", "champion", "no-demos")
        assert len(p.demos or ()) <= 8
        for demo in p.demos or ():
            assert set(demo) == {"message", "team", "urgent"}
    again = list(PROPOSERS[name]().propose(evidence))
    assert again == found


def test_the_seed_is_always_offered_with_and_without_demos(evidence):
    champion = Candidate(states={"route": PromptState(instruction="Better.", demos=({"a": 1},))})
    evidence = Evidence(**{**vars(evidence), "start": champion})
    found = list(PROPOSERS["seed"]().propose(evidence))
    assert {p.instruction for p in found} == {"Route.", "Better.", None}
    assert () in [p.demos for p in found]
    assert ({"a": 1},) in [p.demos for p in found]


def test_contrast_words_tell_labels_apart():
    words = contrast_words(examples(60), "team")
    assert words["billing"][0] in {"refund", "charge", "charged"}
    assert words["technical"][0] == "login"
    assert not set(words["billing"]) & set(words["technical"])
    assert "number" not in words["billing"][:3]


def test_contrast_needs_two_labels():
    assert contrast_words([e for e in examples(20) if e.labels["team"] == "billing"], "team") == {}


def test_definitions_are_one_line_a_label(evidence):
    found = [p for p in PROPOSERS["contrast"]().propose(evidence) if "definitions-team" in p.origin]
    assert [len(p.instruction.splitlines()) for p in found] == [3, 3, 3]
    assert found[0].instruction.splitlines()[1].startswith("billing: ")
    assert len(found[0].instruction.splitlines()[1].split(", ")) == 3


def test_balanced_sets_hold_every_label_alike(evidence):
    for p in PROPOSERS["balanced"]().propose(evidence):
        counts = [sum(d["team"] == t for d in p.demos) for t in ("billing", "technical")]
        assert abs(counts[0] - counts[1]) <= 1


def test_balanced_order_covers_each_issue_first():
    rows = examples(60)
    order = balanced_order(rows, "team", 6, np.random.default_rng(0))
    issues = {e.inputs["message"].split(" number")[0] for e in order}
    assert issues == {t for texts in TEXTS.values() for t in texts}


def test_the_balanced_field_is_the_one_with_most_labels():
    fields = PredictorFields(
        inputs=("m",), outputs={"a": ("x", "y"), "b": ("x", "y", "z"), "c": None}
    )
    assert widest_field(fields) == "b"
    assert widest_field(PredictorFields(inputs=("m",), outputs={"c": None})) is None


def test_nearest_takes_rows_of_the_failed_label(evidence):
    wrong = [f for f in evidence.failures if f[0].labels == {"team": "billing", "urgent": "yes"}]
    evidence = Evidence(**{**vars(evidence), "failures": wrong})
    first = min(PROPOSERS["nearest"]().propose(evidence), key=lambda p: len(p.demos))
    assert first.demos[0]["team"] == "billing"
    assert first.demos[0]["urgent"] == "yes"
    none = Evidence(**{**vars(evidence), "failures": []})
    assert list(PROPOSERS["nearest"]().propose(none)) == []


def test_bootstrapped_keeps_only_what_scored_full(evidence):
    found = list(PROPOSERS["bootstrapped"]().propose(evidence))
    asked = evidence.evaluator.asked
    right = {i for k, i in enumerate(asked) if k % 2}
    assert {i for p in found for i in p.example_ids} <= right
    assert len(asked) == evidence.bootstrap_rows


def test_long_rows_make_no_demos(evidence):
    evidence = Evidence(**{**vars(evidence), "max_demo_chars": 22})
    demos = [d for p in PROPOSERS["labelled"]().propose(evidence) for d in p.demos]
    assert demos
    assert all(len(d["message"]) <= 22 for d in demos)
