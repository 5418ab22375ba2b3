"""The search: candidates race on dev, the best are run on fresh rows, one score is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from upturn.errors import BudgetExceededError
from upturn.evaluate import CandidateRunner
from upturn.records import Candidate, Example
from upturn.search.catalogue import Catalogue
from upturn.search.finalists import Final, decide, fresh_rows
from upturn.search.live import Limits, LiveArena
from upturn.search.result import Finalist, SearchResult, Trial
from upturn.search.samplers.base import Sampler
from upturn.search.samplers.space_filling import SpaceFillingSampler
from upturn.search.samplers.tpe import TrialRecord, write_record
from upturn.search.space import Space
from upturn.search.strategies.base import Strategy
from upturn.search.strategies.racing import RacingStrategy
from upturn.search.study import Entry, Study, StudyRules

#: Share of the budget that is set aside for running the finalists on fresh rows.
FINAL_SHARE = 0.3


@dataclass(frozen=True, kw_only=True)
class SearchRules:
    """How much is tried, and how.

    Attributes:
        evaluations: rows run in all, finalists included.
        n_trials: candidates that may enter, the start candidate included.
        finalists: how many are run on fresh rows.
        block_rows: rows between two looks.
        level: chance that the best candidate is ever called worse than anybody.
        limits: what a candidate may cost.
        strategy: how rows are spent.
        sampler: who enters.
    """

    evaluations: int = 1200
    n_trials: int = 60
    finalists: int = 3
    block_rows: int = 8
    level: float = 0.1
    limits: Limits = field(default_factory=Limits)
    strategy: Strategy = field(default_factory=RacingStrategy)
    sampler: Sampler = field(default_factory=SpaceFillingSampler)


class Search:
    """One study over a frozen catalogue.

    Args:
        catalogue: the choices.
        start: the candidate that runs now, spelled in the catalogue's ids.
        searched: dev rows to race on, in running order.
        fresh: dev rows kept for the finalists, in running order.
        runner: runs candidates.
        rules: how much is tried.
        seed: the same seed, rows and answers give the same trials.
        start_rows: first rows that the start candidate runs before the strategy begins.
        favoured: candidates that a measurement elsewhere speaks for, such as an adapter under the
            prompt it was trained with; they enter after the start candidate and run its rows, for
            what others share with them says little of the combination.
        enqueued: candidates that enter next (a warm start).
        may_go_on: asked before rows are run; what it returns ends the search, keeping what is
            reserved for later.
        on_trial: told of each trial as it leaves.
        on_rows: told how many rows have just been run.
        name, journal, url: of the record in Optuna's terms.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        start: Candidate,
        *,
        searched: Sequence[Example],
        fresh: Sequence[Example],
        runner: CandidateRunner,
        rules: SearchRules,
        seed: int = 0,
        start_rows: int = 0,
        favoured: Sequence[Candidate] = (),
        enqueued: Sequence[Candidate] = (),
        may_go_on: Callable[[], str] = lambda: "",
        on_trial: Callable[[Trial], None] = lambda t: None,
        on_rows: Callable[[int], None] = lambda n: None,
        name: str = "search",
        journal: Path | None = None,
        url: str | None = None,
    ) -> None:
        self._catalogue, self._start, self._rules = catalogue, start, rules
        self._arena = LiveArena(catalogue, searched, runner, rules.limits)
        self._fresh = LiveArena(catalogue, fresh, runner)
        self._start_rows, self._favoured, self._enqueued = start_rows, favoured, enqueued
        self._on_trial = on_trial
        self._record_to = (name, journal, url)
        self._fresh_rows = fresh_rows(
            round(FINAL_SHARE * rules.evaluations), rules.finalists, len(fresh)
        )
        self._study = Study(
            space=Space.of(catalogue),
            arena=self._arena,
            sampler=rules.sampler,
            rules=self._study_rules(),
            rng=np.random.default_rng([seed, 0]),
            may_go_on=may_go_on,
            on_rows=on_rows,
            on_leave=lambda entry: on_trial(self._trial(entry)),
        )

    def _study_rules(self) -> StudyRules:
        reserved = self._fresh_rows * (self._rules.finalists + 1)
        return StudyRules(
            evaluations=max(1, self._rules.evaluations - reserved),
            n_trials=self._rules.n_trials,
            block_rows=self._rules.block_rows,
            level=self._rules.level,
        )

    def run(self) -> SearchResult:
        """Runs the strategy, then the finalists on fresh rows.

        Raises:
            OutageError, MetricError: from the runner.
            BudgetExceededError: a cap was reached before any row, or while finalists ran.
        """
        study = self._study
        for candidate in (self._start, *self._favoured):
            study.enter(self._catalogue.choices(candidate))
        proven = tuple(study.entries)
        for candidate in self._enqueued:
            study.enter(self._catalogue.choices(candidate))
        try:
            study.extend([(entry, self._start_rows) for entry in proven])
            self._rules.strategy.run(study)
        except BudgetExceededError as error:
            study.stopped = error.what
        if not study.spent:
            raise BudgetExceededError(
                f"the caps do not allow even one trial: {study.stopped}",
                fix="raise budget.max_calls, max_usd or max_minutes",
            )
        return self._finish()

    def _finish(self) -> SearchResult:
        final = decide(
            self._study, self._fresh, finalists=self._rules.finalists, rows=self._fresh_rows
        )
        trials = self._close(final)
        self._write_record(trials)
        made = [self._finalist(e, m) for e, m in zip(final.entries, final.estimates, strict=True)]
        return SearchResult(
            trials=tuple(trials),
            finalists=tuple(f for f in made if f.name != "start"),
            start=next(f for f in made if f.name == "start"),
            reported=final.reported,
            leads=made[0].name != "start",
            evaluations=self._study.spent + final.fresh_EF.size,
            stopped=self._study.stopped,
        )

    def _close(self, final: Final) -> list[Trial]:
        """Gives every entry that still races its reason for leaving; returns all as trials."""
        places = {e.number: n for n, e in enumerate(final.entries, start=1)}
        for entry in self._study.entries:
            if not entry.reason:
                place = places.get(entry.number)
                ran = "every row" if entry.seen == self._study.rows else f"{entry.seen} rows"
                entry.reason = (
                    f"ran {ran}, not among the finalists"
                    if place is None
                    else f"ran {ran}, place {place} of {len(places)} on fresh rows"
                )
                self._on_trial(self._trial(entry))
        return [self._trial(e) for e in self._study.entries]

    def _trial(self, entry: Entry) -> Trial:
        estimates = {e.number: m for e, m in self._believed()}
        return Trial(
            number=entry.number,
            candidate=self._catalogue.candidate(entry.choices),
            evaluation=self._arena.evaluation(entry.choices),
            estimate=estimates.get(entry.number),
            finished=entry.seen == self._study.rows,
            reason=entry.reason,
        )

    def _believed(self) -> list[tuple[Entry, float]]:
        if not any(e.known for e in self._study.entries):
            return []
        entries, levels = self._study.standing()
        return [(e, float(m)) for e, m in zip(entries, levels.mean_C, strict=True)]

    def _finalist(self, entry: Entry, estimate: float) -> Finalist:
        return Finalist(
            name=entry.name if entry.number else "start",
            candidate=self._catalogue.candidate(entry.choices),
            searched=self._arena.evaluation(entry.choices),
            fresh=self._fresh.evaluation(entry.choices),
            estimate=estimate,
        )

    def _write_record(self, trials: Sequence[Trial]) -> None:
        name, journal, url = self._record_to
        if journal is None and url is None:
            return
        records = [
            TrialRecord(
                choices=t.candidate.choices,
                estimate=t.estimate,
                finished=t.finished,
                attributes={
                    "candidate": t.candidate.id,
                    "rows": len(t.evaluation.rows),
                    "reason": t.reason,
                },
            )
            for t in trials
        ]
        write_record(self._study.space, records, name=name, journal=journal, url=url)
