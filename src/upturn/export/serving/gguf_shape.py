"""config.json -> what llama.cpp needs to know of an architecture, or why it cannot be said exactly.

llama.cpp fixes some of an architecture in its own code; a model that differs there would run and
answer wrongly, so it is refused. Sources: ``convert_hf_to_gguf.py`` (names, the permutation of q
and k, Gemma's norms) and ``llama_model::load_hparams`` (Gemma 3's window pattern and local theta).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from upturn.errors import InputError

Config = Mapping[str, Any]

_PATTERN = 6  # every sixth layer of Gemma 3 attends to everything
_LOCAL_THETA = 10_000.0
#: Where llama.cpp scales attention by hidden size over heads instead of by the head's size.
_GEMMA_27B_LAYERS = 62


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What goes into a GGUF file's metadata.

    Attributes:
        arch: llama.cpp's name.
        config: the model's config.
        head_dim, kv_heads: with the defaults that configs leave out.
        theta: of the rotary embedding (of full attention, for Gemma 3).
        permuted: q and k rows are reordered: llama.cpp rotates neighbours, transformers halves.
        norm_shift: added to the norms' weights.
        window: of sliding attention, or None.
        softcap: of the final logits, or None.
    """

    arch: str
    config: Config
    head_dim: int
    kv_heads: int
    theta: float
    permuted: bool = False
    norm_shift: float = 0.0
    window: int | None = None
    softcap: float | None = None

    def heads(self, name: str) -> int | None:
        """Returns by how many heads a tensor's rows are reordered, or None."""
        if not self.permuted:
            return None
        if name.endswith("q_proj.weight"):
            return int(self.config["num_attention_heads"])
        return self.kv_heads if name.endswith("k_proj.weight") else None


def shape(config: Config, *, where: str) -> Shape:
    """Returns the shape of a model.

    Raises:
        InputError: an architecture that is not known here, or a detail that llama.cpp fixes
            otherwise.
    """
    kind = str(config.get("model_type"))
    if kind not in _KINDS:
        raise InputError(
            f"GGUF is written for {', '.join(_KINDS)}, and the base is {kind}",
            where=where,
            fix="--to merged, then llama.cpp's own convert_hf_to_gguf.py",
        )
    made, rules = _KINDS[kind](config)
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise InputError(
            "llama.cpp must compute what the base computes, so " + "; ".join(broken),
            where=where,
            fix="--to merged, then a server that reads it as transformers does",
        )
    return made


def _llama(config: Config) -> tuple[Shape, dict[str, bool]]:
    made = Shape(arch="llama", permuted=True, theta=_theta(config), **_common(config))
    rules = {"biases must be off": not (config.get("attention_bias") or config.get("mlp_bias"))}
    return made, {**rules, **_plain(config, "silu")}


def _qwen3(config: Config) -> tuple[Shape, dict[str, bool]]:
    made = Shape(arch="qwen3", theta=_theta(config), **_common(config))
    rules = {
        "attention_bias must be off": not config.get("attention_bias"),
        "use_sliding_window must be off": not config.get("use_sliding_window"),
    }
    return made, {**rules, **_plain(config, "silu")}


def _gemma3(config: Config) -> tuple[Shape, dict[str, bool]]:
    rope: Config = config.get("rope_parameters") or {}
    full, local = rope.get("full_attention", {}), rope.get("sliding_attention", {})
    theta = float(full.get("rope_theta") or config.get("rope_theta") or 1_000_000.0)
    near = float(local.get("rope_theta") or config.get("rope_local_base_freq") or _LOCAL_THETA)
    common = _common(config)
    made = Shape(
        arch="gemma3",
        theta=theta,
        norm_shift=1.0,
        window=config.get("sliding_window"),
        softcap=config.get("final_logit_softcapping"),
        **common,
    )
    n = int(config["num_hidden_layers"])
    usual = ["sliding" if (i + 1) % _PATTERN else "full" for i in range(n)]
    layers = config.get("layer_types") or [f"{kind}_attention" for kind in usual]
    rules = {
        f"every {_PATTERN}th layer, and no other, must have full attention": list(layers)
        == [f"{kind}_attention" for kind in usual],
        f"the local rope_theta must be {_LOCAL_THETA:g}, not {near:g}": near == _LOCAL_THETA,
        "query_pre_attn_scalar must be the size of a head": n == _GEMMA_27B_LAYERS
        or config.get("query_pre_attn_scalar", 256) == common["head_dim"],
        "attn_logit_softcapping must be off": not config.get("attn_logit_softcapping"),
        "attention must be causal": not config.get("use_bidirectional_attention"),
        "attention_bias must be off": not config.get("attention_bias"),
        "the activation must be gelu_pytorch_tanh": config.get("hidden_activation")
        in (None, "gelu_pytorch_tanh"),
        "rope must not be scaled": _unscaled(full) and _unscaled(local),
    }
    return made, rules


_KINDS: dict[str, Callable[[Config], tuple[Shape, dict[str, bool]]]] = {
    "llama": _llama,
    "qwen3": _qwen3,
    "gemma3_text": _gemma3,
}


def _common(config: Config) -> dict[str, Any]:
    heads = int(config["num_attention_heads"])
    return {
        "config": config,
        "head_dim": int(config.get("head_dim") or config["hidden_size"] // heads),
        "kv_heads": int(config.get("num_key_value_heads") or heads),
    }


def _plain(config: Config, activation: str) -> dict[str, bool]:
    rope: Config = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return {
        f"the activation must be {activation}": config.get("hidden_act", activation) == activation,
        "rope must not be scaled": _unscaled(rope),
    }


def _unscaled(rope: Config) -> bool:
    return (rope.get("rope_type") or rope.get("type") or "default") == "default"


def _theta(config: Config) -> float:
    rope: Config = config.get("rope_parameters") or {}
    return float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)
