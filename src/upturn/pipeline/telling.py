"""What a turn found, and how it is told: the report for its readers, the result for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from upturn.datasets import Snapshot
from upturn.lm import Totals
from upturn.pipeline.closing import next_steps
from upturn.pipeline.judge import Judgement
from upturn.pipeline.lineage.origins import Causes
from upturn.pipeline.parts import Parts
from upturn.pipeline.quote import spent, spent_json
from upturn.pipeline.result import TurnResult
from upturn.pipeline.showing import search_report
from upturn.pipeline.weights import Weights, about
from upturn.records import FailureKind, Verdict
from upturn.registry import RegisteredVersion
from upturn.report import TurnCost, TurnReport, summary_text
from upturn.report.quote import Quote
from upturn.report.search import SearchReport
from upturn.search import Finalist, SearchResult


@dataclass(kw_only=True)
class Found:
    """What a turn found so far; fills as the turn goes on, so that every ending can be told.

    Attributes:
        search: the study's result, once it ended.
        challenger: the finalist that goes before the gate.
        judgement: the gate's decision with its rows.
        version: the registered version, or "".
        stopped: why the turn ended before the gate, or "".
        quote: what it was expected to cost.
        origins: trial number -> choice -> where it came from.
        causes: the proposals that the trials were made of, with their rows and events.
    """

    search: SearchResult | None = None
    challenger: Finalist | None = None
    judgement: Judgement | None = None
    version: str = ""
    stopped: str = ""
    quote: Quote | None = None
    origins: dict[int, Mapping[str, str]] = field(default_factory=dict)
    causes: Causes = field(default_factory=Causes)

    def shown(self, program: str) -> SearchReport | None:
        """The search as its report shows it."""
        if self.search is None:
            return None
        return search_report(
            self.search,
            program=program,
            origins=lambda trial: self.origins.get(trial.number, {}),
            challenger=self.challenger.candidate.id if self.challenger else "",
        )

    @property
    def nothing_to_judge(self) -> bool:
        """The whole search ran, and there is nothing to put before the gate."""
        search = self.search
        return search is not None and not search.finalists and not search.stopped

    @property
    def is_final(self) -> bool:
        """Whether the answer stands: rows lost to the world make one that is asked for again."""
        if self.judgement is None:
            return self.nothing_to_judge
        world = (FailureKind.OUTAGE, FailureKind.BUDGET)
        return not any(side.failures(*world) for side in self.judgement.sides)


@dataclass(frozen=True, kw_only=True)
class Teller:
    """Tells one turn; made when everything about it is known but what it finds."""

    parts: Parts
    snapshot: Snapshot
    champion: RegisteredVersion
    turn: str
    model_id: str
    weights: Weights = field(default_factory=Weights)

    def report(self, found: Found, totals: Totals, seconds: float) -> TurnReport:
        """Returns the turn for its readers."""
        gate = found.judgement.released if found.judgement else None
        trials = found.search.trials if found.search else ()
        # The alias moves last, when the result is on disk; the report speaks of how it will be.
        promoted = bool(found.version) and self.parts.config.promotion == "auto"
        return TurnReport(
            program=self.parts.config.name,
            turn=self.turn,
            model_id=self.model_id,
            snapshot_id=self.snapshot.id,
            gate=gate,
            champion=self.champion.candidate,
            challenger=found.challenger.candidate if found.challenger else None,
            version=found.version,
            promoted=promoted,
            trials=len(trials),
            pruned=sum(not t.finished for t in trials),
            finalists=len(found.search.finalists) if found.search else 0,
            train_rows=len(self.snapshot.train),
            dev_rows=len(self.snapshot.dev),
            cost=TurnCost(
                calls=totals.calls + totals.cached_calls,
                cached_calls=totals.cached_calls,
                cost_usd=totals.usd,
                seconds=seconds,
            ),
            next_steps=tuple(next_steps(self.parts, gate, found.version, promoted=promoted)),
            stopped=found.stopped,
            spent=spent(found.quote, totals, seconds) if found.quote else (),
            weights=self._about_weights(found),
        )

    def _about_weights(self, found: Found) -> tuple[str, ...]:
        """Champion's and challenger's adapters, and what is not known of them."""
        sides = {"champion": self.champion.candidate}
        if found.challenger is not None:
            sides["challenger"] = found.challenger.candidate
        shown = [f"{n}: {about(a)}" for n, c in sides.items() if (a := self.weights.of(c))]
        return (*shown, *self.weights.warnings) if shown else self.weights.warnings

    def result(
        self, found: Found, report: TurnReport, totals: Totals, *, looks: int, path: str
    ) -> TurnResult:
        """Returns the turn for machines.

        Args:
            found: what was found.
            report: the same for readers.
            totals: what this process spent.
            looks: looks at the holdout so far.
            path: where the HTML report is.
        """
        gate = report.gate
        without_gate = Verdict.HOLD if found.nothing_to_judge else Verdict.INCONCLUSIVE
        return TurnResult(
            turn=self.turn,
            program=report.program,
            verdict=str(gate.verdict if gate else without_gate),
            effect=gate.effect if gate else None,
            low=gate.low if gate else None,
            high=gate.high if gate else None,
            n=gate.n if gate else 0,
            looks=looks,
            calls=totals.calls,
            cached_calls=totals.cached_calls,
            usd=totals.usd,
            seconds=report.cost.seconds,
            version=report.version or self.champion.version,
            promoted=report.promoted,
            trials=report.trials,
            baseline_score=gate.baseline_score if gate else None,
            challenger_score=gate.challenger_score if gate else None,
            dev_score=found.challenger.fresh.score if found.challenger else None,
            reasons=gate.reasons if gate else (report.stopped,),
            snapshot=self.snapshot.id,
            report=path,
            summary=summary_text(report),
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            quote=spent_json(report.spent),
        )
