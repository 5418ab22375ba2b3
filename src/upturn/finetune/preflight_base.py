"""Whether a base model can take a job, from its files alone: no weights are loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from upturn.errors import ModelError, UpturnError
from upturn.finetune.findings import Finding
from upturn.finetune.spec import JobSpec, LoraSpec
from upturn.lm.folder import check_folder
from upturn.weights.adapter import CARD, check_base, load
from upturn.weights.base import base_shapes, ties_embeddings
from upturn.weights.peft_config import read_config

#: What vLLM takes for --max-lora-rank; 16 unless it is told another.
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_VLLM_DEFAULT = 16
#: Last parts of the names of embeddings and heads, which LoRA leaves alone.
_ENDS = ("embed_tokens", "lm_head", "wte", "wpe", "embed_in", "embed_out", "word_embeddings")
_GENERATES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")


@dataclass(frozen=True, kw_only=True)
class Base:
    """What the files of a base model say.

    Attributes:
        folder: where it is.
        config: config.json; the text part of it where it has several.
        shapes: module -> (out, in) of its two-dimensional weights; embeddings and head among them.
        tied: its head is its embedding.
        brings_code: it wants to run Python code of its own.
    """

    folder: Path
    config: dict[str, Any]
    shapes: dict[str, tuple[int, int]]
    tied: bool
    brings_code: bool

    @classmethod
    def read(cls, folder: Path) -> Base:
        """Reads the files' headers.

        Raises:
            ModelError: a file is missing or cannot be read.
        """
        check_folder(folder)
        config = _json(folder / "config.json")
        tokenizer = folder / "tokenizer_config.json"
        parts = [config, _json(tokenizer) if tokenizer.is_file() else {}]
        return cls(
            folder=folder,
            config={**config, **config.get("text_config", {})},
            shapes=base_shapes(folder),
            tied=ties_embeddings(folder),
            brings_code=any("auto_map" in part for part in parts),
        )

    @property
    def linear(self) -> tuple[str, ...]:
        """The layers that "all-linear" means."""
        return tuple(name for name in self.shapes if name.split(".")[-1] not in _ENDS)

    @property
    def context(self) -> int | None:
        """Tokens that it reads at most, where it says so."""
        return self.config.get("max_position_embeddings")

    def targets(self, lora: LoraSpec) -> tuple[str, ...]:
        """Returns the modules that an adapter of this shape changes."""
        if isinstance(lora.target_modules, str):
            return self.linear
        wanted = lora.target_modules
        return tuple(n for n in self.shapes if any(_is_named(n, target) for target in wanted))


def base_findings(
    base: Base, base_id: str, spec: JobSpec, *, serving: Sequence[str] = ()
) -> tuple[list[Finding], list[Finding]]:
    """Returns what keeps a base from taking a job, and what is worth knowing.

    Args:
        base: the model.
        base_id: its name with its content's hash.
        spec: the job.
        serving: the targets that the adapter is exported to.
    """
    problems = [*_code(base, spec), *_architecture(base), *_targets(base, spec.lora)]
    problems += _start(spec, base_id)
    return problems, [*_ranks(spec.lora, serving), *_precision(spec)]


def _code(base: Base, spec: JobSpec) -> Iterator[Finding]:
    if base.brings_code and not spec.trust_remote_code:
        yield Finding(
            what="the base asks to run Python code of its own (auto_map), which is refused",
            where=str(base.folder),
            fix="read that code; then trust_remote_code=true allows it",
        )


def _architecture(base: Base) -> Iterator[Finding]:
    names = base.config.get("architectures") or []
    if not any(name.endswith(_GENERATES) for name in names):
        yield Finding(
            what=f"the base must write text (…{_GENERATES[0]}), its architecture is "
            f"{', '.join(names) or 'not stated'}",
            where=str(base.folder / "config.json"),
            fix="base=hf:FOLDER of a causal language model",
        )


def _targets(base: Base, lora: LoraSpec) -> Iterator[Finding]:
    known = ", ".join(sorted({name.split(".")[-1] for name in base.linear}))
    wanted = () if isinstance(lora.target_modules, str) else lora.target_modules
    for target in wanted:
        if not any(_is_named(name, target) for name in base.shapes):
            yield Finding(
                what=f"must name layers of the base, {target!r} names none",
                where="lora.target_modules",
                fix=f"one of {known}; or all-linear",
            )
    ends = [t for t in wanted if t.split(".")[-1] in _ENDS]
    if ends:
        why = " (they are one tensor here, and a merge would be wrong)" if base.tied else ""
        yield Finding(
            what=f"must leave embedding and head alone{why}, got {', '.join(ends)}",
            where="lora.target_modules",
            fix="all-linear takes every linear layer but the head",
        )
    for name, pattern in (
        ("rank_pattern", lora.rank_pattern),
        ("alpha_pattern", lora.alpha_pattern),
    ):
        for key in pattern:
            if not any(_matches(key, module) for module in base.targets(lora)):
                yield Finding(
                    what=f"each key must match a target module, {key!r} matches none",
                    where=f"lora.{name}",
                    fix=f"one of {known}",
                )


def _start(spec: JobSpec, base_id: str) -> Iterator[Finding]:
    if spec.start is None:
        return
    folder = Path(spec.start)
    try:
        if (folder / CARD).is_file():
            check_base(load(folder), base_id)
        config = read_config(folder / "adapter_config.json")
    except UpturnError as error:
        yield Finding(what=error.what, where=f"start: {error.where}", fix=error.fix)
        return
    if config.r != spec.lora.r and not (folder / CARD).is_file():
        yield Finding(
            what=f"lora.r must be that of the adapter to start from, {config.r}, got {spec.lora.r}",
            where="start",
            fix=f"lora.r={config.r}",
        )


def _ranks(lora: LoraSpec, serving: Sequence[str]) -> Iterator[Finding]:
    rank = max([lora.r, *lora.rank_pattern.values()])
    if "vllm" in serving and rank > _VLLM_DEFAULT:
        enough = next((r for r in VLLM_RANKS if r >= rank), VLLM_RANKS[-1])
        yield Finding(
            what=f"vLLM serves ranks up to {_VLLM_DEFAULT} by default, this adapter has {rank}",
            where="lora.r",
            fix=f"start it with --max-lora-rank {enough}, or lora.r={_VLLM_DEFAULT}",
        )


def _precision(spec: JobSpec) -> Iterator[Finding]:
    if spec.optim.bf16 and spec.run.device == "cpu":
        yield Finding(
            what="bf16 is for GPUs; on a CPU the job computes in fp32",
            where="optim.bf16",
            fix="optim.bf16=false",
        )


def _is_named(module: str, target: str) -> bool:
    """As PEFT reads a list of names: the whole path, or the end of it."""
    return module == target or module.endswith(f".{target}")


def _matches(key: str, module: str) -> bool:
    """As PEFT reads a pattern: a regular expression for the end of the path."""
    try:
        return re.match(rf"(.*\.)?({key})$", module) is not None
    except re.error:
        return False


def _json(path: Path) -> dict[str, Any]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"must be a JSON object ({error})", where=str(path)) from error
    if not isinstance(found, dict):
        raise ModelError("must be a JSON object", where=str(path))
    return cast("dict[str, Any]", found)
