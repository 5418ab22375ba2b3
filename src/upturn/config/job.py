"""A fine-tune job: what to train an adapter on, how, and where. Key names are TRL's and PEFT's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from upturn.config.job_keys import meant_key
from upturn.config.job_kind import Kind, Loss, tell_losses, tell_rates
from upturn.config.loading import explain, read_yaml, set_override
from upturn.config.section import Positive, Section
from upturn.finetune.kinds import job_kind, job_kinds
from upturn.finetune.spec import (
    EvaluationSpec,
    JobSpec,
    LoraSpec,
    OptimSpec,
    PreferenceSpec,
    RunSpec,
)
from upturn.records import Json

_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")


def _number(value: Any) -> Any:
    """Reads ``5e-6``, which PyYAML takes for text; any other text stays one, and is refused."""
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def _executor(value: Any) -> Any:
    """Reads ``executor: ray`` as ``executor: {kind: ray}``."""
    return {"kind": value} if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_number)]
Target = Literal["peft", "vllm", "sglang", "lorax", "merged", "gguf", "ollama"]


class LoraSection(Section):
    """The adapter's shape."""

    r: Annotated[int, Field(ge=1, le=512)] = 16
    lora_alpha: Positive = 32
    lora_dropout: Number = Field(default=0.0, ge=0.0, lt=1.0)
    target_modules: Literal["all-linear"] | list[str] = Field(
        default="all-linear", description="all-linear (never the head), or names of modules"
    )
    rank_pattern: dict[str, Positive] = Field(default={})
    alpha_pattern: dict[str, Positive] = Field(default={})
    use_rslora: bool = False
    use_dora: bool = False

    @field_validator("use_dora")
    @classmethod
    def _what_can_be_served(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "must be false: adapters are kept and served as plain LoRA, and DoRA's norms of "
                "whole columns do not fold into it"
            )
        return value

    @field_validator("target_modules")
    @classmethod
    def _some(cls, value: str | list[str]) -> str | list[str]:
        if not value or any(not name for name in value):
            raise ValueError("must name a module, or be all-linear")
        return value


class OptimSection(Section):
    """How the weights move. max_steps wins over num_train_epochs."""

    learning_rate: Annotated[Number, Field(gt=0.0, le=1.0)] | None = Field(
        default=None, json_schema_extra=tell_rates
    )
    num_train_epochs: Number = Field(default=3.0, gt=0.0)
    max_steps: Positive | None = None
    per_device_train_batch_size: Positive = 16
    gradient_accumulation_steps: Positive = 1
    warmup_ratio: Number = Field(default=0.05, ge=0.0, lt=1.0)
    lr_scheduler_type: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    weight_decay: Number = Field(default=0.0, ge=0.0)
    max_grad_norm: Number = Field(default=1.0, gt=0.0)
    max_length: Annotated[int, Field(ge=8)] = Field(
        default=2048, description="tokens of prompt and answer; longer rows are dropped, never cut"
    )
    bf16: bool = False
    gradient_checkpointing: bool = False


class PreferenceSection(Section):
    """What kinds that learn from preferences add."""

    beta: Number = Field(default=0.1, gt=0.0)
    loss_type: Loss | None = Field(default=None, json_schema_extra=tell_losses)
    label_smoothing: Number = Field(
        default=0.0, ge=0.0, lt=0.5, description="share of pairs held to be the wrong way round"
    )
    desirable_weight: Number = Field(default=1.0, gt=0.0)
    undesirable_weight: Number = Field(default=1.0, gt=0.0)


class EvaluationSection(Section):
    """Evaluation by generation, with the program's metric, on dev."""

    eval_steps: Positive | None = Field(default=None, description="null: once an epoch")
    rows: Positive = 100
    patience: Annotated[int, Field(ge=0)] = Field(default=2, description="0 never stops early")
    max_new_tokens: Positive = 64


