"""The rows of a batch on their way: their slots, which of them count, and each row's length.

Axes: B rows, T new tokens of the longest row, N new tokens of all rows in one line, W of them whose
logits are wanted, S slots, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import Tensor

from upturn.lm.attention import Kept, Layout, Prefix
from upturn.lm.local_slots import Slots


class CausalModel(Protocol):
    """What is asked of a transformers model: its config and its forward pass."""

    config: Any

    def __call__(self, **kwargs: Any) -> Any: ...


class Rows:
    """The batch's slots, which of them count for which row, and each row's length so far."""

    def __init__(
        self, model: CausalModel, prefix: Prefix | None, n: int, *, capacity: int, most: int
    ) -> None:
        self.model = model
        self.prefix = prefix
        self.slots = Slots(model.config.num_hidden_layers, n, capacity=capacity, most=most)
        self.valid_BS = torch.zeros(n, 0, dtype=torch.bool)
        self.length_B = torch.full((n, 1), 0 if prefix is None else len(prefix.ids))

    def forward(self, tokens: list[list[int]], keep: list[int]) -> tuple[Tensor, list[int]]:
        """Runs each row's new tokens.

        Returns:
            For the last ``keep[b]`` tokens of each row, one row after the other: the logits
            [sum(keep), V] and the likeliest token ids.
        """
        lengths = [len(t) for t in tokens]
        new_BT = _right_aligned(lengths)
        self.valid_BS = self.slots.make_room(new_BT.shape[1], self.valid_BS)
        row_N, column_N = new_BT.nonzero(as_tuple=True)
        position_BT = self.length_B + new_BT.cumsum(1) - 1
        layout = Layout(
            prefix=self.prefix,
            rows=row_N,
            columns=column_N,
            width=new_BT.shape[1],
            row_lengths=None if self.slots.used else lengths,
            kept=_kept(lengths, keep),
            last_layer=len(self.slots.layers) - 1,
        )
        self.slots.layout = layout
        output = self.model(
            input_ids=torch.tensor([[i for row in tokens for i in row]]),
            position_ids=position_BT[row_N, column_N].unsqueeze(0),
            attention_mask=self._mask(new_BT, layout.kept.width),
            past_key_values=self.slots,
            use_cache=True,
            logits_to_keep=layout.kept.index,
            layout=layout,
        )
        self.slots.advance()
        self.valid_BS = torch.cat([self.valid_BS, new_BT], dim=1)
        self.length_B = self.length_B + new_BT.sum(1, keepdim=True)
        return output.logits[0], output.logits[0].argmax(-1).tolist()

    def _mask(self, new_BT: Tensor, width: int) -> Tensor:
        """Returns what the last ``width`` columns see of all slots, as numbers to add."""
        B, T = new_BT.shape
        causal_TT = torch.ones(T, T, dtype=torch.bool).tril_()[T - width :]
        seen = self.valid_BS[:, None, None, :].expand(B, 1, width, -1)
        visible = torch.cat([seen, (new_BT[:, None, None, :] & causal_TT)], dim=-1)
        # The least finite number, not -inf: a padded query sees nothing, and must not become NaN.
        return torch.zeros(visible.shape).masked_fill_(~visible, torch.finfo(torch.float32).min)

    def forget(self, row: int, n: int) -> None:
        """Drops the row's last ``n`` tokens: guesses that did not hold."""
        if n:
            self.valid_BS[row, -n:] = False
            self.length_B[row] -= n

    def select(self, rows: list[int]) -> None:
        """Keeps the given rows."""
        if rows:
            self.slots.select(rows)
            self.valid_BS, self.length_B = self.valid_BS[rows], self.length_B[rows]


def _right_aligned(lengths: Sequence[int]) -> Tensor:
    """Returns which of [B, longest] are tokens, with the padding on the left."""
    longest = max(lengths)
    return torch.arange(longest) >= longest - torch.tensor(lengths).unsqueeze(1)


def _kept(lengths: Sequence[int], keep: Sequence[int]) -> Kept:
    ends = accumulate(lengths)
    index = [i for end, k in zip(ends, keep, strict=True) for i in range(end - k, end)]
    row_W, column_W = _right_aligned(keep).nonzero(as_tuple=True)
    return Kept(index=torch.tensor(index), rows=row_W, columns=column_W, width=max(keep))
