"""The arena of a running search: candidates answer rows on the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from upturn.evaluate import CandidateRunner
from upturn.records import Evaluation, Example, Row
from upturn.search.beliefs import Floats
from upturn.search.catalogue import Catalogue, Choices
from upturn.search.order import units_of

#: Rows before a candidate's cost or latency is believed.
_MIN_ROWS = 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a candidate may cost; None is no limit.

    Attributes:
        max_usd_per_row: mean US dollars a row.
        max_latency_s: mean seconds a row.
    """

    max_usd_per_row: float | None = None
    max_latency_s: float | None = None


class LiveArena:
    """Runs candidates of a catalogue on examples; keeps every row.

    Args:
        catalogue: spells the candidates.
        examples: rows in running order.
        runner: runs them.
        limits: what a candidate may cost.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        examples: Sequence[Example],
        runner: CandidateRunner,
        limits: Limits | None = None,
    ) -> None:
        self._catalogue, self._examples, self._runner = catalogue, examples, runner
        self._limits = limits or Limits()
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self.units = units_of(examples)

    def run(self, work: Sequence[tuple[Choices, range]]) -> list[Floats]:
        """Runs the rows asked for; see :class:`upturn.search.study.Arena`.

        Raises:
            OutageError, BudgetExceededError, MetricError: from the runner.
        """
        asked = [
            (self._catalogue.candidate(choices), [self._examples[i] for i in span])
            for choices, span in work
        ]
        out: list[Floats] = []
        for (candidate, _), found in zip(asked, self._runner.evaluate_all(asked), strict=True):
            self._rows[candidate.id].extend(found.rows)
            out.append(np.array([np.nan if r.value is None else r.value for r in found.rows]))
        return out

    def evaluation(self, choices: Choices) -> Evaluation:
        """All rows that a candidate has run here."""
        candidate = self._catalogue.candidate(choices)
        rows = {r.example_id: r for r in self._rows[candidate.id]}
        return Evaluation(candidate_id=candidate.id, rows=tuple(rows.values()))

    def refusal(self, choices: Choices) -> str:
        """Why the candidate costs too much, or ""."""
        if self._limits == Limits():
            return ""
        rows = self._rows[self._catalogue.candidate(choices).id]
        if len(rows) < _MIN_ROWS:
            return ""
        usd = sum(r.cost_usd for r in rows) / len(rows)
        latency_s = sum(r.latency_s for r in rows) / len(rows)
        limits = (
            ("costs", usd, self._limits.max_usd_per_row, "USD"),
            ("takes", latency_s, self._limits.max_latency_s, "s"),
        )
        for verb, value, cap, unit in limits:
            if cap is not None and value > cap:
                return f"{verb} {value:.3g} {unit} a row, the limit is {cap:g}"
        return ""
