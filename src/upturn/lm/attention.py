"""Attention in which all rows of a batch share one prefix: its keys and values are kept once.

Rows of one candidate differ in their last message only. Copying the prefix's keys and values for
every row costs more than the arithmetic, so here the prefix has no batch axis: the queries of all
rows meet it in one product, each row meets its own suffix in another, and the two are joined by
their log-sum-exps. The sum is the softmax over both, exactly (the split-softmax identity that
FlashAttention uses between its blocks; Dao et al. 2022, section 3.1).

Axes: B rows, H query heads, K key heads, T new tokens, P prefix tokens, S own slots, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformers import AttentionInterface

#: The name under which transformers finds this attention.
SHARED_PREFIX = "upturn_shared_prefix"

# The one CPU kernel that also returns the log-sum-exp; torch is pinned, and a test calls it.
_attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """Keys and values of a prompt's shared start, one pair per layer, each [1, K, P, D]."""

    ids: tuple[int, ...]
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()

    @property
    def n_bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (*self.keys, *self.values))


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The packed tokens whose logits are wanted: the last few of each row.

    Attributes:
        index: [W], where they stand in the line of all tokens.
        rows, columns: [W], row and column of each in [B, T], padded on the left.
        width: T, the most of one row.
    """

    index: Tensor
    rows: Tensor
    columns: Tensor
    width: int


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the packed tokens of one forward pass belong.

    The tokens of all rows stand in one line, without padding: linear layers cost what the tokens
    cost. Only slots, and the attention of a few tokens to them, have a row and a column.

    Attributes:
        prefix: the shared prefix, or None where the rows share nothing.
        rows, columns: [N], row and column of each packed token in [B, T], padded on the left.
        width: T, the most new tokens of a row.
        row_lengths: new tokens of each row while no row has slots yet, else None; then all new
            tokens are kept.
        kept: the tokens whose logits are wanted; the last layer attends for these alone.
        last_layer: its index.
    """

    prefix: Prefix | None
    rows: Tensor
    columns: Tensor
    width: int
    row_lengths: Sequence[int] | None
    kept: Kept
    last_layer: int


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key_BKSD: Tensor,
    value_BKSD: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float,
    layout: Layout,
    **_unused: Any,
) -> tuple[Tensor, None]:
    """Attends to the shared prefix and to each row's own slots; called by every layer.

    Args:
        query: [1, H, N, D], packed.
        attention_mask: additive [B, 1, T, S] over the own slots, T as in ``layout.kept``; the
            prefix is visible to all.
        layout: where the packed queries belong.

    Returns:
        [1, N, H, D], and None for the weights, which are never needed.
    """
    layer = cast(int, module.layer_idx)
    groups = query.shape[1] // key_BKSD.shape[1]
    own = _Own(
        keys=key_BKSD.repeat_interleave(groups, dim=1) if groups > 1 else key_BKSD,
        values=value_BKSD.repeat_interleave(groups, dim=1) if groups > 1 else value_BKSD,
        scale=scaling,
    )
    if layout.row_lengths is not None and layer < layout.last_layer:
        out, lse = own.by_row(query, layout.row_lengths)
        return _join(query, out, lse, layout.prefix, layer, scaling).unsqueeze(0), None
    kept = layout.kept
    query_1HWD = query[:, :, kept.index]
    out, lse = own.in_one(query_1HWD, kept, attention_mask)
    out_WHD = _join(query_1HWD, out, lse, layout.prefix, layer, scaling)
    if len(kept.index) == query.shape[2]:
        return out_WHD.unsqueeze(0), None
    # Past the last layer nobody looks at the other tokens; no token looks at another.
    out_NHD = out_WHD.new_zeros(query.shape[2], *out_WHD.shape[1:])
    out_NHD[kept.index] = out_WHD
    return out_NHD.unsqueeze(0), None


@dataclass(frozen=True, kw_only=True)
class _Own:
    """Attention of each row to its own slots; both ways give ([N, H, D], log-sum-exps [N, H])."""

    keys: Tensor
    values: Tensor
    scale: float

    def by_row(self, query: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """For prompts: one row after the other costs their lengths, not the longest one's."""
        outs: list[Tensor] = []
        lses: list[Tensor] = []
        for b, query_b in enumerate(query.split(list(lengths), dim=2)):
            n = lengths[b]
            out, lse = _attend(
                query_b, self.keys[b : b + 1, :, -n:], self.values[b : b + 1, :, -n:], 0.0, True,
                scale=self.scale,
            )  # fmt: skip
            outs.append(out[0])
            lses.append(lse[0])
        return torch.cat(outs, dim=1).transpose(0, 1), torch.cat(lses, dim=1).transpose(0, 1)

    def in_one(self, query: Tensor, kept: Kept, mask: Tensor) -> tuple[Tensor, Tensor]:
        """For a few tokens of each row: one call for all, padded to the longest."""
        _, H, _, D = query.shape
        query_BTHD = query.new_zeros(len(self.keys), kept.width, H, D)
        query_BTHD[kept.rows, kept.columns] = query[0].transpose(0, 1)
        out, lse = _attend(
            query_BTHD.transpose(1, 2), self.keys, self.values, 0.0, False,
            attn_mask=mask, scale=self.scale,
        )  # fmt: skip
        return (
            out.transpose(1, 2)[kept.rows, kept.columns],
            lse.transpose(1, 2)[kept.rows, kept.columns],
        )


def _join(
    query: Tensor,
    own_NHD: Tensor,
    own_lse_NH: Tensor,
    prefix: Prefix | None,
    layer: int,
    scale: float,
) -> Tensor:
    """Returns attention to prefix and own slots together, [N, H, D]."""
    if prefix is None:
        return own_NHD
    _, H, N, D = query.shape
    keys, values = prefix.keys[layer], prefix.values[layer]
    # Heads of one key head lie next to each other, so they fold into the queries by reshaping.
    folded = query.reshape(1, keys.shape[1], -1, D)
    out, lse = _attend(folded, keys, values, 0.0, False, scale=scale)
    out_NHD = out.reshape(H, N, -1).transpose(0, 1)
    share_NH = torch.sigmoid(own_lse_NH - lse.reshape(H, N).transpose(0, 1))
    return torch.lerp(out_NHD, own_NHD, share_NH.unsqueeze(-1))


AttentionInterface.register(SHARED_PREFIX, shared_prefix_attention)
