"""The Llama forward pass with fused weights, for training; transformers reads what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD = 32  # width of an attention head
_EPSILON = 1e-6
_ROPE_BASE = 10000.0
_CONTEXT = 4096  # tokens


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The network's sizes; the defaults make 6.7 M parameters."""

    vocabulary: int
    width: int = 256
    layers: int = 6
    feed_forward: int = 672

    @property
    def heads(self) -> int:
        return self.width // HEAD


class Network(nn.Module):
    """A Llama with tied embeddings, queries, keys and values in one matrix, gate and up in one."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        assert shape.width % HEAD == 0, "the width must be a multiple of the head's"
        self.shape = shape
        d, ff = shape.width, shape.feed_forward
        self.embedding = _normal(shape.vocabulary, d)
        self.qkv = self._per_layer(lambda: _normal(3 * d, d))
        self.attention_out = self._per_layer(lambda: _normal(d, d))
        self.gate_up = self._per_layer(lambda: _normal(2 * ff, d))
        self.down = self._per_layer(lambda: _normal(d, ff))
        self.attention_norm = self._per_layer(lambda: nn.Parameter(torch.ones(d)))
        self.mlp_norm = self._per_layer(lambda: nn.Parameter(torch.ones(d)))
        self.norm = nn.Parameter(torch.ones(d))

    def forward(self, ids_BT: Tensor, positions_M: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns logits (M, vocabulary) in float32 at positions of the flattened (B, T)."""
        embedding = self.embedding.to(dtype)
        x = F.embedding(ids_BT, embedding)
        rotation = rope(ids_BT.shape[1], device=x.device, dtype=dtype)
        for layer in range(self.shape.layers):
            x = x + self._attend(layer, x, rotation)
            x = x + self._mlp(layer, x)
        read = x.reshape(-1, self.shape.width).index_select(0, positions_M)
        return F.linear(self._normed(read, self.norm), embedding).float()

    def state(self) -> dict[str, Tensor]:
        """Returns the weights under the names that transformers' Llama has, in float32."""
        state = {"model.embed_tokens.weight": self.embedding, "model.norm.weight": self.norm}
        for layer in range(self.shape.layers):
            q, k, v = self.qkv[layer].chunk(3)
            gate, up = self.gate_up[layer].chunk(2)
            names = _names(layer)
            parts = (q, k, v, self.attention_out[layer], gate, up, self.down[layer])
            parts += (self.attention_norm[layer], self.mlp_norm[layer])
            state |= dict(zip(names, parts, strict=True))
        return {k: v.detach().float().cpu().clone() for k, v in state.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes weights under transformers' names; shapes must fit."""
        self.embedding.copy_(state["model.embed_tokens.weight"])
        self.norm.copy_(state["model.norm.weight"])
        for layer in range(self.shape.layers):
            q, k, v, out, gate, up, down, norm1, norm2 = (state[n] for n in _names(layer))
            self.qkv[layer].copy_(torch.cat([q, k, v]))
            self.attention_out[layer].copy_(out)
            self.gate_up[layer].copy_(torch.cat([gate, up]))
            self.down[layer].copy_(down)
            self.attention_norm[layer].copy_(norm1)
            self.mlp_norm[layer].copy_(norm2)

    def _per_layer(self, make: Callable[[], nn.Parameter]) -> nn.ParameterList:
        return nn.ParameterList([make() for _ in range(self.shape.layers)])

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (self.shape.width,), weight.to(x.dtype), _EPSILON)

    def _attend(self, layer: int, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        B, T, d = x.shape
        fused = F.linear(self._normed(x, self.attention_norm[layer]), self.qkv[layer].to(x.dtype))
        q, k, v = fused.view(B, T, 3, self.shape.heads, HEAD).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            _rotate(q, rotation), _rotate(k, rotation), v, is_causal=True
        )
        joined = mixed.transpose(1, 2).reshape(B, T, d)
        return F.linear(joined, self.attention_out[layer].to(x.dtype))

    def _mlp(self, layer: int, x: Tensor) -> Tensor:
        fused = F.linear(self._normed(x, self.mlp_norm[layer]), self.gate_up[layer].to(x.dtype))
        gate, up = fused.chunk(2, -1)
        return F.linear(F.silu(gate) * up, self.down[layer].to(x.dtype))


def rope(length: int, *, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Returns cosines and sines (length, HEAD) of rotary position embedding (Su et al. 2021)."""
    frequency = _ROPE_BASE ** (-torch.arange(0, HEAD, 2, device=device).float() / HEAD)
    angle = torch.arange(length, device=device).float()[:, None] * frequency
    angle = torch.cat([angle, angle], -1)
    return angle.cos().to(dtype), angle.sin().to(dtype)


def save_pretrained(network: Network, folder: Path, *, end: int, pad: int) -> None:
    """Writes config and bfloat16 weights that ``AutoModelForCausalLM`` reads."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = network.shape
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=_CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
        rms_norm_eps=_EPSILON,
    )
    model: Any = LlamaForCausalLM(config)
    outcome = model.load_state_dict(network.state(), strict=False)
    assert outcome.missing_keys in ([], ["lm_head.weight"]), outcome  # tied to the embeddings
    assert not outcome.unexpected_keys, outcome
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # safetensors writes for its owner alone


def _normal(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * 0.02)


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = rotation
    half = HEAD // 2
    return x * cosine + torch.cat([-x[..., half:], x[..., :half]], -1) * sine


def _names(layer: int) -> list[str]:
    parts = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
    parts += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    parts += ("input_layernorm", "post_attention_layernorm")
    return [f"model.layers.{layer}.{p}.weight" for p in parts]
