"""The stage of the stories on a cluster: a program, a scripted model, and what is asked of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from upturn.errors import UpturnError
from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, Caps, Meter, ModelSpec
from upturn.lm.connect import connect_engine
from upturn.programs import Program, load_metric, load_object
from upturn.records import Candidate, Evaluation, Example, PromptState
from upturn.scaleout import Job, RayOptions, Site, open_site
from upturn.scaleout.bench import engine_id
from upturn.scaleout.wire import row_to_json

FOLDER = Path(sys.argv[1])
#: Rows in flight in one worker.
THREADS = 4
SPEC = ModelSpec(model="fake", usd_per_million_input=1000.0, max_tokens=8, concurrency=THREADS)

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


def metric(example, prediction):
    if example.word == "bad":
        raise ValueError("no such word")
    return None if example.word == "?" else example.word == prediction.word
"""
ENGINE = f'''
import os
import threading
import time
from pathlib import Path

from dspy.lm15 import ServerError

from upturn.testing.engine import FakeEngine

FOLDER = Path(os.environ["UPTURN_TEST_FOLDER"])
DOOMED = "UPTURN_TEST_DOOMED" in os.environ
stuck, lock = [], threading.Lock()


def make():
    return FakeEngine(answer, fail=lambda r: ServerError("down") if "down" in text(r) else None)


def text(request):
    return request.messages[-1].text.split("[[ ## text ## ]]\\n")[1].split("\\n")[0]


def answer(request):
    asked = text(request)
    if asked.startswith("dies") or (asked.startswith("exits") and first()):
        os._exit(1)
    if asked.startswith("node"):
        lose_the_node(asked)
    with open(FOLDER / "asked.txt", "a") as log:
        log.write(asked + "\\n")
    if asked.startswith("mumble"):
        return "no field at all"
    word = "yes" if len(asked) % 2 else "no"
    return f"[[ ## word ## ]]\\n{{word}}\\n\\n[[ ## completed ## ]]"


def first():
    try:
        (FOLDER / "exited").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def lose_the_node(asked):
    """All threads of the doomed node end up stuck in an odd row; only then the others go on."""
    if DOOMED and asked.endswith("odd"):
        with lock:
            stuck.append(asked)
            if len(stuck) == {THREADS}:
                (FOLDER / "stuck").touch()
        threading.Event().wait()
    while not DOOMED and not (FOLDER / "stuck").exists():
        time.sleep(0.02)
'''


def example(text: str, label: str = "yes", name: str = "") -> Example:
    return Example(id=name or text, inputs={"text": text}, labels={"word": label}, group=text[:3])


def examples(start: str, n: int) -> list[Example]:
    return [example(f"{start} {i} {'odd' if i % 2 else 'even'}") for i in range(n)]


def candidate(instruction: str) -> Candidate:
    return Candidate(states={"say": PromptState(instruction=instruction)})


SEED = candidate("Say a word.")


def asked(start: str) -> dict[str, int]:
    """How often the model was asked each text."""
    log = FOLDER / "asked.txt"
    lines = log.read_text().splitlines() if log.exists() else []
    return dict(Counter(line for line in lines if line.startswith(start)))


def comparable(evaluation: Evaluation) -> list[Any]:
    """Rows without the time that they took."""
    return [{**row_to_json(row), "latency_s": 0} for row in evaluation.rows]


def raised(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        work()
    except UpturnError as error:
        return {"kind": type(error).__name__, "text": str(error)}
    except KeyboardInterrupt:
        return {"kind": "KeyboardInterrupt"}
    return {"kind": ""}


@contextmanager
def site(name: str, caps: Caps | None = None, **options: Any) -> Generator[Site]:
    path = FOLDER / f"{name}.db"
    with open_site(RayOptions(**options), cache=path, turn="t1", caps=caps or Caps()) as opened:
        yield opened


def job(**changes: Any) -> Job:
    refs = {"program": "p.py:Echo", "metric": "p.py:metric", "engine": "e.py:make"}
    return replace(Job.read(FOLDER, model=SPEC, **refs), **changes)


def local(threads: int, work: Sequence[tuple[Candidate, list[Example]]]) -> list[list[Any]]:
    """What the evaluator of one machine makes of it."""
    engine = load_object("e.py:make", FOLDER)[0]()
    with AnswerCache(FOLDER / f"local-{threads}.db") as cache:
        meter = Meter()
        connection = connect_engine(
            engine, model_id=engine_id(job(), SPEC), cache=cache, meter=meter, spec=SPEC
        )
        program, metric = Program("p.py:Echo", FOLDER), load_metric("p.py:metric", FOLDER)
        with Evaluator(program, metric, connection, meter, concurrency=threads) as evaluator:
            return [comparable(e) for e in evaluator.evaluate_all(work)]
