"""Splits whole groups into train, dev and holdout; the order of the rows has no effect."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

from upturn.errors import ConfigError, DataError
from upturn.records import Example, Json

_NO_TIME = datetime.min.replace(tzinfo=UTC)


class Split(StrEnum):
    """Who may read rows: proposers, the search, the gate."""

    TRAIN = "train"
    DEV = "dev"
    HOLDOUT = "holdout"


#: Group -> the splits that it may not enter.
Barred = Mapping[str, frozenset[Split]]


class Order(StrEnum):
    """Which groups become the holdout."""

    TIME = "time"  # those with the newest rows: what a change will meet in production
    HASH = "hash"  # a fixed pseudo-random choice, where rows have no time


@dataclass(frozen=True, kw_only=True)
class SplitRules:
    """The stated sizes.

    Attributes:
        holdout, dev: shares of all rows, in (0, 1); train gets the rest.
        order: what decides about the holdout.
        seed: another seed gives another choice among train and dev (and holdout, by hash).
    """

    holdout: float = 0.3
    dev: float = 0.35
    order: Order = Order.TIME
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.holdout, self.dev) <= 0 or self.holdout + self.dev >= 1:
            raise ConfigError(
                "split: holdout > 0, dev > 0 and holdout + dev < 1 must hold, got "
                f"holdout={self.holdout}, dev={self.dev}"
            )

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "order": str(self.order)}


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The rows of each split, sorted by id."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    holdout: tuple[Example, ...]


def make_splits(
    examples: Sequence[Example], *, rules: SplitRules, barred: Barred | None = None
) -> Splits:
    """Assigns each group to one split.

    By time: groups are ordered by their newest row, and the newest groups become the holdout, as
    many as bring its rows closest to the stated share. The others are taken into dev in the order
    of a hash of seed and group, each that still fits, and the rest is train. By hash: the same
    for the holdout. At least one group goes to each split. Groups barred from the holdout are
    passed over there; groups barred from train that are not held out are dev.

    Args:
        examples: grouped rows.
        rules: the sizes.
        barred: splits that a group may not enter; never dev. None bars nothing.

    Raises:
        DataError: there are fewer than three groups, ``order`` is time and a row has none, or
            what is barred leaves a split without a group.
    """
    sizes: dict[str, int] = {}
    for e in examples:
        sizes[e.group] = sizes.get(e.group, 0) + 1
    barred = barred or {}
    _check_enough(sizes, len(examples), barred)
    held = _holdout(examples, sizes, rules, barred)
    rest = [g for g in sizes if g not in held]
    dev = {g for g in rest if Split.TRAIN in barred.get(g, ())}
    free = [g for g in rest if g not in dev]
    target = rules.dev * len(examples) - sum(sizes[g] for g in dev)
    if target > 0 or not dev:
        least = 0 if dev else 1
        dev |= _fill(_hashed(free, "dev", rules.seed), sizes, target, spare=1, least=least)
    rows = sorted(examples, key=lambda e: e.id)
    return Splits(
        train=tuple(e for e in rows if e.group not in held and e.group not in dev),
        dev=tuple(e for e in rows if e.group in dev),
        holdout=tuple(e for e in rows if e.group in held),
    )


def _check_enough(sizes: Mapping[str, int], rows: int, barred: Barred) -> None:
    if len(sizes) < 3:
        raise DataError(
            f"a split needs at least 3 groups (train, dev, holdout), got {len(sizes)} of "
            f"{rows} rows",
            fix="collect feedback from more customers, or check the log's user ids",
        )
    able = {
        split: {g for g in sizes if split not in barred.get(g, ())}
        for split in (Split.HOLDOUT, Split.TRAIN)
    }
    for split, was in ((Split.HOLDOUT, "train or dev"), (Split.TRAIN, "a holdout")):
        # Where both could take one and the same group only, the holdout lacks one.
        if not able[split] or len(able[Split.TRAIN] | able[Split.HOLDOUT]) < 2:
            raise DataError(
                f"{split} needs a group that was never in {was} of an earlier snapshot, got "
                f"{len(sizes)} groups and none that is left for it",
                fix="collect feedback from new customers",
            )


def _holdout(
    examples: Sequence[Example], sizes: Mapping[str, int], rules: SplitRules, barred: Barred
) -> set[str]:
    """Chooses the holdout so that train keeps one group and dev another."""
    by_time = rules.order is Order.TIME
    ordered = _newest_first(examples) if by_time else _hashed(sizes, "holdout", rules.seed)
    open_to_it = [g for g in ordered if Split.HOLDOUT not in barred.get(g, ())]
    trainable = [g for g in ordered if Split.TRAIN not in barred.get(g, ())]
    spare = 2 - (len(ordered) - len(open_to_it))
    if len(trainable) < len(ordered) and set(trainable) <= set(open_to_it):
        # Every group that may be train may be held out too: the last of them is left for train.
        open_to_it.remove(trainable[-1])
        spare -= 1
    spare = max(0, spare)
    target = rules.holdout * len(examples)
    if by_time:
        return _closest_prefix(open_to_it, sizes, target, spare=spare)
    return _fill(open_to_it, sizes, target, spare=spare, least=1)


def _newest_first(examples: Sequence[Example]) -> list[str]:
    newest: dict[str, datetime] = {}
    for e in examples:
        newest[e.group] = max(newest.get(e.group, _NO_TIME), _moment(e))
    return sorted(newest, key=lambda g: (newest[g], g), reverse=True)


def _moment(example: Example) -> datetime:
    try:
        moment = datetime.fromisoformat(example.time)
    except ValueError:
        moment = _NO_TIME.replace(tzinfo=None)
    if moment.tzinfo is None:
        raise DataError(
            f"split by time needs rows whose time has a zone, got {example.time!r}",
            where=f"row {example.id}",
            fix="set split.order=hash",
        )
    return moment


def _closest_prefix(
    ordered: Sequence[str], sizes: Mapping[str, int], target: float, *, spare: int
) -> set[str]:
    """Returns the prefix whose rows come closest to the target; ``spare`` groups are left."""
    best, best_distance, rows = 1, float("inf"), 0
    for taken, group in enumerate(ordered[: len(ordered) - spare], start=1):
        rows += sizes[group]
        if abs(rows - target) < best_distance:
            best, best_distance = taken, abs(rows - target)
    return set(ordered[:best])


def _fill(
    ordered: Sequence[str], sizes: Mapping[str, int], target: float, *, spare: int, least: int
) -> set[str]:
    """Takes each group that still fits, then the smallest other one if that comes closer.

    Takes ``least`` groups at least and leaves ``spare`` groups at least.
    """
    taken: set[str] = set()
    rows = 0
    for group in ordered:
        if rows + sizes[group] <= target and len(taken) < len(ordered) - spare:
            taken.add(group)
            rows += sizes[group]
    left = [g for g in ordered if g not in taken]
    if left:
        smallest = min(left, key=lambda g: sizes[g])
        closer = abs(rows + sizes[smallest] - target) < abs(rows - target)
        if len(taken) < least or (closer and len(left) > spare):
            taken.add(smallest)
    return taken


def _hashed(groups: Sequence[str] | Mapping[str, int], purpose: str, seed: int) -> list[str]:
    def key(group: str) -> str:
        return hashlib.sha256(f"{seed}\x00{purpose}\x00{group}".encode()).hexdigest()

    return sorted(groups, key=lambda g: (key(g), g))
