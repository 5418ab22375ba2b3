"""The states of all random generators of a process, as JSON."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch

from upturn.records import Json


def capture() -> dict[str, Json]:
    """Returns the states of Python, NumPy, torch on the CPU and torch on this GPU."""
    version, numbers, gauss = random.getstate()
    kind, keys, at, has_gauss, cached = cast(Any, np.random.get_state())
    state: dict[str, Json] = {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, keys.tolist(), int(at), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state().numpy().tobytes().hex()
    return state


def restore(state: dict[str, Json]) -> None:
    """Sets the generators to what ``capture`` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, at, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), at, has_gauss, cached))
    torch.set_rng_state(_bytes(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(_bytes(state["cuda"]))


@contextmanager
def untouched() -> Generator[None]:
    """Whatever is drawn inside, the generators go on afterwards as if it had not been."""
    state = capture()
    try:
        yield
    finally:
        restore(state)


def _bytes(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
