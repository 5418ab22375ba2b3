"""TRL's trainers as a job needs them: token ids as they are, our order, nothing saved or sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback, TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference, KTOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from upturn.errors import ConfigError, ModelError
from upturn.finetune.records import TrainingRow
from upturn.finetune.worker.inputs import Task
from upturn.finetune.worker.memory import (
    ACTIVATION_BYTES,
    activation_bytes,
    return_memory,
    shrink_head,
)
from upturn.finetune.worker.model import check_targets, load_base, lora_config, start_from

_IGNORED = -100


class PairTrainer(DPOTrainer):
    """DPO on token ids: TRL would render and cut the texts again."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


class ThumbTrainer(KTOTrainer):
    """KTO on token ids."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


class ThumbCollator(DataCollatorForUnpairedPreference):
    """Pairs each prompt with its neighbour's answer, for KTO's estimate of the divergence.

    TRL does that before training, in the order of the rows; here the batch itself is turned, so
    the pairs are the same wherever a batch begins.
    """

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        answers = [e["completion_ids"] for e in examples]
        turned = [answers[-1], *answers[:-1]]
        return super().torch_call(
            [{**e, "KL_completion_ids": a} for e, a in zip(examples, turned, strict=True)]
        )


def make_trainer(task: Task, tokenizer: Any, *, done: int) -> Any:
    """Returns a trainer over the samples that are left after ``done`` steps.

    Raises:
        ModelError: base or adapter cannot be loaded, or TRL has changed.
        ConfigError: the device is not there, or a setting cannot be.
    """
    _guard()
    cpu = on_cpu(task.spec.run.device)
    shrink_head(cpu=cpu)
    base = load_base(task.work, bf16=task.spec.optim.bf16 and not cpu)
    check_targets(base, task.spec.lora)
    values = _arguments(task, base.config, cpu=cpu)
    model: Any = base
    if task.spec.start is None:
        adapter: dict[str, Any] = {"peft_config": lora_config(task.spec.lora)}
    else:
        model, adapter = start_from(base, task.work), {}
    return _trainer(task, values, model, tokenizer, _dataset(task, done), adapter)


def _trainer(
    task: Task, values: dict[str, Any], model: Any, tokenizer: Any, rows: Dataset, rest: Any
) -> Any:
    preference = task.spec.preference
    rest = {**rest, "model": model, "train_dataset": rows, "processing_class": tokenizer}
    pad = tokenizer.pad_token_id
    try:
        if task.spec.kind == "sft":
            args = SFTConfig(**values, dataset_kwargs={"skip_prepare_dataset": True})
            made: Any = SFTTrainer(args=args, **rest)
        elif task.spec.kind == "dpo":
            args = DPOConfig(
                **values,
                beta=preference.beta,
                loss_type=[preference.loss_type],
                label_smoothing=preference.label_smoothing,
            )
            collator = DataCollatorForPreference(pad_token_id=pad)
            made = PairTrainer(args=args, data_collator=collator, **rest)
        else:
            args = KTOConfig(
                **values,
                beta=preference.beta,
                desirable_weight=preference.desirable_weight,
                undesirable_weight=preference.undesirable_weight,
            )
            made = ThumbTrainer(args=args, data_collator=ThumbCollator(pad_token_id=pad), **rest)
    except ValueError as error:
        raise ConfigError(f"TRL and PEFT must accept the job: {error}", where="job") from error
    for shown in (PrinterCallback, ProgressCallback):
        made.remove_callback(shown)
    return made


def add(trainer: Any, callback: TrainerCallback) -> None:
    """Adds a callback."""
    trainer.add_callback(callback)


def on_cpu(device: str) -> bool:
    """Whether a job runs on the CPU.

    Raises:
        ConfigError: a GPU is asked for and none is there.
    """
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ConfigError(
            "run.device=cuda must find a GPU, and torch sees none",
            where="run.device",
            fix="set run.device=auto, or install torch for this GPU",
        )
    return device == "cpu" or not there


def _arguments(task: Task, config: Any, *, cpu: bool) -> dict[str, Any]:
    optim = task.spec.optim
    checkpointing, split = _fitted(task, config, cpu=cpu)
    if cpu and checkpointing:
        return_memory()
    return {
        "output_dir": str(Path(task.folder) / "trainer"),
        "use_cpu": cpu,
        "bf16": optim.bf16 and not cpu,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "activation_checkpointing": checkpointing,
        "train_sampling_strategy": "sequential",
        "max_length": None,
        "max_steps": task.total_steps,
        "per_device_train_batch_size": optim.per_device_train_batch_size // split,
        "gradient_accumulation_steps": optim.gradient_accumulation_steps * split,
        "learning_rate": optim.learning_rate,
        "warmup_steps": optim.warmup_ratio,
        "lr_scheduler_type": optim.lr_scheduler_type,
        "weight_decay": optim.weight_decay,
        "max_grad_norm": optim.max_grad_norm,
        "seed": task.spec.seed,
        "data_seed": task.spec.seed,
        "ddp_find_unused_parameters": False,
        # The others wait while the first evaluates.
        "ddp_timeout": int(max(1800, 120 * task.spec.run.stall_minutes)),
    }


def _fitted(task: Task, config: Any, *, cpu: bool) -> tuple[bool, int]:
    """Returns whether activations are computed twice, and into how many parts a batch is cut.

    On a CPU, long rows would take all memory. Parts of a batch are accumulated, which gives the
    same step at nearly the same speed; where one row is too long by itself, its activations are
    computed twice. KTO compares the rows of a part, so there two stay together.
    """
    optim = task.spec.optim
    if not cpu:
        return optim.gradient_checkpointing, 1
    size, kto = optim.per_device_train_batch_size, task.spec.kind == "kto"
    tokens = task.longest * (2 if task.spec.kind == "dpo" else 1)
    parts = [n for n in range(1, size + 1) if size % n == 0 and (size // n >= 2 or not kto)]
    for checkpointing in (False, True)[optim.gradient_checkpointing :]:
        for n in parts:
            kept = activation_bytes(config, tokens=size // n * tokens, checkpointing=checkpointing)
            if kept <= ACTIVATION_BYTES:
                return checkpointing, n
    return True, parts[-1]


def _dataset(task: Task, done: int) -> Dataset:
    """Returns the samples that are left, as token ids; at least one, for TRL looks at the first."""
    left = task.samples[done * task.batch :] or task.samples[-task.batch :]
    columns = [_columns(row, task.spec.kind) for row in task.rows]
    whole = Dataset.from_dict({name: [c[name] for c in columns] for name in columns[0]})
    return whole.select(left)


def _columns(row: TrainingRow, kind: str) -> dict[str, Any]:
    prompt, answer = list(row.prompt_ids), list(row.completion_ids)
    if kind == "sft":
        return {"input_ids": prompt + answer, "labels": [_IGNORED] * len(prompt) + answer}
    if kind == "dpo":
        return {"prompt_ids": prompt, "chosen_ids": answer, "rejected_ids": list(row.rejected_ids)}
    return {"prompt_ids": prompt, "completion_ids": answer, "label": row.desirable}


def _guard() -> None:
    """Raises ModelError where a private method of TRL that we replace is gone."""
    for trainer in (DPOTrainer, KTOTrainer):
        if not callable(getattr(trainer, "_prepare_dataset", None)):
            raise ModelError(
                f"{trainer.__name__} of this TRL must have _prepare_dataset, and has not",
                where="trl",
                fix="pip install 'upturn[train]' for the version that was tested",
            )
