"""Greedy or sampled decoding of a batch of prompts that share a prefix.

Axes: B rows, T new tokens, N new tokens of all rows in one line, S slots, V vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from upturn.lm.attention import SHARED_PREFIX, Layout, Prefix, Slots
from upturn.lm.drafts import Drafts

_MIN_CAPACITY = 32


@dataclass(kw_only=True)
class Generation:
    """One row on its way.

    Attributes:
        ids: the prompt's token ids.
        max_tokens: most tokens to answer.
        choose: logits [V] -> token id; None means the largest logit.
        stopped: called with the answer so far; True ends the row (stop strings).
        answer: the answer's token ids, the end token excluded.
        finish_reason: "stop" or "length" once done, "" before.
    """

    ids: Sequence[int]
    max_tokens: int
    choose: Callable[[Tensor], int] | None = None
    stopped: Callable[[list[int]], bool] | None = None
    answer: list[int] = field(default_factory=list)
    finish_reason: str = ""

    def accept(self, token: int, eos: frozenset[int]) -> None:
        """Adds one token, or ends the row."""
        if token in eos:
            self.finish_reason = "stop"
            return
        self.answer.append(token)
        if self.stopped is not None and self.stopped(self.answer):
            self.finish_reason = "stop"
        elif len(self.answer) >= self.max_tokens:
            self.finish_reason = "length"


class CausalModel(Protocol):
    """What is asked of a transformers model: its config and its forward pass."""

    config: Any

    def __call__(self, **kwargs: Any) -> Any: ...


@torch.inference_mode()
def prefill(model: CausalModel, ids: tuple[int, ...]) -> Prefix:
    """Computes the keys and values of a shared prefix once."""
    rows = _Rows(model, None, 1, len(ids))
    rows.forward([list(ids)], [1])
    return rows.slots.as_prefix(ids)


@torch.inference_mode()
def decode(
    model: CausalModel,
    prefix: Prefix | None,
    generations: Sequence[Generation],
    eos: frozenset[int],
    drafts: Drafts,
) -> None:
    """Completes the generations in place; their ids must start with the prefix's.

    Drafted tokens are kept only where the model itself chooses them, so an answer is the one that
    decoding token by token gives.
    """
    start = 0 if prefix is None else len(prefix.ids)
    feeds = [list(g.ids[start:]) for g in generations]
    rows = _Rows(model, prefix, len(feeds), max(map(len, feeds)) + _MIN_CAPACITY)
    live = list(generations)
    while live:
        guesses = [drafts.propose(g.answer, g.max_tokens - len(g.answer) - 1) for g in live]
        logits, best = rows.forward(
            [f + d for f, d in zip(feeds, guesses, strict=True)], [1 + len(d) for d in guesses]
        )
        at = 0
        for b, (g, guess) in enumerate(zip(live, guesses, strict=True)):
            end = at + 1 + len(guess)
            taken = _verify(g, guess, logits[at:end], best[at:end], eos)
            rows.forget(b, len(guess) - taken)
            feeds[b] = g.answer[-1:]
            at = end
        alive = [b for b, g in enumerate(live) if not g.finish_reason]
        if len(alive) < len(live):
            rows.select(alive)
            live, feeds = [live[b] for b in alive], [feeds[b] for b in alive]
    for g in generations:
        if g.finish_reason == "stop" and g.stopped is None:
            drafts.observe(g.answer)


@torch.inference_mode()
def decode_alone(model: CausalModel, generation: Generation, eos: frozenset[int]) -> None:
    """Completes one generation in place with the model's own cache: right for every model."""
    feed, cache = list(generation.ids), None
    while not generation.finish_reason:
        output = model(input_ids=torch.tensor([feed]), past_key_values=cache, use_cache=True)
        logits_V, cache = output.logits[0, -1], output.past_key_values
        choose = generation.choose or (lambda logits: int(logits.argmax()))
        generation.accept(token := choose(logits_V), eos)
        feed = [token]


