"""One turn three times: on one thread, on eight, and on a Ray cluster. Told as JSON."""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import replace
from pathlib import Path

from tests.pipeline import conftest as scripted
from upturn.events import write_log
from upturn.pipeline.turn import run_turn
from upturn.testing.engine import FakeEngine

FOLDER = Path(sys.argv[1])
SMALL = ("search.evaluations=260", "search.n_trials=8", "seed=3")
ENGINE = f"""
import re

from upturn.testing.engine import FakeEngine

CUES = {scripted.CUES!r}


{inspect.getsource(scripted.answer)}

def make():
    return FakeEngine(answer)
"""


def turn(name: str, *overrides: str) -> dict[str, object]:
    root = FOLDER / name
    for folder in ("programs", "configs"):
        (root / folder).mkdir(parents=True)
    (root / "programs" / "triage.py").write_text(scripted.PROGRAM)
    (root / "engine.py").write_text(ENGINE)
    (root / "configs" / "tickets.yaml").write_text(scripted.CONFIG)
    write_log(root / "log.jsonl", scripted.events())
    project = scripted.Project(root=root, engine=FakeEngine(scripted.answer))
    world = replace(project.world(), worker_engine="engine.py:make")
    result = run_turn(project.parts(*SMALL, *overrides), world)
    runs = [r for (kind, _), r in project.tracker.turn.runs.items() if kind == "trial"]
    return {
        "turn": result.turn,
        "verdict": result.verdict,
        "effect": result.effect,
        "calls": result.calls,
        "trials": [[r.record.candidate.id, r.record.metrics["dev/rows"]] for r in runs],
    }


def main() -> None:
    told = {
        "one thread": turn("one", "model.concurrency=1"),
        "eight threads": turn("eight", "model.concurrency=8"),
        "ray": turn("ray", "executor=ray", "ray.num_cpus_per_task=1"),
    }
    (FOLDER / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
