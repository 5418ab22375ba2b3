"""What a turn tells its tracker: one run a candidate, objective first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from upturn.records import Evaluation, Example
from upturn.search import Catalogue, Finalist, SearchResult, Trial
from upturn.tracking import RunKind, RunRecord, RunState, Tracker


def metrics_of(split: str, evaluation: Evaluation) -> dict[str, float | None]:
    """Metric name -> value, the objective first, then named parts, counts and cost."""
    rows = evaluation.rows
    parts = sorted({name for r in rows for name in r.parts})
    latencies = sorted(r.latency_s for r in rows)
    return {
        f"{split}/score": evaluation.score,
        **{f"{split}/{name}": evaluation.part(name) for name in parts},
        f"{split}/rows": float(len(rows)),
        f"{split}/failed": float(evaluation.failures()),
        f"{split}/latency_p50_s": latencies[len(latencies) // 2] if latencies else None,
        f"{split}/usd_per_row": sum(r.cost_usd for r in rows) / len(rows) if rows else None,
    }


class Recorder:
    """Logs the steps of one turn.

    Args:
        tracker: where to.
        inputs: example id -> example, for the tables that people read.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def trial(self, trial: Trial, catalogue: Catalogue | None) -> None:
        """Logs a trial; without a catalogue nothing is known of its origins."""
        origins = _origins(catalogue, trial.candidate.choices) if catalogue else {}
        metrics = {"dev/estimate": trial.estimate, **metrics_of("dev", trial.evaluation)}
        self._tracker.log_candidate(
            RunRecord(
                kind=RunKind.TRIAL,
                name=trial.name,
                candidate=trial.candidate,
                metrics=metrics,
                params=trial.candidate.choices,
                tags={**origins, "reason": trial.reason},
                state=RunState.COMPLETE if trial.finished else RunState.PRUNED,
            )
        )

    def finalists(self, result: SearchResult, fresh: Sequence[Example]) -> None:
        """Logs finalists and baseline with their scores on fresh dev rows, and the curve."""
        self._finalist(RunKind.BASELINE, "baseline", result.start, fresh)
        for finalist in result.finalists:
            self._finalist(RunKind.FINALIST, finalist.name, finalist, fresh)
        best: list[float | None] = []
        for trial in result.trials:
            known = [v for v in (*best[-1:], trial.estimate) if v is not None]
            best.append(max(known) if known else None)
        self._tracker.log_series("dev/best", best)

    def _finalist(
        self, kind: RunKind, name: str, finalist: Finalist, fresh: Sequence[Example]
    ) -> None:
        searched = {f"searched/{k.split('/')[1]}": v for k, v in _few("dev", finalist.searched)}
        self._tracker.log_candidate(
            RunRecord(
                kind=kind,
                name=name,
                candidate=finalist.candidate,
                metrics={**metrics_of("dev", finalist.fresh), **searched},
                params=finalist.candidate.choices,
            ),
            finalist.fresh,
            fresh,
        )

    def holdout(
        self,
        kind: RunKind,
        name: str,
        evaluation: Evaluation,
        finalist: Finalist,
        examples: Sequence[Example],
    ) -> str:
        """Logs champion or challenger on the holdout. Returns the run's id."""
        return self._tracker.log_candidate(
            RunRecord(
                kind=kind,
                name=name,
                candidate=finalist.candidate,
                metrics={**metrics_of("holdout", evaluation), "dev/score": finalist.fresh.score},
                params=finalist.candidate.choices,
            ),
            evaluation,
            examples,
        )

    def withheld(self, kind: RunKind, name: str, evaluation: Evaluation, finalist: Finalist) -> str:
        """Logs a side whose scores are not told: what ran, without its rows. Returns the run's
        id."""
        return self._tracker.log_candidate(
            RunRecord(
                kind=kind,
                name=name,
                candidate=finalist.candidate,
                metrics={
                    "holdout/rows": float(len(evaluation.rows)),
                    "dev/score": finalist.fresh.score,
                },
                params=finalist.candidate.choices,
            )
        )


def _few(split: str, evaluation: Evaluation) -> list[tuple[str, float | None]]:
    return list(metrics_of(split, evaluation).items())[:1]


def _origins(catalogue: Catalogue, choices: Mapping[str, str]) -> dict[str, str]:
    return {f"origin.{name}": origin for name, origin in catalogue.origins(choices).items()}
