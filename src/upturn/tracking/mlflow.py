"""The tracker that writes to MLflow.

One experiment per program. A turn is a run; each candidate is a run nested in it: the table shows
one line per night, which unfolds, and nights compare on one chart.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from upturn.records import Evaluation, Example
from upturn.tracking import links
from upturn.tracking.base import RunKind, RunRecord, RunState, TurnInfo, TurnStatus
from upturn.tracking.mlflow_client import storage_errors
from upturn.tracking.mlflow_store import MlflowStore
from upturn.tracking.redact import redact
from upturn.tracking.rows import rows_table

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

NOTE = "mlflow.note.content"
NOTE_LIMIT = 8_000
_POINTER = "\n\n… cut here; the whole text is in the artifact `decision.md`."
_PARAM_LIMIT = 6_000
_TURN = "turn"
_TABLE = [{"path": "rows.json", "type": "table"}]


def clean_name(name: str) -> str:
    """Returns a name that MLflow takes for a metric, a param or a tag."""
    return re.sub(r"[^A-Za-z0-9_\-. :/]", "_", name)[:250]


def note(text: str, limit: int = NOTE_LIMIT) -> str:
    """Returns markdown that fits a description; a longer one is cut and says so.

    MLflow shows tables without any space between their cells, so cells get one of their own.
    """
    lines = [s.replace(" |", "&nbsp; |") if s.startswith("| ") else s for s in text.split("\n")]
    padded = "\n".join(lines)
    if len(padded) < limit:
        return padded
    head = padded[: limit - len(_POINTER) - 1]
    return head.rsplit("\n", 1)[0] + _POINTER


class MlflowTracker:
    """Keeps turns in MLflow. Implements ``Tracker``.

    Args:
        store: the opened store.
        clock: seconds since the epoch.
    """

    def __init__(self, store: MlflowStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._client = store.client
        self._clock = clock
        self._experiment = ""
        self._info: TurnInfo | None = None
        self._turn_run = ""
        self._runs: dict[tuple[str, str], str] = {}
        self._finished: set[str] = set()
        self._objective = "dev/score"

    def start_turn(self, info: TurnInfo) -> str:
        self._experiment = self._store.experiment(info.program)
        self._info = info
        with storage_errors(self._store.where):
            self._remember(self._known_runs(info.turn))
            found = self._runs.get((_TURN, info.turn), "")
            self._turn_run = found or self._create_turn(info)
            if found:
                self._client.update_run(found, status="RUNNING")
        return self._turn_run

    def log_candidate(
        self,
        record: RunRecord,
        rows: Evaluation | None = None,
        examples: Sequence[Example] = (),
    ) -> str:
        key = (str(record.kind), record.name)
        if record.kind is RunKind.TRIAL:
            self._objective = next(iter(record.metrics), self._objective)
        with storage_errors(self._store.where):
            run = self._runs.get(key, "")
            if run in self._finished:
                return run
            run = run or self._create_candidate(record)
            self._runs[key] = run
            self._fill(run, record)
            if rows is not None:
                self._note_data(run, next(iter(record.metrics), "").split("/")[0])
            if record.kind is not RunKind.TRIAL or rows is not None:
                self._write(run, _candidate_files(record, rows, examples))
            failed = record.state is RunState.FAILED
            self._client.set_terminated(run, "FAILED" if failed else "FINISHED", self._now())
            self._finished.add(run)
        return run

    def log_series(self, name: str, values: Sequence[float | None]) -> None:
        known = [(step, v) for step, v in enumerate(values) if v is not None]
        with storage_errors(self._store.where):
            metrics = [self._metric(name, value, step) for step, value in known]
            self._client.log_batch(self._turn_run, metrics=metrics)

    def log_files(self, files: Mapping[str, bytes]) -> None:
        with storage_errors(self._store.where):
            self._write(self._turn_run, files)

    def finish_turn(
        self,
        decision: str,
        status: TurnStatus,
        *,
        verdict: str = "",
        metrics: Mapping[str, float | None] | None = None,
    ) -> None:
        tags = {NOTE: note(decision)} | ({"decision": verdict} if verdict else {})
        challengers = [run for (kind, _), run in self._runs.items() if kind == RunKind.CHALLENGER]
        with storage_errors(self._store.where):
            for run in (self._turn_run, *challengers):
                self._batch(
                    run, metrics=(metrics or {}) if run == self._turn_run else {}, tags=tags
                )
                self._write(run, {"decision.md": decision.encode()})
            self._client.set_terminated(self._turn_run, str(status), self._now())

    def links(self) -> dict[str, str]:
        ui, experiment = self._store.ui, self._experiment
        if not self._turn_run or self._info is None:
            return {}
        where = f"tags.turn = '{self._info.turn}' and tags.kind = 'trial'"
        finals = [run for (kind, _), run in self._runs.items() if kind in _FINAL]
        pages = {
            "turn": links.run_link(ui, experiment, self._turn_run),
            "trials, best first": links.runs_link(
                ui, experiment, where=where, order_by=self._objective
            ),
            "all turns": links.runs_link(
                ui, experiment, where="tags.kind = 'turn'", order_by="holdout/score", chart=True
            ),
        }
        if len(finals) > 1:
            pages["champion vs challenger"] = links.compare_link(ui, experiment, finals)
        return pages

    def _known_runs(self, turn: str) -> list[Run]:
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.turn = '{turn}'", max_results=1000, page_token=token
            )
            found.extend(page)
            token = page.token
            if not token:
                return found

    def _remember(self, runs: Sequence[Run]) -> None:
        self._runs = {(r.data.tags["kind"], r.data.tags["name"]): r.info.run_id for r in runs}
        self._finished = {r.info.run_id for r in runs if r.info.status in ("FINISHED", "FAILED")}

    def _create_turn(self, info: TurnInfo) -> str:
        tags = {**info.tags, **_turn_tags(info), "kind": _TURN, "name": info.turn}
        run = self._client.create_run(
            self._experiment, start_time=self._now(), tags=tags, run_name=info.turn
        ).info.run_id
        self._runs[_TURN, info.turn] = run
        params = {"model": info.model_id, "seed": str(info.seed), "study": info.study}
        self._batch(run, params=params)
        self._note_data(run, "")
        self._write(run, {"config.yaml": redact(info.config_yaml).encode()})
        return run

    def _create_candidate(self, record: RunRecord) -> str:
        assert self._info is not None, "start_turn comes first"
        tags = {
            **record.tags,
            **_turn_tags(self._info),
            "kind": str(record.kind),
            "name": record.name,
            "mlflow.parentRunId": self._turn_run,
        }
        start = self._now() - int(record.seconds * 1000)
        run = self._client.create_run(
            self._experiment, start_time=start, tags=tags, run_name=record.name
        )
        return run.info.run_id

    def _fill(self, run: str, record: RunRecord) -> None:
        candidate = record.candidate
        tags = {"candidate": candidate.id, "state": str(record.state)}
        self._batch(
            run, metrics=record.metrics, params=record.params or candidate.choices, tags=tags
        )

    def _note_data(self, run: str, split: str) -> None:
        """Names the rows that a run is about, so that the runs table has them in a column."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        assert self._info is not None, "start_turn comes first"
        dataset = Dataset(
            name=split or "snapshot",
            digest=self._info.snapshot_id[:12],
            source_type="upturn",
            source=self._info.snapshot_id,
        )
        tags = [InputTag("mlflow.data.context", split)] if split else []
        self._client.log_inputs(run, [DatasetInput(dataset, tags)])

    def _batch(
        self,
        run: str,
        *,
        metrics: Mapping[str, float | None] | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        self._client.log_batch(
            run,
            metrics=[self._metric(k, v) for k, v in (metrics or {}).items() if v is not None],
            params=[Param(clean_name(k), v[:_PARAM_LIMIT]) for k, v in (params or {}).items()],
            tags=[RunTag(k, v) for k, v in (tags or {}).items()],
        )

    def _metric(self, name: str, value: float, step: int = 0) -> Metric:
        from mlflow.entities import Metric

        return Metric(clean_name(name), float(value), self._now(), step)

    def _write(self, run: str, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory(prefix="upturn-") as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run, folder)
        if "rows.json" in files:
            self._client.set_tag(run, "mlflow.loggedArtifacts", json.dumps(_TABLE))

    def _now(self) -> int:
        return int(self._clock() * 1000)


_FINAL = (RunKind.CHAMPION, RunKind.CHALLENGER)


def _turn_tags(info: TurnInfo) -> dict[str, str]:
    return {
        "turn": info.turn,
        "program": info.program,
        "study": info.study,
        "snapshot": info.snapshot_id[:12],
    }


def _candidate_files(
    record: RunRecord, rows: Evaluation | None, examples: Sequence[Example]
) -> dict[str, bytes]:
    files = {"candidate.json": _json(record.candidate.to_json())}
    if rows is not None:
        files["rows.json"] = _json(rows_table(rows, examples))
    return files


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str).encode()
