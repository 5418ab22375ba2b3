"""Merged: one ordinary model folder for every server, also for those without LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from upturn.export.serving.base import Check, Options, Reader, Source, Start
from upturn.export.serving.merging import HEAD, base_model
from upturn.export.serving.model_folder import write_model
from upturn.records import Json


class MergedTarget:
    """Implements ``Target``."""

    name: ClassVar[str] = "merged"
    title: ClassVar[str] = "Merged model"
    reader: ClassVar[Reader] = "merged"
    unchecked: ClassVar[tuple[str, ...]] = (
        "vLLM was not started here; any server that reads the folder as transformers does will do",
    )

    def refuse(self, source: Source, options: Options) -> None:
        base_model(source.base)

    def write(self, source: Source, options: Options, folder: Path) -> Mapping[str, Json]:
        base = base_model(source.base)
        rounding = write_model(base, source.lora, folder / options.name, dtype=options.dtype)
        return {
            "weights": options.name,
            "form": "W + B A added in fp32, then cast once",
            "weight_rounding": rounding,
            "head": "untied, the adapter changes it" if HEAD in source.lora.layers else "as it was",
        }

    def rules(self, source: Source, options: Options, folder: Path) -> list[Check]:
        return []

    def start(self, source: Source, options: Options) -> Start:
        return Start(
            lines=(
                f'MODEL="$PWD/{options.name}"',
                f'vllm serve "$MODEL" --served-model-name {options.name}',
            ),
            url="http://127.0.0.1:8000/v1",
            model=options.name,
            notes=(
                'Without a GPU: `transformers serve "$MODEL" --device cpu`, where the model in a '
                "request is its path.",
            ),
        )


TARGET = MergedTarget()
