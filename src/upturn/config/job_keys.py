"""Keys that people bring from TRL, PEFT and axolotl, and where a job has them."""

from __future__ import annotations

from upturn.config.section import Section

#: Another tool's name -> ours. Names that are the same, in another section, need no entry.
_OTHERS = {
    "base_model": "base",
    "model": "base",
    "model_name_or_path": "base",
    "dataset": "snapshot",
    "datasets": "snapshot",
    "dataset_name": "snapshot",
    "rl": "kind",
    "method": "kind",
    "output_dir": "name",
    "run_name": "name",
    "program": "config",
    "lora_model_dir": "start",
    "adapter": "start",
    "lora_r": "lora.r",
    "rank": "lora.r",
    "alpha": "lora.lora_alpha",
    "dropout": "lora.lora_dropout",
    "lora_target_modules": "lora.target_modules",
    "lora_target_linear": "lora.target_modules",
    "peft_use_rslora": "lora.use_rslora",
    "peft_use_dora": "lora.use_dora",
    "lr": "optim.learning_rate",
    "num_epochs": "optim.num_train_epochs",
    "epochs": "optim.num_train_epochs",
    "batch_size": "optim.per_device_train_batch_size",
    "micro_batch_size": "optim.per_device_train_batch_size",
    "sequence_len": "optim.max_length",
    "max_seq_length": "optim.max_length",
    "max_seq_len": "optim.max_length",
    "warmup_steps": "optim.warmup_ratio",
    "lr_scheduler": "optim.lr_scheduler_type",
    "gradient_clipping": "optim.max_grad_norm",
    "activation_checkpointing": "optim.gradient_checkpointing",
    "dpo_beta": "preference.beta",
    "dpo_label_smoothing": "preference.label_smoothing",
    "early_stopping_patience": "evaluation.patience",
    "eval_max_new_tokens": "evaluation.max_new_tokens",
    "max_tokens": "evaluation.max_new_tokens",
    "deepspeed": "run.accelerate_config",
    "fsdp": "run.accelerate_config",
    "fsdp_config": "run.accelerate_config",
    "num_processes": "run.processes",
    "use_cpu": "run.device",
}


def meant_key(key: str, model: type[Section]) -> str:
    """Returns the dotted path of the key that is meant, or "" where nobody can tell.

    Args:
        key: an unknown key, at whatever level it was found.
        model: of the whole file; its sections are one level deep.
    """
    return _OTHERS.get(key) or _paths(model).get(key, "")


def _paths(model: type[Section]) -> dict[str, str]:
    """Key -> dotted path, for all keys of the sections and of the file itself."""
    found: dict[str, str] = {}
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            found |= {key: f"{name}.{key}" for key in inner.model_fields}
    return found | {name: name for name in model.model_fields}
