"""The course of one turn, from the baseline to the verdict, once everything is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from upturn.errors import BudgetExceededError, OutageError, UpturnError
from upturn.pipeline import closing
from upturn.pipeline.allowance import Allowance, reserved_rows, step_rows
from upturn.pipeline.audit.deciding import record_decision
from upturn.pipeline.audit.mirroring import mirror_head
from upturn.pipeline.dev import DevParts, split_dev
from upturn.pipeline.explore import Listeners
from upturn.pipeline.exploring import explore
from upturn.pipeline.gating import Gating
from upturn.pipeline.judge import Judgement, Running, gate_rules, judge
from upturn.pipeline.opening import Engines
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.question import Question
from upturn.pipeline.quote import open_quote
from upturn.pipeline.recording import Recorder
from upturn.pipeline.releases.release import Releases
from upturn.pipeline.result import TurnResult
from upturn.pipeline.telling import Found, Teller
from upturn.pipeline.weights import facts_of
from upturn.records import Evaluation
from upturn.registry import RegisteredVersion
from upturn.report import TurnReport, render_decision
from upturn.search import Catalogue, Finalist, SearchResult, Trial
from upturn.tracking import Tracker, TurnInfo, TurnStatus


@dataclass(kw_only=True)
class Course:
    """Runs the steps of one turn; ``turn.run_turn`` opens all that it works with."""

    parts: Parts
    question: Question
    releases: Releases
    tracker: Tracker
    engines: Engines
    champion: RegisteredVersion
    started: datetime
    clock: Callable[[], datetime]
    progress: Progress
    _found: Found = field(default_factory=Found)

    def run(self) -> tuple[TurnResult, bool]:
        """Returns the result, and whether it is final: an outage or a cap leaves it to be resumed.

        Raises:
            UpturnError: what the user must mend; the tracker's turn is closed as failed.
        """
        mirror_head(self.releases.registry, self.releases.ledger, self.parts.config.name)
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
        return split_dev(self.question.snapshot.dev, config.search.fresh, config.seed)

    @cached_property
    def _teller(self) -> Teller:
        return Teller(
            parts=self.parts,
            snapshot=self.question.snapshot,
            champion=self.champion,
            turn=self.question.turn,
            model_id=self.engines.connection.model_id,
            weights=self.question.weights,
        )

    @cached_property
    def _recorder(self) -> Recorder:
        return Recorder(self.tracker)

    @cached_property
    def _allowance(self) -> Allowance:
        # Every row costs a call for each predictor.
        per_row, config = len(self.parts.program.predictors), self.parts.config
        reserved = reserved_rows(config, self._dev, self.question.snapshot.holdout.rows)
        return Allowance(
            meter=self.engines.meter,
            caps=self.parts.caps,
            reserved_calls=per_row * reserved
            + config.gate.challengers * sum(t.calls for t in self.question.tasks)
            + sum(s.calls(config.gate.challengers) for s in self.question.suites)
            + self.question.watch.totals.calls,  # paid by a meter of their own
            trial_calls=per_row * step_rows(config, self._dev),
        )

    def _explore(self) -> None:
        self._allowance.check()
        self._found.quote = open_quote(
            self.parts,
            self.question.snapshot,
            start=self.champion.candidate,
            runner=self.engines.runner,
            searched=self._dev.searched,
            folder=self.parts.workspace.turn(self.question.turn),
        )
        with self.progress.bar("search", self.parts.config.search.evaluations) as advance:
            listeners = Listeners(
                may_go_on=self._allowance.refusal,
                on_trial=self._on_trial,
                on_rows=advance,
            )
            self._found.search = explore(
                self.parts,
                self.question.snapshot.train,
                self._dev,
                start=self.champion.candidate,
                engines=self.engines,
                turn=self.question.turn,
                progress=self.progress,
                listeners=listeners,
                weights=self.question.weights,
            )
        self._recorder.finalists(self._found.search, self._dev.fresh)
        if self._found.search.stopped:
            self.progress.step("capped", self._found.search.stopped)
        for f in self._found.search.finalists:
            scores = f"dev {_shown(f.searched)}, fresh rows {_shown(f.fresh)}"
            self.progress.step("finalist", f"{f.name}: {scores}")
        self._tell_reported()

    def _on_trial(self, trial: Trial, catalogue: Catalogue | None) -> None:
        if catalogue is not None:
            self._found.origins[trial.number] = catalogue.origins(trial.candidate.choices)
            self._found.causes.note(trial.candidate, catalogue)
        self._recorder.trial(trial, catalogue)

    def _tell_reported(self) -> None:
        search = self._found.search
        if search is None or search.reported.score is None:
            return
        found = search.reported
        whose = "" if search.leads else "what runs now, since no finalist is surely better: "
        self.progress.step(
            "reported",
            f"{whose}{found.score:.3f} [{found.low:.3f}, {found.high:.3f}] on {found.rows} fresh "
            f"rows; {search.evaluations} evaluations",
        )

    def _gate(self) -> None:
        found, search = self._found, self._found.search
        assert search is not None, "the gate comes after the search"
        if not search.finalists:
            found.stopped = search.stopped or "no candidate differs from what runs now"
            return
        entered = search.finalists[: self.parts.config.gate.challengers]
        found.challenger = entered[0]
        found.judgement = self._judge(entered)
        found.challenger = entered[found.judgement.chosen]
        self._register(found.judgement, found.challenger, search)

    def _judge(self, entered: Sequence[Finalist]) -> Judgement:
        config = self.parts.config
        gating = Gating(
            parts=self.parts,
            snapshot=self.question.snapshot,
            champion=self.champion.candidate,
            engines=self.engines,
            weights=self.question.weights,
            tasks=self.question.tasks,
            suites=self.question.suites,
            notices=self.question.watch.notices,
            progress=self.progress,
        )
        runs = "both run now" if len(entered) == 1 else f"{1 + len(entered)} candidates run now"
        if config.gate.design != "fixed":
            runs += ", in stages"
        return judge(
            self.champion.candidate,
            [f.candidate for f in entered],
            snapshot=self.question.snapshot,
            evaluator=self.engines.runner,
            rules=gate_rules(config.gate),
            ledger=self.releases.ledger,
            turn=self.question.turn,
            program=config.name,
            seed=config.seed,
            told=[gating.told(f.candidate) for f in entered],
            running=Running(replicates=config.gate.replicates, exact=config.gate.scores == "exact"),
            on_open=lambda n: self.progress.step("gate", f"holdout opened: {n} rows, {runs}"),
        )

    def _register(self, judgement: Judgement, challenger: Finalist, search: SearchResult) -> None:
        found, config = self._found, self.parts.config
        adapter = self.question.weights.of(challenger.candidate)
        found.version = closing.register(
            judgement,
            challenger,
            parts=self.parts,
            releases=self.releases,
            recorder=self._recorder,
            search=search,
            decision=render_decision(self._report()),
            facts={
                "program": config.program,
                "program_file": self.parts.program.fingerprint,
                "model": self.engines.connection.model_id,
                "snapshot": self.question.snapshot.id,
                "champion": self.champion.version,
                **facts_of(adapter),
            },
            origins=found.causes.file(
                challenger.candidate,
                snapshot=self.question.snapshot,
                champion=self.champion,
                optimizer=config.optimizer,
            ),
            adapter=adapter,
        )

    def _close(self) -> tuple[TurnResult, bool]:
        report = self._report()
        path = closing.write_report(
            report,
            parts=self.parts,
            tracker=self.tracker,
            judgement=self._found.judgement,
            search=self._found.shown(self.parts.config.name),
        )
        judged, holdout = self._found.judgement, self.question.snapshot.holdout.sha256
        looks = judged.report.look if judged else self.releases.ledger.exposure(holdout).looks
        result = replace(
            self._teller.result(
                self._found, report, self.engines.meter.totals(), looks=looks, path=path
            ),
            links=self.tracker.links(),
        )
        final = self._found.is_final
        if final:
            record_decision(
                self.releases,
                result,
                self._found.judgement,
                workspace=self.parts.workspace,
                config=self.parts.config.to_yaml(),
                inputs={
                    "snapshot": self.question.snapshot.id,
                    "holdout": self.question.snapshot.holdout.sha256,
                    "champion": self.champion.candidate.id,
                    "model": self.engines.connection.model_id,
                },
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
        # A wall clock may be set back.
        seconds = max(0.0, (self.clock() - self.started).total_seconds())
        return self._teller.report(self._found, self.engines.meter.totals(), seconds)

    def _info(self) -> TurnInfo:
        config = self.parts.config
        return TurnInfo(
            turn=self.question.turn,
            program=config.name,
            config_yaml=config.to_yaml(),
            snapshot_id=self.question.snapshot.id,
            study=self.question.turn,
            model_id=self.engines.connection.model_id,
            seed=config.seed,
        )


def _shown(evaluation: Evaluation) -> str:
    return "unknown" if evaluation.score is None else f"{evaluation.score:.3f}"
