"""Greedy or sampled decoding of a batch of prompts that share a prefix.

Axes: T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from upturn.lm.attention import SHARED_PREFIX, Prefix
from upturn.lm.drafts import Drafts
from upturn.lm.local_rows import CausalModel, Rows

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


@torch.inference_mode()
def prefill(model: CausalModel, ids: tuple[int, ...]) -> Prefix:
    """Computes the keys and values of a shared prefix once."""
    rows = Rows(model, None, 1, capacity=len(ids), most=len(ids))
    rows.forward([list(ids)], [1])
    return rows.slots.as_prefix(ids)


@torch.inference_mode()
def decode(
    model: CausalModel,
    prefix: Prefix | None,
    generations: Sequence[Generation],
    eos: frozenset[int],
    drafts: Drafts,
) -> int:
    """Completes the generations in place; their ids must start with the prefix's.

    Drafted tokens are kept only where the model itself chooses them, so an answer is the one that
    decoding token by token gives.

    Returns:
        The most bytes that the rows' own keys and values took.
    """
    start = 0 if prefix is None else len(prefix.ids)
    feeds = [list(g.ids[start:]) for g in generations]
    most = most_slots(generations, start, drafts.max_length)
    capacity = min(most, max(map(len, feeds)) + _MIN_CAPACITY)
    rows = Rows(model, prefix, len(feeds), capacity=capacity, most=most)
    peak_bytes = 0
    live = list(generations)
    while live:
        guesses = [drafts.propose(g.answer, g.max_tokens - len(g.answer) - 1) for g in live]
        logits, best = rows.forward(
            [f + d for f, d in zip(feeds, guesses, strict=True)], [1 + len(d) for d in guesses]
        )
        peak_bytes = max(peak_bytes, rows.slots.n_bytes)
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
    return peak_bytes


def most_slots(generations: Sequence[Generation], start: int, max_guess: int) -> int:
    """Returns how many slots a row of this batch can fill behind ``start`` shared tokens.

    All rows have as many slots as the one that needs most: its prompt, its answer, and guesses.
    """
    return max(len(g.ids) - start + g.max_tokens for g in generations) + 1 + max_guess


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
        rows = Rows(model, prefill(model, tuple(ids[:9])), 2, capacity=16, most=16)
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


def sampler(
    temperature: float, top_p: float | None, top_k: int | None, seed: int
) -> Callable[[Tensor], int]:
    """Returns a seeded choice from softmax(logits / temperature), cut by top_k and top_p.

    The Gumbel-max trick (E. J. Gumbel, 1954): each token's logit gets noise of its own, the largest
    sum wins. Inversion over sorted tokens would draw the same, but there the last digits of the
    logits, which depend on what else is in the batch, reorder the tail and change what is drawn.
    """
    generator = torch.Generator().manual_seed(seed)

    def choose(logits_V: Tensor) -> int:
        # An exponential draw's logarithm, negated, is a Gumbel draw.
        exponential_V = torch.empty_like(logits_V, dtype=torch.float64)
        noise_V = -exponential_V.exponential_(generator=generator).log()
        scaled_V = logits_V.double() / temperature
        return int((_cut(scaled_V, top_p, top_k) + noise_V).argmax())

    return choose


def _cut(logits_V: Tensor, top_p: float | None, top_k: int | None) -> Tensor:
    """Returns the logits with those outside of top_k and top_p at minus infinity."""
    if top_k is None and top_p is None:
        return logits_V
    sorted_V, ids_V = logits_V.sort(descending=True)
    n = len(sorted_V) if top_k is None else top_k
    if top_p is not None:
        cumulative_V = torch.softmax(sorted_V[:n], -1).cumsum(0)
        n = int((cumulative_V < top_p).sum()) + 1
    kept_V = torch.full_like(logits_V, -torch.inf)
    kept_V[ids_V[:n]] = sorted_V[:n]
    return kept_V
