"""A cluster that is started for one turn: what it opens and what it leaves, told as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.contracts.ray_process import alive, patiently
from upturn.lm import Caps, ModelSpec
from upturn.records import Candidate, Example, PromptState
from upturn.scaleout import Job, RayOptions, RayRunner, open_site

FOLDER = Path(sys.argv[1])
PROGRAM = """
import dspy
from upturn.testing.engine import FakeEngine


class Echo(dspy.Module):
    def __init__(self):
        super().__init__()
        self.say = dspy.Predict("text -> word")

    def forward(self, text):
        return self.say(text=text)


def metric(example, prediction):
    return example.word == prediction.word


def make():
    return FakeEngine(lambda request: "[[ ## word ## ]]\\nyes\\n\\n[[ ## completed ## ]]")
"""


@contextmanager
def running() -> Generator[RayRunner]:
    refs = {"program": "p.py:Echo", "metric": "p.py:metric", "engine": "p.py:make"}
    job = Job.read(FOLDER, model=ModelSpec(model="fake"), **refs)
    options = RayOptions(local_cpus=1)
    with (
        open_site(options, cache=FOLDER / "a.db", turn="t1", caps=Caps()) as site,
        RayRunner(job, site) as runner,
    ):
        yield runner


def listening() -> dict[int, list[str]]:
    """Pid -> the addresses in hexadecimal that a process of ours accepts connections on."""
    sockets: dict[str, str] = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets[f"socket:[{fields[9]}]"] = fields[1].split(":")[0]
    found: dict[int, list[str]] = {}
    for pid in alive(os.environ["UPTURN_TEST_MARK"]):
        links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").glob("*") if fd.is_symlink()]
        found[pid] = sorted({sockets[link] for link in links if link in sockets})
    return found


def on_sigterm(number: int, frame: object) -> None:
    """What this process does on a signal is its own affair."""
    raise KeyboardInterrupt


def main() -> None:
    (FOLDER / "p.py").write_text(PROGRAM)
    signal.signal(signal.SIGTERM, on_sigterm)
    row = Example(id="a", inputs={"text": "a"}, labels={"word": "yes"}, group="a")
    with ExitStack() as stack:
        runner = patiently(lambda: stack.enter_context(running()))
        candidate = Candidate(states={"say": PromptState(instruction="Say yes.")})
        score = runner.evaluate(candidate, [row]).score
        sockets = listening()
        sigterm = signal.getsignal(signal.SIGTERM) is on_sigterm
    import ray

    told = {
        "score": score,
        "addresses": sorted({a for own in sockets.values() for a in own}),
        "processes": len(sockets),
        "sigterm_is_ours": sigterm,
        "still_connected": ray.is_initialized(),
    }
    (FOLDER / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
