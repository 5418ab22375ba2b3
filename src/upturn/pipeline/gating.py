"""What the gate is told besides the holdout's rows: found before the holdout is opened.

An outage in here costs no look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upturn.datasets import Snapshot
from upturn.gate import GuardResult, Told, judge_others
from upturn.lm import Meter
from upturn.pipeline.elsewhere import Task, run_tasks
from upturn.pipeline.judge import gate_rules
from upturn.pipeline.opening import Engines
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.rate import rows_per_day
from upturn.pipeline.suites import Standing, judge_suites
from upturn.pipeline.weights import Weights
from upturn.records import Candidate
from upturn.weights.adapter import Adapter


@dataclass(frozen=True, kw_only=True)
class Gating:
    """Judges a challenger on everything but the holdout.

    Attributes:
        parts: the config's objects.
        snapshot: the rows, the holdout sealed.
        champion: what runs now.
        engines: what candidates run on.
        weights: the adapters that may be chosen.
        tasks: other tasks that an adapter must not unlearn.
        suites: rows that must be passed whatever the score is.
        notices: what must be read before the verdict.
        progress: told what happens.
    """

    parts: Parts
    snapshot: Snapshot
    champion: Candidate
    engines: Engines
    weights: Weights
    tasks: Sequence[Task]
    suites: Sequence[Standing]
    notices: tuple[str, ...]
    progress: Progress

    def told(self, challenger: Candidate) -> Told:
        """Returns the guards that are judged on other rows, and what must be read first."""
        adapter, section = self.weights.of(challenger), self.parts.config.gate.judge
        return Told(
            guards=(
                *(self._forgetting(adapter) if adapter else ()),
                *self._suites(challenger),
            ),
            notices=self.notices,
            rows_per_day=rows_per_day(self.snapshot),
            human_part=section.human if section else "",
        )

    def _suites(self, challenger: Candidate) -> tuple[GuardResult, ...]:
        return judge_suites(
            self.suites,
            self.champion,
            challenger,
            parts=self.parts,
            engines=self.engines,
            adapters=self.weights.adapters,
            tell=lambda sentence: self.progress.step("suite", sentence),
        )

    def _forgetting(self, adapter: Adapter) -> tuple[GuardResult, ...]:
        meter, config = self.engines.meter, self.parts.config
        assert isinstance(meter, Meter), "a config with weights and a cluster is refused"
        others = run_tasks(
            self.tasks,
            adapter,
            connection=self.engines.connection,
            meter=meter,
            concurrency=config.model.concurrency,
            tell=lambda sentence: self.progress.step("forgetting", sentence),
        )
        return judge_others(others, gate_rules(config.gate).guards, seed=config.seed)
