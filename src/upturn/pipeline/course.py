"""The course of one turn, from the baseline to the verdict, once everything is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
from upturn.pipeline.judge import gate_rules, judge
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.recording import Recorder
from upturn.pipeline.release import Releases
from upturn.pipeline.result import TurnResult
from upturn.pipeline.telling import Found, Teller
from upturn.records import Evaluation, Verdict
from upturn.registry import RegisteredVersion
from upturn.report import TurnReport, render_decision
from upturn.search import Catalogue, Trial
from upturn.tracking import Tracker, TurnInfo, TurnStatus


@dataclass(kw_only=True)
class Course:
    """Runs the steps of one turn; ``turn.run_turn`` opens all that it works with."""

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
    _found: Found = field(default_factory=Found)

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
            self._found.stopped = error.what
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
    def _teller(self) -> Teller:
        return Teller(
            parts=self.parts,
            snapshot=self.snapshot,
            champion=self.champion,
            turn=self.turn,
            model_id=self.connection.model_id,
        )

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
        self.progress.step("baseline", f"dev {_shown(baseline)} ({baseline.denominator})")
        catalogue = exploration.catalogue(baseline)
        describe(catalogue, self.progress)
        with self.progress.bar("search", config.search.n_trials) as advance:
            self._found.search = exploration.search(
                catalogue,
                may_go_on=self._allowance.refusal,
                on_trial=lambda trial: self._on_trial(trial, catalogue, advance),
                journal=self.parts.workspace.turn(self.turn) / "study.journal",
            )
        self._recorder.finalists(self._found.search, self._dev.fresh)
        if self._found.search.stopped:
            self.progress.step("capped", self._found.search.stopped)
        for f in self._found.search.finalists:
            scores = f"dev {_shown(f.searched)}, fresh rows {_shown(f.fresh)}"
            self.progress.step("finalist", f"{f.name}: {scores}")

    def _on_trial(self, trial: Trial, catalogue: Catalogue, advance: Callable[[int], None]) -> None:
        self._recorder.trial(trial, catalogue)
        advance(1)

    def _gate(self) -> None:
        found, search = self._found, self._found.search
        assert search is not None, "the gate comes after the search"
        if not search.finalists:
            found.stopped = search.stopped or "no candidate differs from what runs now"
            return
        found.challenger = search.finalists[0]
        config = self.parts.config
        found.judgement = judge(
            self.champion.candidate,
            found.challenger.candidate,
            snapshot=self.snapshot,
            evaluator=self.evaluator,
            rules=gate_rules(config.gate),
            ledger=self.releases.ledger,
            turn=self.turn,
            program=config.name,
            seed=config.seed,
            on_open=lambda n: self.progress.step("gate", f"holdout opened: {n} rows, both run now"),
        )
        found.version = closing.register(
            found.judgement,
            found.challenger,
            parts=self.parts,
            releases=self.releases,
            recorder=self._recorder,
            search=search,
            decision=render_decision(self._report()),
            facts={
                "program": config.program,
                "model": self.connection.model_id,
                "snapshot": self.snapshot.id,
            },
        )

    def _close(self) -> tuple[TurnResult, bool]:
        report = self._report()
        figure = (
            closing.draw(self._found.search, self.parts.config.name) if self._found.search else b""
        )
        path = closing.write_report(
            report,
            parts=self.parts,
            tracker=self.tracker,
            judgement=self._found.judgement,
            figure=figure,
        )
        looks = len(self.releases.ledger.looks(self.snapshot.holdout.sha256))
        result = replace(
            self._teller.result(self._found, report, self.meter.totals(), looks=looks, path=path),
            links=self.tracker.links(),
        )
        final = self._found.is_final
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

    def _report(self) -> TurnReport:
        seconds = (self.clock() - self.started).total_seconds()
        return self._teller.report(self._found, self.meter.totals(), seconds)

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


def _shown(evaluation: Evaluation) -> str:
    return "unknown" if evaluation.score is None else f"{evaluation.score:.3f}"
