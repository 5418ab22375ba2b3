"""How much each reading counts: one rater's share of a day, and bursts from few accounts.

A burst is a window in which accounts that are new, or give many signals at once, give many signals
in one direction, far more of them than in the other windows of the same data. Precisely: of the
signals in a window that come from such accounts, at least ``burst_votes`` and a share of
``burst_share`` go one way, and as many would come by chance with a probability below
``burst_alarm`` if ``burst_excess`` times the mean of the other windows were usual (Poisson, by
Chernoff's bound). They are set aside. Accounts of the first ``burst_new_hours`` of the data are not
new, because nobody can know; events without a time are in no window.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upturn.labels.latent import Floats, Ints
from upturn.labels.reading import Reading, value_key
from upturn.labels.rule import Says
from upturn.labels.rules import InfluenceRules
from upturn.labels.table import Case, Flags

DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Influence:
    """Weight in [0, 1] of each reading (N), and which ones are part of a burst."""

    weight: Floats
    burst: Flags


@dataclass(frozen=True, kw_only=True)
class _Signals:
    """The explicit readings (S) of all: place among all, rater, day share, direction, time."""

    place: Ints
    rater: Ints
    role: NDArray[np.object_]
    direction: Ints
    seconds: Floats
    share: Floats


def influence(cases: Sequence[Case], rules: InfluenceRules) -> Influence:
    """Weighs every reading of all cases, in order."""
    size, signals = _signals(cases)
    weight, burst = np.ones(size), np.zeros(size, dtype=bool)
    if len(signals.place):
        found = bursts(
            signals.rater,
            signals.direction,
            signals.seconds,
            np.isin(signals.role, [str(r) for r in rules.burst_roles]),
            signals.share,
            rules,
        )
        burst[signals.place[found]] = True
        weight[signals.place] = _shares(signals, rules)
    weight[burst] = 0.0
    return Influence(weight=weight, burst=burst)


def _signals(cases: Sequence[Case]) -> tuple[int, _Signals]:
    ints = {n: array("q") for n in ("place", "rater", "direction")}
    floats = {n: array("d") for n in ("seconds", "share")}
    roles, raters, directions = list[str](), dict[str, int](), dict[object, int]()
    n = 0
    for case in cases:
        for r in case.readings:
            if not r.rule.implicit:
                ints["place"].append(n)
                ints["rater"].append(raters.setdefault(r.rater, len(raters)))
                way = directions.setdefault(_direction(r, case), len(directions))
                ints["direction"].append(way)
                floats["seconds"].append(r.at)
                floats["share"].append(1.0 / r.fields)
                roles.append(str(r.role))
            n += 1
    return n, _Signals(
        place=np.asarray(ints["place"], dtype=np.int64),
        rater=np.asarray(ints["rater"], dtype=np.int64),
        direction=np.asarray(ints["direction"], dtype=np.int64),
        role=np.asarray(roles, dtype=object),
        seconds=np.asarray(floats["seconds"], dtype=np.float64),
        share=np.asarray(floats["share"], dtype=np.float64),
    )


def _direction(reading: Reading, case: Case) -> object:
    """Returns what a signal pushes to: right, wrong, or one value of one field."""
    if reading.says is not Says.VALUE:
        return reading.says
    if reading.key == value_key(case.request.outputs[reading.field]):
        return Says.RIGHT
    return (reading.field, reading.key)


def _shares(signals: _Signals, rules: InfluenceRules) -> Floats:
    """Returns the weights that keep everybody within their signals a day."""
    limits = {str(role): float(n) for role, n in rules.per_day.items()}
    limit_S = np.array([limits.get(role, np.inf) for role in signals.role])
    timed_S = np.isfinite(signals.seconds)
    day_S = np.where(timed_S, signals.seconds // DAY, -1).astype(np.int64)
    _, group_S = np.unique(np.column_stack([signals.rater, day_S]), axis=0, return_inverse=True)
    given_S = np.bincount(group_S.ravel(), weights=signals.share)[group_S.ravel()]
    return np.where(timed_S, np.minimum(1.0, limit_S / given_S), 1.0)


def bursts(
    rater_S: Ints,
    direction_S: Ints,
    seconds_S: Floats,
    watched_S: Flags,
    share_S: Floats,
    rules: InfluenceRules,
) -> Flags:
    """Returns which signals are part of a burst.

    Args:
        rater_S, direction_S: who, and which way, as codes from 0.
        seconds_S: when, in seconds; NaN where unknown.
        watched_S: which signals are looked at.
        share_S: 1 over the number of fields that the signal was counted for.
        rules: what a burst is.
    """
    found_S = np.zeros(len(rater_S), dtype=bool)
    look = np.flatnonzero(watched_S & np.isfinite(seconds_S))
    if not len(look):
        return found_S
    rater, way = rater_S[look], direction_S[look]
    at, share = seconds_S[look], share_S[look]
    begin = at.min()
    first = np.full(int(rater.max()) + 1, np.inf)
    np.minimum.at(first, rater, at)
    fresh_s = rules.burst_new_hours * 3600
    new = (first[rater] > begin + fresh_s) & (at - first[rater] <= fresh_s)
    window_s = rules.burst_hours * 3600
    for shift in (0.0, 0.5):
        window = ((at - begin) / window_s + shift).astype(np.int64)
        found_S[look[_one_sided(rater, way, window, new, share, rules)]] = True
    return found_S


def _one_sided(
    rater: Ints, way: Ints, window: Ints, new: Flags, share: Floats, rules: InfluenceRules
) -> Flags:
    """Returns which signals stand in a window that new or busy accounts push one way."""
    by_rater = _group(rater, window)
    busy = np.bincount(by_rater, weights=share)[by_rater] >= rules.burst_heavy
    suspect = new | busy
    if not suspect.any():
        return suspect
    weight = share * suspect
    same = _group(way, window)
    pushed = np.bincount(same, weights=weight)[same]
    in_window = np.bincount(window, weights=weight)[window]
    windows = int(window.max()) + 1
    total = np.bincount(way, weights=weight)[way]
    usual = rules.burst_excess * (total - pushed) / max(windows - 1, 1)
    mean = np.maximum(usual, 1.0)
    # Chernoff's bound on the probability of at least n where the mean is m < n.
    excess = np.maximum(pushed, mean)
    log_chance = excess - mean - excess * np.log(excess / mean)
    many = (pushed >= rules.burst_votes) & (pushed >= rules.burst_share * in_window)
    return suspect & many & (log_chance < np.log(rules.burst_alarm)) & (windows > 2)


def _group(a: Ints, window: Ints) -> Ints:
    return np.unique(a * (int(window.max()) + 1) + window, return_inverse=True)[1].ravel()
