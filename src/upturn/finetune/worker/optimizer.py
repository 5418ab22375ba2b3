"""The optimizer's and the schedule's state as tensors and JSON: what torch would pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from upturn.errors import UpturnError
from upturn.records import Json, canonical_json

OPTIMIZER = "optimizer.safetensors"


def optimizer_state(optimizer: Any) -> tuple[bytes, Json]:
    """Returns the tensors of all parameters (``<place>.<name>``), and the groups' settings.

    Raises:
        UpturnError: the optimizer keeps what is neither.
    """
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    for place, values in state["state"].items():
        for name, value in values.items():
            if not isinstance(value, Tensor):
                raise UpturnError(f"an optimizer must keep tensors, {name} is {type(value)}")
            tensors[f"{place}.{name}"] = value.detach().cpu().contiguous()
    return save(tensors), _plain(state["param_groups"])


def restore_optimizer(optimizer: Any, folder: Path, groups: Json) -> None:
    """Sets an optimizer over the same parameters to what ``optimizer_state`` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in load_file(folder / OPTIMIZER).items():
        place, name = key.split(".", 1)
        state.setdefault(int(place), {})[name] = tensor
    made = [{**group, "betas": tuple(group["betas"])} for group in groups]
    optimizer.load_state_dict({"state": state, "param_groups": made})


def schedule_state(scheduler: Any) -> Json:
    """Returns a learning-rate schedule's state.

    Raises:
        UpturnError: it is no JSON.
    """
    return _plain(scheduler.state_dict())


def restore_schedule(scheduler: Any, state: Json) -> None:
    """Sets a schedule of the same kind to what ``schedule_state`` returned."""
    scheduler.load_state_dict(state)


def _plain(value: Any) -> Json:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, torch.Tensor):
        return value.item()
    try:
        canonical_json(value)
    except (TypeError, ValueError) as error:
        raise UpturnError(f"the state must be JSON, got {type(value).__name__}") from error
    return value
