"""Base plus adapter, tensor by tensor, in fp32: W + B A. Reads safetensors, one shard at a time.

PEFT's ``merge_and_unload`` adds the update of a tied head to the embeddings as well, which moves
every input. Here a head that the adapter changes becomes a tensor of its own.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upturn.errors import ModelError
from upturn.weights.base import base_shapes

if TYPE_CHECKING:
    import torch

    from upturn.weights.lora import Lora, LoraLayer

HEAD, EMBEDDINGS = "lm_head", "model.embed_tokens"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A base model as files.

    Attributes:
        folder: where it is.
        config: its ``config.json``.
        shards: file name -> names of the tensors in it.
    """

    folder: Path
    config: Mapping[str, Any]
    shards: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for names in self.shards.values() for name in names)

    @property
    def tied(self) -> bool:
        """Whether the head is the embeddings."""
        return bool(self.config.get("tie_word_embeddings", f"{HEAD}.weight" not in self.names))

    @contextmanager
    def opened(self, shard: str) -> Generator[Any]:
        """Opens one file; ``get_tensor(name)`` reads a tensor."""
        from safetensors import safe_open

        with safe_open(self.folder / shard, framework="pt") as file:
            yield file


def base_model(folder: Path) -> BaseModel:
    """Looks into a base model's folder.

    Raises:
        ModelError: it has no safetensors, or is quantised.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("quantization_config"):
        what = "the base must not be quantised: an update cannot be added to codes"
        fix = "name the folder of the original weights with --base"
        raise ModelError(what, where=str(folder), fix=fix)
    files = sorted(p.name for p in folder.glob("*.safetensors"))
    if not files:
        what = "the base's weights must be *.safetensors, and there is no such file"
        fix = "save it again with transformers: model.save_pretrained(FOLDER)"
        raise ModelError(what, where=str(folder), fix=fix)
    made = BaseModel(folder=folder, config=config, shards={})
    shards: dict[str, tuple[str, ...]] = {}
    for name in files:
        with made.opened(name) as file:
            shards[name] = tuple(file.keys())
    return BaseModel(folder=folder, config=config, shards=shards)


def layer_shapes(base: BaseModel) -> dict[str, tuple[int, int]]:
    """Returns module -> (out, in); a tied head has the shape of the embeddings."""
    shapes = base_shapes(base.folder)
    if base.tied and EMBEDDINGS in shapes:
        shapes[HEAD] = shapes[EMBEDDINGS]
    return shapes


def merged(base: BaseModel, lora: Lora, shard: str) -> dict[str, torch.Tensor]:
    """Returns the tensors of a shard: those that change in fp32, the others as they are."""
    tensors: dict[str, torch.Tensor] = {}
    with base.opened(shard) as file:
        for name in base.shards[shard]:
            module = name.removesuffix(".weight")
            if module == HEAD and base.tied:
                continue  # a copy that loading ignores
            tensor = file.get_tensor(name)
            if module == EMBEDDINGS and base.tied and HEAD in lora.layers:
                tensors[f"{HEAD}.weight"] = _added(tensor, lora.layers[HEAD])
            tensors[name] = _added(tensor, lora.layers[module]) if module in lora.layers else tensor
    return tensors


def _added(weight: torch.Tensor, layer: LoraLayer) -> torch.Tensor:
    return weight.float() + layer.b @ layer.a
