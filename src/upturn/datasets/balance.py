"""Balance among labels without inventing rows: frequent labels lose rows, or weight."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from upturn.errors import ConfigError, DataError
from upturn.records import Example, Json, canonical_json


class Method(StrEnum):
    """How a frequent label is brought down."""

    DOWN_SAMPLE = "down_sample"  # rows are left out, the least certain first
    WEIGHT = "weight"  # every row stays and counts for less


@dataclass(frozen=True, kw_only=True)
class Balance:
    """How the labels of one field are balanced.

    Attributes:
        field: the output field.
        method: what is taken from frequent labels.
        ratio: how many times the rows (or the weight) of the rarest label one may keep, >= 1.
    """

    field: str
    method: Method = Method.WEIGHT
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if not self.ratio >= 1:
            raise ConfigError(f"balance: ratio must be >= 1, got {self.ratio}")

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "method": str(self.method)}


def balanced(rows: Sequence[Example], rules: Sequence[Balance]) -> tuple[tuple[Example, ...], int]:
    """Balances fields one after the other.

    Returns:
        The rows that are left, sorted by id, and how many were left out.

    Raises:
        DataError: a row has no such field.
    """
    left = tuple(sorted(rows, key=lambda e: e.id))
    for rule in rules:
        left = _balanced(left, rule)
    return left, len(rows) - len(left)


def preference(row: Example) -> tuple[float, str, str]:
    """Orders rows by who stays where only some may: the most certain, then a fixed random order."""
    return -row.weight, hashlib.sha256(row.id.encode(errors="surrogatepass")).hexdigest(), row.id


def _balanced(rows: tuple[Example, ...], rule: Balance) -> tuple[Example, ...]:
    keys = [_label(row, rule.field) for row in rows]
    counts = Counter(keys)
    allowed = rule.ratio * min(counts.values(), default=0)
    if rule.method is Method.WEIGHT:
        return tuple(
            replace(row, weight=row.weight * min(1.0, allowed / counts[key]))
            for row, key in zip(rows, keys, strict=True)
        )
    taken = Counter[str]()
    kept: set[str] = set()
    for row, key in sorted(zip(rows, keys, strict=True), key=lambda pair: preference(pair[0])):
        if taken[key] < allowed:
            taken[key] += 1
            kept.add(row.id)
    return tuple(row for row in rows if row.id in kept)


def _label(row: Example, field: str) -> str:
    if field not in row.labels:
        raise DataError(
            f"balance needs a label {field!r} on every row, got {sorted(row.labels)}",
            where=f"row {row.id}",
        )
    return canonical_json(row.labels[field])
