"""A job that starts where another stands: ``--branch NAME``."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from upturn.errors import ConfigError, DataError
from upturn.finetune.folder import JobFolder
from upturn.finetune.spec import JobSpec, LoraSpec
from upturn.weights.adapter import CONFIG, WEIGHTS


def branch(source: JobFolder, target: JobFolder, spec: JobSpec, *, base_id: str) -> JobSpec:
    """Puts the adapter of a job's newest checkpoint into a new job's folder, as its start.

    A branch that was begun before keeps what it started from.

    Args:
        source: the job to go on from.
        target: of the new job, which the caller holds.
        spec: of the new job; its name is the branch's.
        base_id: of the new job's base.

    Returns:
        The spec, with ``start``.

    Raises:
        DataError: the source has no whole checkpoint.
        ConfigError: it has another base or adapter shape, or the branch is the source.
    """
    started = replace(spec, start=str(target.start))
    if source.path == target.path:
        raise ConfigError(
            f"a branch must have another name than the job, got {spec.name}", where="--branch"
        )
    if (target.start / CONFIG).is_file():
        return started
    order = source.read_order()
    found = _newest(source)
    if order is None or found is None:
        raise DataError(
            f"job {source.path.name} must have a whole checkpoint to branch from, found none",
            where=str(source.path),
            fix="leave --branch out: the job starts anew",
        )
    _check_same("base", order.base_id, base_id)
    old, new = _shape(order.spec.lora), _shape(spec.lora)
    for name, value in old.items():
        _check_same(f"lora.{name}", value, new[name])
    _copy(found, target.start)
    return started


def _newest(source: JobFolder) -> Path | None:
    checkpoint = source.newest_checkpoint()
    if checkpoint is not None:
        return checkpoint.folder
    return source.final if (source.final / WEIGHTS).is_file() else None


def _copy(source: Path, target: Path) -> None:
    """Copies an adapter's two files; the config comes last and says that both are there."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, CONFIG):
        fresh = target / f".{name}.new"
        shutil.copyfile(source / name, fresh)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(target / name)


def _shape(lora: LoraSpec) -> dict[str, object]:
    value = asdict(lora)
    value.pop("lora_dropout")  # says nothing about the tensors
    return value


def _check_same(name: str, old: object, new: object) -> None:
    if old != new:
        raise ConfigError(
            f"a branch trains the same adapter on, so it must keep {old}, got {new}",
            where=name,
            fix="set it back, or leave --branch out and start anew under another name",
        )
