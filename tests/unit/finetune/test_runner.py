"""The runner against a scripted worker: every way in which a training can end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from upturn.errors import (
    BudgetExceededError,
    CorruptionError,
    InputError,
    StorageError,
    TrainingError,
)
from upturn.finetune.folder import EventReader, JobFolder
from upturn.finetune.launch import CommandLauncher, LocalLauncher
from upturn.finetune.records import Exit, WorkOrder
from upturn.finetune.runner import Runner, halve
from upturn.finetune.spec import JobSpec, OptimSpec, RunSpec

SCRIPTED = str(Path(__file__).with_name("scripted.py"))
START = ["event", "start", {"total_steps": 10, "step": 0, "rows": 40}]
STEP = ["event", "step", {"step": 4, "loss": 0.5, "peak_mb": 100.0}]
EVAL = ["event", "eval", {"step": 5, "score": 0.8, "rows": 20}]
DONE = ["event", "done", {"step": 10, "best_step": 5, "score": 0.8, "peak_mb": 90.0}]
WELL = [START, STEP, EVAL, ["checkpoint", 5], ["final"], DONE]
#: A worker that a test waits for is ended by the test, or by this many seconds.
PATIENCE_S = 120.0


class Heard:
    def __init__(self):
        self.events = []

    def event(self, event):
        self.events.append(event)

    @property
    def kinds(self):
        return [e.kind for e in self.events]


def order(**run) -> WorkOrder:
    spec = JobSpec(name="tickets", kind="sft", run=RunSpec(**run))
    return WorkOrder(
        spec=spec, base="/b", base_id="b@1", root="/", program="p.py:P", metric="p.py:m",
        candidate={},
    )  # fmt: skip


def job(tmp_path, *starts, **run) -> tuple[JobFolder, WorkOrder]:
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir(exist_ok=True)
    (folder.path / "script.json").write_text(json.dumps(starts))
    made = order(**run)
    folder.write(made, [], [], [])
    return folder, made


def train(folder, made, heard=None, launcher=None):
    runner = Runner(launcher or LocalLauncher(worker=(SCRIPTED,)), heard or Heard())
    with folder.locked() as lock:
        return runner.run(folder, made, lock=lock)


def test_a_training_that_goes_well_tells_each_event_in_order(tmp_path):
    folder, made = job(tmp_path, WELL)
    heard = Heard()
    ended = train(folder, made, heard)
    assert heard.kinds == ["start", "step", "eval", "done"]
    assert ended.story.done["best_step"] == 5
    assert ended.story.peak_mb == 100.0
    assert ended.story.evals[5]["score"] == 0.8
    assert not ended.resumed
    assert ended.order == made


def test_exit_0_without_a_done_event_is_a_crash(tmp_path):
    folder, made = job(tmp_path, [START, STEP, ["print", "saved on SIGTERM"], ["exit", 0]])
    with pytest.raises(TrainingError, match="exit code 0 but no result") as caught:
        train(folder, made)
    assert "saved on SIGTERM" in caught.value.what
    assert caught.value.where == str(folder.log)


def test_done_without_an_adapter_is_refused(tmp_path):
    folder, made = job(tmp_path, [START, DONE])
    with pytest.raises(CorruptionError, match="must leave an adapter"):
        train(folder, made)


def test_a_crash_shows_the_last_lines_and_names_the_log(tmp_path):
    folder, made = job(
        tmp_path, [START, STEP, ["checkpoint", 4], ["print", "RuntimeError: boom"], ["exit", 1]]
    )
    with pytest.raises(TrainingError, match="exit code 1") as caught:
        train(folder, made)
    assert "RuntimeError: boom" in caught.value.what
    assert caught.value.where == str(folder.log)
    assert "goes on after step 4" in caught.value.fix


def test_a_killed_worker_is_named_by_its_signal_and_goes_on_afterwards(tmp_path):
    folder, made = job(
        tmp_path, [START, STEP, ["checkpoint", 4], ["kill", int(signal.SIGKILL)]], WELL
    )
    with pytest.raises(TrainingError, match="signal SIGKILL"):
        train(folder, made)
    again = train(folder, made)
    assert again.resumed
    assert again.story.done is not None


def test_a_half_written_checkpoint_is_none(tmp_path):
    folder, made = job(tmp_path, [["checkpoint", 4], ["checkpoint", 6], ["exit", 1]])
    with pytest.raises(TrainingError):
        train(folder, made)
    newest = folder.newest_checkpoint()
    assert newest.step == 6
    (newest.folder / "adapter_model.safetensors").write_bytes(b"half")
    assert folder.newest_checkpoint().step == 4
    (folder.path / "checkpoints" / "step-000004" / "manifest.json").unlink()
    assert folder.newest_checkpoint() is None


def test_a_crash_that_says_why_is_still_a_crash(tmp_path):
    said = {"message": "KeyError: 'x'", "where": "worker", "fix": ""}
    folder, made = job(tmp_path, [START, ["event", "error", said], ["exit", 1]])
    with pytest.raises(TrainingError, match="exit code 1: KeyError"):
        train(folder, made)


@pytest.mark.parametrize("code", [Exit.NUMBERS, 1], ids=["its own code", "torchrun's code"])
def test_numbers_name_the_step_and_a_lower_rate(tmp_path, code):
    said = {"message": "a gradient is not finite", "step": 5, "exit": int(Exit.NUMBERS)}
    folder, made = job(
        tmp_path, [START, STEP, ["checkpoint", 4], ["event", "error", said], ["exit", int(code)]]
    )
    with pytest.raises(TrainingError, match="step 5: a gradient is not finite") as caught:
        train(folder, made)
    assert "optim.learning_rate=3.3e-04 --branch NEW_NAME" in caught.value.fix
    assert "after step 4" in caught.value.fix


def test_a_full_disk_says_so_and_what_stands(tmp_path):
    said = {"message": "No space left on device: checkpoints/step-000008"}
    folder, made = job(
        tmp_path, [START, ["checkpoint", 4], ["event", "error", said], ["exit", int(Exit.DISK)]]
    )
    with pytest.raises(TrainingError, match="No space left") as caught:
        train(folder, made)
    assert caught.value.fix.startswith("free the disk")


def test_an_input_error_is_passed_on_word_for_word(tmp_path):
    said = {"message": "target modules must match", "where": "lora", "fix": "all-linear"}
    folder, made = job(tmp_path, [["event", "error", said], ["exit", int(Exit.INPUT)]])
    with pytest.raises(InputError) as caught:
        train(folder, made)
    error = caught.value
    assert (error.what, error.where, error.fix) == (said["message"], "lora", "all-linear")


def test_a_code_of_the_contract_without_its_event_is_a_crash(tmp_path):
    folder, made = job(tmp_path, [["print", "sbatch: error"], ["exit", int(Exit.INPUT)]])
    with pytest.raises(TrainingError, match="sbatch: error"):
        train(folder, made)


def test_out_of_memory_halves_once_and_says_so(tmp_path):
    folder, made = job(tmp_path, [START, STEP, ["exit", int(Exit.MEMORY)]], WELL)
    heard = Heard()
    ended = train(folder, made, heard)
    assert ended.order.spec.optim.per_device_train_batch_size == 8
    assert ended.order.spec.optim.gradient_accumulation_steps == 2
    assert folder.read_order() == ended.order
    [warning] = [e for e in heard.events if e.kind == "warning"]
    assert "16 -> 8" in warning.values["message"]
    assert ended.story.warnings == [warning.values["message"]]
    assert "warning" in [e.kind for e in EventReader(folder.events).read()]


def test_out_of_memory_twice_is_an_error(tmp_path):
    out = [START, STEP, ["exit", int(Exit.MEMORY)]]
    folder, made = job(tmp_path, out, out, WELL)
    with pytest.raises(TrainingError, match="after the batch was halved once") as caught:
        train(folder, made)
    assert "per_device_train_batch_size" in caught.value.fix
    assert (folder.path / "starts").read_text() == "2"


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [("sft", 16, (8, 2)), ("sft", 9, (3, 3)), ("sft", 1, None), ("kto", 4, (2, 2)),
     ("kto", 2, None), ("dpo", 2, (1, 2)), ("sft", 7, (1, 7))],
)  # fmt: skip
def test_halving_keeps_the_rows_of_a_step(kind, size, expected):
    made = order()
    optim = OptimSpec(per_device_train_batch_size=size)
    made = replace(made, spec=replace(made.spec, kind=kind, optim=optim))
    smaller = halve(made)
    if expected is None:
        assert smaller is None
    else:
        got = smaller.spec.optim
        assert (got.per_device_train_batch_size, got.gradient_accumulation_steps) == expected


def test_a_worker_without_a_word_is_stalled_and_ended(tmp_path):
    folder, made = job(tmp_path, [["pid"], ["wait"]])
    pid = folder.path / "pid"

    def clock() -> float:
        """Leaps by hours once the worker is there."""
        return 1e6 if pid.exists() and pid.read_text() else 0.0

    runner = Runner(LocalLauncher(worker=(SCRIPTED,)), Heard(), clock=clock)
    said = rf"stalled after step 0: .* stall_minutes={made.spec.run.stall_minutes:g}"
    with folder.locked() as lock, pytest.raises(TrainingError, match=said):
        runner.run(folder, made, lock=lock)
    assert gone(int(pid.read_text()))


def test_a_cap_is_a_budget_error_with_the_key(tmp_path):
    stop = ["event", "stop", {"step": 4, "reason": "max_minutes"}]
    folder, made = job(
        tmp_path, [START, ["checkpoint", 4], stop, ["exit", int(Exit.STOPPED)]], max_minutes=1.5
    )
    with pytest.raises(BudgetExceededError, match=r"max_minutes=1.5 is reached") as caught:
        train(folder, made)
    assert "after step 4" in caught.value.fix


def test_a_torn_line_of_events_is_left_out(tmp_path):
    folder, made = job(
        tmp_path,
        [START, ["raw", '{"kind": "step", "ti'], ["kill", int(signal.SIGKILL)]],
        [["raw", "{torn\n"], *WELL],
    )
    with pytest.raises(TrainingError):
        train(folder, made)
    heard = Heard()
    assert train(folder, made, heard).story.step == 10
    assert heard.kinds == ["start", "step", "eval", "done"]


RUN = """
import os
import sys
from pathlib import Path
from upturn.errors import UpturnError
from upturn.finetune.folder import JobFolder
from upturn.finetune.launch import LocalLauncher
from upturn.finetune.runner import Runner
class Listener:
    def event(self, event): print(event.kind, flush=True)
