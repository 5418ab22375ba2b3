"""What the weights of a job depend on: the same goes on where it stopped, changed is refused.

A part is kept in full, not as a hash alone, so that a refusal can name what changed and both
values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from upturn import __version__
from upturn.errors import InputError
from upturn.finetune.files import file_hash
from upturn.finetune.spec import JobSpec
from upturn.records import Json, content_hash

LIBRARIES = ("torch", "trl", "peft", "transformers", "accelerate")
#: Fields of ``run`` that change the arithmetic; the others say how long and how often.
_RUN = ("device", "processes")


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Part name -> what it is, as JSON.

    Attributes:
        parts: ``data``, ``job``, ``base``, ``template``, ``libraries``, ``prompt``, ``start``. A
            part of named values is compared value by value.
    """

    parts: Mapping[str, Json]

    @property
    def hashes(self) -> dict[str, str]:
        """Part name -> hash, as a work order carries it."""
        return {name: content_hash(value) for name, value in self.parts.items()}

    @property
    def id(self) -> str:
        """One hash over all parts."""
        return content_hash(self.hashes, length=16)

    def differences(self, before: Fingerprint) -> list[str]:
        """Returns one line for each value that changed: its name, the old value and the new one."""
        old, new = _flat(before.parts), _flat(self.parts)
        names = [*old, *(n for n in new if n not in old)]
        return [
            f"{name.removeprefix('job.')}: was {_shown(old.get(name))}, is {_shown(new.get(name))}"
            for name in names
            if old.get(name) != new.get(name)
        ]

    def to_json(self) -> dict[str, Json]:
        return {"parts": dict(self.parts), "hashes": self.hashes}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Fingerprint:
        return cls(parts=value["parts"])


def fingerprint(
    spec: JobSpec,
    *,
    data: Mapping[str, Json],
    base_id: str,
    template: str,
    candidate: Mapping[str, Json],
    settings: Mapping[str, Json],
) -> Fingerprint:
    """Returns the fingerprint of a job.

    Args:
        spec: what is asked for; ``run`` counts only where it changes the arithmetic.
        data: the hashes of rows and dev, and what else names them, such as the snapshot.
        base_id: the base model's name and the hash of its content.
        template: the tokenizer's chat template.
        candidate, settings: the prompt and the settings that rows and evaluations use.
    """
    return Fingerprint(
        parts={
            "data": dict(data),
            "job": job_part(spec),
            "base": base_id,
            "template": content_hash(template, length=16),
            "libraries": libraries(),
            "prompt": {
                "candidate": content_hash(dict(candidate), length=16),
                "settings": dict(settings),
            },
            "start": start_part(spec),
        }
    )


def job_part(spec: JobSpec) -> dict[str, Json]:
    """Returns the fields of a job that its weights depend on, without its name.

    How a batch is cut is none of them: halved for want of memory and accumulated twice as often, it
    holds the same rows in the same order.
    """
    value = spec.to_json()
    cut = ("per_device_train_batch_size", "gradient_accumulation_steps")
    optim = {k: v for k, v in value["optim"].items() if k not in cut}
    value["optim"] = {**optim, "batch_size": effective_batch(spec)}
    run: dict[str, Json] = {name: value["run"][name] for name in _RUN}
    if spec.run.accelerate_config:
        run["accelerate_config"] = _hash_or_missing(Path(spec.run.accelerate_config))
    rest = {k: v for k, v in value.items() if k not in ("name", "run", "start")}
    return {**rest, "run": run}


def effective_batch(spec: JobSpec) -> int:
    """Returns the rows of one optimizer step, over all processes."""
    optim = spec.optim
    return (
        optim.per_device_train_batch_size
        * optim.gradient_accumulation_steps
        * max(1, spec.run.processes)
    )


def start_part(spec: JobSpec) -> str:
    """Returns the hash of the adapter's weights that the job starts from, or "" for a new one."""
    if not spec.start:
        return ""
    return _hash_or_missing(Path(spec.start) / "adapter_model.safetensors")


def libraries() -> dict[str, str]:
    """Returns the versions of what computes the weights; "" for one that is not installed."""
    return {"upturn": __version__, **{name: _version(name) for name in LIBRARIES}}


def refusal(differences: Sequence[str], *, name: str, folder: Path) -> InputError:
    """Returns the error for a job that was changed since its folder was made."""
    lines = "\n".join(f"  {line}" for line in differences)
    return InputError(
        f"job {name} was started with other inputs, and weights of two jobs do not mix:\n{lines}",
        where=str(folder),
        fix=f"--branch NEW_NAME trains on from its newest checkpoint under the new inputs; or undo "
        f"the change; or remove {folder} to start over",
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _hash_or_missing(path: Path) -> str:
    return file_hash(path)[:16] if path.is_file() else "missing"


def _flat(value: Json, prefix: str = "") -> dict[str, Json]:
    if not isinstance(value, Mapping):
        return {prefix: list(value) if isinstance(value, tuple) else value}
    found: dict[str, Json] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return found


def _shown(value: Json) -> str:
    return "nothing" if value is None or value == "" else str(value)
