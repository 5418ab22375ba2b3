"""vLLM: several adapters over one base, each a model of its own in requests.

Rules: ``vllm/lora/peft_helper.py`` refuses DoRA, bias, modules_to_save and ranks above
``--max-lora-rank``, which ``vllm/config`` allows a few values for; its filesystem resolver compares
``base_model_name_or_path`` with the served model's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from upturn.errors import InputError
from upturn.export.serving import adapter_files
from upturn.export.serving.base import Check, Options, Reader, Source, Start
from upturn.export.serving.readme import base_line
from upturn.records import Json

#: What ``--max-lora-rank`` may be.
LIMITS = (8, 16, 32, 64, 128, 256, 320, 512)


class VllmTarget:
    """Implements ``Target``."""

    name: ClassVar[str] = "vllm"
    title: ClassVar[str] = "vLLM"
    reader: ClassVar[Reader] = "adapter"
    unchecked: ClassVar[tuple[str, ...]] = (
        "vLLM was not started here: its rules were read in its source and are checked as written "
        "above, the weights by PEFT",
    )

    def refuse(self, source: Source, options: Options) -> None:
        adapter_files.refuse_head(source, self.title)
        asked, rank = options.max_lora_rank, source.lora.rank
        if asked is not None and asked not in LIMITS:
            listed = ", ".join(map(str, LIMITS))
            raise InputError(f"--max-lora-rank must be one of {listed} for vLLM, got {asked}")
        limit = asked or LIMITS[-1]
        if rank > limit:
            raise InputError(
                f"the rank must be <= {limit}, vLLM's --max-lora-rank, and is {rank}",
                where=str(source.adapter),
                fix="raise the server's limit" if asked else "--to merged, or train a lower rank",
            )

    def write(self, source: Source, options: Options, folder: Path) -> Mapping[str, Json]:
        notes = adapter_files.write_adapter(source, options, folder)
        return {**notes, "max_lora_rank": _limit(source, options)}

    def rules(self, source: Source, options: Options, folder: Path) -> list[Check]:
        config = adapter_files.read_config(folder, options)
        named = config["base_model_name_or_path"] == source.base_name
        what = "rule: base_model_name_or_path is the served name (filesystem resolver)"
        limit = _limit(source, options)
        return [
            *adapter_files.plain_rules(self.name, folder, options),
            Check.of(self.name, "rule: r <= --max-lora-rank", config["r"], limit),
            Check.rule(self.name, "rule: --max-lora-rank is one it takes", limit in LIMITS),
            Check.rule(self.name, what, named),
        ]

    def start(self, source: Source, options: Options) -> Start:
        path = f"$PWD/{adapter_files.ADAPTERS}/{options.name}"
        return Start(
            lines=(
                base_line(source),
                f'vllm serve "$BASE" --served-model-name {source.base_name} --enable-lora '
                f'--max-lora-rank {_limit(source, options)} --lora-modules {options.name}="{path}"',
            ),
            url="http://127.0.0.1:8000/v1",
            model=options.name,
            notes=(
                f"More adapters: more `NAME=FOLDER` behind --lora-modules; `{source.base_name}` "
                "in a request asks the base without any.",
                "Loaded at run time instead: VLLM_ALLOW_RUNTIME_LORA_UPDATING=True "
                "VLLM_PLUGINS=lora_filesystem_resolver "
                f'VLLM_LORA_RESOLVER_CACHE_DIR="$PWD/{adapter_files.ADAPTERS}".',
            ),
        )


def _limit(source: Source, options: Options) -> int:
    return options.max_lora_rank or min(x for x in LIMITS if x >= source.lora.rank)


TARGET = VllmTarget()
