"""DSPy's ``train_kwargs`` -> a job: flat names, those of TRL and PEFT as job files have them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from upturn.errors import ConfigError
from upturn.finetune.spec import JobSpec

_PARTS = ("lora", "optim", "run")


def _whole(least: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number >= {least}", lambda v: type(v) is int and v >= least


def _number(rule: str, fits: Callable[[float], bool]) -> tuple[str, Callable[[Any], bool]]:
    return f"a number {rule}", lambda v: type(v) in (int, float) and fits(v)


_COUNT, _ABOVE_0 = _whole(1), _number("> 0", lambda v: v > 0)
_SHARE = _number(">= 0 and < 1", lambda v: 0 <= v < 1)
_FLAG: tuple[str, Callable[[Any], bool]] = ("true or false", lambda v: type(v) is bool)
_RULES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "r": _COUNT,
    "lora_alpha": _COUNT,
    "lora_dropout": _SHARE,
    "target_modules": (
        "all-linear, or a list of names",
        lambda v: (
            v == "all-linear"
            or (isinstance(v, list | tuple) and bool(v) and all(isinstance(n, str) for n in v))
        ),
    ),
    "use_rslora": _FLAG,
    "learning_rate": _ABOVE_0,
    "num_train_epochs": _ABOVE_0,
    "max_steps": _COUNT,
    "per_device_train_batch_size": _COUNT,
    "gradient_accumulation_steps": _COUNT,
    "warmup_ratio": _SHARE,
    "lr_scheduler_type": ("a schedule's name", lambda v: isinstance(v, str)),
    "weight_decay": _number(">= 0", lambda v: v >= 0),
    "max_grad_norm": _ABOVE_0,
    "max_length": _whole(8),
    "bf16": _FLAG,
    "gradient_checkpointing": _FLAG,
    "device": ("auto, cpu or cuda", lambda v: v in ("auto", "cpu", "cuda")),
    "processes": _COUNT,
    "save_steps": _COUNT,
    "max_minutes": _ABOVE_0,
    "max_memory_mb": _ABOVE_0,
    "stall_minutes": _ABOVE_0,
    "seed": _whole(0),
}


def job_spec(values: Mapping[str, Any], *, name: str, start: str | None = None) -> JobSpec:
    """Returns the SFT job that ``train_kwargs`` ask for; what they leave out has our defaults.

    Args:
        values: field names of LoraSpec, OptimSpec and RunSpec, and ``seed``.
        name: of the job.
        start: folder of an adapter to train on; its shape stands then.

    Raises:
        ConfigError: all unknown names and wrong values at once.
    """
    problems = [p for key, value in values.items() if (p := _problem(key, value))]
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise ConfigError(f"{count}\n{lines}", where="train_kwargs")
    spec = JobSpec(name=name, kind="sft", start=start, seed=values.get("seed", 0))
    for part in _PARTS:
        old: Any = getattr(spec, part)
        given = {f.name: _plain(values[f.name]) for f in fields(old) if f.name in values}
        spec = replace(spec, **{part: replace(old, **given)})
    return spec


def _problem(key: str, value: Any) -> str:
    if key not in _RULES:
        near = difflib.get_close_matches(key, list(_RULES), n=1, cutoff=0.5)
        return f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
    rule, fits = _RULES[key]
    return "" if fits(value) else f"{key}: must be {rule}, got {value!r}"


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
