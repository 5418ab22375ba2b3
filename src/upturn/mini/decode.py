"""Greedy decoding of many unlike prompts, for the evaluation. ``upturn.lm`` serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch


def greedy(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    end: int,
    pad: int,
    limit: int,
    batch: int = 16,
    done: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Returns the answer to each prompt, ``end`` included where it came within ``limit`` tokens.

    Prompts of similar length share a left-padded batch; in float32 the answers are those that each
    prompt gets alone.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        prompts: token ids.
        end: id that ends an answer.
        pad: id that fills; masked, so any id will do.
        limit: the most tokens an answer may have.
        batch: prompts per batch.
        done: called with the number of answers after every batch.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    finished = 0
    for rows in _batches([len(p) for p in prompts], batch):
        decoded = _decode(model, [prompts[r] for r in rows], end, pad, limit)
        for row, answer in zip(rows, decoded, strict=True):
            answers[row] = answer
        finished += len(rows)
        if done is not None:
            done(finished)
    return answers


def _batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    order = sorted(range(len(lengths)), key=lambda k: (lengths[k], k))
    for start in range(0, len(order), size):
        yield order[start : start + size]


@torch.inference_mode()
def _decode(
    model: Any, prompts: Sequence[Sequence[int]], end: int, pad: int, limit: int
) -> list[list[int]]:
    width = max(len(p) for p in prompts)
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache, tokens = None, []
    open_rows = torch.ones(len(prompts), dtype=torch.bool)
    for _ in range(limit):
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        chosen = out.logits[:, -1].argmax(-1)
        tokens.append(torch.where(open_rows, chosen, pad))
        open_rows &= chosen != end
        if not open_rows.any():
            break
        cache, ids = out.past_key_values, chosen[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
    return [_until(row, end) for row in torch.stack(tokens, dim=1).tolist()]


def _until(row: list[int], end: int) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row
