"""What DSPy is told when a training cannot begin, fails or is stopped; on a scripted worker."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.clients.utils_finetune import TrainingStatus

import upturn
from upturn.errors import ConfigError, DataError, InputError, StoppedError, TrainingError
from upturn.finetune.folder import JobFolder
from upturn.finetune.records import Exit, WorkOrder
from upturn.finetune.spec import JobSpec, LoraSpec, OptimSpec
from upturn.finetune.train_kwargs import job_spec

CHAT = {
    "messages": [
        {"role": "system", "content": "Give the code."},
        {"role": "user", "content": "my parcel"},
        {"role": "assistant", "content": "Q4"},
    ]
}


class Worker:
    """Ends with a code: at once, or when it is asked to stop. Both launcher and process."""

    def __init__(self, code: Exit, *, waits: bool = False, says: tuple[Any, ...] = ()) -> None:
        self._code, self._waits, self._says = code, waits, says
        self.started = threading.Event()
        self._stopped = threading.Event()
        self.orders: list[WorkOrder] = []

    def start(self, folder: JobFolder, order: WorkOrder, *, lock: int) -> Worker:
        self.orders.append(order)
        lines = [json.dumps({"kind": k, "time": 0.0, **v}) + "\n" for k, v in self._says]
        folder.events.write_text("".join(lines))
        self.started.set()
        return self

    def poll(self) -> int | None:
        return None if self._waits and not self._stopped.is_set() else int(self._code)

    def stop(self) -> None:
        self._stopped.set()

    def kill(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        """Nothing is left."""


def lm_of(workspace: Path, worker: Worker) -> Any:
    provider = upturn.UpturnProvider(workspace=workspace, launcher=worker)
    return upturn.local_lm(workspace=workspace, provider=provider)


def test_train_kwargs_are_the_names_of_a_job_file():
    spec = job_spec({"r": 4, "max_steps": 7, "learning_rate": 1, "seed": 3}, name="x")
    assert spec == JobSpec(
        name="x",
        kind="sft",
        lora=LoraSpec(r=4),
        optim=OptimSpec(max_steps=7, learning_rate=1),
        seed=3,
    )
    assert job_spec({"target_modules": ["q_proj"]}, name="x").lora.target_modules == ("q_proj",)


def test_all_wrong_train_kwargs_are_said_at_once():
    wrong = {"max_stps": 3, "learning_rate": "1e-3", "r": True, "device": "tpu"}
    with pytest.raises(ConfigError) as caught:
        job_spec(wrong, name="x")
    assert str(caught.value) == (
        "train_kwargs: 4 problems\n"
        "  max_stps: unknown key; did you mean max_steps?\n"
        "  learning_rate: must be a number > 0, got '1e-3'\n"
        "  r: must be a whole number >= 1, got True\n"
        "  device: must be auto, cpu or cuda, got 'tpu'"
    )


@pytest.mark.local
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "there must be rows to train on, got none"),
        ([{"prompt": "a"}], r"train_data\[0\]: messages must be a list"),
        ([CHAT, {"messages": CHAT["messages"][:2]}], r"train_data\[1\]: must end with the answer"),
        (
            [{"messages": [{"role": "tool", "content": "x"}, *CHAT["messages"]]}],
            "must have a role of system, user, assistant",
        ),
    ],
)
def test_data_that_is_no_chat_is_refused(tmp_path: Path, data: list[Any], said: str):
    worker = Worker(Exit.DONE)
    result = lm_of(tmp_path, worker).finetune(data, "chat", {}).result()
    assert isinstance(result, DataError)
    with pytest.raises(DataError, match=said):
        raise result
    assert not worker.orders


@pytest.mark.local
def test_a_failure_ends_bootstrap_finetune_with_our_message(tmp_path: Path):
    worker = Worker(Exit.NUMBERS, says=(("error", {"message": "the loss is nan", "step": 4}),))
    lm = lm_of(tmp_path, worker)
    program = dspy.Predict("text -> code")
    program.set_lm(lm)
    teacher = dspy.Predict("text -> code")
    teacher.set_lm(dspy.utils.DummyLM([{"code": "Q4"}] * 3))
    rows = [dspy.Example(text=t, code="Q4").with_inputs("text") for t in ("a", "b")]
    optimizer = dspy.BootstrapFinetune(train_kwargs={"learning_rate": 0.5})
    with pytest.raises(TrainingError, match=r"step 4: the loss is nan; .* learning_rate 0\.5"):
        optimizer.compile(program, trainset=rows, teacher=teacher)
    assert worker.orders[0].spec.optim.learning_rate == 0.5


@pytest.mark.local
def test_a_job_can_be_cancelled_and_is_named_by_its_content(tmp_path: Path):
    worker = Worker(Exit.STOPPED, waits=True, says=(("stop", {"step": 2, "reason": "signal"}),))
    job = lm_of(tmp_path, worker).finetune([CHAT], "chat", {"max_steps": 5})
    assert worker.started.wait(60)
    assert job.status() == TrainingStatus.running
    assert job.cancel()
    result = job.result(timeout=60)
    assert isinstance(result, StoppedError)
    assert job.status() == TrainingStatus.cancelled
    assert not job.cancel()

    names: list[str] = []
    for values in ({"max_steps": 5}, {"max_steps": 5, "max_minutes": 3.0}, {"max_steps": 6}):
        again = Worker(Exit.MEMORY)
        lm_of(tmp_path, again).finetune([CHAT], "chat", values).result()
        names.append(again.orders[0].spec.name)
    # A cap says nothing about the weights; the number of steps does.
    assert names[0] == names[1] == worker.orders[0].spec.name != names[2]


@pytest.mark.local
def test_a_cancelled_job_never_starts_a_worker(tmp_path: Path):
    worker = Worker(Exit.DONE)
    provider = upturn.UpturnProvider(workspace=tmp_path, launcher=worker)
    job: Any = provider.TrainingJob(model=upturn.local_lm(workspace=tmp_path).model)
    assert job.status() == TrainingStatus.pending
    job.cancel()
    with pytest.raises(StoppedError, match="cancelled before it began"):
        provider.finetune(job, job.model, [CHAT], "chat", {})
    assert not worker.orders


@pytest.mark.local
def test_only_models_that_are_here_are_trained(tmp_path: Path):
    with pytest.raises(ConfigError, match="must be one that is trained here, got 'openai/gpt-4o'"):
        upturn.local_lm("openai/gpt-4o", workspace=tmp_path)
    with pytest.raises(InputError, match="got 'abc'; there are \\(none\\)"):
        upturn.local_lm("upturn-mini+abc", workspace=tmp_path)
    provider = upturn.UpturnProvider(workspace=tmp_path, launcher=Worker(Exit.DONE))
    job: Any = provider.TrainingJob(model="other@1")
    with pytest.raises(ConfigError, match="answers as upturn-mini@"):
        provider.finetune(job, "other@1", [CHAT], "chat", {})
    with pytest.raises(ConfigError, match="must be chat messages, got the format completion"):
        provider.finetune(job, "other@1", [CHAT], "completion", {})
