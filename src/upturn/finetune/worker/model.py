"""The base model, its tokenizer and the adapter: loaded whole, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import peft
import torch
from safetensors.torch import load_file, save
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from upturn.errors import ConfigError, ModelError
from upturn.finetune.records import WorkOrder
from upturn.finetune.spec import LoraSpec
from upturn.lm.folder import check_folder
from upturn.weights.adapter import CARD, CONFIG, WEIGHTS, check_base, load

ADAPTER = "default"


def load_tokenizer(work: WorkOrder) -> Any:
    """Returns the base's tokenizer; one without padding pads with its end token, as TRL does.

    Raises:
        ModelError: it has no end token, so that no answer would end.
    """
    check_folder(Path(work.base))
    _refuse_remote_code(work)
    tokenizer: Any = AutoTokenizer.from_pretrained(
        work.base, local_files_only=True, trust_remote_code=work.spec.trust_remote_code
    )
    if tokenizer.eos_token is None:
        raise ModelError(
            "the tokenizer must have an end token: without one the model never learns to stop",
            where=work.base,
            fix="set eos_token in tokenizer_config.json",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(work: WorkOrder, *, bf16: bool) -> Any:
    """Returns the base model in fp32, or in bf16.

    Raises:
        ModelError: it cannot be read, or a tensor is missing, unexpected or of another shape.
    """
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            work.base,
            dtype=torch.bfloat16 if bf16 else torch.float32,
            attn_implementation="sdpa",
            local_files_only=True,
            trust_remote_code=work.spec.trust_remote_code,
            output_loading_info=True,
        )
        model, info = loaded
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"transformers must be able to load the base ({type(error).__name__}: {error})",
            where=work.base,
        ) from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found := sorted(map(str, info.get(kind) or ())):
            raise ModelError(
                f"the base must hold exactly its own tensors, {kind.replace('_', ' ')}: "
                f"{', '.join(found[:5])}{' …' if len(found) > 5 else ''}",
                where=work.base,
                fix="take the model's files from where they came from once more",
            )
    return model


def lora_config(spec: LoraSpec) -> peft.LoraConfig:
    """Returns PEFT's config; never on the head, which merges wrongly where embeddings are tied.

    Raises:
        ConfigError: the targets name the head or the embedding.
    """
    targets = spec.target_modules
    if not isinstance(targets, str):
        heads = [t for t in targets if t.split(".")[-1] in ("lm_head", "embed_tokens")]
        if heads:
            raise ConfigError(
                f"target_modules must not hold the head or the embedding, got {', '.join(heads)}",
                where="lora.target_modules",
                fix='"all-linear" takes every linear layer but the head',
            )
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.r,
        lora_alpha=spec.lora_alpha,
        lora_dropout=spec.lora_dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        rank_pattern=dict(spec.rank_pattern),
        alpha_pattern=dict(spec.alpha_pattern),
        use_rslora=spec.use_rslora,
        use_dora=spec.use_dora,
    )


def check_targets(model: Any, spec: LoraSpec) -> None:
    """Raises ConfigError where a target or a pattern names no linear layer of the base."""
    names = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    targets = () if isinstance(spec.target_modules, str) else spec.target_modules
    for target in targets:
        if not any(n == target or n.endswith(f".{target}") for n in names):
            known = sorted({n.split(".")[-1] for n in names} - {"lm_head"})
            raise ConfigError(
                f"target_modules must name linear layers of the base, {target!r} names none",
                where="lora.target_modules",
                fix=f"it has {', '.join(known)}",
            )


def start_from(model: Any, work: WorkOrder) -> Any:
    """Returns the base with the adapter ``spec.start``, ready to be trained on.

    Raises:
        ModelError: it is no adapter, or one of another base, or a tensor is missing or unexpected.
    """
    start = Path(cast(str, work.spec.start))
    if (start / CARD).is_file():
        check_base(load(start), work.base_id)
    if not (start / CONFIG).is_file() or not (start / WEIGHTS).is_file():
        raise ModelError(f"an adapter must have {CONFIG} and {WEIGHTS}", where=str(start))
    try:
        made = peft.PeftModel.from_pretrained(
            model, str(start), adapter_name=ADAPTER, is_trainable=True, local_files_only=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"the adapter must fit the base ({type(error).__name__}: {error})", where=str(start)
        ) from error
    _expect(made, load_file(start / WEIGHTS), where=start)
    return made


def adapter_tensors(model: Any) -> dict[str, Tensor]:
    """Returns the adapter's tensors, named as PEFT names them in a file; a ``ref`` copy is none."""
    found = peft.get_peft_model_state_dict(model, adapter_name=ADAPTER, save_embedding_layers=False)
    return {n: t.detach().cpu().contiguous() for n, t in sorted(found.items())}


def adapter_files(model: Any, work: WorkOrder) -> dict[str, bytes]:
    """Returns the two files of the adapter; equal adapters give equal bytes."""
    config: dict[str, Any] = dict(model.peft_config[ADAPTER].to_dict())
    config.update(inference_mode=True, base_model_name_or_path=work.base)
    text = json.dumps(config, indent=2, sort_keys=True, default=_sorted)
    return {WEIGHTS: save(adapter_tensors(model)), CONFIG: f"{text}\n".encode()}


def set_adapter_tensors(model: Any, folder: Path) -> None:
    """Sets the adapter to a folder's weights.

    Raises:
        ModelError: a tensor is missing, unexpected or of another shape.
    """
    tensors = load_file(folder / WEIGHTS)
    try:
        peft.set_peft_model_state_dict(model, tensors, adapter_name=ADAPTER)
    except RuntimeError as error:
        raise ModelError(f"the adapter must fit the job ({error})", where=str(folder)) from error
    _expect(model, tensors, where=folder)


def _expect(model: Any, tensors: dict[str, Tensor], *, where: Path) -> None:
    """Compares what the model has now with what the file holds: PEFT only warns."""
    found = adapter_tensors(model)
    wrong = {
        "missing": sorted(found.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - found.keys()),
        "of another value": [
            n for n in found.keys() & tensors.keys() if not torch.equal(found[n], tensors[n])
        ],
    }
    for kind, names in wrong.items():
        if names:
            raise ModelError(
                f"the adapter's tensors must be those of the model, {kind}: {names[0]}"
                f"{f' and {len(names) - 1} more' if len(names) > 1 else ''}",
                where=str(where / WEIGHTS),
            )


def _refuse_remote_code(work: WorkOrder) -> None:
    for name in ("config.json", "tokenizer_config.json"):
        path = Path(work.base) / name
        try:
            asks = path.is_file() and "auto_map" in json.loads(path.read_text())
        except ValueError as error:
            raise ModelError("must be JSON", where=str(path)) from error
        if asks and not work.spec.trust_remote_code:
            raise ModelError(
                "the base must not bring code of its own that runs here, and this one asks for it",
                where=f"{path}: auto_map",
                fix="read that code; then set trust_remote_code=true if you trust it",
            )


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