folder = JobFolder(Path(sys.argv[1]))
try:
    with folder.locked() as lock:
        # Told in a handler of a signal: past what the listener may be writing just now.
        tell = lambda sentence: os.write(1, b"told\\n")
        runner = Runner(LocalLauncher(worker=(sys.argv[2],)), Listener(), tell=tell)
        runner.run(folder, folder.read_order(), lock=lock)
except UpturnError as error:
    print(type(error).__name__, error.exit_code, error, flush=True)
"""


def runner_process(folder) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder.path), SCRIPTED],
        stdout=subprocess.PIPE,
        text=True,
    )
    hears(process, "step")
    return process


def hears(process: subprocess.Popen, word: str) -> None:
    """Returns when the runner has printed a line."""
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"the runner never said {word}")


def gone(pid: int) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (ProcessLookupError, FileNotFoundError):
            return True
        if stat.split(")")[-1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_worker_in_order(tmp_path, number):
    folder, _ = job(tmp_path, [START, ["until_stopped", int(Exit.STOPPED)]])
    process = runner_process(folder)
    process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert "StoppedError 130" in said
    assert "stopped at step 7 of 10" in said
    assert folder.newest_checkpoint().step == 7


def test_a_second_signal_ends_a_worker_that_does_not_stop(tmp_path):
    step = ["event", "step", {"step": 1}]
    folder, _ = job(tmp_path, [["deaf"], ["pid"], START, step, ["wait"]])
    process = runner_process(folder)
    process.send_signal(signal.SIGTERM)
    # Two that are not yet taken are one; and a third would end the runner before its last words.
    hears(process, "told")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert "StoppedError" in said
    assert gone(int((folder.path / "pid").read_text()))


def test_a_runner_that_is_killed_leaves_no_worker_and_the_folder_free(tmp_path):
    folder, made = job(tmp_path, [["pid"], START, ["until_stopped", int(Exit.STOPPED)]], WELL)
    process = runner_process(folder)
    process.kill()
    # As soon as it is dead, and before it is waited for: the lock waits for its worker to end.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    again = train(folder, made)
    process.communicate()
    assert again.resumed
    assert again.story.done is not None
    assert gone(int((folder.path / "pid").read_text()))


def test_two_jobs_in_one_folder_are_refused_by_the_holders_name(tmp_path):
    folder, _ = job(tmp_path, [["event", "step", {"step": 1}], ["wait"]])
    process = runner_process(folder)
    try:
        with pytest.raises(StorageError, match=f"process {process.pid}"), folder.locked():
            pass
    finally:
        process.kill()
        process.communicate()


def test_a_command_gets_the_folder_and_leaves_the_adapter(tmp_path):
    folder, made = job(tmp_path, WELL)
    launcher = CommandLauncher(template=[sys.executable, SCRIPTED, "--job={name}", "{folder}"])
    assert train(folder, made, launcher=launcher).story.done is not None


def test_outside_the_main_thread_no_handler_is_set(tmp_path):
    folder, made = job(tmp_path, WELL)
    found = []
    thread = threading.Thread(target=lambda: found.append(train(folder, made)))
    thread.start()
    thread.join(PATIENCE_S)
    assert found[0].story.done is not None
