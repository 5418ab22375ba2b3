"""What passes between the runner and the process that trains: files of a job's folder.

FOLDER/work.json            WorkOrder: all that the worker needs to know
FOLDER/rows.jsonl           TrainingRow, one a line: what is trained on, as tokens
FOLDER/dev_rows.jsonl       TrainingRow: pairs of dev that are measured; may be empty
FOLDER/dev.jsonl            Example: dev rows that evaluations generate answers for
FOLDER/checkpoints/         written by the worker, whole or not at all
FOLDER/events.jsonl         Event, one a line: what the worker says while it works
FOLDER/final/               the adapter of the best evaluation, as PEFT writes it
FOLDER/result.json          written by the runner, last
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, Literal

from upturn.finetune.spec import JobSpec
from upturn.records import Json

WORK, ROWS, DEV_ROWS, DEV = "work.json", "rows.jsonl", "dev_rows.jsonl", "dev.jsonl"
CHECKPOINTS, EVENTS, FINAL, RESULT = "checkpoints", "events.jsonl", "final", "result.json"


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """One row to train on: token ids exactly as the engine would send and the model should answer.

    Attributes:
        id: of the example, or a content hash of the pair.
        prompt_ids: the whole prompt, generation prefix included.
        completion_ids: the answer with its end token; of a pair, the chosen one.
        rejected_ids: a pair's other answer, with its end token; empty elsewhere.
        desirable: whether a judged completion is wanted; True elsewhere.
        weight: confidence in (0, 1].
        event_ids: the events behind it.
        group: rows of a group belong to one person or one near-duplicate cluster.
    """

    id: str
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...] = ()
    desirable: bool = True
    weight: float = 1.0
    event_ids: tuple[str, ...] = ()
    group: str = ""

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrainingRow:
        lists = ("prompt_ids", "completion_ids", "rejected_ids", "event_ids")
        made: dict[str, Any] = {k: tuple(v) if k in lists else v for k, v in value.items()}
        return cls(**made)


@dataclass(frozen=True, kw_only=True)
class WorkOrder:
    """A job, resolved: no config, no name that another file must explain.

    Attributes:
        spec: what is asked for.
        base: folder of the base model.
        base_id: its name and the hash of its content, such as ``upturn-mini@0123456789ab``.
        root: the folder that ``program`` and ``metric`` are relative to.
        program, metric: ``file.py:Name``, for evaluation.
        candidate: the prompt that the rows were made under and dev is evaluated with (JSON of
            ``records.Candidate``), without weights.
        settings: of the model when it is asked: ``temperature``, ``max_tokens``.
        fingerprint: of all that the weights depend on; part name -> hash (see ``fingerprint``).
    """

    spec: JobSpec
    base: str
    base_id: str
    root: str
    program: str
    metric: str
    candidate: Mapping[str, Json]
    settings: Mapping[str, Json] = field(default_factory=dict)
    fingerprint: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "spec": self.spec.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WorkOrder:
        made: dict[str, Any] = {**value, "spec": JobSpec.from_json(value["spec"])}
        return cls(**made)


EventKind = Literal[
    "start",  # total_steps, step (where it goes on from), rows, trainable, device, processes
    "step",  # step, loss, learning_rate, grad_norm, tokens (trained on so far), peak_mb
    "eval",  # step, score, rows, failed, seconds; of pairs: pair_accuracy, margin as well
    "checkpoint",  # step, path
    "warning",  # message
    "error",  # message, where, fix: what the user can mend
    "stop",  # step, reason: early_stopping, max_minutes, signal
    "done",  # step, best_step, score, length (win rate by length difference), peak_mb
]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that the worker says; ``values`` holds what its kind promises (see EventKind)."""

    kind: EventKind
    time: float
    values: Mapping[str, Json]

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "time": self.time, **self.values}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Event:
        rest = {k: v for k, v in value.items() if k not in ("kind", "time")}
        return cls(kind=value["kind"], time=value["time"], values=rest)


class Exit(IntEnum):
    """How a worker ends; anything else is a crash."""

    DONE = 0
    INPUT = 3  # an "error" event says what to mend
    NUMBERS = 4  # NaN, infinite or diverging; the last good checkpoint stands
    MEMORY = 5  # out of memory: the runner halves the batch, once
    STOPPED = 6  # a signal or a cap; a checkpoint of this very step stands
    DISK = 7  # a checkpoint could not be written; the one before stands
    STALLED = 8  # no step for too long
