"""How often a model was found to be another one under its name, for all configs of a workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from upturn.lm.engine import Answers
from upturn.lm.epoch import AtEpoch
from upturn.pipeline.parts import Parts
from upturn.pipeline.workspace import Workspace, read_json, write_json
from upturn.records import content_hash


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """A model's present epoch.

    Attributes:
        model_id: the model.
        number: 0 before any change; part of every key of its answers from 1 on.
        since: when the last change was found (ISO 8601), or "".
        found: what was found then, in a sentence.
    """

    model_id: str
    number: int = 0
    since: str = ""
    found: str = ""


def read_epoch(workspace: Workspace, model_id: str) -> Epoch:
    """Returns a model's epoch; 0 where nothing was ever found.

    Raises:
        CorruptionError: the record does not match its hash.
    """
    path = _path(workspace, model_id)
    if not path.exists():
        return Epoch(model_id=model_id)
    return Epoch(**read_json(path))


def write_epoch(workspace: Workspace, epoch: Epoch) -> None:
    """Writes a model's epoch, atomically."""
    write_json(_path(workspace, epoch.model_id), asdict(epoch))


def answers_now(parts: Parts, identify: Callable[[Parts], str], answers: Answers) -> Answers:
    """Returns the answers that the model of today gave. A local model's id names its weights.

    Args:
        parts: of the model.
        identify: gives a model's id.
        answers: all that are kept.
    """
    if parts.model.is_local:
        return answers
    number = read_epoch(parts.workspace, identify(parts)).number
    return AtEpoch(answers, number) if number else answers


def _path(workspace: Workspace, model_id: str) -> Path:
    return workspace.folder / "canaries" / "models" / f"{content_hash(model_id, length=16)}.json"
