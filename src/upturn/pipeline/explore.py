"""From a start candidate to finalists: baseline on dev, then proposals and a search, or a peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from upturn.config.search import SearchSection
from upturn.evaluate import CandidateRunner
from upturn.pipeline.dev import DevParts
from upturn.pipeline.progress import Progress
from upturn.pipeline.proposing import Proposing
from upturn.propose import Survivor
from upturn.records import Candidate, Evaluation
from upturn.search import (
    SAMPLERS,
    STRATEGIES,
    Catalogue,
    Finalist,
    Limits,
    Search,
    SearchResult,
    SearchRules,
    Trial,
)

#: Rows on which the start candidate runs first: this share of the budget, within these bounds.
BASELINE_SHARE, MIN_BASELINE_ROWS, MAX_BASELINE_ROWS = 0.1, 24, 100
#: Candidates that the next generation starts from.
SURVIVORS = 4
#: Share of the budget that earlier generations get together; the last one has the rest.
EARLIER_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Who is told what while a search runs.

    Attributes:
        may_go_on: asked before rows are run; what it returns ends the search.
        on_trial: told of each trial as it leaves, with the catalogue it is spelled in, if in one.
        on_rows: told how many rows have just been run.
    """

    may_go_on: Callable[[], str]
    on_trial: Callable[[Trial, Catalogue | None], None]
    on_rows: Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What a search needs, once for all its steps.

    Attributes:
        start: the candidate that runs now.
        dev: rows that the search reads.
        runner: runs candidates.
        proposing: asks the proposers.
        section: the config's search section.
        seed: the turn's seed.
        name: of the study, for its record.
        journal: file of the record.
    """

    start: Candidate
    dev: DevParts
    runner: CandidateRunner
    proposing: Proposing
    section: SearchSection
    seed: int
    name: str
    journal: Path

    def baseline(self) -> Evaluation:
        """Runs the start candidate on the first rows on which trials will race."""
        return self.runner.evaluate(
            self.start, self.dev.searched[: baseline_rows(self.section.evaluations)]
        )

    def search(
        self, baseline: Evaluation, *, progress: Progress, listeners: Listeners
    ) -> SearchResult:
        """Runs all generations: a catalogue and a study each, the last with finalists.

        Raises:
            OutageError, BudgetExceededError, MetricError: from the evaluator.
            ProgramError: a proposer failed.
        """
        done: list[SearchResult] = []
        for generation in range(1, self.section.generations + 1):
            survivors = _survivors(done[-1]) if done else []
            catalogue = self.proposing.catalogue(
                self.dev.searched,
                baseline,
                survivors=survivors,
                generation=generation,
            )
            describe(catalogue, generation, progress)
            last = generation == self.section.generations
            search = self._study(catalogue, baseline, survivors, generation, last, listeners)
            done.append(search.run())
            if done[-1].stopped:
                break
        return _joined(done)

    def _study(
        self,
        catalogue: Catalogue,
        baseline: Evaluation,
        survivors: Sequence[Survivor],
        generation: int,
        last: bool,
        listeners: Listeners,
    ) -> Search:
        section = self.section
        return Search(
            catalogue,
            # The same prompt, spelled in ids, so that its run compares with those of the trials.
            catalogue.candidate(catalogue.choices(self.start)),
            searched=self.dev.searched,
            fresh=self.dev.fresh if last else (),
            runner=self.runner,
            rules=replace(self._rules(), evaluations=self._budget(last)),
            seed=int(np.random.default_rng([self.seed, generation]).integers(2**31)),
            start_rows=len(baseline.rows),
            favoured=self.proposing.first(catalogue) if generation == 1 else (),
            enqueued=[s.candidate for s in survivors],
            may_go_on=listeners.may_go_on,
            on_trial=lambda trial: listeners.on_trial(_numbered(trial, generation), catalogue),
            on_rows=listeners.on_rows,
            name=self.name if last else f"{self.name}-{generation}",
            journal=self.journal if last else self.journal.with_suffix(f".{generation}.journal"),
            url=section.storage,
        )

    def _rules(self) -> SearchRules:
        section = self.section
        return SearchRules(
            n_trials=section.n_trials,
            finalists=section.finalists,
            block_rows=section.race.block_rows,
            level=section.race.level,
            limits=Limits(**section.constraints.model_dump()),
            strategy=STRATEGIES[section.strategy](),
            sampler=SAMPLERS[section.sampler](),
        )

    def _budget(self, last: bool) -> int:
        """Rows of one generation's study; what proposers ran is taken off."""
        earlier = self.section.generations - 1
        share = 1.0 if not earlier else 1 - EARLIER_SHARE if last else EARLIER_SHARE / earlier
        return max(1, round(share * (self.section.evaluations - self.proposing.rows)))


def baseline_rows(evaluations: int) -> int:
    """Rows of dev on which the start candidate runs before anything is proposed."""
    rows = round(BASELINE_SHARE * evaluations)
    return min(MAX_BASELINE_ROWS, max(MIN_BASELINE_ROWS, rows))


def _survivors(result: SearchResult) -> list[Survivor]:
    """The best candidates of a generation, the start candidate among them if it is one."""
    known = [t for t in result.trials if t.estimate is not None]
    best = sorted(known, key=lambda t: (-(t.estimate or 0.0), t.candidate.prompt_chars, t.number))
    return [
        Survivor(candidate=t.candidate, evaluation=t.evaluation, score=t.estimate or 0.0)
        for t in best[:SURVIVORS]
    ]


def _numbered(trial: Trial, generation: int) -> Trial:
    """Trials of later generations have numbers of their own."""
    return replace(trial, number=trial.number + 1000 * (generation - 1))


def _joined(done: Sequence[SearchResult]) -> SearchResult:
    last, generation = done[-1], len(done)

    def named(f: Finalist) -> Finalist:
        if generation == 1:
            return f
        return replace(f, name=f"t{int(f.name[1:]) + 1000 * (generation - 1):03d}")

    return replace(
        last,
        trials=tuple(_numbered(t, g) for g, r in enumerate(done, 1) for t in r.trials),
        finalists=tuple(named(f) for f in last.finalists),
        evaluations=sum(r.evaluations for r in done),
    )


def describe(catalogue: Catalogue, generation: int, progress: Progress) -> None:
    """Tells how many choices there are, and where they come from."""
    which = f"generation {generation}, " if generation > 1 else ""
    for name, options in catalogue.options.items():
        origins = sorted({p.origin.partition(":")[0] for p in options.values()})
        progress.step(
            "catalogue", f"{which}{name}: {len(options)} choices from {', '.join(origins)}"
        )
