"""TRL's trainers as a job needs them: token ids as they are, our order, nothing saved or sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from upturn.errors import ConfigError
from upturn.finetune.kinds import job_kind
from upturn.finetune.worker.inputs import Task
from upturn.finetune.worker.memory import (
    ACTIVATION_BYTES,
    activation_bytes,
    return_memory,
    shrink_head,
)
from upturn.finetune.worker.model import check_targets, load_base, lora_config, start_from


def make_trainer(task: Task, tokenizer: Any, *, done: int) -> Any:
    """Returns a trainer over the samples that are left after ``done`` steps.

    Raises:
        ModelError: base or adapter cannot be loaded, or TRL has changed.
        ConfigError: the device is not there, or a setting cannot be.
    """
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
    rows = _dataset(task, done)
    return _trainer(
        task, values, model=model, train_dataset=rows, processing_class=tokenizer, **adapter
    )


def _trainer(task: Task, values: dict[str, Any], **parts: Any) -> Any:
    try:
        made = job_kind(task.spec.kind).trainer(values, task.spec.preference, **parts)
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
    computed twice. A kind that compares rows does so within a part: its least batch stays whole.
    """
    optim = task.spec.optim
    if not cpu:
        return optim.gradient_checkpointing, 1
    size, kind = optim.per_device_train_batch_size, job_kind(task.spec.kind)
    tokens = task.longest * kind.sequences
    parts = [n for n in range(1, size + 1) if size % n == 0 and size // n >= kind.least_batch]
    for checkpointing in (False, True)[optim.gradient_checkpointing :]:
        for n in parts:
            kept = activation_bytes(config, tokens=size // n * tokens, checkpointing=checkpointing)
            if kept <= ACTIVATION_BYTES:
                return checkpointing, n
    return True, parts[-1]


def _dataset(task: Task, done: int) -> Dataset:
    """Returns the samples that are left, as token ids; at least one, for TRL looks at the first."""
    left = task.samples[done * task.batch :] or task.samples[-task.batch :]
    kind = job_kind(task.spec.kind)
    columns = [kind.columns(row) for row in task.rows]
    whole = Dataset.from_dict({name: [c[name] for c in columns] for name in columns[0]})
    return whole.select(left)
