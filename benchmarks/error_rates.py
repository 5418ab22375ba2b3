"""How often each design of the gate errs, what it finds, and how many rows that takes.

    python -m benchmarks.error_rates [--quick] [--only designs] --json FILE [--table FILE.md]

Seven worlds (``benchmarks.error_rates_worlds``), 400 rows each. Tests, capital and futility are
the product's own functions, run on many worlds at once. Columns:

    one look   share of 4,000 equal challengers that are promoted at one look that may spend .05
    a year     share of 4,000 years with a false promotion: 52 weekly equal challengers at one
               holdout, error as the ledger gives it out. From the sixth look on nothing is left to
               spend, so a gate that gets no fresh data promotes nothing any more
    power      share of 2,000 challengers that are better by .08 and promoted at a first look
    stated     what ``gate.power`` says of it: what reports state
    rows       mean share of rows that were run: for better challengers, and for equal ones

Errors are counted without stops for futility, which could only lower them; power and rows with
them. Guards and ``min_gain`` would lower all of them, and are left out; futility reckons with a
``min_gain`` of .05. The slices' guard has a table of its own (``benchmarks.error_rates_slices``).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import error_rates_slices as slices
from benchmarks.error_rates_worlds import ROWS, Floats, World, worlds
from benchmarks.shares import Share
from upturn.gate import GateRules, design, look_alpha
from upturn.gate.boundaries import z_boundaries
from upturn.gate.designs.betting import BettingDesign, log_wealth, z_at_end
from upturn.gate.designs.group_sequential import GroupSequentialDesign, stage_p
from upturn.gate.hope import conditional_power
from upturn.gate.power import Spread, power
from upturn.gate.statistics import lattice

SEED, ALPHA, GAIN, MIN_GAIN, WEEKS = 20, 0.05, 0.08, 0.05, 52
LEVELS = tuple(look_alpha(ALPHA, week) for week in range(1, WEEKS + 1))
PAID = tuple(level for level in LEVELS if level > 0)
#: Years that are in memory at a time, and random subsets behind a p-value.
BLOCK, DRAWS, POWER_DRAWS = 250, 2000, 8000
DESIGNS = {
    "fixed": design("fixed"),
    "power family": design("group_sequential"),
    "O'Brien–Fleming": design(
        "group_sequential", {"stages": 4, "spending": "obrien_fleming", "futility": 0.1}
    ),
    "Pocock": design("group_sequential", {"stages": 4, "spending": "pocock", "futility": 0.1}),
    "betting": design("betting"),
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One world under one design; the columns of the module."""

    world: str
    design: str
    one_look: Share
    year: Share
    power: Share
    stated: float
    rows_better: float
    rows_equal: float


@dataclass(frozen=True)
class Looks:
    """Many worlds at one look each: when each rejects, and when it would stop as hopeless.

    Attributes:
        reject_KY, futile_KY: at the end of each stage.
        times_K: share of rows that were run by then.
    """

    reject_KY: Floats
    futile_KY: Floats
    times_K: Floats

    def promoted(self, *, stops: bool) -> Floats:
        """Whether each world ends with a rejection."""
        if not stops:
            return self.reject_KY.any(axis=0)
        first = self._first()
        return np.take_along_axis(self.reject_KY, first[None], axis=0)[0]

    def rows(self) -> Floats:
        """Share of rows that each world ran."""
        return self.times_K[self._first()]

    def _first(self) -> Floats:
        over_KY = self.reject_KY | self.futile_KY
        over_KY[-1] = True
        return over_KY.argmax(axis=0)


def subsets(rng: np.random.Generator, sums_GY: Floats, draws: int) -> Floats:
    """Sums of random sets of groups, the empty one first; axes draw and world."""
    picks_BG = rng.integers(0, 2, size=(draws, len(sums_GY)), dtype=np.int8).astype(np.float32)
    drawn_BY = picks_BG @ sums_GY.astype(np.float32)
    return np.concatenate([np.zeros((1, drawn_BY.shape[1]), np.float32), drawn_BY])


def looks(name: str, world: World, sums_GY: Floats, alpha: float, draws: int, seed: int) -> Looks:
    """Runs one design on many worlds with the same groups."""
    made, sizes_G = DESIGNS[name], world.sizes_G
    cuts = made.cuts(len(sizes_G))
    times = np.cumsum(sizes_G)[np.array(cuts) - 1] / sizes_G.sum()
    times[-1] = 1.0
    levels, z = spent_and_last_z(made, tuple(times.tolist()), alpha)
    if isinstance(made, BettingDesign):
        wealth_GY = np.maximum.accumulate(log_wealth(sums_GY / sizes_G.max()), axis=0)
        reject_KY = wealth_GY[np.array(cuts) - 1] >= math.log(1 / alpha)
    else:
        rng = np.random.default_rng(seed)
        parts = [subsets(rng, sums_GY[a:b], draws) for a, b in pairwise((0, *cuts))]
        found = zip(stage_p(parts, levels), levels, strict=True)
        reject_KY = np.array([p <= level for p, level in found])
        reject_KY = np.logical_or.accumulate(reject_KY, axis=0)
    futile_KY = np.zeros_like(reject_KY)
    for k, cut in enumerate(cuts[:-1]):
        part = {"share": float(times[k]), "min_gain": MIN_GAIN, "z": z}
        futile_KY[k] = conditional_power(sums_GY[:cut], sizes_G[:cut, None], **part) < made.futility
    return Looks(reject_KY, futile_KY, times)


