"""What sways a judge besides what people see: the place of an answer, its length, and chance.

Rows are taken as independent here: these are warnings about a judge, and gate nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv
from scipy.stats import rankdata

from upturn.judges.labels import PAIRWISE, Judged
from upturn.records import Json

#: A bias is told where its two-sided p-value is at most this.
LEVEL = 0.01
#: A judge is told to be fickle where more than this share of its verdicts changes, surely.
FICKLE = 0.05
#: Fewer rows than this say nothing of a bias.
MIN_ROWS = 10
#: Permutations behind the test of length, so that the smallest p-value is 1 / 2,000.
_DRAWS = 1999
_SWAP = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True, kw_only=True)
class Bias:
    """One check of a judge.

    Attributes:
        name: position, length or consistency.
        rows: rows that it rests on.
        share: position: pairs whose verdict did not follow the answers when they changed places.
            consistency: verdicts that changed when the same was asked again. length: partial
            correlation of the verdict with the rank of the length, at equal human verdicts.
        low, high: 95 % interval of a share (Clopper and Pearson 1934); None for length.
        p_value: two-sided; None for consistency, where there is nothing to hold it against.
        found: whether to warn.
        note: the finding, in a sentence.
    """

    name: str
    rows: int
    share: float
    low: float | None
    high: float | None
    p_value: float | None
    found: bool
    note: str

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def biases(rows: Sequence[Judged], *, seed: int = 0) -> tuple[Bias, ...]:
    """Returns every check that the rows allow; none where the file has no rows for any."""
    made = (position(rows), length(rows, seed=seed), consistency(rows))
    return tuple(b for b in made if b is not None)


def position(rows: Sequence[Judged]) -> Bias | None:
    """Whether a pairwise judge prefers a place.

    Of the pairs whose verdict stayed with a place when the answers changed places, a judge without
    a preference stays with the first as often as with the second: exact binomial test. Ties that
    became a win count in the share and say nothing of the place.
    """
    asked = [r for r in rows if r.swapped is not None]
    if len(asked) < MIN_ROWS:
        return None
    kept = [r for r in asked if _SWAP[str(r.judge)] != r.swapped]
    first = sum(r.judge == r.swapped == "first" for r in kept)
    second = sum(r.judge == r.swapped == "second" for r in kept)
    p_value = _binomial(first, first + second)
    share, low, high = _share(len(kept), len(asked))
    found = p_value <= LEVEL
    verb = "prefers" if found else "shows no preference for"
    place = ("first" if first > second else "second") if found else "either"
    return Bias(
        name="position",
        rows=len(asked),
        share=share,
        low=low,
        high=high,
        p_value=p_value,
        found=found,
        note=f"The judge {verb} the {place} place: of {len(asked)} pairs asked in both orders, "
        f"{first} stayed with the first and {second} with the second (p = {p_value:.4f}).",
    )


def length(rows: Sequence[Judged], *, seed: int = 0) -> Bias | None:
    """Whether the judge prefers longer answers that people found equally good.

    Strata are rows with one human verdict. The statistic is the sum over strata of the products of
    deviations of verdict and length rank; its distribution is that of shuffling the verdicts within
    strata (van Elteren 1960, for two samples; Mantel 1963, JASA 58, for scores).
    """
    strata: defaultdict[object, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        verdict = PAIRWISE.get(row.judge) if isinstance(row.judge, str) else row.judge
        if row.length is not None and verdict is not None:
            strata[row.human].append((verdict, row.length))
    used = [np.array(s) for s in strata.values() if len(s) > 1]
    n = sum(len(s) for s in used)
    if n < MIN_ROWS:
        return None
    verdicts = [s[:, 0] - s[:, 0].mean() for s in used]
    ranks = [_centred_ranks(s[:, 1]) for s in used]
    scale = np.sqrt(sum((v**2).sum() for v in verdicts) * sum((r**2).sum() for r in ranks))
    if scale == 0:
        return None  # the judge never differs, or the lengths do not, at equal human verdicts
    seen = float(sum(v @ r for v, r in zip(verdicts, ranks, strict=True)))
    rng = np.random.default_rng(seed)
    drawn_B = np.zeros(_DRAWS)
    for v, r in zip(verdicts, ranks, strict=True):
        drawn_B += np.array([rng.permutation(v) @ r for _ in range(_DRAWS)])
    extreme = int((np.abs(drawn_B) >= abs(seen) - 1e-9).sum())
    p_value = (1 + extreme) / (1 + _DRAWS)
    found = p_value <= LEVEL
    what = ("longer" if seen > 0 else "shorter") if found else "neither longer nor shorter"
    return Bias(
        name="length",
        rows=n,
        share=seen / float(scale),
        low=None,
        high=None,
        p_value=p_value,
        found=found,
        note=f"At equal human verdicts the judge prefers {what} answers (partial correlation "
        f"{seen / float(scale):+.2f} over {n} rows, p = {p_value:.4f}).",
    )


def consistency(rows: Sequence[Judged]) -> Bias | None:
    """Whether the judge says the same of the same, asked twice."""
    asked = [r for r in rows if r.again is not None]
    if len(asked) < MIN_ROWS:
        return None
    changed = sum(r.again != r.judge for r in asked)
    share, low, high = _share(changed, len(asked))
    return Bias(
        name="consistency",
        rows=len(asked),
        share=share,
        low=low,
        high=high,
        p_value=None,
        found=low > FICKLE,
        note=f"Asked the same twice, the judge changed {changed} of {len(asked)} verdicts "
        f"([{low:.1%}, {high:.1%}]).",
    )


def _binomial(k: int, n: int) -> float:
    """Two-sided exact p-value of k heads in n tosses of a fair coin."""
    return min(1.0, 2 * float(bdtr(min(k, n - k), n, 0.5))) if n else 1.0


def _share(k: int, n: int) -> tuple[float, float, float]:
    """A share with its exact 95 % interval."""
    low = float(betaincinv(k, n - k + 1, 0.025)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0
    return k / n, low, high


def _centred_ranks(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = np.asarray(rankdata(lengths), dtype=np.float64)
    # Scaled, so that a large stratum does not drown a small one by its larger ranks.
    return (ranks - ranks.mean()) / len(ranks)
