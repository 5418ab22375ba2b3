"""The search: trials race on dev for a place among the finalists.

One trial: the sampler picks ids, the catalogue spells a candidate, the candidate races against the
incumbent. A candidate seen before costs nothing and tells the sampler the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upturn.errors import BudgetExceededError
from upturn.evaluate import Evaluator
from upturn.records import Candidate, Evaluation, Example
from upturn.search.catalogue import Catalogue
from upturn.search.finalists import Finalist, rescore
from upturn.search.race import RaceResult, RaceRules, race
from upturn.search.sampler import TpeSampler


@dataclass(frozen=True, kw_only=True)
class SearchRules:
    """How much is tried.

    Attributes:
        n_trials: trials, the start candidate included.
        finalists: how many are re-scored on fresh rows.
        race: when a candidate leaves a race.
        startup: trials drawn at random before the sampler models anything.
    """

    n_trials: int = 40
    finalists: int = 4
    race: RaceRules = field(default_factory=RaceRules)
    startup: int = 12


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial as it ended; ``repeated`` says that it spelled a candidate already tried."""

    number: int
    candidate: Candidate
    evaluation: Evaluation
    estimate: float | None
    finished: bool
    repeated: bool
    reason: str

    @property
    def name(self) -> str:
        return f"t{self.number:03d}"


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What the search found.

    Attributes:
        trials: all trials in order.
        finalists: best first, the start candidate never among them.
        start: the start candidate, re-scored like a finalist.
        stopped: why the search ended before its last trial, or "".
    """

    trials: tuple[Trial, ...]
    finalists: tuple[Finalist, ...]
    start: Finalist
    stopped: str = ""


class Search:
    """One study over a frozen catalogue.

    Args:
        catalogue: the choices.
        start: the candidate that runs now; the first incumbent.
        searched: dev rows to race on, in racing order.
        fresh: dev rows kept for the finalists.
        evaluator: runs candidates.
        rules: how much is tried.
        seed: the same seed, rows and answers give the same trials.
        may_go_on: asked before each trial; False ends the search, keeping what is reserved for
            later.
        on_trial: told of each trial as it ends.
        journal: file that records the Optuna study.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        start: Candidate,
        *,
        searched: Sequence[Example],
        fresh: Sequence[Example],
        evaluator: Evaluator,
        rules: SearchRules,
        seed: int = 0,
        may_go_on: Callable[[], str] = lambda: "",
        on_trial: Callable[[Trial], None] = lambda t: None,
        journal: Path | None = None,
    ) -> None:
        self._catalogue, self._start = catalogue, start
        self._searched, self._fresh = searched, fresh
        self._evaluator, self._rules = evaluator, rules
        self._may_go_on, self._on_trial = may_go_on, on_trial
        self._sampler = TpeSampler(catalogue, seed=seed, journal=journal, startup=rules.startup)
        self._known: dict[str, Trial] = {}
        self._incumbent: Evaluation | None = None

    def run(self) -> SearchResult:
        """Runs all trials, then re-scores the best.

        Raises:
            OutageError, MetricError: from the evaluator.
            BudgetExceededError: a cap was reached while finalists were re-scored.
        """
        self._sampler.enqueue(self._catalogue.choices(self._start))
        trials: list[Trial] = []
        stopped = ""
        while len(trials) < self._rules.n_trials and not stopped:
            try:
                trials.append(self._trial(len(trials)))
            except BudgetExceededError as error:
                stopped = error.what
                break
            self._on_trial(trials[-1])
            stopped = self._may_go_on()
        return self._finish(trials, stopped)

    def _trial(self, number: int) -> Trial:
        handle, choices = self._sampler.ask()
        candidate = self._catalogue.candidate(choices)
        seen = self._known.get(candidate.id)
        trial = self._race(number, candidate) if seen is None else _again(number, seen)
        self._known.setdefault(candidate.id, trial)
        self._sampler.tell(handle, trial.estimate, _attributes(trial))
        return trial

    def _race(self, number: int, candidate: Candidate) -> Trial:
        result = race(
            candidate,
            self._searched,
            evaluator=self._evaluator,
            incumbent=self._incumbent,
            rules=self._rules.race,
        )
        self._crown(result)
        return Trial(
            number=number,
            candidate=candidate,
            evaluation=result.evaluation,
            estimate=result.estimate,
            finished=result.finished,
            repeated=False,
            reason=result.reason,
        )

    def _crown(self, result: RaceResult) -> None:
        if not result.finished or result.estimate is None:
            return
        best = self._incumbent.score if self._incumbent else None
        if best is None or result.estimate > best:
            self._incumbent = result.evaluation

    def _finish(self, trials: Sequence[Trial], stopped: str) -> SearchResult:
        if not trials:
            raise BudgetExceededError(
                f"the caps do not allow even one trial: {stopped}",
                fix="raise budget.max_calls, max_usd or max_minutes",
            )
        others = [t for t in self._known.values() if t.candidate.id != self._start.id]
        ranked = sorted(
            (t for t in others if t.estimate is not None),
            key=lambda t: (-(t.estimate or 0.0), not t.finished, t.number),
        )
        best = [(t.name, t.candidate) for t in ranked[: self._rules.finalists]]
        rescored = rescore(
            [("start", self._start), *best],
            searched=self._searched,
            fresh=self._fresh,
            evaluator=self._evaluator,
        )
        return SearchResult(
            trials=tuple(trials),
            finalists=tuple(f for f in rescored if f.name != "start"),
            start=next(f for f in rescored if f.name == "start"),
            stopped=stopped,
        )


def _again(number: int, seen: Trial) -> Trial:
    return Trial(
        number=number,
        candidate=seen.candidate,
        evaluation=seen.evaluation,
        estimate=seen.estimate,
        finished=seen.finished,
        repeated=True,
        reason=f"same as {seen.name}",
    )


def _attributes(trial: Trial) -> dict[str, str | int | bool]:
    return {
        "candidate": trial.candidate.id,
        "rows": len(trial.evaluation.rows),
        "finished": trial.finished,
        "reason": trial.reason,
    }
