"""Random LoRA adapters in PEFT's format, for tests: made from the base's file headers alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from upturn.weights.adapter import CONFIG, WEIGHTS

_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def random_adapter(
    base_folder: Path | str,
    folder: Path | str,
    *,
    seed: int = 0,
    r: int = 4,
    scale: float = 1.0,
    targets: Sequence[str] = _TARGETS,
) -> Path:
    """Writes a folder that PEFT reads: random A and B for every targeted layer of a base.

    Args:
        base_folder: a Hugging Face folder with safetensors weights.
        folder: where to write; made if it is not there.
        seed: the same seed gives the same weights.
        r: rank; ``lora_alpha`` is the same number, so that the scale is 1.
        scale: the update's size relative to that of a typical weight; 0 changes no answer.
        targets: last parts of the names of the layers.

    Returns:
        ``folder``.
    """
    from safetensors.numpy import save_file

    draw = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for module, (n_out, n_in) in sorted(_shapes(Path(base_folder), targets).items()):
        # Var(B A) per entry is then scale**2 * 0.02**2, 0.02 being how transformers starts weights.
        a = draw.standard_normal((r, n_in)) / np.sqrt(r)
        b = draw.standard_normal((n_out, r)) * 0.02 * scale
        tensors[f"base_model.model.{module}.lora_A.weight"] = a.astype(np.float32)
        tensors[f"base_model.model.{module}.lora_B.weight"] = b.astype(np.float32)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base_folder),
        "r": r,
        "lora_alpha": r,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted({module.rsplit(".", 1)[-1] for module in _modules(tensors)}),
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    return folder


def _modules(tensors: dict[str, np.ndarray]) -> list[str]:
    ends = ".lora_A.weight"
    return [key.removesuffix(ends) for key in tensors if key.endswith(ends)]


def _shapes(base: Path, targets: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Returns module path -> [out, in] of the targeted layers, from the weights' headers."""
    from upturn.weights.base import base_shapes

    found = base_shapes(base)
    return {m: s for m, s in found.items() if m.rsplit(".", 1)[-1] in targets}
