"""Bases and adapters for the tests of exports: made on the spot, large enough to tell mistakes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tests.contracts.tiny_models import tiny_gemma3, tiny_llama, tiny_qwen3

#: The shapes of an adapter that servers read differently.
ADAPTERS: dict[str, dict[str, Any]] = {
    "plain": {"r": 4, "lora_alpha": 8},
    "rslora": {"r": 4, "lora_alpha": 8, "use_rslora": True},
    "patterns": {
        "r": 4,
        "lora_alpha": 8,
        "rank_pattern": {"q_proj": 2, "layers.1.mlp.down_proj": 6},
        "alpha_pattern": {"q_proj": 3},
    },
}
#: Weights of this size make every layer matter: a mistake moves logits by far more than 1e-5.
_LOUD = {"initializer_range": 0.3}


def make_base(kind: str, folder: Path) -> Path:
    """Writes a base that llama.cpp computes as transformers does, and returns its folder."""
    if kind == "gemma3":
        layers = ["sliding_attention"] * 5 + ["full_attention"]
        exact = {"num_hidden_layers": 6, "layer_types": layers, "query_pre_attn_scalar": 8}
        return tiny_gemma3(folder, **exact, **_LOUD)
    return {"llama": tiny_llama, "qwen3": tiny_qwen3}[kind](folder, **_LOUD)


def make_adapter(base: Path, folder: Path, **config: Any) -> Path:
    """Writes an adapter with random halves, as PEFT saves it, and returns its folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    shape = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **config}
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # PEFT's own, on transformers of today
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        made = LoraConfig(init_lora_weights=False, task_type="CAUSAL_LM", **shape)
        get_peft_model(model, made).save_pretrained(folder, save_embedding_layers=False)
    return folder


def change(path: Path, ending: str) -> None:
    """Turns the rows of the first tensor with this ending around."""
    tensors = load_file(path)
    name = next(n for n in sorted(tensors) if n.endswith(ending))
    tensors[name] = tensors[name].flip(0).contiguous()
    save_file(tensors, path, metadata={"format": "pt"})


def set_config(folder: Path, **values: Any) -> None:
    """Changes adapter_config.json."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
