"""Checkpoints of a training run: one file each, written whole, read without pickle."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from upturn.errors import DataError, StorageError
from upturn.records import canonical_json

_KEEP = 2  # the newest may be damaged by the machine; the one before it is still good


class Checkpoints:
    """The checkpoints of one folder.

    Args:
        folder: where they lie, as ``step-00000500.pt``; made when the first is written.
        question: what the run is, in plain values: settings and hashes. A run is resumed only
            where this is equal.
    """

    def __init__(self, folder: Path, question: Mapping[str, Any]) -> None:
        self._folder = folder
        self._question = canonical_json(question)

    def save(self, step: int, body: Mapping[str, Any]) -> None:
        """Writes a checkpoint and removes all but the newest two.

        Args:
            step: steps done.
            body: tensors and plain values.

        Raises:
            StorageError: the folder cannot be written.
        """
        target = self._folder / f"step-{step:08d}.pt"
        part = target.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save({"question": self._question, "step": step, **body}, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            part.unlink(missing_ok=True)
            raise StorageError(
                f"a checkpoint must be written: {error}", where=str(target)
            ) from error
        for old in list(self._newest_first())[_KEEP:]:
            old.unlink()

    def latest(self) -> dict[str, Any] | None:
        """Returns the newest checkpoint that can be read, or None where there is none.

        Raises:
            DataError: it belongs to other settings, another corpus or another tokenizer.
        """
        for path in self._newest_first():
            body = _read(path)
            if body is None:
                continue
            if body["question"] != self._question:
                raise DataError(
                    "a run is resumed only with the settings, corpus and tokenizer it was begun "
                    f"with; it was {body['question']}, got {self._question}",
                    where=str(path),
                    fix="give another --out, or remove the checkpoints to begin anew",
                )
            return body
        return None

    def _newest_first(self) -> Iterator[Path]:
        found = [p for p in self._folder.glob("step-*.pt") if re.fullmatch(r"step-\d{8}", p.stem)]
        return iter(sorted(found, reverse=True))


def _read(path: Path) -> dict[str, Any] | None:
    """Returns a checkpoint's content, or None where the file is damaged."""
    try:
        body = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError):
        return None
    return body if isinstance(body, dict) and {"question", "step"} <= body.keys() else None
