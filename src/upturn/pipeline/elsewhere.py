"""What a challenger's adapter does to other tasks: the rows behind the guard against forgetting.

Other programs are run as they run now (their champion's prompt, or the program as written) on dev
rows of the snapshot that their config would freeze today. Their holdouts stay sealed, and nothing
is written into their history. The general rows are in ``general``. Both sides run on this turn's
model with this turn's settings, once without and once with the adapter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from upturn.config.sections import ForgettingSection
from upturn.errors import ConfigError
from upturn.evaluate import Evaluator
from upturn.gate import OtherTask
from upturn.lm import Meter
from upturn.lm.connect import Connection
from upturn.metrics import Metric
from upturn.pipeline.parts import Parts
from upturn.pipeline.weights import SETTING
from upturn.programs import Program, load_metric
from upturn.records import Candidate, Example
from upturn.registry import Registry
from upturn.search import racing_order
from upturn.weights.adapter import Adapter

#: The general rows' name among the guards.
GENERAL = "general form"
#: Settings that name things of another config.
_OWN = (SETTING, "model")


@dataclass(frozen=True, kw_only=True)
class Task:
    """Rows of a task that the challenger was not made for.

    Attributes:
        name: for people.
        program, metric: what runs and scores a row.
        candidate: the prompt, without weights.
        rows: on which it is asked.
        margin: how far its score may fall.
    """

    name: str
    program: Program
    metric: Metric
    candidate: Candidate
    rows: tuple[Example, ...]
    margin: float

    @property
    def calls(self) -> int:
        """Calls that both sides take together."""
        return 2 * len(self.rows) * len(self.program.predictors)


def tasks_of(
    section: ForgettingSection, parts: Parts, registry: Registry, *, now: datetime
) -> tuple[Task, ...]:
    """Opens the tasks that a config names.

    Args:
        section: which, and how many rows.
        parts: the config they are for; paths are relative to its root.
        registry: knows the other programs' champions.
        now: as for ``Parts.preview``.

    Raises:
        ConfigError: one of the programs is this one.
        UpturnError: what a turn of another config would raise for its program or data.
    """
    named = [_of_program(path, section, parts, registry, now) for path in section.programs]
    return (*named, *([general_task(section.general_margin)] if section.general else []))


def general_task(margin: float) -> Task:
    """The rows that ship with the package: invented fields and options, scored by form alone."""
    folder = Path(str(files("upturn.pipeline.general")))
    program = Program("program.py:General", folder)
    return Task(
        name=GENERAL,
        program=program,
        metric=load_metric("program.py:metric", folder),
        candidate=program.seed,
        rows=general_rows(),
        margin=margin,
    )


def run_tasks(
    tasks: Sequence[Task],
    adapter: Adapter,
    *,
    connection: Connection,
    meter: Meter,
    concurrency: int,
    tell: Callable[[str], None] = lambda sentence: None,
) -> tuple[OtherTask, ...]:
    """Runs every task without and with an adapter; answers that were paid for cost nothing.

    Raises:
        OutageError, BudgetExceededError: it cannot go on; the same command does later.
        MetricError: a task's metric fails.
    """
    return tuple(_run(task, adapter, connection, meter, concurrency, tell) for task in tasks)


def _run(
    task: Task,
    adapter: Adapter,
    connection: Connection,
    meter: Meter,
    concurrency: int,
    tell: Callable[[str], None],
) -> OtherTask:
    settings = {**task.candidate.settings, SETTING: adapter.id}
    adapted = replace(task.candidate, settings=settings)
    with Evaluator(
        task.program,
        task.metric,
        connection,
        meter,
        concurrency=concurrency,
        adapters={adapter.id: adapter},
    ) as evaluator:
        before, after = (evaluator.evaluate(c, task.rows) for c in (task.candidate, adapted))
    shown = " -> ".join("unknown" if e.score is None else f"{e.score:.3f}" for e in (before, after))
    tell(f"{task.name}: {shown} with adapter {adapter.id}, {len(task.rows)} rows")
    return OtherTask(name=task.name, plain=before, adapted=after, margin=task.margin)


def _of_program(
    path: str, section: ForgettingSection, parts: Parts, registry: Registry, now: datetime
) -> Task:
    other = Parts.load(parts.root / path)
    name = other.config.name
    if name == parts.config.name:
        raise ConfigError(
            f"must name other programs, got {path}, which is this one",
            where="gate.guards.forgetting.programs",
            fix="leave it out: the holdout judges this program",
        )
    champion = registry.champion(name)
    running = champion.candidate if champion else other.program.seed
    settings = {k: v for k, v in running.settings.items() if k not in _OWN}
    return Task(
        name=name,
        program=other.program,
        metric=other.metric,
        candidate=Candidate(states=running.states, settings=settings),
        rows=tuple(racing_order(other.preview(now).dev, other.config.seed)[: section.rows]),
        margin=section.margin,
    )


def general_rows() -> tuple[Example, ...]:
    """The rows of the general task."""
    path = Path(str(files("upturn.pipeline.general"))) / "rows.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(_general_row(json.loads(line)) for line in lines)


def _general_row(value: Mapping[str, object]) -> Example:
    inputs = {name: value[name] for name in ("task", "given", "asked", "shown")}
    # These rows are all there is of the task, no draw from more of it: each counts by itself.
    return Example(id=str(value["id"]), inputs=inputs, labels={}, group=str(value["id"]))
