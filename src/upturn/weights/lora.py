"""LoRA as numbers: read from what PEFT writes, written so that every server takes it.

A layer's update is x -> B A x (Hu et al. 2021, equation 3). The scale, alpha / r or for rsLoRA
alpha / sqrt(r) (Kalajdzievski 2023), is folded into B, so that nobody needs to know it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from upturn.errors import ModelError
from upturn.weights.adapter import CONFIG, WEIGHTS
from upturn.weights.peft_config import PeftConfig, plain_config, read_config

_PREFIX = "base_model.model."
_HALF = re.compile(r"(?P<module>.+)\.lora_(?P<half>[AB])(?:\.default)?\.weight")
#: Pattern in a tensor's name -> what it is and what to do instead.
_REFUSED = (
    (r"\.lora_magnitude_vector", "a DoRA magnitude", "train with use_dora: false"),
    (r"\.lora_embedding_", "an update of the embeddings", "target linear layers only"),
    (r"\.lora_B\.bias$", "a bias of the update", "train with lora_bias: false"),
    (r"\.bias$", "a trained bias", "train with bias: none"),
    (r"\.modules_to_save\.", "a whole trained module", "train without modules_to_save"),
)


class LoraLayer(NamedTuple):
    """One layer's update, float32: ``a`` [r, in], ``b`` [out, r]; the scale is in ``b``."""

    a: Tensor
    b: Tensor


@dataclass(frozen=True, kw_only=True)
class Lora:
    """An adapter's numbers.

    Attributes:
        layers: module path in the base, such as ``model.layers.0.self_attn.q_proj`` -> update.
    """

    layers: Mapping[str, LoraLayer]

    @property
    def rank(self) -> int:
        """The largest rank of a layer."""
        return max(layer.a.shape[0] for layer in self.layers.values())

    @property
    def n_bytes(self) -> int:
        return sum(4 * (a.numel() + b.numel()) for a, b in self.layers.values())


def read_peft(folder: Path | str, *, tied: bool = True) -> Lora:
    """Reads an adapter folder that PEFT wrote: adapter_config.json, adapter_model.safetensors.

    rsLoRA, rank and alpha patterns are understood; other files, and DPO's ``ref/``, are left alone.

    Args:
        folder: the folder.
        tied: the base's head is its embedding: an update of the head is refused then.

    Raises:
        ModelError: a file is missing or unreadable; what it holds is more than plain LoRA; a
            tensor is unknown, without its other half, of a wrong shape or not finite.
    """
    folder = Path(folder)
    config = read_config(folder / CONFIG)
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in _tensors(folder / WEIGHTS).items():
        module, half = _name(key, where=folder, tied=tied)
        if half in halves.setdefault(module, {}):
            raise ModelError(
                f"each tensor must be there once, {key} is there twice", where=str(folder)
            )
        halves[module][half] = tensor.to(torch.float32)
    if not halves:
        raise ModelError(
            "an adapter must change at least one layer, this one has none", where=str(folder)
        )
    return Lora(
        layers={
            module: _layer(module, halves[module], config, where=folder)
            for module in sorted(halves)
        }
    )


def plain(lora: Lora, *, rank: int | None = None) -> Lora:
    """Returns the same update with one rank in every layer: smaller ones are filled with zeros.

    Args:
        lora: what to fill up.
        rank: at least the largest rank, which it is by default.
    """
    rank = rank or lora.rank
    return Lora(
        layers={
            module: LoraLayer(
                a=torch.nn.functional.pad(a, (0, 0, 0, rank - a.shape[0])).contiguous(),
                b=torch.nn.functional.pad(b, (0, rank - b.shape[1])).contiguous(),
            )
            for module, (a, b) in sorted(lora.layers.items())
        }
    )


def peft_files(lora: Lora, *, base_name: str, rank: int | None = None) -> dict[str, bytes]:
    """Returns file name -> content of the plain adapter; the same numbers give the same bytes.

    Args:
        lora: the update.
        base_name: goes into ``base_model_name_or_path``.
        rank: as in ``plain``.
    """
    from safetensors.torch import save

    even = plain(lora, rank=rank)
    tensors = {
        f"{_PREFIX}{module}.lora_{half}.weight": tensor
        for module, layer in even.layers.items()
        for half, tensor in (("A", layer.a), ("B", layer.b))
    }
    config = plain_config(list(even.layers), rank=even.rank, base_name=base_name)
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    return {WEIGHTS: save(tensors, metadata={"format": "pt"}), CONFIG: text.encode()}


