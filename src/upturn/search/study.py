"""A study: candidates enter, run rows, leave. What strategies act on, live or replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from upturn.search.beliefs import Beliefs, Floats, Levels
from upturn.search.catalogue import Choices
from upturn.search.samplers.base import History, Sampler, Tried
from upturn.search.sequential import LeavingRule, log_wealth, unit_differences, whole_units
from upturn.search.space import Space

#: Combinations that a sampler may offer in vain before others are drawn, and how many are.
_MAX_REPEATS, _MAX_DRAWS = 5, 200
#: The beliefs' variances are fitted again when so much more was run.
_FIT_GROWTH = 1.2


class Arena(Protocol):
    """Where candidates run.

    Attributes:
        units: [rows], the rows' groups, numbered in the order of their first row.
    """

    units: NDArray[np.int64]

    def run(self, work: Sequence[tuple[Choices, range]]) -> list[Floats]:
        """Returns the scores of the rows asked for, NaN where unknown; all at once.

        Raises:
            BudgetExceededError: a cap was reached; what was run is not lost.
        """
        ...

    def refusal(self, choices: Choices) -> str:
        """Returns why a candidate may not go on (its cost, its latency), or ""."""
        ...


@dataclass(kw_only=True, eq=False)
class Entry:
    """A candidate in a study.

    Attributes:
        number: 0 is the one that runs now.
        choices: what spells it.
        values_R: its score on each row of the search, NaN where not run or unknown.
        seen: it ran on the first so many rows.
        reason: why it left; "" while it races.
    """

    number: int
    choices: Choices
    values_R: Floats
    seen: int = 0
    reason: str = ""

    @property
    def name(self) -> str:
        return f"t{self.number:03d}"

    @property
    def known(self) -> bool:
        """Whether any of its rows has a score."""
        return bool((~np.isnan(self.values_R)).any())


@dataclass(frozen=True, kw_only=True)
class StudyRules:
    """How much may be run.

    Attributes:
        evaluations: rows run by the strategy, all candidates together.
        n_trials: candidates that may enter.
        block_rows: rows between two looks.
        level: chance that the best is ever called worse (see ``sequential``).
    """

    evaluations: int = 800
    n_trials: int = 60
    block_rows: int = 8
    level: float = 0.1


@dataclass(kw_only=True)
class Study:
    """The state that a strategy acts on.

    Attributes:
        space: the choices.
        arena: runs rows.
        sampler: says who enters.
        rules: how much may be run.
        rng: the strategy's randomness.
        may_go_on: asked before rows are run; what it returns ends the study.
        on_rows: told how many rows have just been run.
        on_leave: told of each entry that leaves.
    """

    space: Space
    arena: Arena
    sampler: Sampler
    rules: StudyRules
    rng: np.random.Generator
    may_go_on: Callable[[], str] = lambda: ""
    on_rows: Callable[[int], None] = lambda n: None
    on_leave: Callable[[Entry], None] = lambda entry: None
    entries: list[Entry] = field(default_factory=list)
    spent: int = 0
    stopped: str = ""
    _known: set[tuple[str, ...]] = field(default_factory=set)
    _learned: tuple[list[Entry], Levels] | None = None
    _next_fit: float = 0.0

    @cached_property
    def beliefs(self) -> Beliefs:
        return Beliefs(len(self.space.options))

    @property
    def rows(self) -> int:
        """Rows that a candidate can run."""
        return len(self.arena.units)

    @property
    def left(self) -> int:
        """Rows that may still be run."""
        return 0 if self.stopped else max(0, self.rules.evaluations - self.spent)

    @property
    def active(self) -> list[Entry]:
        """Entries that race and have rows left."""
        return [e for e in self.entries if not e.reason and e.seen < self.rows]

    @property
    def full(self) -> bool:
        """Whether no further candidate can enter."""
        return len(self.entries) >= min(self.rules.n_trials, self.space.size)

    def enter(self, choices: Choices | None = None) -> Entry | None:
        """Lets one more candidate in: the one given, or whom the sampler offers.

        Returns:
            None where no candidate is left, or no further one may enter.
        """
        if self.full:
            return None
        if choices is None:
            choices = self._untried()
        if choices is None or self.space.key(choices) in self._known:
            return None
        return self._admit(choices)

    def _untried(self) -> Choices | None:
        """Whom the sampler offers; where that has entered again and again, somebody at random."""
        for _ in range(_MAX_REPEATS):
            offer = self.offer()
            if offer is not None and self.space.key(offer) not in self._known:
                return offer
        numbers = (int(i) for i in self.rng.integers(self.space.size, size=_MAX_DRAWS))
        drawn = (self.space.at(i) for i in (*numbers, *range(min(self.space.size, _MAX_DRAWS))))
        return next((c for c in drawn if self.space.key(c) not in self._known), None)

    def offer(self) -> Choices | None:
        """Asks the sampler who may enter; None where it has nobody."""
        return self.sampler.ask(self.history(), self.rng)

    def _admit(self, choices: Choices) -> Entry:
        entry = Entry(
            number=len(self.entries), choices=dict(choices), values_R=np.full(self.rows, np.nan)
        )
        self.entries.append(entry)
        self._known.add(self.space.key(choices))
        return entry

    def extend(self, work: Sequence[tuple[Entry, int]]) -> None:
        """Runs entries on further rows, all at once, as far as the budget goes.

        Args:
            work: entries, and the number of first rows that each shall have run.
        """
        self.stopped = self.stopped or self.may_go_on()
        planned: list[tuple[Entry, range]] = []
        left = self.left
        for entry, upto in work:
            span = range(entry.seen, min(upto, self.rows, entry.seen + left))
            if len(span):
                planned.append((entry, span))
                left -= len(span)
        if not planned:
            return
        results = self.arena.run([(e.choices, span) for e, span in planned])
        for (entry, span), values in zip(planned, results, strict=True):
            entry.values_R[span.start : span.stop] = values
            entry.seen = span.stop
            self.spent += len(span)
            self._learned = None
            self.on_rows(len(span))
        for entry, _ in planned:
            refusal = self.arena.refusal(entry.choices)
            if refusal and entry.number:
                self.leave(entry, refusal)

    def leave(self, entry: Entry, reason: str) -> None:
        """Takes an entry out of the race."""
        entry.reason = reason
        self.on_leave(entry)

    def drop_worse(self) -> None:
        """Takes out every entry that the leader is shown to be better than."""
        leader = self.leader()
        rule = LeavingRule(level=self.rules.level, rivals=self.rules.n_trials - 1)
        for entry in list(self.active):
            if entry is leader or not entry.number:
                continue
            gaps_U = self._gaps(entry, leader)
            if rule.is_worse(gaps_U):
                wealth = log_wealth(gaps_U) / np.log(10)
                self.leave(
                    entry,
                    f"worse than {leader.name} by {-float(gaps_U.mean()):.3f} on {entry.seen} rows "
                    f"(evidence 10^{wealth:.1f} to 1)",
                )

    def _gaps(self, entry: Entry, rival: Entry) -> Floats:
        n = whole_units(self.arena.units, min(entry.seen, rival.seen))
        return unit_differences(entry.values_R[:n], rival.values_R[:n], self.arena.units[:n])

    def leader(self) -> Entry:
        """The entry that is believed to be best; of equals the shorter prompt."""
        entries, levels = self.standing()
        chars = [self.space.chars(e.choices) for e in entries]
        order = sorted(
            range(len(entries)),
            key=lambda i: (bool(entries[i].reason), -round(float(levels.mean_C[i]), 9), chars[i]),
        )
        return entries[order[0]]

    def standing(self) -> tuple[list[Entry], Levels]:
        """Returns the entries with a known score, and what is believed of them."""
        if self._learned is None:
            self._learned = self._learn()
        return self._learned

    def _learn(self) -> tuple[list[Entry], Levels]:
        entries = [e for e in self.entries if e.known]
        width = max((e.seen for e in entries), default=0)
        codes = self.space.codes([e.choices for e in entries])
        fit = self.spent >= self._next_fit
        if entries:
            values = np.array([e.values_R[:width] for e in entries])
            self.beliefs.learn(codes, values, fit=fit)
        if fit:
            self._next_fit = self.spent * _FIT_GROWTH
        return entries, self.beliefs.levels(codes)

    def history(self) -> History:
        """What a sampler may know."""
        entries, levels = self.standing()
        tried = [
            Tried(choices=e.choices, estimate=float(m), rows=e.seen)
            for e, m in zip(entries, levels.mean_C, strict=True)
        ]
        return History(space=self.space, tried=tried, known=frozenset(self._known))
