"""From a config's data section to labelled rows: native log, feedback store, labelled data."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path

from upturn.config.data import (
    FeedbackLogSection,
    FeedbackStoreSection,
    LabelledSection,
    PrivacySection,
)
from upturn.datasets import Columns, read_labelled, week_of
from upturn.errors import ConfigError
from upturn.events import Feedback, FieldRules, Log, Request, read_log
from upturn.events.fitting import FieldMap, FittedSource
from upturn.events.source import EventSource, Exposure, LogSource
from upturn.labels import Labelling, LabelRules, compile_labels
from upturn.labels.propensity import selection_report
from upturn.pipeline.privacy import scrubber
from upturn.records import Example, Json
from upturn.report.data_card import CardEvidence
from upturn.report.data_card_source import evidence_of, weeks_from_counts


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Labelled rows before they are grouped and split, and what became of the others.

    Attributes:
        examples: the rows.
        provenance: where they came from; JSON.
        abstained: reason -> requests without a label; dropped: reason -> rows left out otherwise.
        evidence: what is known of volumes, raters and bias, for the data card.
    """

    examples: list[Example]
    provenance: dict[str, Json]
    abstained: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    evidence: CardEvidence | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads the rows of one config.

    Attributes:
        root: the folder that relative paths start from.
        fields: the program's fields and labels.
        rules: how feedback becomes labels.
        privacy: what is taken out before.
    """

    root: Path
    fields: FieldRules
    rules: LabelRules
    privacy: PrivacySection

    def log(self, data: FeedbackLogSection, now: datetime) -> Log:
        """Reads and checks a native log, and takes out what privacy asks for.

        Raises:
            DataError: the bad lines, each with file, line, field, value and rule.
        """
        paths = [self.root / p for p in data.paths]
        log = read_log(paths, fields=self.fields, program=data.program, now=now)
        clean = scrubber(self.privacy, self.root)
        if clean is None:
            return log
        requests = [e for e in map(clean.event, log.requests) if isinstance(e, Request)]
        feedback = [e for e in map(clean.event, log.feedback) if isinstance(e, Feedback)]
        return replace(log, requests=tuple(requests), feedback=tuple(feedback))

    def from_log(self, data: FeedbackLogSection, now: datetime) -> Rows:
        """Returns the rows of a native log."""
        log = self.log(data, now)
        labelling = self._compiled(log, data, now)
        provenance = {
            "kind": data.kind,
            "events": log.counts,
            "sources": [s.to_json() for s in log.sources],
            "distrusted": [r.why for r in labelling.distrusted],
        }
        return Rows(
            examples=labelling.examples(),
            provenance=provenance,
            abstained=labelling.reasons,
            evidence=_evidence(LogSource(log), None, labelling),
        )

    def from_store(self, data: FeedbackStoreSection, now: datetime) -> Rows:
        """Returns the rows of a program in the feedback store.

        Raises:
            DataError: no request of the program fits, or none gets a label.
            StorageError: the store cannot be opened.
        """
        from upturn.store import FeedbackStore

        mapped = FieldMap(inputs=data.inputs, outputs=data.outputs)
        with FeedbackStore.open(store_url(data, self.root), create=False) as store:
            source = FittedSource(store, data.program, self.fields, mapped)
            labelling = self._compiled(source, data, now)
            counts = store.counts(program=data.program)
            evidence = _evidence(store, data.program, labelling)
        return Rows(
            examples=labelling.examples(),
            provenance={
                "kind": data.kind,
                "program": data.program,
                "events": {"requests": counts.requests, "feedback": counts.feedback},
                "distrusted": [r.why for r in labelling.distrusted],
            },
            abstained=labelling.reasons,
            dropped=source.left_out,
            evidence=evidence,
        )

    def from_labelled(self, data: LabelledSection) -> Rows:
        """Returns the rows of data that brings its labels."""
        path = self.root / data.path if data.path else None
        source = path if path and (path.exists() or not data.hub) else data.hub
        assert source is not None
        columns = Columns(
            inputs=data.inputs,
            labels=data.labels,
            keep={k: tuple(v) for k, v in data.keep.items()} or None,
            allowed=self.fields.outputs,
        )
        rows = read_labelled(source, columns)
        return Rows(
            examples=list(rows.examples),
            provenance={"kind": data.kind, "source": str(data.path or data.hub)},
            dropped=rows.dropped,
        )

    def _compiled(
        self,
        source: Log | FittedSource,
        data: FeedbackLogSection | FeedbackStoreSection,
        now: datetime,
    ) -> Labelling:
        at = datetime.fromisoformat(data.now) if data.now else now
        return compile_labels(
            source,
            now=at,
            min_age_hours=data.min_age_hours,
            rules=self.rules,
            unstated=self.privacy.unstated_consent,
        )


def _evidence(source: EventSource, program: str | None, labelling: Labelling) -> CardEvidence:
    """Walks once over all requests: how many there were a week, and whose feedback came."""
    requests, spoken_of = Counter[str](), Counter[str]()
    week_of_day = cache(week_of)  # times are UTC, so that their first ten characters are the day

    def counted() -> Iterator[Exposure]:
        for exposure in source.exposures(program=program):
            week = week_of_day(exposure.time[:10])
            requests[week] += 1
            spoken_of[week] += exposure.has_feedback
            yield exposure

    selection = selection_report(counted(), labelling.right)
    labelled = Counter(week_of(row.request.time) for row in labelling.rows)
    weeks = weeks_from_counts(requests=requests, feedback=spoken_of, labelled=labelled)
    return evidence_of(labelling, weeks=weeks, selection=selection)


def store_url(data: FeedbackStoreSection, root: Path) -> str:
    """Returns the URL of a config's feedback store; a relative file starts at the project's root.

    Raises:
        ConfigError: the named environment variable is not set.
    """
    if data.store_env is not None:
        url = os.environ.get(data.store_env)
        if not url:
            raise ConfigError(
                f"{data.store_env} must hold the store's URL, and the environment lacks it",
                where="data.store_env",
                fix=f"export {data.store_env}=postgresql+psycopg://USER:PASSWORD@HOST/DATABASE",
            )
        return url
    assert data.store is not None
    return data.store if "://" in data.store else str(root / data.store)