def spent_and_last_z(
    made: object, times: tuple[float, ...], alpha: float
) -> tuple[Sequence[float], float]:
    """The error spent by the end of each stage, and the z that the last one asks for."""
    if isinstance(made, GroupSequentialDesign):
        spent = made.spent(times, alpha)
        return spent, z_boundaries(times, spent)[-1]
    return (alpha,) * len(times), z_at_end(alpha)


def blocks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, BLOCK):
        yield start, min(BLOCK, count - start)


def measure(world: World, years: int, better: int) -> list[Line]:
    """All designs on one world; the same rows for each of them."""
    errors = {name: [0, 0] for name in DESIGNS}
    for start, count in blocks(years):
        rng = np.random.default_rng([SEED, start])
        sums_WGY = world.sums(rng, years=count, weeks=len(PAID), gain=0.0)
        for name, found in errors.items():
            whole = looks(name, world, sums_WGY[0], ALPHA, DRAWS, start)
            found[0] += int(whole.promoted(stops=False).sum())
            found[1] += int(year(name, world, sums_WGY, start).sum())
    spread = spread_of(world)
    return [
        Line(
            world=world.name,
            design=name,
            one_look=Share(hits=one, of=years),
            year=Share(hits=all_looks, of=years),
            power=Share(hits=promoted, of=better),
            stated=stated(name, spread),
            rows_better=rows,
            rows_equal=first_looks(name, world, 0.0, better)[1],
        )
        for name, (one, all_looks) in errors.items()
        for promoted, rows in [first_looks(name, world, GAIN, better)]
    ]


def spread_of(world: World) -> Spread:
    """How the differences of better challengers vary in a world."""
    sizes_G = world.sizes_G
    sums_G = world.sums(np.random.default_rng(0), years=1, weeks=1, gain=GAIN)[0][:, 0]
    rows, scale = float(sizes_G.sum()), lattice(sums_G)
    return Spread(
        variance=world.deviation(GAIN) ** 2 * rows,
        clumping=float((sizes_G**2).sum()) / rows,
        step=1 / scale if scale else 0.0,
        rows_per_group=rows / len(sizes_G),
        largest=float(sizes_G.max()),
    )


def stated(name: str, spread: Spread) -> float:
    """The power that a report would state, had it measured the spread without error."""
    rules = GateRules(alpha=ALPHA, min_gain=MIN_GAIN, design=DESIGNS[name])
    return power(spread, GAIN, rows=ROWS, alpha=PAID[0], rules=rules)


def year(name: str, world: World, sums_WGY: Floats, start: int) -> Floats:
    """Whether any look of each year promotes a challenger that is no better."""
    wrong = np.zeros(sums_WGY.shape[2], bool)
    for week, alpha in enumerate(PAID):
        found = looks(name, world, sums_WGY[week], alpha, DRAWS, start + week + 1)
        wrong |= found.promoted(stops=False)
    return wrong


def first_looks(name: str, world: World, gain: float, count: int) -> tuple[int, float]:
    """How many of some challengers are promoted at a first look, and the mean share of rows run."""
    hits, rows = 0, 0.0
    for start, size in blocks(count):
        rng = np.random.default_rng([SEED, 1, start])
        sums_GY = world.sums(rng, years=size, weeks=1, gain=gain)[0]
        found = looks(name, world, sums_GY, PAID[0], POWER_DRAWS, start)
        hits += int(found.promoted(stops=True).sum())
        rows += float(found.rows().sum())
    return hits, rows / count


def table(lines: Sequence[Line]) -> str:
    """The lines as markdown."""
    head = "| world | design | one look | a year | power | stated | rows, better | rows, equal |"
    rows = [
        f"| {x.world} | {x.design} | {x.one_look} | {x.year} | {x.power} | {x.stated:.3f} "
        f"| {x.rows_better:.0%} | {x.rows_equal:.0%} |"
        for x in lines
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows, ""])


def main() -> None:
    """Runs all worlds, writes JSON and, where asked for, tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the years")
    parser.add_argument("--only", choices=("designs", "slices"), help="one of the two tables")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    started = time.monotonic()
    found: dict[str, object] = {"seed": SEED, "rows": ROWS, "cores": os.cpu_count()}
    tables: list[str] = []
    if arguments.only != "slices":
        years, better = (250, 250) if arguments.quick else (4000, 2000)
        lines: list[Line] = []
        for world in worlds():
            lines += measure(world, years, better)
            print(f"{time.monotonic() - started:6.0f} s  {world.name}", flush=True)
        found |= {"years": years, "better": better, "lines": [asdict(x) for x in lines]}
        tables.append(table(lines))
    if arguments.only != "designs":
        parts = slices.measure(SEED, worlds=50 if arguments.quick else 800)
        found["slices"] = [asdict(x) for x in parts]
        tables.append(slices.table(parts))
    found["seconds"] = time.monotonic() - started
    arguments.json.write_text(json.dumps(found, indent=1))
    if arguments.table:
        arguments.table.write_text("\n".join(tables))
    print("\n".join(tables))


if __name__ == "__main__":
    main()
