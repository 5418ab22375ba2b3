"""What the targets that serve an adapter beside its base share: files, refusals, rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from upturn.errors import InputError
from upturn.export.serving.base import Check, Options, Source
from upturn.export.serving.merging import HEAD
from upturn.records import Json
from upturn.weights.adapter import CONFIG, WEIGHTS

#: Where the adapter is; a folder per adapter, as vLLM's filesystem resolver wants it.
ADAPTERS = "adapters"


def write_adapter(source: Source, options: Options, folder: Path) -> dict[str, Json]:
    """Writes plain LoRA: one rank, scale folded into B, alpha = rank."""
    from upturn.weights.lora import write_peft

    name = f"{ADAPTERS}/{options.name}"
    write_peft(source.lora, folder / name, base_name=source.base_name)
    form = "plain LoRA: one rank, the scale folded into B, lora_alpha = r; rsLoRA and patterns gone"
    return {"weights": name, "form": form}


def refuse_head(source: Source, server: str) -> None:
    """Refuses an adapter that changes the head.

    Raises:
        InputError: PEFT merges it wrongly where the head is tied, servers do not load it.
    """
    if HEAD in source.lora.layers:
        raise InputError(
            f"{server} must not get an update of {HEAD}: many servers do not load it, and where "
            "the head is tied to the embeddings a later merge would change both",
            where=str(source.adapter),
            fix="--to merged gives the head a tensor of its own; or train without lm_head",
        )


def read_config(folder: Path, options: Options) -> dict[str, Any]:
    """Returns the adapter_config.json that was written."""
    return json.loads((folder / ADAPTERS / options.name / CONFIG).read_text(encoding="utf-8"))


def plain_rules(name: str, folder: Path, options: Options) -> list[Check]:
    """Checks that nothing is left of what servers ignore or refuse."""
    from safetensors import safe_open

    config = read_config(folder, options)
    with safe_open(folder / ADAPTERS / options.name / WEIGHTS, framework="np") as file:
        keys: list[str] = list(file.keys())
        ranks = {file.get_slice(k).get_shape()[0 if ".lora_A." in k else 1] for k in keys}
    plain = {
        "no DoRA, bias or modules_to_save": not (config["use_dora"] or config["modules_to_save"])
        and config["bias"] == "none",
        "scale 1: lora_alpha = r, no rsLoRA": config["lora_alpha"] == config["r"]
        and not config["use_rslora"],
        "no rank_pattern or alpha_pattern": not (config["rank_pattern"] or config["alpha_pattern"]),
        "every tensor is a lora_A or lora_B of rank r": ranks == {config["r"]}
        and all(k.endswith((".lora_A.weight", ".lora_B.weight")) for k in keys),
    }
    return [Check.rule(name, f"rule: {rule}", holds) for rule, holds in plain.items()]
