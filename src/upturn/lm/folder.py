"""A local model folder: what must be in it, and what its content hashes to."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

from upturn.errors import MissingExtraError, ModelError

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
_SETTINGS = ("config.json", "tokenizer_config.json", "chat_template.jinja")
_BLOCK = 1 << 22


def require_local_extra(
    needed_for: str, *, modules: tuple[str, ...] = ("torch", "transformers")
) -> None:
    """Raises MissingExtraError unless the modules of the [local] extra are installed."""
    if any(importlib.util.find_spec(name) is None for name in modules):
        raise MissingExtraError("local", needed_for)


def check_folder(folder: Path) -> None:
    """Checks that a folder can answer chat requests, before anything heavy is loaded.

    Raises:
        ModelError: naming the folder and the first file that is missing.
    """
    if not folder.is_dir():
        raise ModelError(
            f"the model must be a folder, and {folder} is none",
            where="model.model",
            fix="give the folder that holds config.json, as hf:/path/to/folder",
        )
    if not (folder / "config.json").is_file():
        raise _missing(folder, "config.json", "the model's shape")
    if not _found(folder, _TOKENIZERS):
        raise _missing(folder, "tokenizer.json", "a tokenizer")
    if not _found(folder, _WEIGHTS):
        raise _missing(folder, "model.safetensors", "weights")
    if not (folder / "chat_template.jinja").is_file() and not _template_in_config(folder):
        raise _missing(folder, "chat_template.jinja", "a chat template")


def folder_hash(folder: Path) -> str:
    """Returns 12 hex digits over the weights, tokenizer, config and chat template of a folder."""
    digest = hashlib.sha256()
    names = {
        p.name for pattern in (*_WEIGHTS, *_TOKENIZERS, *_SETTINGS) for p in folder.glob(pattern)
    }
    for name in sorted(names):
        digest.update(name.encode() + b"\0")
        with (folder / name).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:12]


def _found(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in folder.glob(pattern)]


def _template_in_config(folder: Path) -> bool:
    path = folder / "tokenizer_config.json"
    try:
        return bool(path.is_file() and json.loads(path.read_text()).get("chat_template"))
    except (ValueError, AttributeError) as error:
        raise ModelError("must be a JSON object", where=str(path)) from error


def _missing(folder: Path, name: str, meaning: str) -> ModelError:
    return ModelError(
        f"the model folder must hold {meaning}, and {name} is missing",
        where=str(folder),
        fix=f"copy {name} from where the model came from into {folder}",
    )
