"""What a fine-tune job ended in: recorded in its folder, printed by ``upturn train --json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from upturn.finetune.watch import Story
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The result of one job.

    Attributes:
        job, kind, folder: its name and kind, and where it lies.
        adapter: folder of the stored adapter; ``adapter_id`` names it by content.
        base: the model it belongs to.
        metric: ``before`` and ``after`` on dev with ``rows``; see ``DevScores``.
        worker_metric: the same as the worker measured it, at its first and its best evaluation.
        pair_accuracy: of unseen pairs; None where it was not measured.
        length: win rate by length difference, as the worker told it; None elsewhere.
        rows, snapshot: what was trained on.
        steps, best_step: done, and the one whose adapter it is.
        stopped: why it ended before its last step, "" where it did not.
        seconds: wall time of the training, all attempts of the last call.
        peak_mb: highest memory of the worker, in MB; None where it did not tell.
        tokens: trained on.
        resumed: whether it went on from a checkpoint.
        warnings: what went otherwise than asked, such as a halved batch.
        tracking: ``{"run": ...}``, or ``{"missing": why}`` where curves are lost.
        fingerprint: of all that the weights depend on.
        known: nothing was trained now: the recorded result of the same job.
    """

    job: str
    kind: str
    folder: str
    adapter: str
    adapter_id: str
    base: str
    metric: Mapping[str, Json]
    worker_metric: Mapping[str, Json] = field(default_factory=dict)
    pair_accuracy: float | None = None
    length: Json = None
    rows: int
    snapshot: str
    steps: int
    best_step: int
    stopped: str = ""
    seconds: float
    peak_mb: float | None
    tokens: int = 0
    resumed: bool
    warnings: tuple[str, ...] = ()
    tracking: Mapping[str, Json] = field(default_factory=dict)
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    known: bool = False

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrainResult:
        made: dict[str, Any] = {**value, "warnings": tuple(value["warnings"])}
        return cls(**made)

    def again(self) -> TrainResult:
        """The same result, given again without training."""
        return replace(self, known=True)


def worker_metric(story: Story) -> dict[str, Json]:
    """Returns the first and the best evaluation of the worker."""
    done, evals = story.done or {}, story.evals
    first, best = evals.get(0, {}), evals.get(int(done.get("best_step") or 0), {})
    return {
        "before": done.get("before", first.get("score")),
        "after": done.get("score", best.get("score")),
        "rows": next((e.get("rows", 0) for e in evals.values()), 0),
    }


def pair_accuracy(story: Story) -> float | None:
    """Returns the pair accuracy of the adapter that was kept, where pairs were measured."""
    done = story.done or {}
    best = story.evals.get(int(done.get("best_step") or 0), {})
    return done.get("pair_accuracy", best.get("pair_accuracy"))
