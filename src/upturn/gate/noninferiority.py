"""Is it worse, beyond chance: the paired test behind every guard.

A guard is broken where the harm that is *seen* lies beyond its margin and the harm is *sure*: the
hypothesis "no harm" is rejected at the guard's level. Both are asked. A classical test of
non-inferiority would ask the challenger to prove that it is not worse by the margin, and on a few
hundred rows with a margin of 2 points nothing could; a fence of point values, on the other hand,
stops a good challenger for one unlucky row.

The test is the gate's own: sign flips of whole groups (see ``statistics``), one-sided, with the
harm of a row in place of its gain. For rates it is McNemar's test by random sign vectors
("is the row failed?" before and after), for a percentile the sign test of the rows that are beyond
a value (Conover 1999, "Practical nonparametric statistics", section 3.2), for means Fisher's
randomization test.

Two properties are kept, and are why the draws are what they are:

- *A failed row never helps.* Raising the harm of any row never raises the p-value. The random sets
  depend on the number of groups and the seed alone, and an exact p-value is never used in their
  stead, since which of the two can be had would depend on the answers.
- *Names and order do not matter.* Group sums are sorted before sets are drawn. If every sum rises
  or stays, so does every sorted sum, so that the first property survives the sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upturn.gate.statistics import TINY, Floats, affordable, subset_sums
from upturn.records import Row


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Rows of both sides, and what the tests on them share.

    Attributes:
        before, after: the champion's and the challenger's rows, row by row the same example.
        place_E: number of each row's group.
        groups: how many groups there are.
        draws, seed: of the random sets.
        copies: how often the groups are taken, as groups of their own.
    """

    before: Sequence[Row]
    after: Sequence[Row]
    place_E: NDArray[np.int64]
    groups: int
    draws: int
    seed: int
    copies: int = 1

    @classmethod
    def of(
        cls,
        before: Sequence[Row],
        after: Sequence[Row],
        *,
        draws: int,
        seed: int,
        copies: int = 1,
    ) -> Paired:
        """Pairs rows by example; both sides hold the same ones."""
        by_id = {r.example_id: r for r in after}
        numbers: dict[str, int] = {}
        place = [numbers.setdefault(r.group, len(numbers)) for r in before]
        return cls(
            before=before,
            after=[by_id[r.example_id] for r in before],
            place_E=np.array(place, dtype=np.int64),
            groups=len(numbers),
            draws=draws,
            seed=seed,
            copies=copies,
        )

    def where(self, keep: Callable[[Row], bool]) -> Paired:
        """The rows whose champion's row is to be kept."""
        if all(keep(b) for b in self.before):
            return self
        kept = [(i, b, a) for i, (b, a) in enumerate(zip(self.before, self.after, strict=True))
                if keep(b)]  # fmt: skip
        return Paired(
            before=[b for _, b, _ in kept],
            after=[a for _, _, a in kept],
            place_E=self.place_E[[i for i, _, _ in kept]],
            groups=self.groups,
            draws=self.draws,
            seed=self.seed,
            copies=self.copies,
        )

    def p_of_harm(self, harm_E: Floats) -> float:
        """Returns the one-sided p-value of "no harm", from the harm of each row."""
        if not len(harm_E):
            return 1.0
        sums_G = np.bincount(self.place_E, weights=harm_E, minlength=self.groups)
        sums_G = np.tile(sums_G.astype(np.float64), self.copies)
        return p_better(sums_G, draws=self.draws, seed=self.seed)


def p_better(sums_G: Floats, *, draws: int, seed: int) -> float:
    """Returns the one-sided p-value of "sums are as likely negative as positive".

    ``(b + 1) / (draws + 1)`` over random sets of groups (Phipson and Smyth 2010), or the exact
    value where the sets can be counted. It depends on the values of the sums alone, not on their
    order, and never rises where a sum rises.

    Args:
        sums_G: sum of each group, in units in which 1e-9 is nothing.
        draws: random sets; fewer where there are more than 50,000 groups.
        seed: of the sets.
    """
    if not sums_G.any():
        return 1.0
    sums_B = subset_sums(np.sort(sums_G), draws=affordable(draws, len(sums_G)), seed=seed)
    return float((sums_B <= TINY).mean())
