"""DSPy's own weight optimizers on our jobs, offline, with the embedded model."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import dspy
import pytest

import upturn
from upturn.finetune.local_lm import LocalLM, split_model
from upturn.lm import AnswerCache, Meter
from upturn.lm.connect import connect_engine
from upturn.testing.engine import FakeEngine
from upturn.weights.adapter import find, ids

for needed in ("torch", "peft", "trl"):
    pytest.importorskip(needed, reason=f"training needs {needed}: pip install 'upturn[train]'")

pytestmark = pytest.mark.local

#: Words that decide, and codes that say nothing: no prompt alone can know them.
CODES = {"parcel": "Q4", "invoice": "Z9", "password": "V2"}
TEXTS = (
    "my {} is late", "the {} is wrong", "I cannot find my {}", "please look at this {}",
    "where do I see the {}", "somebody else has my {}",
)  # fmt: skip
STEPS = {
    "max_steps": 14,
    "learning_rate": 4e-3,
    "per_device_train_batch_size": 6,
    "lr_scheduler_type": "constant",
    "r": 8,
}


class Coded(dspy.Signature):
    """Give the code of the matter."""

    text: str = dspy.InputField()
    code: Literal["Q4", "Z9", "V2"] = dspy.OutputField()


class Program(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.classify = dspy.Predict(Coded)

    def forward(self, text: str) -> dspy.Prediction:
        return self.classify(text=text)


def metric(example: Any, prediction: Any, trace: Any = None) -> bool:
    return bool(example.code == prediction.code)


def rows() -> list[Any]:
    return [
        dspy.Example(text=t.format(word), code=code).with_inputs("text")
        for t in TEXTS
        for word, code in CODES.items()
    ]


def on(lm: Any) -> Program:
    program = Program()
    program.set_lm(lm)
    return program


def right(program: Any) -> int:
    found = 0
    for row in rows():
        try:
            found += metric(row, program(**row.inputs()))
        except dspy.utils.exceptions.AdapterParseError:
            continue
    return found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finetuned") / "mlruns"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The same program on a scripted model that knows the codes."""

    def answer(request: Any) -> str:
        text = re.findall(r"text ## \]\]\n(.*?)\n", request.messages[-1].text)[-1]
        code = next(code for word, code in CODES.items() if word in text)
        return f"[[ ## code ## ]]\n{code}\n\n[[ ## completed ## ]]"

    answers = AnswerCache(tmp_path_factory.mktemp("teacher") / "taught.db")
    with connect_engine(
        FakeEngine(answer), model_id="teacher@1", cache=answers, meter=Meter()
    ) as connection:
        yield on(connection.lm)
    answers.close()


@pytest.fixture(scope="module")
def lm(workspace: Path) -> Iterator[LocalLM]:
    made = upturn.local_lm(workspace=workspace, max_tokens=32)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def trained(lm: LocalLM, teacher: Program) -> Program:
    """What BootstrapFinetune makes of the program."""
    optimizer = dspy.BootstrapFinetune(metric=metric, train_kwargs=STEPS)
    return optimizer.compile(on(lm), trainset=rows(), teacher=teacher)


def test_bootstrap_finetune_gives_a_program_that_learned(
    lm: LocalLM, trained: Program, workspace: Path
):
    new = trained.classify.lm
    base, weights = split_model(new.model)
    assert base == lm.model
    assert weights in ids(workspace / "adapters")
    before, after = right(on(lm)), right(trained)
    assert after >= 15 > before
    card = find(workspace / "adapters", weights).card
    assert (card["source"], card["data"]) == ("dspy", {"rows": 18, "dropped": {}})
    # The base answers as before, in the same process.
    assert right(on(lm)) == before


def test_the_same_question_is_not_trained_again(
    lm: LocalLM, trained: Program, teacher: Program, workspace: Path
):
    jobs = sorted((workspace / "jobs").iterdir())
    optimizer = dspy.BootstrapFinetune(metric=metric, train_kwargs=STEPS)
    again = optimizer.compile(on(lm), trainset=rows(), teacher=teacher)
    assert again.classify.lm.model == trained.classify.lm.model
    assert sorted((workspace / "jobs").iterdir()) == jobs
    told = [(job / "events.jsonl").read_text().splitlines() for job in jobs]
    assert [sum(json.loads(e)["kind"] == "start" for e in events) for events in told] == [1] * len(
        jobs
    )


def test_a_saved_program_brings_its_adapter(trained: Program, tmp_path: Path):
    trained.save(tmp_path / "program.json")
    loaded = Program()
    loaded.load(tmp_path / "program.json", allow_unsafe_lm_state=True)
    found = loaded.classify.lm
    assert found.model == trained.classify.lm.model
    assert isinstance(found.provider, upturn.UpturnProvider)
    assert right(loaded) == right(trained)
    found.kill()


def test_async_calls_and_copies_answer_as_the_adapter(trained: Program, workspace: Path):
    row = rows()[0]
    expected = trained(**row.inputs()).code
    copied = trained.deepcopy()
    assert copied.classify.lm.engine is trained.classify.lm.engine
    assert asyncio.run(copied.classify.acall(**row.inputs())).code == expected
    _, weights = split_model(trained.classify.lm.model)
    other = upturn.local_lm(f"upturn-mini+{weights[:6]}", workspace=workspace, max_tokens=32)
    assert other.model == trained.classify.lm.model
    assert on(other)(**row.inputs()).code == expected
    other.kill()


def test_better_together_trains_under_the_prompt_it_found(
    lm: LocalLM, teacher: Program, workspace: Path
):
    weights = dspy.BootstrapFinetune(metric=metric, train_kwargs={**STEPS, "max_steps": 3})
    optimizer = dspy.BetterTogether(metric=metric, p=dspy.LabeledFewShot(k=3), w=weights)
    best = optimizer.compile(
        on(lm), trainset=rows(), valset=rows()[:9], teacher=teacher, strategy="p -> w"
    )
    assert not best.flag_compilation_error_occurred
    found = {c["strategy"]: c["program"] for c in best.candidate_programs}
    assert set(found) == {"", "p", "p -> w"}
    assert found["p"].classify.lm.model == lm.model
    both = found["p -> w"].classify
    assert split_model(both.lm.model)[1] in ids(workspace / "adapters")
    assert len(both.demos) == 3


def test_training_goes_on_from_an_adapter(trained: Program, workspace: Path):
    lm = trained.classify.lm
    messages = dspy.ChatAdapter().format_finetune_data(
        signature=Coded, demos=[], inputs={"text": "my parcel is gone"}, outputs={"code": "Q4"}
    )
    # The first step of a warm-up has the learning rate 0.
    values = {"max_steps": 2, "learning_rate": 1e-4, "warmup_ratio": 0.0}
    new = lm.finetune([messages], "chat", values).result()
    assert isinstance(new, LocalLM), new
    base, weights = split_model(new.model)
    assert base == split_model(lm.model)[0]
    assert weights not in ("", split_model(lm.model)[1])
    assert right(on(new)) >= 15
