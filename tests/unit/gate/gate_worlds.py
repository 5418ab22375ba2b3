"""Simulated worlds for the gate's tests: rows, evaluations and pairs with known truths."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from upturn.records import Evaluation, FailureKind, Look, Outcome, Row

HOLDOUT = "h" * 64


def look(number: int = 1, alpha: float = 0.025) -> Look:
    return Look(holdout=HOLDOUT, number=number, alpha=alpha, turn=f"t{number}")


def row(
    index: int,
    score: float | None,
    *,
    group: str | None = None,
    failure: FailureKind | None = None,
    latency_s: float = 0.1,
    cost_usd: float = 0.0,
    **slices: str,
) -> Row:
    outcome = Outcome.UNSCORED if score is None else Outcome.SCORED
    return Row(
        example_id=f"e{index:05d}",
        group=f"g{index:05d}" if group is None else group,
        outcome=Outcome.FAILED if failure else outcome,
        score=None if failure else score,
        failure=failure,
        latency_s=latency_s,
        cost_usd=cost_usd,
        calls=1,
        slices=slices,
    )


def side(
    scores: Sequence[float | None] | np.ndarray,
    *,
    groups: Sequence[str] | None = None,
    name: str = "c",
) -> Evaluation:
    made = (
        row(i, None if s is None else float(s), group=groups[i] if groups else None)
        for i, s in enumerate(scores)
    )
    return Evaluation(candidate_id=name, rows=tuple(made))


def binary_pair(
    rng: np.random.Generator, n: int, before: float, after: float, *, rho: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """0/1 scores of two programs whose latent skill on a row is normal, with correlation rho."""
    common = rng.normal(size=n) * np.sqrt(rho)
    own = rng.normal(size=(2, n)) * np.sqrt(1 - rho)
    cut = [NormalDist().inv_cdf(p) for p in (before, after)]
    return tuple((common + own[i] < cut[i]).astype(float) for i in range(2))  # type: ignore[return-value]


def clustered_pair(
    rng: np.random.Generator, groups: int, level: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Two equal programs on groups of 1-6 rows; within a group a program does alike on all rows."""
    sizes = rng.integers(1, 7, size=groups)
    names = [f"g{g:04d}" for g, size in enumerate(sizes) for _ in range(size)]
    sides = []
    for _ in range(2):
        latent = np.repeat(rng.normal(size=groups), sizes) * np.sqrt(0.8)
        latent += rng.normal(size=sizes.sum()) * np.sqrt(0.2)
        sides.append((latent < NormalDist().inv_cdf(level)).astype(float))
    return sides[0], sides[1], names
