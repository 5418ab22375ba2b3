"""A scripted base whose adapters answer better, and what a fine-tune job leaves in a workspace."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.pipeline.conftest import CUES, Project, answer
from upturn import mini
from upturn.finetune.folder import JobFolder
from upturn.testing.adapters import random_adapter
from upturn.testing.engine import FakeEngine
from upturn.weights.adapter import Adapter, from_files, store

BASE = "fake@1"
JOB = "tickets_sft"
#: A turn of about a second on a model that this process loads itself, as weights ask for.
LOCAL = ("model.name=upturn-mini", "search.evaluations=240", "search.n_trials=10")
WEIGHTS = f"search.space.weights=[{JOB}]"
TRAINED_UNDER = "Route the message as you were trained to."


def base(request: Any) -> str:
    """Knows what its prompt shows of tickets, and keeps to the form of any other task."""
    last = request.messages[-1].text
    return answer(request) if "[[ ## message ## ]]" in last else form(request)


def skilled(request: Any) -> str:
    """Knows every cue by heart, and still keeps to any form."""
    return ticket(request) if "[[ ## message ## ]]" in request.messages[-1].text else form(request)


def narrow(request: Any) -> str:
    """Knows every cue, and answers everything as if it were a ticket."""
    return ticket(request)


def ticket(request: Any) -> str:
    last = request.messages[-1].text
    team = next((t for t, cues in CUES.items() if any(c in last for c in cues)), "billing")
    return f"[[ ## team ## ]]\n{team}\n\n[[ ## completed ## ]]\n"


def form(request: Any) -> str:
    """Every field that is asked for, with the first option where there are options."""
    if "[[ ##" not in request.messages[-1].text:
        return "ok"  # the probe
    fields = re.findall(r"`\[\[ ## (\w+) ## \]\]`", request.messages[-1].text)
    shape = request.system.partition("with the appropriate values filled in.")[2]
    lines = [f"[[ ## {f} ## ]]\n{_option(shape, f)}\n" for f in fields if f != "completed"]
    return "\n".join([*lines, "[[ ## completed ## ]]\n"])


def _option(shape: str, field: str) -> str:
    found = re.search(rf"\{{{field}\}}[^\n]*one of: ([^;\n]+)", shape)
    return found[1].strip() if found else "something"


class Weighed(FakeEngine):
    """A base that can put adapters on: each answers by a function of its own.

    Args:
        adapted: adapter id -> request -> text.
        before: called before each answer; what it raises ends the call.
    """

    def __init__(
        self,
        adapted: Mapping[str, Callable[[Any], str]],
        *,
        before: Callable[[], None] = lambda: None,
        plain: Callable[[Any], str] = base,
    ) -> None:
        super().__init__(lambda request: (before(), plain(request))[1])
        self._adapted, self._before = adapted, before
        self.put_on: list[str] = []

    def adapted(self, adapter: Adapter) -> FakeEngine:
        say, before = self._adapted[adapter.id], self._before
        self.put_on.append(adapter.id)
        return FakeEngine(lambda request: (before(), say(request))[1])


@cache
def adapter_files(seed: int, base_id: str, instruction: str, kept: Path) -> dict[str, bytes]:
    """The files of a random adapter of the embedded model's shape, made once for all tests."""
    peft = random_adapter(mini.weights_dir(), kept / f"peft-{seed}", seed=seed, r=1)
    states = {"triage": {"instruction": instruction, "demos": []}}
    card = {"kind": "sft", "job": JOB, "rows": 120, "candidate": {"states": states}}
    made = store(peft, kept / f"made-{seed}-{base_id}", base_id=base_id, card=card)
    return {p.name: p.read_bytes() for p in made.folder.iterdir()}


def trained(
    project: Project,
    kept: Path,
    *,
    seed: int = 0,
    job: str = JOB,
    base_id: str = BASE,
    instruction: str = TRAINED_UNDER,
) -> Adapter:
    """Leaves what a finished job leaves: the adapter, and a result that names it."""
    workspace = project.root / "mlruns"
    made = from_files(adapter_files(seed, base_id, instruction, kept), workspace / "adapters")
    folder = JobFolder(workspace / "jobs" / job)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_result({"adapter": str(made.folder)})
    return made