class RunSection(Section):
    """Where it runs, and what it may take; says nothing about the weights that come out."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    processes: Positive = 1
    accelerate_config: str | None = Field(default=None, description="file of accelerate config")
    save_steps: Positive | None = Field(default=None, description="null: at each evaluation")
    max_minutes: Number | None = Field(default=None, gt=0.0)
    max_memory_mb: Number | None = Field(default=None, gt=0.0)
    stall_minutes: Number = Field(default=10.0, gt=0.0)


class ExecutorSection(Section):
    """Which machine trains: this one, one of a Ray cluster, or one that a command reaches."""

    kind: Literal["local", "ray", "command"] = "local"
    command: list[str] = Field(
        default=[], description="words of the command; {folder} is the job's folder"
    )

    @model_validator(mode="after")
    def _a_command_where_one_runs(self) -> ExecutorSection:
        if bool(self.command) != (self.kind == "command"):
            raise ValueError("command must hold words where kind is command, and only there")
        return self


Executor = Annotated[
    ExecutorSection,
    BeforeValidator(_executor, json_schema_input_type=ExecutorSection | Literal["local", "ray"]),
]


class Job(Section):
    """One fine-tune job."""

    kind: Kind
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    config: str = Field(description="configs/x.yaml: the program, metric, data and model")
    base: str | None = Field(default=None, description="null: the config's model; or hf:FOLDER")
    snapshot: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{4,64}$", description="id or its start; null: of now"
    )
    combine: Literal["weights_only", "prompt_then_weights", "both"] = "weights_only"
    start: str | None = Field(default=None, description="adapter id, its folder, or a job's name")
    lora: LoraSection = LoraSection()
    optim: OptimSection = OptimSection()
    preference: PreferenceSection = PreferenceSection()
    evaluation: EvaluationSection = EvaluationSection()
    run: RunSection = RunSection()
    executor: Executor = ExecutorSection()
    export: list[Target] = Field(default=[], description="how it is to be served")
    trust_remote_code: bool = False
    seed: int = Field(default=0, ge=0)

    @field_validator("base")
    @classmethod
    def _a_model_that_can_be_trained(cls, value: str | None) -> str | None:
        if value not in (None, "upturn-mini") and not re.fullmatch(r"hf:.+", value):
            raise ValueError("must be upturn-mini or hf:FOLDER: weights that are on this machine")
        return value

    @model_validator(mode="after")
    def _preference_fits_the_kind(self) -> Job:
        kind, loss = job_kind(self.kind), self.preference.loss_type
        if not kind.losses and self.preference != PreferenceSection():
            readers = " and ".join(n for n, k in job_kinds().items() if k.losses)
            raise ValueError(f"preference: only {readers} read it, got kind: {self.kind}")
        if loss is not None and loss not in kind.losses:
            known = ", ".join(kind.losses)
            raise ValueError(f"preference.loss_type must be one of {known} for kind: {self.kind}")
        return self

    @model_validator(mode="after")
    def _smoothing_fits_the_loss(self) -> Job:
        kind, smoothing = job_kind(self.kind), self.preference.label_smoothing
        loss, smoothed = self._loss, kind.smoothed_losses
        if smoothing and not smoothed:
            raise ValueError(f"preference.label_smoothing must be 0 for kind: {self.kind}")
        if bool(smoothing) != (loss in smoothed):
            raise ValueError(
                f"preference.label_smoothing must be above 0 with loss_type: "
                f"{' or '.join(smoothed)}, and only there, got {smoothing:g} with {loss}"
            )
        return self

    @model_validator(mode="after")
    def _batch_fits_the_kind(self) -> Job:
        least = job_kind(self.kind).least_batch
        if self.optim.per_device_train_batch_size < least:
            raise ValueError(
                f"optim.per_device_train_batch_size must be >= {least} for {self.kind}: each "
                "answer is compared with those of other prompts in its batch"
            )
        return self

    @property
    def _loss(self) -> str:
        """The loss as the trainer is told; a kind that reads none is told ours."""
        known = (*job_kind(self.kind).losses, PreferenceSpec().loss_type)
        return self.preference.loss_type or known[0]

    def spec(self) -> JobSpec:
        """What the trainer is asked for, with the defaults of the kind; ``start`` as written."""
        lora: dict[str, Any] = self.lora.model_dump()
        if not isinstance(self.lora.target_modules, str):
            lora["target_modules"] = tuple(self.lora.target_modules)
        optim, preference = self.optim.model_dump(), self.preference.model_dump()
        optim["learning_rate"] = optim["learning_rate"] or job_kind(self.kind).learning_rate
        preference["loss_type"] = self._loss
        return JobSpec(
            name=self.name,
            kind=self.kind,
            combine=self.combine,
            start=self.start,
            lora=LoraSpec(**lora),
            optim=OptimSpec(**optim),
            preference=PreferenceSpec(**preference),
            evaluation=EvaluationSpec(**self.evaluation.model_dump()),
            run=RunSpec(**self.run.model_dump()),
            trust_remote_code=self.trust_remote_code,
            seed=self.seed,
        )

    def to_yaml(self) -> str:
        """The resolved job, defaults and overrides included."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def job_schema() -> dict[str, Json]:
    """JSON Schema of a job file, for editors."""
    return Job.model_json_schema()


def load_job(path: Path, overrides: list[str] | None = None) -> Job:
    """Reads a job and applies ``key.path=value`` overrides.

    Raises:
        ConfigError: all problems of the file and the overrides at once, each with its dotted path.
    """
    value = read_yaml(path, what="job")
    for override in overrides or []:
        set_override(value, override)
    try:
        return Job.model_validate(value)
    except ValidationError as error:
        raise explain(
            path,
            value,
            error,
            model=Job,
            elsewhere=lambda key: meant_key(key, Job),
            fix="compare with jobs/gpu_template.yaml, which shows every section",
        ) from None
