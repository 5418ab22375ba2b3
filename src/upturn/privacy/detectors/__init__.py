"""The detectors, one file a kind; every file of this folder that defines ``DETECTOR`` counts."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from upturn.privacy.detectors.base import Clue, Detector, Span

__all__ = ["Clue", "Detector", "Span", "all_detectors"]


@cache
def all_detectors() -> tuple[Detector, ...]:
    """Returns the detectors of all kinds, in the order in which they claim characters."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")
    modules = [import_module(f"{__name__}.{name}") for name in names]
    found: list[Detector] = [m.DETECTOR for m in modules]
    return tuple(sorted(found, key=lambda d: (d.rank, d.kind)))
