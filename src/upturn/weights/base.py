"""What a base model's files say of its layers, without loading their numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from upturn.errors import ModelError


def base_shapes(folder: Path | str) -> dict[str, tuple[int, int]]:
    """Returns module path -> (out, in) of every two-dimensional weight, from the files' headers.

    Embeddings and the head are among them.

    Raises:
        ModelError: no safetensors file in the folder, or one that cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    folder = Path(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError("the base must have weights as *.safetensors", where=str(folder))
    found: dict[str, tuple[int, int]] = {}
    for file in files:
        try:
            with safe_open(file, framework="np") as opened:
                for key in opened.keys():  # noqa: SIM118 - not a mapping
                    shape = cast("list[int]", opened.get_slice(key).get_shape())
                    if key.endswith(".weight") and len(shape) == 2:
                        found[key.removesuffix(".weight")] = (shape[0], shape[1])
        except SafetensorError as error:
            raise ModelError(f"must be a safetensors file ({error})", where=str(file)) from error
    return found


def ties_embeddings(folder: Path | str) -> bool:
    """Says whether the base's head is its embedding, so that neither can be changed alone.

    Raises:
        ModelError: config.json is missing or no JSON object.
    """
    path = Path(folder) / "config.json"
    try:
        config: Any = json.loads(path.read_text())
        # transformers ties them where a config says nothing.
        return bool(config.get("tie_word_embeddings", True))
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError("must be a JSON object", where=str(path)) from error
