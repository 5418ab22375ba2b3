"""Dev in two parts: where trials race, and what is kept for finalists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upturn.records import Example, content_hash
from upturn.search import racing_order


@dataclass(frozen=True, kw_only=True)
class DevParts:
    """Both in running order. Groups do not straddle."""

    searched: tuple[Example, ...]
    fresh: tuple[Example, ...]


def split_dev(dev: Sequence[Example], share: float, seed: int) -> DevParts:
    """Splits dev by a hash of the group, and puts each part into the order that trials follow."""
    fresh = {e.group for e in dev if _fraction(e.group, seed) < share}
    return DevParts(
        searched=tuple(racing_order([e for e in dev if e.group not in fresh], seed)),
        fresh=tuple(racing_order([e for e in dev if e.group in fresh], seed)),
    )


def _fraction(group: str, seed: int) -> float:
    return int(content_hash(["fresh", seed, group], length=12), 16) / 16**12
