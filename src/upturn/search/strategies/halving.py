"""Successive halving: many on few rows, the better half on twice as many, and so on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from upturn.search.study import Entry, Study


@dataclass(frozen=True)
class SuccessiveHalving:
    """Sequential halving (Karnin, Koren and Somekh 2013) with candidates drawn by the sampler.

    The first rung has as many candidates as let every rung have the same number of rows. What is
    left then goes to further brackets of new candidates (Li et al. 2018, "Hyperband").

    Attributes:
        first_rows: rows of a candidate on the first rung.
    """

    first_rows: int = 8

    def run(self, study: Study) -> None:
        self._bracket(study, [study.entries[0]])
        while study.left >= 4 * self.first_rows and not study.full:
            before = study.spent
            self._bracket(study, [])
            if study.spent == before:
                return

    def _bracket(self, study: Study, racing: list[Entry]) -> None:
        study.extend([(e, self.first_rows) for e in racing])
        n = self.width(study)
        while len(racing) < n and (entry := study.enter()) is not None:
            study.extend([(entry, self.first_rows)])
            racing.append(entry)
        rows = self.first_rows
        while len(racing) > 1 and rows < study.rows and study.left:
            racing = self._better_half(study, racing, rows)
            rows = min(study.rows, 2 * rows)
            study.extend([(e, rows) for e in racing])

    def width(self, study: Study) -> int:
        """Candidates of the first rung."""
        rungs, rows = 1, self.first_rows
        while rows < study.rows:
            rungs, rows = rungs + 1, 2 * rows
        n = max(2, study.left // (self.first_rows * rungs))
        return min(n, study.rules.n_trials)

    def _better_half(self, study: Study, racing: list[Entry], rows: int) -> list[Entry]:
        scores = [np.nanmean(e.values_R[:rows]) if e.known else -1.0 for e in racing]
        order = sorted(range(len(racing)), key=lambda i: (-scores[i], racing[i].number))
        keep = max(1, len(racing) // 2)
        for i in order[keep:]:
            if racing[i].number:
                study.leave(racing[i], f"in the worse half after {rows} rows ({scores[i]:.3f})")
        return [racing[i] for i in order[:keep]]
