"""The steps of a turn, and what each costs in calls, tokens and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upturn.config import Config
from upturn.config.sections import ModelSection
from upturn.datasets import Preview, Snapshot
from upturn.gate import design
from upturn.pipeline.allowance import gate_rows
from upturn.pipeline.elsewhere import general_rows
from upturn.pipeline.explore import baseline_rows
from upturn.pipeline.proposing import BOOTSTRAP_SHARE, MAX_BOOTSTRAP_ROWS
from upturn.pipeline.quote_prompts import DryPass, RowTokens
from upturn.pipeline.suites import Standing
from upturn.propose.writing import ANSWER_TOKENS
from upturn.report.quote import Range, Spend
from upturn.search.finalists import fresh_rows
from upturn.search.search import FINAL_SHARE
from upturn.search.strategies.racing import RacingStrategy

#: Calls of a strong model for one predictor and proposer; what one of them reads and writes.
STRONG_CALLS = Range(low=2, expected=8, high=20)
STRONG_READS = Range(low=500, expected=1500, high=5000)
STRONG_WRITES = Range(low=100, expected=400, high=ANSWER_TOKENS)

#: Rows that DSPy's optimizers ran on 200 train and 300 dev rows, from the least to the most.
PEER_ROWS = Range(low=600, expected=2000, high=6000)


@dataclass(frozen=True)
class Steps:
    """What each step of a turn costs.

    Attributes:
        config: the config.
        data: train and dev rows, and how many the holdout has.
        dry: what the prompts hold.
        predictors: calls a row.
        suites: rows that must be passed whatever the score is.
    """

    config: Config
    data: Preview | Snapshot
    dry: DryPass
    predictors: int
    suites: Sequence[Standing] = ()

    def spends(self) -> dict[str, Spend]:
        """Step -> what it costs, before caps."""
        first = self._search() if self.config.optimizer == "upturn" else self._peer()
        both = RowTokens(
            reads=(self.dry.start.reads + self.dry.searched.reads) * 0.5,
            writes=(self.dry.start.writes + self.dry.searched.writes) * 0.5,
        )
        steps = {**first, "gate": self._rows(self._gate_rows(), both)}
        if self.suites:
            steps["suites"] = self._suites(both)
        if other := self._other_rows():
            # Only a challenger with an adapter is asked other tasks.
            rows = Range(low=0, expected=other, high=other)
            steps["forgetting check"] = self._rows(rows, self.dry.start)
        return steps

    def _gate_rows(self) -> Range:
        """All sides on the holdout; a design with stages may end after the first of them."""
        gate, held = self.config.gate, self.data.holdout
        first = design(gate.design, gate.design_settings).cuts(held.groups)[0]
        # Groups differ in size, and which of them come first is not known before the look.
        times = gate_rows(self.config)
        # One challenger is the least that may come out of the search.
        least = round(2 * gate.replicates * held.rows * first / held.groups)
        return Range(low=least, expected=times * held.rows, high=times * held.rows)

    def _suites(self, tokens: RowTokens) -> Spend:
        """All sides on every suite; what a judge reads and writes is not known."""
        sides = Range(low=2, expected=1 + self._challengers, high=1 + self._challengers)
        asked = self._rows(sides * sum(s.bound.asks for s in self.suites), tokens)
        grades = sum(s.bound.judge_calls for s in self.suites)
        return asked + Spend(calls=Range(low=0, expected=sides.high, high=sides.high) * grades)

    @property
    def _challengers(self) -> int:
        return self.config.gate.challengers

    def _other_rows(self) -> int:
        section = self.config.gate.guards.forgetting
        if section is None or not self.config.search.space.weights:
            return 0
        general = len(general_rows()) if section.general else 0
        rows = len(section.programs) * section.rows + general
        return 2 * self.config.gate.challengers * rows

    def _search(self) -> dict[str, Spend]:
        return {
            "baseline": self._rows(Range.of(self._baseline_rows()), self.dry.start),
            "bootstrapping": self._rows(Range.of(self._bootstrap_rows()), self.dry.start),
            "strong model": self._strong(),
            "search and finalists": self._rows(
                self._searched_rows(), self.dry.searched, mixed=True
            ),
        }

    def _peer(self) -> dict[str, Spend]:
        finals = (self.config.search.finalists + 1) * len(self.data.dev)
        return {
            self.config.optimizer: self._rows(PEER_ROWS, self.dry.searched),
            "finalists": self._rows(Range.of(finals), self.dry.searched),
        }

    def notes(self) -> Sequence[str]:
        """What only some configs have to be told."""
        found: list[str] = []
        if self.config.proposer_model:
            calls = STRONG_CALLS
            found.append(
                f"the strong model is taken to be asked {calls.low:.0f} to {calls.high:.0f} times "
                f"for each proposer that needs it ({', '.join(self.dry.skipped) or 'none'})"
            )
        if any(s.judge for s in self.suites):
            found.append("tokens and money of the judges of suites are not counted")
        if self.predictors > 1:
            found.append("each predictor is taken to be called once a row")
        if self.config.optimizer != "upturn":
            found.append(
                f"{self.config.optimizer} decides by itself how many rows it runs: "
                f"{PEER_ROWS.low:,.0f} to {PEER_ROWS.high:,.0f} were seen on 300 dev rows"
            )
        return found

    def _fresh_rows(self) -> int:
        return round(len(self.data.dev) * self.config.search.fresh)

    def _baseline_rows(self) -> int:
        asked = baseline_rows(self.config.search.evaluations)
        return min(asked, len(self.data.dev) - self._fresh_rows())

    def _bootstrap_rows(self) -> int:
        share = round(BOOTSTRAP_SHARE * self.config.search.evaluations)
        return min(MAX_BOOTSTRAP_ROWS, share, len(self.data.train)) if self.dry.runners else 0

    def _searched_rows(self) -> Range:
        """Rows beyond baseline and bootstrapping: what is left, or all there is to try."""
        search, began = self.config.search, self._baseline_rows()
        budget = max(1, search.evaluations - self._bootstrap_rows())
        fresh = fresh_rows(round(FINAL_SHARE * budget), search.finalists, self._fresh_rows())
        tried = min(search.n_trials, self.dry.candidates)
        finals = fresh * min(search.finalists + 1, tried)
        left = max(1, budget - fresh * (search.finalists + 1))
        most = min(left, tried * (len(self.data.dev) - self._fresh_rows()))
        least = min(most, max(began, round(RacingStrategy.opening * left)))
        return Range(
            low=finals + max(0, least - began),
            expected=finals + max(0, most - began),
            high=finals + max(0, most - began),
        )

    def _rows(self, rows: Range, tokens: RowTokens, *, mixed: bool = False) -> Spend:
        reads, writes = rows * tokens.reads, rows * tokens.writes
        prices = self._prices(mixed=mixed)
        return Spend(
            calls=rows * self.predictors,
            input_tokens=reads,
            output_tokens=writes,
            usd=_usd(reads, writes, prices),
        )

    def _prices(self, *, mixed: bool) -> Sequence[ModelSection]:
        names = self.config.search.space.model if mixed else ()
        found = [self.config.models[n] for n in names if n in self.config.models]
        return (self.config.model, *found)

    def _strong(self) -> Spend:
        model = self.config.proposer_model
        if model is None:
            return Spend()
        times = len(self.dry.skipped) * self.predictors * self.config.search.generations
        calls = STRONG_CALLS * times
        reads, writes = calls * STRONG_READS, calls * STRONG_WRITES
        return Spend(
            calls=calls,
            input_tokens=reads,
            output_tokens=writes,
            usd=_usd(reads, writes, (model,)),
        )


def _usd(reads: Range, writes: Range, models: Sequence[ModelSection]) -> Range:
    """Money at the cheapest, the mean and the dearest of the models."""

    def at(name: str) -> Range:
        prices = [getattr(m, name) / 1e6 for m in models]
        return Range(low=min(prices), expected=sum(prices) / len(prices), high=max(prices))

    return reads * at("usd_per_million_input") + writes * at("usd_per_million_output")
