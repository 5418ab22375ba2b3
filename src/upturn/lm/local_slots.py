"""The rows' own keys and values behind a shared prefix, as a cache of transformers.

Axes: B rows, K key heads, C capacity and S used slots, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from upturn.lm.attention import Layout, Prefix


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
        if more := self.owner.capacity - self.keys.shape[2]:
            self.keys, self.values = (
                torch.cat([t, t.new_zeros(*t.shape[:2], more, t.shape[3])], dim=2)
                for t in (self.keys, self.values)
            )
        for slots, new in ((self.keys, key_states), (self.values, value_states)):
            slots[layout.rows, :, used + layout.columns] = new[0].transpose(0, 1)
        end = used + layout.width
        return self.keys[:, :, :end], self.values[:, :, :end]

    def gather(self, slots_BS: Tensor) -> None:
        """Moves the named slots to the front, in that order."""
        assert self.keys is not None
        assert self.values is not None
        for t in (self.keys, self.values):
            index = slots_BS[:, None, :, None].expand(-1, t.shape[1], -1, t.shape[3])
            t[:, :, : slots_BS.shape[1]] = t.gather(2, index)

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
    ``make_room`` and ``layout`` come before each forward pass, ``advance`` after it.

    Args:
        n_layers: of the model.
        n_rows: B.
        capacity: slots of a row to begin with.
        most: slots that a row can fill at all; memory does not grow past them.
    """

    layout: Layout

    def __init__(self, n_layers: int, n_rows: int, *, capacity: int, most: int) -> None:
        self.n_rows = n_rows
        self.capacity = capacity
        self.used = 0
        self._most = most
        super().__init__(layers=[_Slots(self) for _ in range(n_layers)])

    @property
    def n_bytes(self) -> int:
        """Memory of all keys and values."""
        layers = [cast(_Slots, layer) for layer in self.layers]
        tensors = (t for layer in layers for t in (layer.keys, layer.values) if t is not None)
        return sum(t.numel() * t.element_size() for t in tensors)

    def make_room(self, width: int, valid_BS: Tensor) -> Tensor:
        """Makes room for ``width`` more slots: closes gaps first, and grows if that is too little.

        Args:
            width: how many.
            valid_BS: which of the slots in use count; the others are gaps.

        Returns:
            Which slots count now.
        """
        if self.used + width > self.capacity:
            valid_BS = self._close_gaps(valid_BS)
        if self.used + width > self.capacity:
            self.capacity = max(self.used + width, min(2 * self.capacity, self._most))
        return valid_BS

    def _close_gaps(self, valid_BS: Tensor) -> Tensor:
        longest = int(valid_BS.sum(1).max())
        if longest == self.used:
            return valid_BS
        # A stable sort of False before True: a row's tokens stay in order and end together.
        slots_BS = valid_BS.int().argsort(dim=1, stable=True)[:, self.used - longest :]
        for layer in self.layers:
            cast(_Slots, layer).gather(slots_BS)
        self.used = longest
        return valid_BS.gather(1, slots_BS)

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
