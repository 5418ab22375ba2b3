"""LoRAX: adapters loaded per request, in PEFT's format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from upturn.export.serving import adapter_files
from upturn.export.serving.base import Check, Options, Reader, Source, Start
from upturn.export.serving.readme import base_line
from upturn.records import Json

_IMAGE = "ghcr.io/predibase/lorax:main"


class LoraxTarget:
    """Implements ``Target``."""

    name: ClassVar[str] = "lorax"
    title: ClassVar[str] = "LoRAX"
    reader: ClassVar[Reader] = "adapter"
    unchecked: ClassVar[tuple[str, ...]] = (
        "LoRAX was not started here: it takes PEFT's format, which is checked by PEFT",
    )

    def refuse(self, source: Source, options: Options) -> None:
        adapter_files.refuse_head(source, self.title)

    def write(self, source: Source, options: Options, folder: Path) -> Mapping[str, Json]:
        return adapter_files.write_adapter(source, options, folder)

    def rules(self, source: Source, options: Options, folder: Path) -> list[Check]:
        return adapter_files.plain_rules(self.name, folder, options)

    def start(self, source: Source, options: Options) -> Start:
        return Start(
            lines=(
                base_line(source),
                f'docker run --gpus all --shm-size 1g -p 8080:80 -v "$BASE":/base:ro -v "$PWD/'
                f'{adapter_files.ADAPTERS}":/adapters:ro {_IMAGE} --model-id /base '
                "--adapter-source local",
            ),
            url="http://127.0.0.1:8080/v1",
            model=f"/adapters/{options.name}",
            notes=("`model` in a request is the adapter's path inside the container.",),
        )


TARGET = LoraxTarget()
