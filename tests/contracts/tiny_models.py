"""Random models of a few thousand weights, written as Hugging Face folders on the spot.

They have the embedded model's tokenizer and chat template, so they take the prompts that the
embedded model takes. Their answers are noise; their training is real.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from upturn import mini

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_SHAPE: dict[str, Any] = {
    "vocab_size": 8000,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 4,
    "pad_token_id": 0,
}


def tiny_llama(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """Writes a random Llama; ``config`` changes its ``LlamaConfig``. Returns the folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return _write(folder, LlamaForCausalLM, LlamaConfig, seed, config)


def tiny_qwen3(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """Writes a random Qwen3, which normalises queries and keys. Returns the folder."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return _write(folder, Qwen3ForCausalLM, Qwen3Config, seed, config)


def tiny_gemma3(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """Writes a random Gemma 3 (text), which has a sliding window. Returns the folder."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    shape = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
    return _write(folder, Gemma3ForCausalLM, Gemma3TextConfig, seed, {**shape, **config})


def _write(folder: Path, model: Any, shape: Any, seed: int, config: dict[str, Any]) -> Path:
    import torch
    from transformers import GenerationConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = model(shape(**{**_SHAPE, **config}))
    made.generation_config = GenerationConfig(eos_token_id=4, pad_token_id=0)
    made.save_pretrained(folder)
    for name in _TOKENIZER:
        shutil.copy(mini.weights_dir() / name, Path(folder) / name)
    return Path(folder)
