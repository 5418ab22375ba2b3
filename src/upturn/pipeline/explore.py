"""From a start candidate to finalists: baseline on dev, proposals, catalogue, search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from upturn.config.sections import SearchSection
from upturn.evaluate import Evaluator
from upturn.pipeline.progress import Progress
from upturn.programs import Program
from upturn.propose import PROPOSERS, Evidence
from upturn.records import Candidate, Evaluation, Example, Row, content_hash
from upturn.search import Catalogue, RaceRules, Search, SearchResult, SearchRules, Trial


@dataclass(frozen=True, kw_only=True)
class DevParts:
    """Dev in two: where trials race, and what is kept for finalists. Groups do not straddle."""

    searched: tuple[Example, ...]
    fresh: tuple[Example, ...]


def split_dev(dev: Sequence[Example], share: float, seed: int) -> DevParts:
    """Splits dev by a hash of the group, in a seeded order that every race follows."""
    ordered = sorted(dev, key=lambda e: content_hash([seed, e.id]))
    fresh = {e.group for e in ordered if _fraction(e.group, seed) < share}
    return DevParts(
        searched=tuple(e for e in ordered if e.group not in fresh),
        fresh=tuple(e for e in ordered if e.group in fresh),
    )


def _fraction(group: str, seed: int) -> float:
    return int(content_hash(["fresh", seed, group], length=12), 16) / 16**12


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What a search needs, once for all its steps.

    Attributes:
        program: the program.
        start: the candidate that runs now.
        train: rows that proposers read.
        dev: rows that the search reads.
        evaluator: runs candidates.
        section: the config's search section.
        seed: the turn's seed.
    """

    program: Program
    start: Candidate
    train: Sequence[Example]
    dev: DevParts
    evaluator: Evaluator
    section: SearchSection
    seed: int

    def baseline(self) -> Evaluation:
        """Runs the start candidate where trials will race."""
        return self.evaluator.evaluate(self.start, self.dev.searched)

    def catalogue(self, baseline: Evaluation) -> Catalogue:
        """Asks every proposer and freezes the choices."""
        evidence = Evidence(
            program=self.program,
            start=self.start,
            train=self.train,
            failures=self._failures(baseline),
            evaluator=self.evaluator,
            max_demos=self.section.max_demos,
            max_demo_chars=self.section.max_demo_chars,
            seed=self.seed,
        )
        names = ["seed", *(n for n in self.section.proposers if n != "seed")]
        proposals = [p for name in names for p in PROPOSERS[name]().propose(evidence)]
        return Catalogue.build(
            p for p in proposals if p.demos is None or self._fits(len(p.demos), p.origin)
        )

    def _fits(self, demos: int, origin: str) -> bool:
        # What runs now stays in the catalogue, however long it is: a search must be able to stay.
        return demos <= self.section.max_demos or origin in ("seed", "champion")

    def _failures(self, baseline: Evaluation) -> list[tuple[Example, Row]]:
        pairs = zip(self.dev.searched, baseline.rows, strict=True)
        return [(e, r) for e, r in pairs if r.value is not None and r.value < 1.0]

    def search(
        self,
        catalogue: Catalogue,
        *,
        may_go_on: Callable[[], str],
        on_trial: Callable[[Trial], None],
        journal: Path,
    ) -> SearchResult:
        """Runs the study.

        Raises:
            OutageError, BudgetExceededError, MetricError: from the evaluator.
        """
        section = self.section
        rules = SearchRules(
            n_trials=section.n_trials,
            finalists=section.finalists,
            startup=section.startup,
            race=RaceRules(**section.race.model_dump()),
        )
        return Search(
            catalogue,
            # The same prompt, spelled in ids, so that its run compares with those of the trials.
            catalogue.candidate(catalogue.choices(self.start)),
            searched=self.dev.searched,
            fresh=self.dev.fresh,
            evaluator=self.evaluator,
            rules=rules,
            seed=int(np.random.default_rng([self.seed, 1]).integers(2**31)),
            may_go_on=may_go_on,
            on_trial=on_trial,
            journal=journal,
        ).run()


def describe(catalogue: Catalogue, progress: Progress) -> None:
    """Tells how many choices there are, and where they come from."""
    for name, options in catalogue.options.items():
        origins = sorted({p.origin.partition(":")[0] for p in options.values()})
        progress.step("catalogue", f"{name}: {len(options)} choices from {', '.join(origins)}")
