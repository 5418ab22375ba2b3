"""A job on a node: what goes there, what comes back while it works, and what a lost node costs."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the [ray] extra")

from tests.contracts.ray_process import SLOW_ENV, patiently
from upturn.errors import OutageError, StoppedError, TrainingError
from upturn.finetune.folder import JobFolder
from upturn.finetune.launch.ray import RayLauncher
from upturn.finetune.records import WorkOrder
from upturn.finetune.runner import Runner
from upturn.finetune.spec import JobSpec
from upturn.scaleout import RayOptions
from upturn.scaleout.cluster import connected

pytestmark = pytest.mark.ray

# Says what it sees of its folder, writes a checkpoint as the worker does, and an adapter.
WORKER = """
import hashlib, json, os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[-1])
order = json.loads((folder / "work.json").read_text())
def say(kind, **values):
    with (folder / "events.jsonl").open("a") as file:
        file.write(json.dumps({"kind": kind, "time": time.time(), **values}) + "\\n")
def write(where, **files):
    for name, text in files.items():
        (folder / where).mkdir(parents=True, exist_ok=True)
        (folder / where / name.replace("__", ".")).write_text(text)
known = sorted(p.name for p in folder.glob("checkpoints/step-*"))
say("start", total_steps=4, step=len(known), rows=1, device=str(folder), known=known)
root = Path(order["root"])
seen = {"base": Path(order["base"]).is_dir(), "program": (root / "p.py").is_file(),
        "start": bool(order["spec"]["start"]) and (Path(order["spec"]["start"]) / "a").is_file(),
        "rows": (folder / "rows.jsonl").is_file()}
say("step", step=1, loss=0.5, seen=seen)
weights = "weights 2"
digest = hashlib.sha256(weights.encode()).hexdigest()
write("checkpoints/step-000002", adapter__safetensors=weights,
      manifest__json=json.dumps({"adapter.safetensors": digest}))
say("checkpoint", step=2, path=str(folder))
MODE
"""
WELL = """
print("all is well", file=sys.stderr)
write("final", adapter_model__safetensors="final weights")
say("done", step=4, best_step=2, score=1.0)
"""
WAIT = """
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
say("step", step=3, loss=0.1)
while not asked:
    time.sleep(0.05)
say("stop", step=3, reason="signal", exit=6)
sys.exit(6)
"""


class Heard:
    def __init__(self, on=lambda event: None):
        self.events, self._on = [], on

    def event(self, event):
        self.events.append(event)
        self._on(event)


@pytest.fixture(scope="module")
def options():
    made = RayOptions(local_cpus=1)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name, value in SLOW_ENV.items():
            patch.setenv(name, value)
        patiently(lambda: stack.enter_context(connected(made)))
        yield made


@pytest.fixture
def job(tmp_path) -> tuple[JobFolder, WorkOrder]:
    (tmp_path / "p.py").write_text("x = 1\n")
    start = tmp_path / "adapter"
    start.mkdir()
    (start / "a").write_text("one")
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    order = WorkOrder(
        spec=JobSpec(name="j", kind="sft", start=str(start)),
        base=str(tmp_path),
        base_id="other@1",
        root=str(tmp_path),
        program="p.py:P",
        metric="p.py:m",
        candidate={},
    )
    folder.write(order, [], [], [])
    return folder, order


def run(job, options, mode, heard=None):
    folder, order = job
    launcher = RayLauncher(options=options, worker=("-c", WORKER.replace("MODE", mode)))
    with folder.locked() as lock:
        return Runner(launcher, heard or Heard()).run(folder, order, lock=lock)


def test_the_folder_goes_there_and_the_adapter_comes_back(job, options):
    folder, _ = job
    heard = Heard()
    ended = run(job, options, WELL, heard)
    assert [e.kind for e in heard.events] == ["start", "step", "checkpoint", "done"]
    start, step = heard.events[:2]
    assert start.values["device"] != str(folder.path)
    assert not Path(start.values["device"]).exists()
    assert step.values["seen"] == {"base": True, "program": True, "start": True, "rows": True}
    assert (folder.final / "adapter_model.safetensors").read_text() == "final weights"
    assert folder.newest_checkpoint().step == 2
    assert "all is well" in folder.log.read_text()
    assert ended.story.done["score"] == 1.0


def test_a_crash_leaves_the_checkpoint_here_and_the_next_try_takes_it_along(job, options):
    with pytest.raises(TrainingError, match="goes on after step 2"):
        run(job, options, "sys.exit(1)")
    heard = Heard()
    assert run(job, options, WELL, heard).resumed
    assert heard.events[0].values["known"] == ["step-000002"]


def test_a_node_that_is_lost_costs_the_steps_since_the_checkpoint(job, options, tmp_path):
    told = tmp_path / "told"
    # The actor's process is the guard's parent, and the guard the worker's.
    lose = f"""
while not Path({str(told)!r}).exists():
    time.sleep(0.05)
guard = os.getppid()
actor = int(Path(f"/proc/{{guard}}/stat").read_text().rpartition(")")[2].split()[1])
os.kill(actor, signal.SIGKILL)
time.sleep(60)
"""
    with pytest.raises(TrainingError, match="it was lost") as caught:
        run(job, options, lose, Heard(lambda e: told.touch() if e.kind == "checkpoint" else None))
    assert "goes on after step 2" in caught.value.fix


def test_a_signal_reaches_the_worker_on_its_node(job, options):
    import os
    import signal

    def stop(event):
        if event.kind == "step" and event.values["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match="stopped at step 3 of 4"):
        run(job, options, WAIT, Heard(stop))


def test_a_node_that_no_cluster_has_is_named(job, options):
    folder, order = job
    order = replace(order, spec=replace(order.spec, run=replace(order.spec.run, processes=64)))
    with pytest.raises(OutageError, match="64 CPUs"):
        run((folder, order), replace(options, start_timeout_s=1.0), WELL)


def test_the_order_names_only_places_of_the_node(job, options, tmp_path):
    from upturn.finetune.launch.ray import _payload  # pyright: ignore[reportPrivateUsage]

    folder, order = job
    files, _ = _payload(folder, order)
    sent = json.loads(files["work.json"])
    assert sent["root"] == "{folder}/sources"
    assert sent["spec"]["start"] == "{folder}/start"
    assert sent["base"] == str(tmp_path)
    mini = replace(order, base_id="upturn-mini@1")
    assert json.loads(_payload(folder, mini)[0]["work.json"])["base"] == "{upturn-mini}"
