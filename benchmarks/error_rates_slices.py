"""How often a slice that got worse is caught, and how often one that did not blocks.

    python -m benchmarks.error_rates --only slices [--quick] --json FILE [--table FILE.md]

A holdout of some slices, each of m rows. The challenger is better by .08 on all slices but the
first, and there it is worse by .10, or as good as the champion. Columns:

    caught      share of worlds in which the slice that is worse by .10 breaks its guard
    promotable  share of worlds in which such a challenger is better over all beyond chance, so that
                nothing but the guard stands against it
    one equal   share of worlds in which any slice blocks where the first is as good as before
    all equal   the same where all slices are as good as before: the most that chance can do

Scores are right or wrong, graded, or right or wrong by customers of 1 to 6 rows. Correction, level
and margin are the product's own; so is the test, run on many worlds at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.error_rates_worlds import Floats, World
from benchmarks.error_rates_worlds import worlds as all_worlds
from benchmarks.shares import Share
from upturn.gate.report import SliceResult
from upturn.gate.rules import Guards
from upturn.gate.slices import judge_slices
from upturn.gate.statistics import TINY

BETTER, WORSE, DRAWS = 0.08, 0.10, 2000
KINDS = ("binary", "graded", "clustered")
#: Slices, and rows in each of them.
SIZES = ((8, 50), (8, 100), (8, 200), (8, 400), (8, 600), (8, 800), (24, 400), (24, 800))


@dataclass(frozen=True, kw_only=True)
class Line:
    """One kind of scores at one size; the columns of the module."""

    world: str
    slices: int
    rows: int
    caught: Share
    promotable: Share
    one_equal: Share
    all_equal: Share


def measure(seed: int, *, worlds: int, sizes: Sequence[tuple[int, int]] = SIZES) -> list[Line]:
    """All kinds of scores at all sizes: slices, and rows in each of them."""
    return [
        _line(next(w for w in all_worlds(rows) if w.name == kind), slices, seed, worlds)
        for kind in KINDS
        for slices, rows in sizes
    ]


def p_values(rng: np.random.Generator, sums_GW: Floats) -> Floats:
    """The p-value of "no fall" in each world, as ``noninferiority.p_better`` has it."""
    picks_BG = rng.integers(0, 2, size=(DRAWS, len(sums_GW)), dtype=np.int8).astype(np.float32)
    falls_BW = picks_BG @ -sums_GW.astype(np.float32)
    return ((falls_BW <= TINY).sum(axis=0) + 1) / (DRAWS + 1)


def table(lines: Sequence[Line]) -> str:
    """The lines as markdown."""
    head = "| scores | slices | rows in each | caught | promotable | one equal | all equal |"
    rows = [
        f"| {x.world} | {x.slices} | {x.rows} | {x.caught} | {x.promotable} | {x.one_equal} "
        f"| {x.all_equal} |"
        for x in lines
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows, ""])


def _line(world: World, slices: int, seed: int, count: int) -> Line:
    rng = np.random.default_rng([seed, slices, len(world.group_E)])
    better = [_slice(rng, world, BETTER, count) for _ in range(slices - 1)]
    worse, equal = (_slice(rng, world, gain, count) for gain in (-WORSE, 0.0))
    equals = [_slice(rng, world, 0.0, count) for _ in range(slices - 1)]
    return Line(
        world=world.name,
        slices=slices,
        rows=len(world.group_E),
        caught=Share(hits=sum(b[0] for b in _broken([worse, *better])), of=count),
        promotable=Share(hits=_sure([worse, *better]), of=count),
        one_equal=Share(hits=sum(any(b) for b in _broken([equal, *better])), of=count),
        all_equal=Share(hits=sum(any(b) for b in _broken([equal, *equals])), of=count),
    )


@dataclass(frozen=True)
class _Slice:
    """One slice in many worlds: its effect and p-value, and the sums behind the whole's test."""

    effect_W: Floats
    p_W: Floats
    total_W: Floats
    square_W: Floats
    rows: int


def _slice(rng: np.random.Generator, world: World, gain: float, count: int) -> _Slice:
    sign = -1.0 if gain < 0 else 1.0
    sums_GW = sign * world.sums(rng, years=count, weeks=1, gain=abs(gain))[0]
    rows = len(world.group_E)
    return _Slice(
        effect_W=sums_GW.sum(axis=0) / rows,
        p_W=p_values(rng, sums_GW),
        total_W=sums_GW.sum(axis=0),
        square_W=(sums_GW**2).sum(axis=0),
        rows=rows,
    )


def _broken(slices: Sequence[_Slice]) -> list[list[bool]]:
    """For each world, whether each slice breaks its guard."""
    return [
        [
            not guard.ok
            for guard in judge_slices(
                [
                    SliceResult(
                        name=f"{k:02}",
                        n=s.rows,
                        baseline=0.0,
                        challenger=float(s.effect_W[world]),
                        p_value=float(s.p_W[world]),
                    )
                    for k, s in enumerate(slices)
                ],
                Guards(),
            )
        ]
        for world in range(len(slices[0].effect_W))
    ]


def _sure(slices: Sequence[_Slice]) -> int:
    """Worlds in which all rows together show a gain; the flips' total is normal by then."""
    total_W = sum(s.total_W for s in slices)
    square_W = sum(s.square_W for s in slices)
    return int((total_W > 1.96 * np.sqrt(square_W)).sum())
