"""The training loop: curriculum, batches, optimizer and checkpoints put together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from upturn.errors import UpturnError
from upturn.mini.batches import Batch, BatchSettings
from upturn.mini.checkpoint import Checkpoints
from upturn.mini.curriculum import KINDS, Curriculum, Stage
from upturn.mini.encode import Role
from upturn.mini.network import Network
from upturn.mini.progress import Meter
from upturn.mini.workers import Feed

_OBSERVE_EVERY = 10  # steps; reading the accuracies waits for the accelerator
_WARM_UP = 100  # steps
_LEAST_RATE = 0.02  # of the learning rate, at the end
_TOKENS_PER_TARGET = 64  # normalises the loss of episodes: a label weighs the same in each batch


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What a run's weights depend on, beside corpus, tokenizer and machine.

    Attributes:
        seed: of initial weights and data.
        steps: optimizer steps in all.
        learning_rate: after warm-up, until the decay begins.
        weight_decay: AdamW's.
        decay_from: share of the steps after which the rate falls along a cosine.
        batch: shapes and weights of batches.
    """

    seed: int
    steps: int = 33500
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    decay_from: float = 0.5
    batch: BatchSettings = field(default_factory=BatchSettings)

    def to_json(self) -> dict[str, Any]:
        body = asdict(self)
        body["batch"]["weights"] = {str(int(k)): v for k, v in self.batch.weights.items()}
        return body


class Trainer:
    """Trains a network in place.

    Args:
        network: on the device that it is trained on.
        curriculum: what to draw, raised as accuracy allows.
        feed: where batches come from.
        settings: how.
        checkpoints: where to save, and to resume from.
    """

    def __init__(
        self,
        network: Network,
        curriculum: Curriculum,
        feed: Feed,
        settings: TrainSettings,
        checkpoints: Checkpoints,
    ) -> None:
        self.network, self.curriculum = network, curriculum
        self.step = 0
        self.losses: list[float] = []  # one per observation, for logs and tests
        self.stages: list[Stage] = [curriculum.level.stage]
        self._feed, self._settings, self._checkpoints = feed, settings, checkpoints
        self._device = network.embedding.device
        # bfloat16 halves the time where the hardware knows it; most CPUs do not.
        self._dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        self._warm_from = 0
        self._optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=settings.weight_decay,
            fused=self._device.type == "cuda",
        )

    def resume(self, body: Mapping[str, Any]) -> None:
        """Takes up a checkpoint's weights, optimizer, curriculum and place in the data."""
        self.network.load_state_dict(body["network"])
        self._optimizer.load_state_dict(body["optimizer"])
        self.curriculum.restore(body["curriculum"])
        self._feed.restore(body["feed"])
        self.step, self._warm_from = body["step"], body["warm_from"]
        self.stages = [self.curriculum.level.stage]

    def run(self, meter: Meter, *, until: int, save_every: int) -> None:
        """Trains until a number of steps is done, saving on the way and at the end.

        Raises:
            UpturnError: the loss is not finite; the last checkpoint is kept.
        """
        while self.step < until:
            batch = self._feed.next(self.curriculum.level)
            loss, right = self._learn(batch)
            self.step += 1
            if self.step % _OBSERVE_EVERY == 0:
                self._observe(meter, batch, loss, right)
            if self.step % save_every == 0 or self.step == until:
                self._save()

    def _learn(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Takes one step; returns the loss and which targets were predicted."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        weights, targets = self._tensor(batch.weights), self._tensor(batch.targets)
        logits = self.network(self._tensor(batch.ids), self._tensor(batch.positions), self._dtype)
        each = F.cross_entropy(logits, targets, reduction="none")
        by_tokens = self._settings.batch.tokens / _TOKENS_PER_TARGET
        norm = by_tokens if batch.stage == Stage.EPISODES else float(batch.weights.sum())
        loss = (each * weights).sum() / norm
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        return loss.detach(), logits.detach().argmax(-1) == targets

    def _rate(self) -> float:
        settings = self._settings
        warm = min(1.0, (self.step - self._warm_from + 1) / _WARM_UP)
        past = self.step / settings.steps - settings.decay_from
        if past <= 0:
            return settings.learning_rate * warm
        fall = 0.5 * (1 + math.cos(math.pi * past / (1 - settings.decay_from)))
        return settings.learning_rate * warm * max(_LEAST_RATE, fall)

    def _observe(self, meter: Meter, batch: Batch, loss: Tensor, right: Tensor) -> None:
        value = float(loss)
        if not math.isfinite(value):
            raise UpturnError(f"the loss must be finite, got {value} at step {self.step}")
        self.losses.append(value)
        before = self.curriculum.level.stage
        changes = self.curriculum.observe(self.step, accuracies(batch, right.cpu().numpy()))
        for change in changes:
            meter.say(f"step {self.step}: {change}")
        stage = self.curriculum.level.stage
        if stage is not before:
            self.stages.append(stage)
            # A new kind of input is met with a low rate; the first two share theirs.
            self._warm_from = self.step if stage >= Stage.BARE_TURNS else self._warm_from
        shown = " ".join(f"{k} {v:.2f}" for k, v in sorted(self.curriculum.accuracies.items()))
        meter.at(self.step, f"{stage.name} loss {value:.3f} {shown}")

    def _save(self) -> None:
        body = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "curriculum": self.curriculum.state(),
            "feed": self._feed.state(),
            "warm_from": self._warm_from,
        }
        self._checkpoints.save(self.step, body)

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        floating = values.dtype == np.float32
        return torch.from_numpy(values if floating else values.astype(np.int64)).to(self._device)


def accuracies(batch: Batch, right: NDArray[np.bool_]) -> dict[str, float]:
    """Returns kind -> share of right first tokens of values (of all tokens in running text)."""
    counted = (batch.roles >= Role.FIRST) & (batch.weights > 0)
    found: dict[str, float] = {}
    for code, kind in enumerate(KINDS):
        of_kind = counted & (batch.kinds == code)
        if of_kind.any():
            found[str(kind)] = float(right[of_kind].mean())
    return found
