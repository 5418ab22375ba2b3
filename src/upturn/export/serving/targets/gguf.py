"""GGUF: one file for llama.cpp, the adapter merged in.

No LoRA file for llama.cpp: it would have to name q and k in the reordered form, and nothing here
could read it back. The merged file is read back by two libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from upturn.export.serving.base import Check, Options, Reader, Source, Start
from upturn.export.serving.gguf_shape import shape
from upturn.export.serving.gguf_vocab import vocabulary
from upturn.export.serving.gguf_writing import tensor_name, write_gguf
from upturn.export.serving.merging import BaseModel, base_model
from upturn.export.serving.model_folder import torch_dtype
from upturn.records import Json

UNCHECKED = (
    "llama.cpp was not started here: tensors and metadata are read back by the gguf package, the "
    "logits are those of transformers' GGUF loader",
    "that llama.cpp splits text into the same tokens: the rule it is told (tokenizer.ggml.pre) was "
    "chosen by the tokenizer's pre-tokenizer, word for word",
)


class GgufTarget:
    """Implements ``Target``."""

    name: ClassVar[str] = "gguf"
    title: ClassVar[str] = "GGUF (llama.cpp)"
    reader: ClassVar[Reader] = "gguf"
    unchecked: ClassVar[tuple[str, ...]] = UNCHECKED

    def refuse(self, source: Source, options: Options) -> None:
        check_base(source)

    def write(self, source: Source, options: Options, folder: Path) -> Mapping[str, Json]:
        return write_file(source, options, folder)

    def rules(self, source: Source, options: Options, folder: Path) -> list[Check]:
        return []

    def start(self, source: Source, options: Options) -> Start:
        return Start(
            lines=(
                f'MODEL="$PWD/{options.name}.gguf"',
                f'llama-server -m "$MODEL" --alias {options.name} --jinja --port 8080',
            ),
            url="http://127.0.0.1:8080/v1",
            model=options.name,
            notes=("Smaller: `llama-quantize MODEL.gguf SMALL.gguf Q8_0`; measure it again then.",),
        )


def check_base(source: Source) -> BaseModel:
    """Returns the base where llama.cpp computes what it computes.

    Raises:
        InputError: it would not, or a tensor or the tokenizer cannot be said.
    """
    base = base_model(source.base)
    form = shape(base.config, where=str(source.base))
    vocabulary(source.base, int(base.config["vocab_size"]))
    for name in sorted(base.names):
        tensor_name(name, form)
    return base


def write_file(source: Source, options: Options, folder: Path) -> dict[str, Json]:
    """Writes the file and returns what the manifest says of it."""
    base = base_model(source.base)
    vocab = vocabulary(source.base, int(base.config["vocab_size"]))
    name = f"{options.name}.gguf"
    dtype = torch_dtype(options.dtype, base.config)
    write_gguf(
        folder / name,
        base,
        source.lora,
        shape=shape(base.config, where=str(source.base)),
        vocab=vocab,
        dtype=dtype,
        name=options.name,
    )
    return {
        "weights": name,
        "form": f"W + B A in fp32, then matrices in {str(dtype).removeprefix('torch.')}",
        "pre_tokenizer": vocab.pre,
        "remarks": list(vocab.remarks),
    }


TARGET = GgufTarget()