def write_peft(
    lora: Lora, folder: Path | str, *, base_name: str, rank: int | None = None
) -> list[Path]:
    """Writes plain LoRA: one rank, ``lora_alpha`` equal to it, so that the scale is 1.

    Args:
        lora: the update.
        folder: made if it is not there.
        base_name: as in ``peft_files``.
        rank: as in ``plain``.

    Returns:
        The files written, readable for all.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for name, content in peft_files(lora, base_name=base_name, rank=rank).items():
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o644)
        paths.append(path)
    return paths


def check_fits(lora: Lora, shapes: Mapping[str, tuple[int, int]], *, where: str) -> None:
    """Checks an update against the layers of a base.

    Args:
        lora: the update.
        shapes: module path -> (out, in) of the base's linear layers; see ``base.base_shapes``.
        where: the adapter, for the message.

    Raises:
        ModelError: a layer that the base does not have, or has in another shape.
    """
    for module, (a, b) in lora.layers.items():
        if module not in shapes:
            raise ModelError(
                f"every layer of an adapter must be one of the base, which has no {module}",
                where=where,
                fix="use the adapter with the model that it was trained on",
            )
        if (b.shape[0], a.shape[1]) != tuple(shapes[module]):
            raise ModelError(
                f"{module} must be {_shape(shapes[module])} as in the base, "
                f"the adapter's is {_shape((b.shape[0], a.shape[1]))}",
                where=where,
                fix="use the adapter with the model that it was trained on",
            )


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise ModelError(
            f"an adapter must have its weights in {WEIGHTS}, which is missing",
            where=str(path.parent),
            fix="give the folder that PEFT's save_pretrained wrote",
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"must be a safetensors file ({error})", where=str(path)) from error


def _name(key: str, *, where: Path, tied: bool) -> tuple[str, str]:
    """Returns module path and half of a tensor."""
    for part, meaning, fix in _REFUSED:
        if re.search(part, key):
            raise ModelError(
                f"an adapter must be plain LoRA, {key} is {meaning}", where=str(where), fix=fix
            )
    match = _HALF.fullmatch(key)
    if match is None:
        raise ModelError(
            f"every tensor must be a lora_A or a lora_B, {key} is neither",
            where=str(where),
            fix="train without modules_to_save and without trained embeddings",
        )
    module = match["module"].removeprefix(_PREFIX)
    if tied and module.rsplit(".", 1)[-1] in ("lm_head", "embed_out"):
        raise ModelError(
            f"{module} must stay as it is where it is tied to the embeddings, and the adapter "
            "changes it: merged, it would change both",
            where=str(where),
            fix="train with target_modules: all-linear, which leaves the head out",
        )
    return module, match["half"]


def _layer(
    module: str, halves: Mapping[str, Tensor], config: PeftConfig, *, where: Path
) -> LoraLayer:
    if missing := {"A", "B"} - set(halves):
        raise ModelError(
            f"{module} must have both halves, lora_{missing.pop()} is missing", where=str(where)
        )
    a, b = halves["A"], halves["B"]
    r, alpha = config.shape(module)
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != r or b.shape[1] != r:
        raise ModelError(
            f"{module} must have rank {r} as {CONFIG} says, its halves are "
            f"A {_shape(a.shape)} and B {_shape(b.shape)}",
            where=str(where),
        )
    if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
        raise ModelError(
            f"weights must be finite numbers, {module} has NaN or infinity",
            where=str(where),
            fix="train again with a lower learning_rate",
        )
    scale = alpha / (math.sqrt(r) if config.use_rslora else r)
    return LoraLayer(a=a.contiguous(), b=(b * scale).contiguous())


def _shape(shape: Any) -> str:
    return " x ".join(map(str, shape)) or "a number"
