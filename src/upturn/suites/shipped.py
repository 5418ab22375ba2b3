"""The suites that come with the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from upturn.suites.jsonl import read_rows
from upturn.suites.suite import Suite


@cache
def shipped_names() -> tuple[str, ...]:
    """Names of the suites that come with the package."""
    return tuple(sorted(p.stem for p in _folder().glob("*.jsonl")))


def shipped(name: str, *, called: str | None = None) -> Suite:
    """Returns a suite that comes with the package, under its own name or another."""
    rows = read_rows(_folder() / f"{name}.jsonl")
    return Suite(name=called or name, rows=rows, source=f"{name}, of this package")


def _folder() -> Path:
    return Path(str(files("upturn.suites"))) / "rows"
