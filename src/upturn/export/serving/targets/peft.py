"""PEFT: the adapter as its own library and TRL load it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from upturn.export.serving import adapter_files
from upturn.export.serving.base import Check, Options, Reader, Source, Start
from upturn.export.serving.readme import base_line
from upturn.records import Json


class PeftTarget:
    """Implements ``Target``."""

    name: ClassVar[str] = "peft"
    title: ClassVar[str] = "PEFT"
    reader: ClassVar[Reader] = "adapter"
    unchecked: ClassVar[tuple[str, ...]] = ()

    def refuse(self, source: Source, options: Options) -> None:
        adapter_files.refuse_head(source, self.title)

    def write(self, source: Source, options: Options, folder: Path) -> Mapping[str, Json]:
        return adapter_files.write_adapter(source, options, folder)

    def rules(self, source: Source, options: Options, folder: Path) -> list[Check]:
        return adapter_files.plain_rules(self.name, folder, options)

    def start(self, source: Source, options: Options) -> Start:
        return Start(
            lines=(base_line(source), 'python smoke.py "$BASE"'),
            url="",
            model=f"{adapter_files.ADAPTERS}/{options.name}",
            notes=(
                "PEFT is no server: smoke.py loads base and adapter, and answers one question.",
                "`transformers serve` takes no LoRA; for it, export `--to merged`.",
            ),
        )


TARGET = PeftTarget()