@torch.inference_mode()
def shares_prefixes(model: Any) -> bool:
    """Switches a model to shared-prefix attention if that leaves its logits as they are.

    Windows, sinks, soft caps and states that are no keys and values make it inexact; a model with
    a window is refused by its config, the rest by comparing logits on a few tokens.

    Returns:
        Whether the model now runs with it; if not, it is as it was.
    """
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"} or getattr(model.config, "sliding_window", None):
        return False
    ids = [1 + 7 * i % (model.config.vocab_size - 1) for i in range(16)]
    before = model(input_ids=torch.tensor([ids])).logits[0, -1]
    try:
        model.set_attn_implementation(SHARED_PREFIX)
        rows = _Rows(model, prefill(model, tuple(ids[:9])), 2, 16)
        after = rows.forward([ids[9:], ids[9:13]], [1, 1])[0][0]
        if torch.allclose(before, after, rtol=1e-3, atol=1e-3):
            return True
    except Exception:
        # Any model may come here, and any error means that it cannot share: the plain path can.
        pass
    model.set_attn_implementation("sdpa")
    return False


def _verify(
    g: Generation, guess: list[int], logits_TV: Tensor, best_T: list[int], eos: frozenset[int]
) -> int:
    """Accepts the model's tokens as far as the guess agrees; returns how many guesses held."""
    for i in range(len(guess) + 1):
        token = best_T[i] if g.choose is None else g.choose(logits_TV[i])
        g.accept(token, eos)
        if g.finish_reason or i == len(guess) or token != guess[i]:
            return i
    raise AssertionError("the loop returns at its last index")


class _Rows:
    """The batch's slots, which of them count for which row, and each row's length so far."""

    def __init__(self, model: CausalModel, prefix: Prefix | None, n: int, capacity: int) -> None:
        self.model = model
        self.prefix = prefix
        self.slots = Slots(model.config.num_hidden_layers, n, capacity)
        self.valid_BS = torch.zeros(n, 0, dtype=torch.bool)
        self.length_B = torch.full((n, 1), 0 if prefix is None else len(prefix.ids))

    def forward(self, tokens: list[list[int]], keep: list[int]) -> tuple[Tensor, list[int]]:
        """Runs each row's new tokens.

        Returns:
            For the last ``keep[b]`` tokens of each row, one row after the other: the logits
            [sum(keep), V] and the likeliest token ids.
        """
        lengths = [len(t) for t in tokens]
        T = max(lengths)
        new_BT = torch.tensor([[False] * (T - n) + [True] * n for n in lengths])
        row_N, column_N = new_BT.nonzero(as_tuple=True)
        position_BT = self.length_B + new_BT.cumsum(1) - 1
        ends = torch.tensor(lengths).cumsum(0).tolist()
        wanted = [i for end, k in zip(ends, keep, strict=True) for i in range(end - k, end)]
        layout = Layout(
            prefix=self.prefix, rows=row_N, columns=column_N, n_rows=len(tokens), width=T
        )
        self.slots.layout = layout
        output = self.model(
            input_ids=torch.tensor([[i for row in tokens for i in row]]),
            position_ids=position_BT[row_N, column_N].unsqueeze(0),
            attention_mask=self._mask(new_BT),
            past_key_values=self.slots,
            use_cache=True,
            logits_to_keep=torch.tensor(wanted),
            layout=layout,
        )
        self.slots.advance()
        self.valid_BS = torch.cat([self.valid_BS, new_BT], dim=1)
        self.length_B = self.length_B + new_BT.sum(1, keepdim=True)
        return output.logits[0], output.logits[0].argmax(-1).tolist()

    def _mask(self, new_BT: Tensor) -> Tensor:
        B, T = new_BT.shape
        causal_TT = torch.ones(T, T, dtype=torch.bool).tril_()
        seen = self.valid_BS[:, None, None, :].expand(B, 1, T, -1)
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


def sampler(
    temperature: float, top_p: float | None, top_k: int | None, seed: int
) -> Callable[[Tensor], int]:
    """Returns a seeded choice from softmax(logits / temperature), cut by top_k and top_p.

    One uniform draw per token, by inversion, so that the choice depends on nothing but the
    distribution, the seed and the number of tokens drawn before.
    """
    draw = random.Random(seed).random

    def choose(logits_V: Tensor) -> int:
        p_V, ids_V = torch.softmax(logits_V.double() / temperature, -1).sort(descending=True)
        if top_k is not None:
            p_V = p_V[:top_k]
        cumulative_V = p_V.cumsum(0)
        if top_p is not None:
            cumulative_V = cumulative_V[: int((cumulative_V < top_p).sum()) + 1]
        at = torch.searchsorted(cumulative_V, draw() * cumulative_V[-1], right=True)
        return int(ids_V[min(int(at), len(cumulative_V) - 1)])

    return choose
