"""adapter_config.json: what of it decides an adapter's numbers, and the plain one we write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from upturn.errors import ModelError
from upturn.records import Json

#: Options that make an adapter more than B A x; what each of them is.
_MORE_THAN_PLAIN = {
    "use_dora": "DoRA",
    "use_qalora": "QA-LoRA",
    "use_bdlora": "block-diagonal LoRA",
    "lora_bias": "a bias of the update",
    "modules_to_save": "whole trained modules",
    "trainable_token_indices": "trained token embeddings",
    "target_parameters": "updates of bare parameters",
    "layer_replication": "replicated layers",
    "alora_invocation_tokens": "activated LoRA",
    "arrow_config": "Arrow routing",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "megatron_config": "Megatron's parallel layers",
}
#: Initialisations that leave the base as it is; PiSSA, OLoRA, CorDA, LoftQ and others change it.
_KINDLY_STARTED = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, kw_only=True)
class PeftConfig:
    """The part of adapter_config.json that decides the numbers; names are PEFT's."""

    r: int
    lora_alpha: float
    use_rslora: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]

    def shape(self, module: str) -> tuple[int, float]:
        """Returns rank and alpha of a module."""
        return (
            _matching(self.rank_pattern, module, self.r),
            _matching(self.alpha_pattern, module, self.lora_alpha),
        )


def read_config(path: Path) -> PeftConfig:
    """Reads adapter_config.json.

    Raises:
        ModelError: missing, no JSON object, or more than plain LoRA.
    """
    if not path.is_file():
        raise ModelError(
            f"an adapter must have {path.name}, which is missing",
            where=str(path.parent),
            fix="give the folder that PEFT's save_pretrained wrote",
        )
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"must be a JSON object ({error})", where=str(path)) from error
    if not isinstance(found, dict):
        raise ModelError("must be a JSON object", where=str(path))
    values = cast("dict[str, Any]", found)
    if problems := _problems(values):
        raise ModelError("; ".join(problems), where=str(path), fix="train plain LoRA or rsLoRA")
    return PeftConfig(
        r=values["r"],
        lora_alpha=values["lora_alpha"],
        use_rslora=bool(values.get("use_rslora")),
        rank_pattern=values.get("rank_pattern") or {},
        alpha_pattern=values.get("alpha_pattern") or {},
    )


def plain_config(modules: Sequence[str], *, rank: int, base_name: str) -> dict[str, Json]:
    """Returns the adapter_config.json of plain LoRA with one rank and the scale 1."""
    return {
        "alpha_pattern": {},
        "base_model_name_or_path": base_name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": {},
        "target_modules": _targets(modules),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }


def _targets(modules: Sequence[str]) -> list[str]:
    """Returns the last parts of the names where they say it all, else the whole paths.

    Servers expect last parts. PEFT makes a layer for everything that matches, so they would be too
    much where some layers of a kind are left out.
    """
    layers: dict[str, set[int]] = {}
    for module in modules:
        number = re.search(r"\.(\d+)\.", module)
        layers.setdefault(module.rsplit(".", 1)[-1], set()).add(int(number[1]) if number else 0)
    every = set(range(max(max(numbers) for numbers in layers.values()) + 1))
    if all(numbers == every for numbers in layers.values()):
        return sorted(layers)
    return sorted(modules)


def _matching(pattern: Mapping[str, Any], module: str, default: Any) -> Any:
    """The first pattern that matches the path's end: peft.utils.other.get_pattern_key."""
    for key, value in pattern.items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default


def _problems(values: Mapping[str, Any]) -> list[str]:
    kind = values.get("peft_type")
    if kind != "LORA":
        return [f"peft_type must be LORA, got {kind!r}"]
    problems = [
        f"an adapter must be plain LoRA, {name} asks for {meaning}"
        for name, meaning in _MORE_THAN_PLAIN.items()
        if values.get(name)
    ]
    if values.get("bias", "none") != "none":
        problems.append(f"bias must be none, got {values['bias']!r}")
    start = values.get("init_lora_weights", True)
    if start not in _KINDLY_STARTED:
        problems.append(
            f"init_lora_weights must be one that leaves the base as it is, got {start!r}"
        )
    if not _is_rank(values.get("r")):
        problems.append(f"r must be a whole number >= 1, got {values.get('r')!r}")
    if not _is_number(values.get("lora_alpha")):
        problems.append(f"lora_alpha must be a number > 0, got {values.get('lora_alpha')!r}")
    return problems + _pattern_problems(values)


def _pattern_problems(values: Mapping[str, Any]) -> list[str]:
    problems: list[str] = []
    for name, fits in (("rank_pattern", _is_rank), ("alpha_pattern", _is_number)):
        pattern: Any = values.get(name) or {}
        if not isinstance(pattern, dict):
            problems.append(f"{name} must map names to numbers, got {pattern!r}")
            continue
        for key, value in cast("dict[str, Any]", pattern).items():
            if not (_is_regex(key) and fits(value)):
                problems.append(f"{name} must map names to numbers > 0, got {key!r}: {value!r}")
    return problems


def _is_regex(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_rank(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
