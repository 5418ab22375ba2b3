"""Logits of a base with its adapter, of an exported adapter, and of merged weights.

The source is always what PEFT makes of base and adapter in fp32. A difference is the largest one
over all positions and tokens, as a share of the largest logit, or of 1 where all are smaller.

Merging in fp32 and casting to 16 bits rounds. What that may cost is measured, not guessed: PEFT
merges and casts as well, and the export must be as far from the source as that is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from upturn.export.serving.base import TOLERANCE, Check
from upturn.export.serving.merging import HEAD
from upturn.export.serving.model_folder import torch_dtype
from upturn.export.serving.reading import Order, Reading
from upturn.records import Json
from upturn.weights.adapter import WEIGHTS

_LENGTHS = (1, 7, 48)
_LONGEST_CHAT = 512
#: Two ways to round must agree to this share of the rounding itself.
_SHARE = 0.1

Logits = list[torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Logits of the source, and those of its weights merged by PEFT and rounded."""

    rows: list[torch.Tensor]
    exact: Logits
    rounded: Logits


def compare_adapter(order: Order) -> Reading:
    """Compares an exported adapter with its source, both loaded by PEFT on the base in fp32."""
    rows = token_rows(Path(order.base), order.messages)
    source = run(load_adapter(order.base, order.adapter), rows)
    model = load_adapter(order.base, order.exported)
    missing = _unplaced(model, Path(order.exported))
    value = difference(run(model, rows), source)
    return Reading(
        checks=[
            Check.of(order.target, "tensors that PEFT finds no place for", missing, 0),
            Check.of(order.target, "logits: PEFT in fp32, against the source", value, TOLERANCE),
        ],
        measured={"difference": value},
    )


def compare_merged(order: Order) -> Reading:
    """Compares a merged folder, loaded by transformers, with base and adapter."""
    made = reference(order, vectors=True)
    model = _load(order.exported)
    return compare_model(order, made, model, "transformers")


def compare_model(order: Order, made: Reference, model: Any, by: str) -> Reading:
    """Compares a loaded merged model with the source, and with what rounding makes of it."""
    found = run(model, made.rows)
    value = difference(found, made.exact)
    measured: dict[str, Json] = {"difference": value, "same_token": _same(found, made.exact)}
    rounding = difference(made.rounded, made.exact)
    if rounding <= TOLERANCE:
        check = Check.of(order.target, f"logits: {by} in fp32, against PEFT", value, TOLERANCE)
        return Reading(checks=[check], measured=measured)
    what = f"logits: {by}, against PEFT's own merge rounded the same way"
    tolerance = max(TOLERANCE, _SHARE * rounding)
    check = Check.of(order.target, what, difference(found, made.rounded), tolerance)
    return Reading(checks=[check], measured={**measured, "rounding": rounding})


def reference(order: Order, *, vectors: bool) -> Reference:
    """Returns the source's logits.

    Args:
        order: what was exported.
        vectors: whether norms and other vectors were cast as well.
    """
    rows = token_rows(Path(order.base), order.messages)
    model = load_adapter(order.base, order.adapter)
    exact = run(model, rows)
    _untie(model)
    merged = model.merge_and_unload()
    config = json.loads((Path(order.base) / "config.json").read_text(encoding="utf-8"))
    _round(merged, torch_dtype(order.dtype, config), vectors=vectors)
    return Reference(rows=rows, exact=exact, rounded=run(merged, rows))


def token_rows(base: Path, messages: Sequence[Any]) -> list[torch.Tensor]:
    """Returns rows of token ids [1, n] to compare on: random ones and a chat. Always the same."""
    from transformers import AutoTokenizer

    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, config["vocab_size"], n).tolist() for n in _LENGTHS]
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    if tokenizer.chat_template and messages:
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        rows.append(ids[-_LONGEST_CHAT:])
    return [torch.tensor([row]) for row in rows]


def load_adapter(base: str, adapter: str) -> Any:
    """Returns base and adapter in fp32, as PEFT loads them."""
    from peft import PeftModel

    return PeftModel.from_pretrained(_load(base), adapter).eval()


def run(model: Any, rows: Sequence[torch.Tensor]) -> Logits:
    """Returns the logits of every row, fp32."""
    with torch.inference_mode():
        return [model(input_ids=ids).logits[0].float() for ids in rows]


def difference(found: Logits, expected: Logits) -> float:
    """Returns the largest difference as a share of the largest logit, or of 1 below that."""
    gaps = [float((a - b).abs().max()) for a, b in zip(found, expected, strict=True)]
    return _largest(gaps) / max(1.0, _largest([float(b.abs().max()) for b in expected]))


def _largest(values: Sequence[float]) -> float:
    return float(np.max(values))  # not max(): that may lose a NaN


def _same(found: Logits, expected: Logits) -> float:
    """The share of positions with the same likeliest token."""
    same = [(a.argmax(-1) == b.argmax(-1)) for a, b in zip(found, expected, strict=True)]
    return float(torch.cat(same).float().mean())


def _load(folder: str) -> Any:
    from transformers import AutoModelForCausalLM

    load: Callable[..., Any] = AutoModelForCausalLM.from_pretrained
    return load(folder, dtype=torch.float32, local_files_only=True).eval()


def _unplaced(model: Any, adapter: Path) -> int:
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(adapter / WEIGHTS, framework="pt") as file:
        names = set(file.keys())
    return len(names ^ set(get_peft_model_state_dict(model, save_embedding_layers=False)))


def _untie(model: Any) -> None:
    """Gives a head that the adapter changes a weight of its own, which PEFT's merge does not."""
    for name, module in model.named_modules():
        if name.endswith(f"{HEAD}.base_layer"):
            module.weight = torch.nn.Parameter(module.weight.detach().clone())


def _round(model: Any, dtype: torch.dtype, *, vectors: bool) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            if vectors or parameter.ndim > 1:
                parameter.copy_(parameter.to(dtype).float())
