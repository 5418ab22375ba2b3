"""Pairs that nothing was trained on: how often the chosen answer won, and what length had to do.

The implicit reward's margin of a pair is beta * [log p(chosen) - log p(rejected) under the policy,
less the same under the reference]: Rafailov et al., "Direct Preference Optimization" (2023), eq. 5.
Axes: P pairs, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from trl.trainer.utils import use_adapter

from upturn.finetune.length import length_effect
from upturn.finetune.records import TrainingRow
from upturn.records import Json

_IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """What a set of pairs says of a policy.

    Attributes:
        accuracy: share of pairs whose margin is above zero.
        margin: mean of the margins.
        length: see :func:`upturn.finetune.length.length_effect`.
    """

    accuracy: float
    margin: float
    length: Json


class PairScorer:
    """Measures a policy on pairs. The reference's side is computed once.

    Args:
        trainer: its model has TRL's fused head, which gives log-probabilities.
        pairs: prompt, chosen, rejected.
        beta: scales margins.
        batch: pairs at a time.
        progress: called after each batch.
    """

    def __init__(
        self,
        trainer: Any,
        pairs: Sequence[TrainingRow],
        *,
        beta: float,
        batch: int,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._model = trainer.model
        self._pad = trainer.processing_class.pad_token_id
        self._pairs, self._beta, self._batch = pairs, beta, batch
        self._progress = progress
        self._reference: NDArray[np.float64] | None = None

    def measure(self) -> Preferences:
        """Returns accuracy, margin and the effect of length; the model is in ``eval`` mode."""
        if self._reference is None:
            self._reference = self._log_ratios(reference=True)
        margins_P = self._beta * (self._log_ratios(reference=False) - self._reference)
        chosen = [len(p.completion_ids) for p in self._pairs]
        rejected = [len(p.rejected_ids) for p in self._pairs]
        return Preferences(
            accuracy=float((margins_P > 0).mean()),
            margin=float(margins_P.mean()),
            length=length_effect(margins_P.tolist(), chosen, rejected),
        )

    @torch.no_grad()
    def _log_ratios(self, *, reference: bool) -> NDArray[np.float64]:
        """Returns log p(chosen) - log p(rejected) of each pair."""
        ratios_P = np.zeros(len(self._pairs))
        order = sorted(range(len(self._pairs)), key=lambda i: _length(self._pairs[i]))
        with _reference(self._model) if reference else torch.no_grad():
            for at in range(0, len(order), self._batch):
                places = order[at : at + self._batch]
                pairs = [self._pairs[i] for i in places]
                chosen = [(p.prompt_ids, p.completion_ids) for p in pairs]
                rejected = [(p.prompt_ids, p.rejected_ids) for p in pairs]
                log_probs = self._log_probs([*chosen, *rejected])
                ratios_P[places] = log_probs[: len(pairs)] - log_probs[len(pairs) :]
                self._progress()
        return ratios_P

    def _log_probs(self, texts: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> Any:
        width = max(len(p) + len(c) for p, c in texts)
        ids, labels, seen = [], [], []
        for prompt, completion in texts:
            padding = width - len(prompt) - len(completion)
            ids.append([*prompt, *completion, *([self._pad] * padding)])
            seen.append([1] * (width - padding) + [0] * padding)
            labels.append([_IGNORED] * len(prompt) + list(completion) + [_IGNORED] * padding)
        device = self._model.device
        output = self._model(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(seen, device=device),
            labels=torch.tensor(labels, device=device),
            fused_lm_head=True,
        )
        return output.log_probs.double().sum(1).cpu().numpy()


def _length(pair: TrainingRow) -> int:
    return len(pair.prompt_ids) + max(len(pair.completion_ids), len(pair.rejected_ids))


def _reference(model: Any) -> AbstractContextManager[Any]:
    """Switches to what the policy started from: the copy of its adapter, or none."""
    return use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None)
