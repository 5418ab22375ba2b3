"""The course of one turn, from the baseline to the verdict, once everything is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from upturn.datasets import Snapshot
from upturn.errors import BudgetExceededError, OutageError, UpturnError
from upturn.evaluate import Evaluator
from upturn.lm import Meter
from upturn.lm.connect import Connection
from upturn.pipeline import closing
from upturn.pipeline.allowance import Allowance
from upturn.pipeline.explore import DevParts, Exploration, describe, split_dev
from upturn.pipeline.judge import Judgement, gate_rules, judge
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.recording import Recorder
from upturn.pipeline.release import Releases
from upturn.pipeline.result import TurnResult
from upturn.records import FailureKind, Verdict
from upturn.registry import RegisteredVersion
from upturn.report import TurnCost, TurnReport, render_decision, summary_text
from upturn.search import Catalogue, Finalist, SearchResult, Trial
from upturn.tracking import Tracker, TurnInfo, TurnStatus


@dataclass(kw_only=True)
class Course:
    """Runs the steps of one turn and keeps what they found, so that every ending can be told.

    Attributes are those of ``turn.run_turn``; the private ones fill as the turn goes on.
    """

    parts: Parts
    snapshot: Snapshot
    releases: Releases
    tracker: Tracker
    connection: Connection
    evaluator: Evaluator
    meter: Meter
    champion: RegisteredVersion
    turn: str
    started: datetime
    clock: Callable[[], datetime]
    progress: Progress
    _search: SearchResult | None = None
    _judgement: Judgement | None = None
    _challenger: Finalist | None = None
    _version: str = ""
    _stopped: str = ""

    def run(self) -> tuple[TurnResult, bool]:
        """Returns the result, and whether it is final: an outage or a cap leaves it to be resumed.

        Raises:
            UpturnError: what the user must mend; the tracker's turn is closed as failed.
        """
        self.tracker.start_turn(self._info())
        try:
            self._explore()
            self._gate()
        except (OutageError, BudgetExceededError) as error:
            self._stopped = error.what
            self.progress.step("stopped", error.what)
        except KeyboardInterrupt:
            self.tracker.finish_turn("Interrupted; run again to go on.", TurnStatus.KILLED)
            raise
        except UpturnError as error:
            self.tracker.finish_turn(f"Stopped by an error: {error.what}", TurnStatus.FAILED)
            raise
        return self._close()

    @cached_property
    def _dev(self) -> DevParts:
        config = self.parts.config
        return split_dev(self.snapshot.dev, config.search.fresh, config.seed)

    @cached_property
    def _recorder(self) -> Recorder:
        return Recorder(self.tracker)

    @cached_property
    def _allowance(self) -> Allowance:
        # Every row costs a call for each predictor; finalists also finish the rows of the race.
        per_row = len(self.parts.program.predictors)
        finalists = (self.parts.config.search.finalists + 1) * len(self.snapshot.dev)
        return Allowance(
            meter=self.meter,
            caps=self.parts.caps,
            reserved_calls=per_row * (finalists + 2 * self.snapshot.holdout.rows),
            trial_calls=per_row * len(self._dev.searched),
        )

    def _explore(self) -> None:
        self._allowance.check()
        config = self.parts.config
        exploration = Exploration(
            program=self.parts.program,
            start=self.champion.candidate,
            train=self.snapshot.train,
            dev=self._dev,
            evaluator=self.evaluator,
            section=config.search,
            seed=config.seed,
        )
        baseline = exploration.baseline()
        score = f"{baseline.score:.3f}" if baseline.score is not None else "none"
        self.progress.step("baseline", f"dev {score} ({baseline.denominator})")
        catalogue = exploration.catalogue(baseline)
        describe(catalogue, self.progress)
        with self.progress.bar("search", config.search.n_trials) as advance:
            self._search = exploration.search(
                catalogue,
                may_go_on=self._allowance.refusal,
                on_trial=lambda trial: self._on_trial(trial, catalogue, advance),
                journal=self.parts.workspace.turn(self.turn) / "study.journal",
            )
        self._recorder.finalists(self._search, self._dev.fresh)
        if self._search.stopped:
            self.progress.step("capped", self._search.stopped)
        for f in self._search.finalists:
            self.progress.step(
                "finalist", f"{f.name}: dev {f.searched.score:.3f}, fresh rows {f.fresh.score:.3f}"
            )

    def _on_trial(self, trial: Trial, catalogue: Catalogue, advance: Callable[[int], None]) -> None:
        self._recorder.trial(trial, catalogue)
        advance(1)

    def _gate(self) -> None:
        assert self._search is not None, "the gate comes after the search"
        if not self._search.finalists:
            self._stopped = self._search.stopped or "no candidate differs from what runs now"
            return
        self._challenger = self._search.finalists[0]
        config = self.parts.config
        self._judgement = judge(
            self.champion.candidate,
            self._challenger.candidate,
            snapshot=self.snapshot,
            evaluator=self.evaluator,
            rules=gate_rules(config.gate),
            ledger=self.releases.ledger,
            turn=self.turn,
            program=config.name,
            seed=config.seed,
            on_open=lambda n: self.progress.step("gate", f"holdout opened: {n} rows, both run now"),
        )
        self._version = closing.register(
            self._judgement,
            self._challenger,
            parts=self.parts,
            releases=self.releases,
            recorder=self._recorder,
            search=self._search,
            decision=render_decision(self._report()),
            facts={"model": self.connection.model_id, "snapshot": self.snapshot.id},
        )

    def _close(self) -> tuple[TurnResult, bool]:
        report = self._report()
        figure = closing.draw(self._search, self.parts.config.name) if self._search else b""
        path = closing.write_report(
            report,
            parts=self.parts,
            tracker=self.tracker,
            judgement=self._judgement,
            figure=figure,
        )
        result = self._result(report, path)
        final = self._is_final()
        if final:
            self.releases.ledger.append_decision(
                turn=self.turn,
                program=self.parts.config.name,
                verdict=Verdict(result.verdict),
                report={k: getattr(result, k) for k in ("effect", "low", "high", "n", "looks")},
            )
        self.tracker.finish_turn(
            render_decision(report),
            TurnStatus.FINISHED if final else TurnStatus.FAILED,
            verdict=result.verdict,
            metrics={
                "holdout/effect": result.effect,
                "holdout/low": result.low,
                "holdout/high": result.high,
                "turn/calls": float(result.calls),
                "turn/seconds": result.seconds,
            },
        )
        return result, final

    @property
    def _promotes(self) -> bool:
        """Whether this turn moves the alias; it does so last, when its result is on disk."""
        return bool(self._version) and self.parts.config.promotion == "auto"

    @property
    def _nothing_found(self) -> bool:
        """The whole search ran, and there is nothing to put before the gate."""
        search = self._search
        return search is not None and not search.finalists and not search.stopped

    def _is_final(self) -> bool:
        """Rows lost to the world make a verdict that may be asked for again."""
        if self._judgement is None:
            return self._nothing_found
        world = (FailureKind.OUTAGE, FailureKind.BUDGET)
        sides = (self._judgement.baseline, self._judgement.challenger)
        return not any(side.failures(*world) for side in sides)

    def _info(self) -> TurnInfo:
        config = self.parts.config
        return TurnInfo(
            turn=self.turn,
            program=config.name,
            config_yaml=config.to_yaml(),
            snapshot_id=self.snapshot.id,
            study=self.turn,
            model_id=self.connection.model_id,
            seed=config.seed,
        )

    def _report(self) -> TurnReport:
        totals, gate = self.meter.totals(), self._judgement.report if self._judgement else None
        trials = [t for t in self._search.trials if not t.repeated] if self._search else []
        verdict = str(gate.verdict) if gate else ""
        return TurnReport(
            program=self.parts.config.name,
            turn=self.turn,
            model_id=self.connection.model_id,
            snapshot_id=self.snapshot.id,
            gate=gate,
            champion=self.champion.candidate,
            challenger=self._challenger.candidate if self._challenger else None,
            version=self._version,
            promoted=self._promotes,
            trials=len(trials),
            pruned=sum(not t.finished for t in trials),
            finalists=len(self._search.finalists) if self._search else 0,
            train_rows=len(self.snapshot.train),
            dev_rows=len(self.snapshot.dev),
            cost=TurnCost(
                calls=totals.calls + totals.cached_calls,
                cached_calls=totals.cached_calls,
                cost_usd=totals.usd,
                seconds=(self.clock() - self.started).total_seconds(),
            ),
            next_steps=tuple(
                closing.next_steps(
                    self.parts,
                    verdict,
                    self._version,
                    self._promotes,
                    gate.rows_needed if gate else None,
                )
            ),
            stopped=self._stopped,
        )

    def _result(self, report: TurnReport, path: str) -> TurnResult:
        gate, totals = report.gate, self.meter.totals()
        without_gate = Verdict.HOLD if self._nothing_found else Verdict.INCONCLUSIVE
        return TurnResult(
            turn=self.turn,
            program=report.program,
            verdict=str(gate.verdict if gate else without_gate),
            effect=gate.effect if gate else None,
            low=gate.low if gate else None,
            high=gate.high if gate else None,
            n=gate.n if gate else 0,
            looks=gate.look
            if gate
            else len(self.releases.ledger.looks(self.snapshot.holdout.sha256)),
            calls=totals.calls,
            cached_calls=totals.cached_calls,
            usd=totals.usd,
            seconds=report.cost.seconds,
            version=report.version or self.champion.version,
            promoted=report.promoted,
            trials=report.trials,
            baseline_score=gate.baseline_score if gate else None,
            challenger_score=gate.challenger_score if gate else None,
            dev_score=self._challenger.fresh.score if self._challenger else None,
            reasons=gate.reasons if gate else (report.stopped,),
            snapshot=self.snapshot.id,
            report=path,
            links=self.tracker.links(),
            summary=summary_text(report),
        )
