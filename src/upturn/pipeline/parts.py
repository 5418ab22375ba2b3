"""From a config to the objects of one turn. Below this folder nobody sees a YAML key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

from upturn.config import Config, FeedbackLogSection, load_config, project_root
from upturn.datasets import (
    Columns,
    GroupReport,
    GroupRules,
    Order,
    Preview,
    Snapshot,
    SplitRules,
    check_decidable,
    freeze,
    group_examples,
    preview,
    read_labelled,
)
from upturn.errors import DataError
from upturn.feedback import FieldRules, Log, compile_labels, read_log
from upturn.gate import look_alpha
from upturn.lm import Caps, ModelSpec
from upturn.metrics import Metric
from upturn.pipeline.workspace import Workspace
from upturn.programs import Program, load_metric
from upturn.records import Example, Json

#: Fewer rows than this in train or dev are no data.
MIN_ROWS = 10


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Labelled rows before they are grouped and split, and what became of the others."""

    examples: list[Example]
    provenance: dict[str, Json]
    abstained: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """What a config stands for.

    Attributes:
        config: the resolved config.
        path: the file it came from.
    """

    config: Config
    path: Path

    @classmethod
    def load(cls, path: Path, overrides: list[str] | None = None) -> Parts:
        """Reads a config.

        Raises:
            ConfigError: all problems at once.
        """
        return cls(load_config(path, overrides), path)

    @property
    def root(self) -> Path:
        """The folder that the config's relative paths start from."""
        return project_root(self.path)

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace((self.root / self.config.workspace).resolve())

    @cached_property
    def program(self) -> Program:
        """The loaded program.

        Raises:
            ProgramError: it does not load.
        """
        return Program(self.config.program, self.root)

    @cached_property
    def metric(self) -> Metric:
        """The loaded metric.

        Raises:
            ProgramError: it does not load.
        """
        return load_metric(self.config.metric, self.root)

    @property
    def model(self) -> ModelSpec:
        """The model as the language-model layer wants it."""
        values = self.config.model.model_dump()
        return ModelSpec(model=values.pop("name"), **values)

    @property
    def caps(self) -> Caps:
        """The caps of one turn."""
        budget = self.config.budget
        seconds = budget.max_minutes * 60 if budget.max_minutes else None
        return Caps(max_calls=budget.max_calls, max_usd=budget.max_usd, max_seconds=seconds)

    def snapshot(self, now: datetime) -> Snapshot:
        """Reads the data, compiles labels, and freezes train, dev and holdout.

        Args:
            now: the time that the minimum age is measured from, where the config does not fix one.

        Raises:
            DataError: bad lines, no usable label, or a holdout too small to ever decide.
            StorageError: the snapshot cannot be written.
        """
        grouped, report, rows = self._grouped(now)
        self._checked(grouped)
        return freeze(
            grouped,
            rules=self._split_rules(),
            folder=self.workspace.snapshots,
            provenance=rows.provenance,
            abstained=rows.abstained,
            dropped=rows.dropped,
            grouping=report.to_json(),
        )

    def examine(self, now: datetime) -> dict[str, Json]:
        """Does all that ``snapshot`` does except writing, and says what it would hold.

        Raises:
            DataError: as ``snapshot``.
            MetricError: the metric fails on a row whose prediction is its own label.
        """
        grouped, report, rows = self._grouped(now)
        shown, needed = self._checked(grouped)
        perfect = self.try_metric(shown.train[0])
        return {
            "rows": {
                "train": len(shown.train),
                "dev": len(shown.dev),
                "holdout": shown.holdout.rows,
            },
            "groups": report.groups,
            "abstained": dict(rows.abstained),
            "dropped": dict(rows.dropped),
            "holdout_rows_for_min_gain": needed,
            "metric_of_a_perfect_answer": perfect,
            "warning": report.warning,
        }

    def try_metric(self, row: Example) -> float | None:
        """Scores a row whose prediction is its own label, before anything is paid for.

        Raises:
            MetricError: the metric raises, or returns what is no score.
        """
        labelled = SimpleNamespace(**row.inputs, **row.labels)
        return self.metric(labelled, SimpleNamespace(**row.labels), example_id=row.id).value

    def _grouped(self, now: datetime) -> tuple[list[Example], GroupReport, Rows]:
        rows = self._rows(now)
        threshold = self.config.split.near_duplicate
        grouped, report = group_examples(rows.examples, rules=GroupRules(threshold=threshold))
        return grouped, report, rows

    def _split_rules(self) -> SplitRules:
        split = self.config.split
        return SplitRules(
            holdout=split.holdout, dev=split.dev, order=Order(split.order), seed=self.config.seed
        )

    def _checked(self, grouped: list[Example]) -> tuple[Preview, int]:
        """Returns the splits to be, and the holdout rows that would show ``min_gain``."""
        shown = preview(grouped, rules=self._split_rules())
        gate, split = self.config.gate, self.config.split
        needed = check_decidable(
            shown.holdout.rows,
            # A gate that asks for any gain at all still needs one that so few rows could show.
            max(gate.min_gain, 0.01),
            look_alpha(gate.alpha, 1),
            power=gate.power,
            where=f"{self.config.name}: split.holdout={split.holdout:g}",
        )
        for name, rows in (("train", shown.train), ("dev", shown.dev)):
            if len(rows) < MIN_ROWS:
                raise DataError(
                    f"{name} must hold at least {MIN_ROWS} rows, got {len(rows)}",
                    where=self.config.name,
                    fix="bring more feedback, or change split.dev and split.holdout",
                )
        return shown, needed

    def _rows(self, now: datetime) -> Rows:
        data = self.config.data
        if isinstance(data, FeedbackLogSection):
            return self._from_log(data, now)
        path = self.root / data.path if data.path else None
        source = path if path and (path.exists() or not data.hub) else data.hub
        assert source is not None
        columns = Columns(
            inputs=data.inputs,
            labels=data.labels,
            keep={k: tuple(v) for k, v in data.keep.items()} or None,
            allowed=self.program.fields.outputs,
        )
        rows = read_labelled(source, columns)
        return Rows(
            examples=list(rows.examples),
            provenance={"kind": data.kind, "source": str(data.path or data.hub)},
            dropped=rows.dropped,
        )

    def log(self, data: FeedbackLogSection, now: datetime) -> Log:
        """Reads the feedback log and checks every line.

        Raises:
            DataError: the bad lines, each with file, line, field, value and rule.
        """
        fields = self.program.fields
        return read_log(
            [self.root / p for p in data.paths],
            fields=FieldRules(inputs=fields.inputs, outputs=fields.outputs),
            program=data.program,
            now=now,
        )

    def _from_log(self, data: FeedbackLogSection, now: datetime) -> Rows:
        at = datetime.fromisoformat(data.now) if data.now else now
        log = self.log(data, now)
        labelling = compile_labels(log, now=at, min_age_hours=data.min_age_hours)
        return Rows(
            examples=labelling.examples(),
            provenance={
                "kind": data.kind,
                "events": log.counts,
                "sources": [s.to_json() for s in log.sources],
                "distrusted": [r.why for r in labelling.distrusted],
            },
            abstained=labelling.reasons,
        )
