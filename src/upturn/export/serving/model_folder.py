"""A merged model as a Hugging Face folder: config, tokenizer, chat template, safetensors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upturn.export.serving.base import Dtype
from upturn.export.serving.merging import HEAD, INDEX, BaseModel, merged

if TYPE_CHECKING:
    import torch

    from upturn.weights.lora import Lora

_DTYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}
_COPIED = (
    *("generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model"),
    *("chat_template.jinja", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt"),
)


def torch_dtype(dtype: Dtype, config: Mapping[str, Any]) -> torch.dtype:
    """Returns torch's name of a dtype; "auto" is the base's own."""
    import torch

    own = config.get("dtype") or config.get("torch_dtype") or "float32"
    return getattr(torch, own if dtype == "auto" else _DTYPES[dtype])


def write_model(base: BaseModel, lora: Lora, folder: Path, *, dtype: Dtype) -> float:
    """Writes base plus adapter and returns the largest rounding of a weight that was changed.

    Args:
        dtype: every floating tensor is cast to it; "auto" leaves each as the base has it.
    """
    folder.mkdir(parents=True)
    index: dict[str, str] = {}
    size, rounding = 0, 0.0
    for shard in base.shards:
        tensors, lost = _cast(merged(base, lora, shard), base, lora, dtype)
        rounding = max(rounding, lost)
        _save(tensors, folder / shard)
        index |= dict.fromkeys(tensors, shard)
        size += sum(t.numel() * t.element_size() for t in tensors.values())
    if len(base.shards) > 1:
        content = {"metadata": {"total_size": size}, "weight_map": index}
        _write_json(folder / INDEX, content)
    _write_json(folder / "config.json", _config(base, lora, dtype))
    for name in _COPIED:
        if (base.folder / name).is_file():
            shutil.copyfile(base.folder / name, folder / name)
    return rounding


def _cast(
    tensors: Mapping[str, torch.Tensor], base: BaseModel, lora: Lora, dtype: Dtype
) -> tuple[dict[str, torch.Tensor], float]:
    wanted = torch_dtype(dtype, base.config)
    made: dict[str, torch.Tensor] = {}
    lost = 0.0
    for name, tensor in tensors.items():
        changed = name.removesuffix(".weight") in lora.layers
        keep = not tensor.is_floating_point() or (dtype == "auto" and not changed)
        made[name] = tensor.contiguous() if keep else tensor.to(wanted).contiguous()
        if changed:
            lost = max(lost, float((made[name].float() - tensor).abs().max()))
    return made, lost


def _config(base: BaseModel, lora: Lora, dtype: Dtype) -> dict[str, Any]:
    config = dict(base.config)
    config.pop("torch_dtype", None)
    config["dtype"] = str(torch_dtype(dtype, base.config)).removeprefix("torch.")
    if HEAD in lora.layers:
        config["tie_word_embeddings"] = False
    return config


def _save(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    save_file(dict(tensors), path, metadata={"format": "pt"})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
