"""SGLang: several adapters over one base. Its scale is alpha / r, whatever rsLoRA says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from upturn.errors import InputError
from upturn.export.serving import adapter_files
from upturn.export.serving.base import Check, Options, Reader, Source, Start
from upturn.export.serving.readme import base_line
from upturn.records import Json


class SglangTarget:
    """Implements ``Target``."""

    name: ClassVar[str] = "sglang"
    title: ClassVar[str] = "SGLang"
    reader: ClassVar[Reader] = "adapter"
    unchecked: ClassVar[tuple[str, ...]] = (
        "SGLang was not started here: that it ignores rsLoRA's scale was read in its source, so "
        "the adapter has none; the weights are checked by PEFT",
    )

    def refuse(self, source: Source, options: Options) -> None:
        adapter_files.refuse_head(source, self.title)
        asked, rank = options.max_lora_rank, source.lora.rank
        if asked is not None and rank > asked:
            raise InputError(
                f"the rank must be <= {asked}, the server's --max-lora-rank, and is {rank}",
                where=str(source.adapter),
                fix="raise the server's limit, or train a lower rank",
            )

    def write(self, source: Source, options: Options, folder: Path) -> Mapping[str, Json]:
        return adapter_files.write_adapter(source, options, folder)

    def rules(self, source: Source, options: Options, folder: Path) -> list[Check]:
        return adapter_files.plain_rules(self.name, folder, options)

    def start(self, source: Source, options: Options) -> Start:
        path = f"$PWD/{adapter_files.ADAPTERS}/{options.name}"
        return Start(
            lines=(
                base_line(source),
                f'python -m sglang.launch_server --model-path "$BASE" --port 30000 --enable-lora '
                f"--served-model-name {source.base_name} --max-lora-rank "
                f'{options.max_lora_rank or source.lora.rank} --lora-paths {options.name}="{path}"',
            ),
            url="http://127.0.0.1:30000/v1",
            model=f"{source.base_name}:{options.name}",
            notes=("`model` in a request is BASE:ADAPTER.",),
        )


TARGET = SglangTarget()
