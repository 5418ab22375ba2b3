"""The comparison slice by slice: no part of the users may pay for what the rest gains.

A slice is broken where its score fell by more than ``slice_margin`` and the fall is sure: the
one-sided p of "no fall", by sign flips of the slice's groups (see ``noninferiority``), corrected by
Holm over all slices of its family, is at most ``slice_level``. Slices that somebody named are one
family and automatic ones another, so that naming a slice that matters costs it no power.

The level is twice that of other guards: Holm divides it among the slices, and no correction that
spends less finds more in one bad slice of many. One that leaves out slices which look unharmed
would, but then a failed row in another slice could mend this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from upturn.gate.holm import holm
from upturn.gate.noninferiority import p_better
from upturn.gate.pairing import Compared
from upturn.gate.report import GuardResult, SliceResult
from upturn.gate.rules import Guards

#: First characters of the names of automatic slices.
AUTOMATIC = "auto "
#: First characters of those that are cut by the right answer: shown, and judged by nobody.
BY_LABEL = f"{AUTOMATIC}label "
#: The smallest p of this many draws for each slice is a fifth of what Holm asks for at 0.05.
_DRAWS_BY_SLICE = 100


def slice_results(
    compared: Sequence[Compared], *, draws: int, seed: int, copies: int = 1
) -> tuple[SliceResult, ...]:
    """Returns every slice's means over its compared rows, sorted by name.

    Args:
        compared: the rows, with weights or without; a slice's means are of rows.
        draws, seed: of the random sets; there are more draws where there are many slices, so that
            Holm's smallest level can be reached.
        copies: how often the rows are taken; see ``evidence.foreseen``.
    """
    members: defaultdict[tuple[str, str], list[Compared]] = defaultdict(list)
    for c in compared:
        for name, value in c.baseline_row.slices.items():
            members[name, value].append(c)
    draws = max(draws, _DRAWS_BY_SLICE * len(members))
    return tuple(
        SliceResult(
            name=f"{name}={value}",
            n=len(rows),
            baseline=sum(c.baseline for c in rows) / len(rows),
            challenger=sum(c.challenger for c in rows) / len(rows),
            p_value=p_better(np.tile(_falls(rows), copies), draws=draws, seed=seed),
        )
        for (name, value), rows in sorted(members.items())
    )


def judge_slices(found: Sequence[SliceResult], rules: Guards) -> tuple[GuardResult, ...]:
    """Returns a guard for every slice that has ``slice_min_rows`` rows, in their order.

    Slices by label have none: a champion that always says one thing is right on every row of that
    label, and whoever mends it must lose some of them.
    """
    large = [s for s in found if s.n >= rules.slice_min_rows and not s.name.startswith(BY_LABEL)]
    adjusted: dict[int, float] = {}
    for automatic in (False, True):
        family = [i for i, s in enumerate(large) if s.name.startswith(AUTOMATIC) is automatic]
        p_values = [large[i].p_value for i in family]
        values = holm([1.0 if p is None else p for p in p_values])
        adjusted |= dict(zip(family, values, strict=True))
    return tuple(_judged(s, adjusted[i], rules) for i, s in enumerate(large))


def _judged(found: SliceResult, p_value: float, rules: Guards) -> GuardResult:
    limit = found.baseline - rules.slice_margin
    fell = found.challenger < limit - 1e-12
    sure = p_value <= rules.slice_level
    return GuardResult(
        name=f"slice {found.name}",
        baseline=found.baseline,
        challenger=found.challenger,
        limit=limit,
        ok=not (fell and sure),
        note="may be chance" if fell and not sure else "",
        p_value=p_value,
        n=found.n,
        unit="share",
    )


def _falls(rows: Sequence[Compared]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Sums of the falls by group."""
    sums: defaultdict[str, float] = defaultdict(float)
    for c in rows:
        sums[c.baseline_row.group] -= c.difference
    return np.array([*sums.values()])
