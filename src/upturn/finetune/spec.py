"""What a fine-tune job asks for. Field names are those of TRL and PEFT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from upturn.records import Json

#: The prompt it is trained under: the program as written, or the champion with its demos.
Combine = Literal["weights_only", "prompt_then_weights", "both"]


@dataclass(frozen=True, kw_only=True)
class LoraSpec:
    """The adapter's shape.

    Attributes:
        r: rank.
        lora_alpha: the update is scaled by ``lora_alpha / r`` (rsLoRA: ``/ sqrt(r)``).
        lora_dropout: on the adapter's input while training.
        target_modules: "all-linear" (never the head), or names as PEFT takes them.
        rank_pattern, alpha_pattern: module name -> another rank or alpha.
        use_rslora, use_dora: as in PEFT.
    """

    r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, int] = field(default_factory=dict)
    use_rslora: bool = False
    use_dora: bool = False


@dataclass(frozen=True, kw_only=True)
class OptimSpec:
    """How the weights move. ``max_steps`` wins over ``num_train_epochs`` where it is set."""

    learning_rate: float = 1e-3
    num_train_epochs: float = 3.0
    max_steps: int | None = None
    per_device_train_batch_size: int = 16
    gradient_accumulation_steps: int = 1
    warmup_ratio: float = 0.05
    lr_scheduler_type: str = "cosine"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_length: int = 2048
    bf16: bool = False
    gradient_checkpointing: bool = False


@dataclass(frozen=True, kw_only=True)
class PreferenceSpec:
    """What kinds that learn from preferences add; the names and meanings are TRL's.

    Attributes:
        beta: how far the policy may move from its reference.
        loss_type: one of the kind's, such as "robust" (rDPO, for noisy labels).
        label_smoothing: for "robust", the share of pairs believed to be the wrong way round.
        desirable_weight, undesirable_weight: of the two sides, where answers are judged.
    """

    beta: float = 0.1
    loss_type: str = "sigmoid"
    label_smoothing: float = 0.0
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """Evaluation by generation, with the program's metric, on dev.

    Attributes:
        eval_steps: optimizer steps between two evaluations; None: once an epoch.
        rows: dev rows of an evaluation; of pairs, where those are measured, as many.
        patience: evaluations without a better one before the job stops; 0 never stops early.
        max_new_tokens: of an answer.
    """

    eval_steps: int | None = None
    rows: int = 100
    patience: int = 2
    max_new_tokens: int = 64


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Where and how it runs, and what it may take; says nothing about the weights that come out.

    Attributes:
        device: "auto", "cpu" or "cuda".
        processes: of this machine; more than one goes through torchrun.
        accelerate_config: a file of ``accelerate config`` (several machines).
        save_steps: optimizer steps between two checkpoints; None: at each evaluation.
        max_minutes, max_memory_mb: the job stops, with a checkpoint, when it takes more.
        stall_minutes: without a step or an evaluation for so long, the job counts as stalled.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    processes: int = 1
    accelerate_config: str | None = None
    save_steps: int | None = None
    max_minutes: float | None = None
    max_memory_mb: float | None = None
    stall_minutes: float = 10.0


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One fine-tune job.

    Attributes:
        name: of the job, and of its folder in the workspace.
        kind: name of a job kind, see ``kinds``.
        combine: the prompt that the adapter is trained under.
        start: folder of an adapter to train on; None starts a new one.
        seed: of order, initialisation and dropout.
    """

    name: str
    kind: str
    combine: Combine = "weights_only"
    start: str | None = None
    lora: LoraSpec = LoraSpec()
    optim: OptimSpec = OptimSpec()
    preference: PreferenceSpec = PreferenceSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    run: RunSpec = RunSpec()
    trust_remote_code: bool = False
    seed: int = 0

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobSpec:
        lora = dict(value["lora"])
        if not isinstance(lora["target_modules"], str):
            lora["target_modules"] = tuple(lora["target_modules"])
        parts: dict[str, Any] = {
            "lora": LoraSpec(**lora),
            "optim": OptimSpec(**value["optim"]),
            "preference": PreferenceSpec(**value["preference"]),
            "evaluation": EvaluationSpec(**value["evaluation"]),
            "run": RunSpec(**value["run"]),
        }
        made: dict[str, Any] = {**value, **parts}
        return cls(**made)
