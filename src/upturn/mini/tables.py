"""The evaluation's cells as the model card's markdown tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_Row = tuple[bool, bool]
_NAMES = {
    (False, False): "arbitrary names (`K7`)",
    (False, True): "arbitrary names, keyword definitions",
    (True, False): "real names (`card_arrival`)",
    (True, True): "real names, keyword definitions",
}


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Returns one table per number of fields and of classes.

    Args:
        results: cells as ``dataclasses.asdict`` gives them, or as the JSON file holds them.
    """
    groups: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for result in results:
        cell = result["cell"]
        groups.setdefault((cell["fields"], cell["ways"]), []).append(result)
    return "\n\n".join(_table(*key, rows) for key, rows in groups.items())


def standard_error(share: float, n: int) -> float:
    """Returns the binomial standard error of a share of n rows."""
    return math.sqrt(share * (1 - share) / n)


def _table(fields: int, ways: int, results: Sequence[Mapping[str, Any]]) -> str:
    demos = sorted({r["cell"]["demos"] for r in results})
    n = min(r["n"] for r in results)
    what = "one field" if fields == 1 else "two fields"
    head = f"| {ways} classes, {what} (chance {1 / ways:.2f}) | "
    head += " | ".join(f"{d} demos" if k == 0 else str(d) for k, d in enumerate(demos)) + " |"
    lines = [_legend(fields, n), "", head, "|---" * (len(demos) + 1) + "|"]
    by_row: dict[_Row, dict[int, str]] = {}
    for r in results:
        cell = r["cell"]
        by_row.setdefault((cell["real"], cell["defined"]), {})[cell["demos"]] = _entry(r)
    for row, entries in by_row.items():
        lines.append(f"| {_NAMES[row]} | " + " | ".join(entries.get(d, "") for d in demos) + " |")
    return "\n".join(lines)


def _legend(fields: int, n: int) -> str:
    error = f"n = {n} a cell; standard error at most {standard_error(0.5, n):.3f}"
    if fields == 1:
        return f"Accuracy / share of answers in the exact format; {error}."
    return f"Accuracy of `team`, of `priority`, of both / exact format; {error}."


def _entry(result: Mapping[str, Any]) -> str:
    parts = [_share(a) for a in result["accuracy"].values()]
    if len(parts) > 1:
        parts.append(_share(result["all_right"]))
    return f"{', '.join(parts)} / {result['format']:.2f}"


def _share(share: float) -> str:
    return f"{share:.3f}".replace("0.", ".", 1) if share < 1 else "1.000"
