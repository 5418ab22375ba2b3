"""Racing: rows go to whoever may be the best, and who is shown to be worse leaves.

Two things are kept apart. *Leaving* takes evidence, by a test that holds at every look
(``search.sequential``): nobody is called worse because the budget was short. *Who runs next* is a
matter of spending: each block goes to a candidate that may be the best as far as is known, among
those that have entered and those that may enter (top-two Thompson sampling; Russo 2016, "Simple
Bayesian algorithms for best arm identification").
"""

from __future__ import annotations

from dataclasses import dataclass

from upturn.search.study import Entry, Study


@dataclass(frozen=True)
class RacingStrategy:
    """The default.

    Attributes:
        opening: share of the budget in which new candidates enter before any goes on.
        challengers: candidates that run a block at a time, at least.
        rounds: rounds that a large budget is divided into; a small one has fewer.
        max_block: most rows of a block.
    """

    opening: float = 0.25
    challengers: int = 2
    rounds: int = 120
    max_block: int = 32

    def run(self, study: Study) -> None:
        block, width = self.pace(study)
        study.extend([(e, block) for e in study.entries])
        before = study.spent
        while study.spent - before < self.opening * study.rules.evaluations and study.left:
            newcomers = [e for e in (study.enter() for _ in range(width)) if e is not None]
            if not newcomers:
                break
            study.extend([(e, block) for e in newcomers])
        while study.left:
            entries = self._round(study, width)
            if not entries:
                return
            study.extend([(e, e.seen + block) for e in entries])
            study.drop_worse()

    def pace(self, study: Study) -> tuple[int, int]:
        """Rows of a block, and candidates that run one at a time."""
        rows = study.rules.evaluations // self.rounds
        block = max(study.rules.block_rows, min(self.max_block, rows // self.challengers))
        return block, max(self.challengers, rows // block)

    def _round(self, study: Study, width: int) -> list[Entry]:
        """Who runs a block now: drawn from what is believed of entries and newcomers."""
        entries, levels = study.standing()
        able = [i for i, e in enumerate(entries) if not e.reason and e.seen < study.rows]
        chosen: list[Entry] = []
        for drawn_E in levels.draw(study.rng, width):
            pick = self._newcomer(study, float(drawn_E.max(initial=-1.0)))
            if pick is None and able:
                pick = entries[max(able, key=lambda i: drawn_E[i])]
            if pick is not None and pick not in chosen:
                chosen.append(pick)
        return chosen

    def _newcomer(self, study: Study, best: float) -> Entry | None:
        """A new candidate, where a draw of what is believed of it beats the best entry's."""
        offer = None if study.full else study.offer()
        if offer is None:
            return None
        believed = study.beliefs.levels(study.space.codes([offer]))
        return study.enter(offer) if float(believed.draw(study.rng, 1)[0, 0]) > best else None
