"""From a config to the objects of one turn. Below this folder nobody sees a YAML key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

from upturn.config import (
    Config,
    FeedbackLogSection,
    FeedbackStoreSection,
    load_config,
    project_root,
)
from upturn.config.sections import ModelSection
from upturn.datasets import Preview, Snapshot, check_decidable
from upturn.errors import DataError
from upturn.events import FieldRules
from upturn.gate import first_level
from upturn.labels import LabelRules
from upturn.lm import Caps, ModelSpec
from upturn.metrics import Metric
from upturn.pipeline.curation import Curator
from upturn.pipeline.rows import Reader, Rows
from upturn.pipeline.workspace import Workspace
from upturn.programs import Program, load_metric
from upturn.records import Example, Json

#: Fewer rows than this in train or dev are no data.
MIN_ROWS = 10


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

    def with_model(self, section: ModelSection) -> Parts:
        """The same parts on another model."""
        return replace(self, config=self.config.model_copy(update={"model": section}))

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
        curated = self.curator.curate(self._rows(now))
        self._checked(curated.preview)
        return self.curator.freeze(curated)

    def preview(self, now: datetime) -> Preview:
        """Returns what a snapshot would hold, and writes nothing.

        Raises:
            DataError: as ``snapshot``.
        """
        curated = self.curator.curate(self._rows(now))
        self._checked(curated.preview)
        return curated.preview

    def examine(self, now: datetime) -> dict[str, Json]:
        """Does all that ``snapshot`` does except writing, and says what it would hold.

        Raises:
            DataError: as ``snapshot``.
            MetricError: the metric fails on a row whose prediction is its own label.
        """
        curated = self.curator.curate(self._rows(now))
        shown, report = curated.preview, curated.report
        needed = self._checked(shown)
        perfect = self.try_metric(shown.train[0])
        return {
            "rows": {
                "train": len(shown.train),
                "dev": len(shown.dev),
                "holdout": shown.holdout.rows,
            },
            "groups": report.groups,
            "abstained": dict(curated.rows.abstained),
            "dropped": dict(curated.dropped),
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

    @cached_property
    def curator(self) -> Curator:
        """What makes this config's rows a snapshot."""
        return Curator(self.config, self.workspace)

    def _checked(self, shown: Preview) -> int:
        """Returns the holdout rows that would show ``min_gain``; train and dev hold some, too."""
        gate, split = self.config.gate, self.config.split
        needed = check_decidable(
            shown.holdout.rows,
            # A gate that asks for any gain at all still needs one that so few rows could show.
            max(gate.min_gain, 0.01),
            first_level(gate.alpha),
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
        return needed

    @cached_property
    def reader(self) -> Reader:
        """What reads this config's rows."""
        fields = self.program.fields
        return Reader(
            root=self.root,
            fields=FieldRules(inputs=fields.inputs, outputs=fields.outputs),
            rules=self._label_rules(),
            privacy=self.config.privacy,
        )

    def _label_rules(self) -> LabelRules:
        section = self.config.labels
        rules = LabelRules(
            min_probability=section.min_probability,
            min_contradicted=section.min_contradicted,
            min_reviewed=section.min_reviewed,
        )
        return rules.changed(section.rules)

    def _rows(self, now: datetime) -> Rows:
        data = self.config.data
        if isinstance(data, FeedbackLogSection):
            return self.reader.from_log(data, now)
        if isinstance(data, FeedbackStoreSection):
            return self.reader.from_store(data, now)
        return self.reader.from_labelled(data)
