"""The end of a job: adapter, dev before and after, result, and the tracker's last word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from upturn.datasets import Snapshot
from upturn.errors import UpturnError
from upturn.finetune.fingerprint import Fingerprint
from upturn.finetune.folder import JobFolder
from upturn.finetune.runner import Training
from upturn.pipeline.training.card import make_card
from upturn.pipeline.training.plan import Plan
from upturn.pipeline.training.result import TrainResult, pair_accuracy, worker_metric
from upturn.pipeline.training.scores import Connect, DevScores, measure
from upturn.pipeline.training.telling import Curves, TrainingProgress
from upturn.records import Json
from upturn.tracking import TurnStatus
from upturn.weights.adapter import CARD, Adapter, load, store
from upturn.weights.base import ties_embeddings


@dataclass(frozen=True, kw_only=True)
class Finisher:
    """Ends one job.

    Attributes:
        plan, snapshot, mark, folder: the job.
        connect: opens the base model.
        curves: the tracker, or what is left of it.
        progress: told what happens.
    """

    plan: Plan
    snapshot: Snapshot
    mark: Fingerprint
    folder: JobFolder
    connect: Connect
    curves: Curves
    progress: TrainingProgress

    def done(self, training: Training) -> TrainResult:
        """Stores the adapter, measures dev, writes the result, closes the run."""
        adapter, scores = self._measured(training)
        self.progress.step("adapter", f"{adapter.id} in {adapter.folder}")
        result = self._result(training, adapter, scores)
        self.folder.write_result(result.to_json())
        self._close(result, adapter)
        return result

    def failed(self, error: BaseException, status: TurnStatus) -> None:
        """Says in the tracker how it ended."""
        text = str(error) if isinstance(error, UpturnError) else type(error).__name__
        self.curves.flush()
        self.curves.ask(lambda t: t.finish_job(f"{status}: {text}", status))

    def _measured(self, training: Training) -> tuple[Adapter, DevScores]:
        """Stores the adapter under a card that says what it does on dev.

        It is measured from a place of its own first: a card is written once, with its weights.
        """
        card = make_card(self.plan, self.snapshot, training, self.mark)
        with TemporaryDirectory(prefix=".measured-", dir=self.folder.path) as place:
            scores = self._scores(training, self._store(Path(place), card))
        metrics = {**card["metrics"], "dev": scores.to_json()}
        whole = {**card, "metrics": {**metrics, "dev_worker": worker_metric(training.story)}}
        return self._store(self.plan.task.parts.workspace.adapters, whole), scores

    def _store(self, root: Path, card: dict[str, Json]) -> Adapter:
        folder, base_id = self.plan.task.base
        return store(
            self.folder.final, root, base_id=base_id, card=card, tied=ties_embeddings(folder)
        )

    def _scores(self, training: Training, adapter: Adapter) -> DevScores:
        """Measures on the serving engine; where that fails the worker's numbers stand, and why."""
        if not self.plan.dev:
            return DevScores(before=None, after=None, rows=0)
        try:
            found = measure(
                self.plan.task.parts,
                self.connect,
                self.plan.candidate,
                adapter,
                self.plan.dev,
                start=self._start(training),
            )
        except UpturnError as error:
            self.progress.step("dev", f"the serving engine could not measure it: {error.what}")
            told = worker_metric(training.story)
            return DevScores(
                before=told["before"], after=told["after"], rows=told["rows"], engine="worker"
            )
        self.progress.step("dev", _line(found))
        return found

    def _start(self, training: Training) -> Adapter | None:
        """Returns the stored adapter that the job started from; a branch's start is none."""
        start = training.order.spec.start
        return load(start) if start and (Path(start) / CARD).is_file() else None

    def _result(self, training: Training, adapter: Adapter, scores: DevScores) -> TrainResult:
        spec, story = training.order.spec, training.story
        done = story.done or {}
        tracking: dict[str, Json] = {"run": self.curves.run_id}
        if self.curves.missing:
            tracking = {"missing": self.curves.missing}
        return TrainResult(
            job=spec.name,
            kind=spec.kind,
            folder=str(self.folder.path),
            adapter=str(adapter.folder),
            adapter_id=adapter.id,
            base=adapter.base_id,
            metric=scores.to_json(),
            worker_metric=worker_metric(story),
            pair_accuracy=pair_accuracy(story),
            length=done.get("length"),
            rows=len(self.plan.encoded.rows),
            snapshot=self.snapshot.id,
            steps=story.step,
            best_step=int(done.get("best_step") or 0),
            stopped=str((story.stop or {}).get("reason") or ""),
            seconds=training.seconds,
            peak_mb=story.peak_mb,
            tokens=story.tokens,
            resumed=training.resumed,
            warnings=tuple(story.warnings),
            tracking=tracking,
            fingerprint=self.mark.hashes,
        )

    def _close(self, result: TrainResult, adapter: Adapter) -> None:
        metrics = {
            "dev/score_before": result.metric["before"],
            "dev/score": result.metric["after"],
            "dev/rows": result.metric["rows"],
            "dev/pair_accuracy": result.pair_accuracy,
            "system/peak_mb": result.peak_mb,
            "train/seconds": result.seconds,
        }
        tags = {"adapter": adapter.id, "stopped": result.stopped or "no"}
        note = f"Adapter `{adapter.id}` of `{result.base}`: dev {_shown(result.metric)}."
        self.curves.flush()
        self.curves.ask(lambda t: t.log_files({CARD: (adapter.folder / CARD).read_bytes()}))
        self.curves.ask(
            lambda t: t.finish_job(note, TurnStatus.FINISHED, metrics=metrics, tags=tags)
        )


def _line(scores: DevScores) -> str:
    return f"{_number(scores.before)} before, {_number(scores.after)} after ({scores.counts})"


def _shown(metric: Json) -> str:
    before, after = _number(metric["before"]), _number(metric["after"])
    return f"{before} before, {after} after, {metric['rows']} rows"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
