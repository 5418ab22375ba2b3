"""What a job trains on and is measured on: rows of a snapshot, and preferences from its events.

Nothing is written here: the snapshot of a job is frozen when its preflight has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from upturn.config import FeedbackLogSection, FeedbackStoreSection
from upturn.datasets import Snapshot, find_snapshot
from upturn.datasets.preferences import Preferences, preferences
from upturn.errors import DataError
from upturn.events import FieldRules
from upturn.events.fitting import FieldMap, FittedSource
from upturn.events.source import EventSource, LogSource
from upturn.finetune.kinds import job_kind, job_kinds
from upturn.pipeline.parts import Parts
from upturn.pipeline.rows import store_url
from upturn.records import Example

_NONE = Preferences(pairs=(), kto=(), dropped={})


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The rows of a job.

    Attributes:
        train, dev: of the snapshot; the holdout stays sealed.
        frozen: the snapshot where the job names one; None where it is made of the data as it is.
        preferred: of train, for a kind that reads preferences; empty elsewhere.
        preferred_dev: of dev, for a kind that is measured on pairs; empty elsewhere.
        holdout_rows: how many are sealed.
    """

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    holdout_rows: int
    frozen: Snapshot | None = None
    preferred: Preferences = field(default=_NONE)
    preferred_dev: Preferences = field(default=_NONE)

    def snapshot(self, parts: Parts, now: datetime) -> Snapshot:
        """Returns the snapshot of these rows, written now where there is none.

        Raises:
            DataError: the data changed since it was read.
            StorageError: it cannot be written.
        """
        made = self.frozen or parts.snapshot(now)
        if (made.train, made.dev) != (self.train, self.dev):
            raise DataError(
                "the data must stay as it is while a job starts, and it changed",
                where=parts.config.name,
                fix="run the same command again",
            )
        return made


def read_data(parts: Parts, kind: str, ref: str | None, now: datetime) -> TrainingData:
    """Reads the rows of a job.

    Args:
        parts: the config's objects.
        kind: name of the job kind; some read preferences, too.
        ref: id of a snapshot, or how it begins; None for the data as it is now.
        now: the time that ages are measured from.

    Raises:
        DataError: bad data, no such snapshot, or data without events where preferences are asked.
    """
    if ref is not None:
        snapshot = find_snapshot(ref, parts.workspace.snapshots)
        train, dev, sealed, frozen = snapshot.train, snapshot.dev, snapshot.holdout.rows, snapshot
    else:
        shown = parts.preview(now)
        train, dev, sealed, frozen = shown.train, shown.dev, shown.holdout.rows, None
    asked = job_kind(kind)
    return TrainingData(
        train=train,
        dev=dev,
        holdout_rows=sealed,
        frozen=frozen,
        preferred=_preferred(parts, train, now) if asked.reads_preferences else _NONE,
        preferred_dev=_preferred(parts, dev, now) if asked.measured_on_pairs else _NONE,
    )


def _preferred(parts: Parts, rows: Sequence[Example], now: datetime) -> Preferences:
    """Makes preferences of the events behind some rows.

    A row's own weight is the certainty of its label: the labels are those of the snapshot, and
    are not compiled anew.
    """
    data = parts.config.data
    if isinstance(data, FeedbackLogSection):
        log = LogSource(parts.reader.log(data, now))
        return preferences(log.joined(program=data.program), rows)
    if isinstance(data, FeedbackStoreSection):
        return _stored(parts, data, rows)
    labelled = " or ".join(f"kind={n}" for n, k in job_kinds().items() if not k.reads_preferences)
    raise DataError(
        "preferences are made from feedback events, and labelled data has none",
        where=f"{parts.config.name}: data.kind",
        fix=f"{labelled}, or a config whose data is a feedback log or store",
    )


def _stored(parts: Parts, data: FeedbackStoreSection, rows: Sequence[Example]) -> Preferences:
    from upturn.store import FeedbackStore

    labels = dict.fromkeys(name for row in rows for name in row.labels)
    fields = FieldRules(inputs=(), outputs=labels)
    with FeedbackStore.open(store_url(data, parts.root), create=False) as store:
        mapped = FieldMap(outputs=data.outputs)
        source: EventSource = FittedSource(store, data.program, fields, mapped)
        return preferences(source.joined(), rows)
