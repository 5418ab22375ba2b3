"""Reads an export back in a process of its own, and compares it with the source.

``python -m upturn.export.serving.reading ORDER.json ANSWER.json``: nothing that wrote the export is
in memory, so what is compared is what is on disk.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from upturn.export.serving.base import Check, Dtype, Reader
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is read, and what with it is compared.

    Attributes:
        reader: how.
        target: the target's name, for the checks.
        adapter, base: folders of the source.
        exported: the exported adapter's or model's folder, or the GGUF file.
        dtype: that merged weights were written in.
        messages: a chat that is part of what is compared.
    """

    reader: Reader
    target: str
    adapter: str
    base: str
    exported: str
    dtype: Dtype
    messages: Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What came out: checks, and numbers that have no tolerance."""

    checks: list[Check]
    measured: dict[str, Json]


def read(order: Order) -> Reading:
    """Reads one export back."""
    from upturn.export.serving import logits

    if order.reader == "adapter":
        return logits.compare_adapter(order)
    if order.reader == "merged":
        return logits.compare_merged(order)
    from upturn.export.serving import gguf_reading

    return gguf_reading.compare(order)


def main(arguments: Sequence[str]) -> None:
    """Reads the order's export back and writes what came out."""
    order_path, answer_path = map(Path, arguments)
    reading = read(Order(**json.loads(order_path.read_text(encoding="utf-8"))))
    answer = {"checks": [asdict(c) for c in reading.checks], "measured": reading.measured}
    answer_path.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
