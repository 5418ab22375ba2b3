"""A job's folder, read and checked: what is trained on, in which order, and what judges it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from upturn.errors import DataError
from upturn.finetune.kinds import JobKind, job_kind
from upturn.finetune.order import order, samples_per_step, total_steps
from upturn.finetune.records import DEV, DEV_ROWS, ROWS, WORK, TrainingRow, WorkOrder
from upturn.finetune.spec import JobSpec
from upturn.records import Example

T = TypeVar("T")
_AGAIN = "upturn train JOB writes the folder anew"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one worker is to do.

    Attributes:
        folder: of the job.
        work: the order.
        rows: what is trained on.
        pairs: dev rows with a chosen and a rejected answer, where the kind is measured on them.
        dev: rows whose answers are generated and scored.
        samples: for each training sample, in order, its place in ``rows``.
        batch: samples of one optimizer step, over all processes.
        total_steps: optimizer steps of the whole job.
    """

    folder: Path
    work: WorkOrder
    rows: tuple[TrainingRow, ...]
    pairs: tuple[TrainingRow, ...]
    dev: tuple[Example, ...]
    samples: tuple[int, ...]
    batch: int
    total_steps: int

    @property
    def spec(self) -> JobSpec:
        return self.work.spec

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest sequence that is trained on."""
        return max(map(_longest, self.rows))

    @cached_property
    def _tokens(self) -> list[int]:
        sizes = [_tokens(row) for row in self.rows]
        return [0, *accumulate(sizes[i] for i in self.samples)]

    def tokens(self, step: int) -> int:
        """Returns the tokens of all samples up to a step, prompts included, padding not."""
        return self._tokens[min(step * self.batch, len(self.samples))]

    def evaluates(self, step: int) -> bool:
        """Whether this step ends in an evaluation: the first and the last always do."""
        every = self.spec.evaluation.eval_steps or max(1, -(-len(self.rows) // self.batch))
        return step % every == 0 or step == self.total_steps

    def saves(self, step: int) -> bool:
        """Whether this step ends in a checkpoint."""
        every = self.spec.run.save_steps
        return self.evaluates(step) or (every is not None and step % every == 0)


def read_task(folder: Path, *, processes: int = 1) -> Task:
    """Reads a job's folder.

    Raises:
        DataError: a file is missing or broken, or its rows cannot be trained on.
        ConfigError: the kind is not known here.
    """
    try:
        work = WorkOrder.from_json(json.loads((folder / WORK).read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"must hold a work order: {error}", where=str(folder / WORK)) from error
    kind = job_kind(work.spec.kind)
    rows = _lines(folder / ROWS, TrainingRow.from_json)
    pairs = _lines(folder / DEV_ROWS, TrainingRow.from_json)
    dev = _lines(folder / DEV, Example.from_json)
    _check(rows, kind, work.spec, where=str(folder / ROWS))
    batch = samples_per_step(work.spec.optim, processes=processes)
    samples = order(rows, work.spec, batch=batch)
    n = work.spec.evaluation.rows
    return Task(
        folder=folder,
        work=work,
        rows=tuple(rows),
        pairs=tuple(p for p in pairs if p.rejected_ids)[:n] if kind.measured_on_pairs else (),
        dev=tuple(dev[:n]),
        samples=tuple(samples),
        batch=batch,
        total_steps=total_steps(len(rows), work.spec, batch=batch),
    )


def _check(rows: list[TrainingRow], kind: JobKind, spec: JobSpec, *, where: str) -> None:
    """Refuses what TRL would drop, cut or train on in silence."""
    if not rows:
        raise DataError("there must be at least one row to train on, got none", where=where)
    for row in rows:
        one_alone = kind.paired and not row.rejected_ids
        if not row.prompt_ids or not row.completion_ids or one_alone:
            raise DataError(
                f"row {row.id} must have a prompt and "
                f"{'two answers' if kind.paired else 'an answer'}",
                where=where,
                fix=_AGAIN,
            )
        if kind.paired and row.completion_ids == row.rejected_ids:
            raise DataError(f"row {row.id}: the two answers must differ", where=where, fix=_AGAIN)
        if _longest(row) > spec.optim.max_length:
            raise DataError(
                f"row {row.id} must have at most max_length={spec.optim.max_length} tokens, "
                f"got {_longest(row)}",
                where=where,
                fix="raise optim.max_length, or leave such rows out",
            )
    if spec.optim.per_device_train_batch_size < kind.least_batch:
        raise DataError(
            f"{kind.title} compares the rows of a batch: optim.per_device_train_batch_size must be "
            f">= {kind.least_batch}, got {spec.optim.per_device_train_batch_size}",
            where="optim.per_device_train_batch_size",
        )


def _longest(row: TrainingRow) -> int:
    return len(row.prompt_ids) + max(len(row.completion_ids), len(row.rejected_ids))


def _tokens(row: TrainingRow) -> int:
    twice = len(row.prompt_ids) + len(row.rejected_ids) if row.rejected_ids else 0
    return len(row.prompt_ids) + len(row.completion_ids) + twice


def _lines(path: Path, read: Callable[[Any], T]) -> list[T]:
    if not path.is_file():
        return []
    found: list[T] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(read(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            where = f"{path}:{number}"
            raise DataError(f"must hold one row: {error}", where=where, fix=_AGAIN) from error
    return found
