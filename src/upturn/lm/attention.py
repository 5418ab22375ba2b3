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
from transformers.cache_utils import Cache, CacheLayerMixin

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
class Layout:
    """Where the packed tokens of one forward pass belong.

    The tokens of all rows stand in one line, without padding: linear layers cost what the tokens
    cost. Only the rows' attention to themselves is unpacked, to [B, T].

    Attributes:
        prefix: the shared prefix, or None where the rows share nothing.
        rows, columns: [N], row and column of each packed token in [B, T].
        n_rows, width: B, and T: the most new tokens of a row.
    """

    prefix: Prefix | None
    rows: Tensor
    columns: Tensor
    n_rows: int
    width: int


class _Slots(CacheLayerMixin):
    """One layer's own keys and values: written in place, so that a step copies nothing old."""

    def __init__(self, owner: Slots) -> None:
        super().__init__()
        self.owner = owner

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        # Zeros, not empty: slots that no token was written to are masked, but NaN would spread.
        B, C = self.owner.n_rows, self.owner.capacity
        self.keys, self.values = (
            t.new_zeros(B, t.shape[1], C, t.shape[3]) for t in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        layout, used = self.owner.layout, self.owner.used
        end = used + layout.width
        if end > self.keys.shape[2]:
            more = max(end - self.keys.shape[2], self.keys.shape[2])
            self.keys, self.values = (
                torch.cat([t, t.new_zeros(*t.shape[:2], more, t.shape[3])], dim=2)
                for t in (self.keys, self.values)
            )
        for slots, new in ((self.keys, key_states), (self.values, value_states)):
            slots[layout.rows, :, used + layout.columns] = new[0].transpose(0, 1)
        return self.keys[:, :, :end], self.values[:, :, :end]

    def select(self, rows: Tensor) -> None:
        assert self.keys is not None
        assert self.values is not None
        self.keys, self.values = self.keys[rows], self.values[rows]

    def get_seq_length(self) -> int:
        return self.owner.used

    def get_max_length(self) -> int:
        return -1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.owner.used + query_length, 0


class Slots(Cache):
    """The rows' own keys and values behind a shared prefix.

    All rows write the same slots; which slots count for a row is the attention mask's business.
    ``layout`` is set before each forward pass, ``advance`` moves on after it.
    """

    layout: Layout

    def __init__(self, n_layers: int, n_rows: int, capacity: int) -> None:
        self.n_rows = n_rows
        self.capacity = capacity
        self.used = 0
        super().__init__(layers=[_Slots(self) for _ in range(n_layers)])

    def advance(self) -> None:
        self.used += self.layout.width

    def select(self, rows: Sequence[int]) -> None:
        """Keeps the given rows only."""
        index = torch.tensor(rows)
        for layer in self.layers:
            assert isinstance(layer, _Slots)
            layer.select(index)

    def as_prefix(self, ids: tuple[int, ...]) -> Prefix:
        """Returns what one row has written, as the prefix of other rows."""
        layers = [cast(_Slots, layer) for layer in self.layers]
        keys = tuple(cast(Tensor, layer.keys)[:, :, : self.used] for layer in layers)
        values = tuple(cast(Tensor, layer.values)[:, :, : self.used] for layer in layers)
        return Prefix(ids=ids, keys=keys, values=values)


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key_BKSD: Tensor,
    value_BKSD: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    layout: Layout,
    **_unused: Any,
) -> tuple[Tensor, None]:
    """Attends to the shared prefix and to each row's own slots; called by every layer.

    Args:
        query: [1, H, N, D], packed.
        attention_mask: additive [B, 1, T, S] over the own slots; the prefix is visible to all.
        layout: where the packed queries belong.

    Returns:
        [1, N, H, D], and None for the weights, which are never needed.
    """
    _, H, N, D = query.shape
    B, T = layout.n_rows, layout.width
    K = key_BKSD.shape[1]
    if H != K:
        key_BKSD = key_BKSD.repeat_interleave(H // K, dim=1)
        value_BKSD = value_BKSD.repeat_interleave(H // K, dim=1)
    query_BTHD = query.new_zeros(B, T, H, D)
    query_BTHD[layout.rows, layout.columns] = query[0].transpose(0, 1)
    own, own_lse = _attend(
        query_BTHD.transpose(1, 2), key_BKSD, value_BKSD, 0.0, False,
        attn_mask=attention_mask, scale=scaling,
    )  # fmt: skip
    own_NHD = own.transpose(1, 2)[layout.rows, layout.columns]
    if layout.prefix is None:
        return own_NHD.unsqueeze(0), None
    layer = cast(int, module.layer_idx)
    # Heads of one key head lie next to each other, so they fold into the queries by reshaping.
    folded = query.reshape(1, K, H // K * N, D)
    out, lse = _attend(
        folded, layout.prefix.keys[layer], layout.prefix.values[layer], 0.0, False, scale=scaling
    )
    out_NHD = out.reshape(H, N, -1).transpose(0, 1)
    own_lse_NH = own_lse.reshape(B, H, T).transpose(1, 2)[layout.rows, layout.columns]
    share_NH = torch.sigmoid(own_lse_NH - lse.reshape(H, N).transpose(0, 1))
    return torch.lerp(out_NHD, own_NHD, share_NH.unsqueeze(-1)).unsqueeze(0), None


AttentionInterface.register(SHARED_PREFIX, shared_prefix_attention)
