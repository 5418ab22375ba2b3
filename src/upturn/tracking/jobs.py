"""What a tracker keeps of a fine-tune job: one run, its curves, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from upturn.tracking.base import TurnStatus


@dataclass(frozen=True, kw_only=True)
class JobInfo:
    """What is known of a job before its first step.

    Attributes:
        job: its name.
        program: name of the program: the experiment.
        fingerprint: of all that its weights depend on; the same one resumes the same run.
        config_yaml: the resolved job; the tracker masks anything that looks like a secret.
        snapshot_id: sha256 of the snapshot.
        base_id: the model that is trained on.
        params: searchable choices.
        tags: further searchable facts.
    """

    job: str
    program: str
    fingerprint: str
    config_yaml: str
    snapshot_id: str
    base_id: str
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a curve.

    Attributes:
        name: of the curve, such as ``train/loss``.
        step: optimizer step.
        value: finite.
        time: seconds since the epoch.
    """

    name: str
    step: int
    value: float
    time: float


class JobTracker(Protocol):
    """Keeps the record of one job at a time. Called from one thread, in the order below.

    Every method may raise StorageError, and nothing else of its own. A training is worth more than
    its curves: whoever trains goes on without them and says so.
    """

    def start_job(self, info: JobInfo) -> str:
        """Opens a run with tag ``kind=job``, or opens it again where the fingerprint is known.

        Returns the run's id.
        """
        ...

    def log_points(self, points: Sequence[Point]) -> None:
        """Logs points of any curves, many at once."""
        ...

    def log_files(self, files: Mapping[str, bytes]) -> None:
        """Puts files on the run: the adapter's card."""
        ...

    def finish_job(
        self,
        note: str,
        status: TurnStatus,
        *,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Closes the run.

        Args:
            note: markdown, shown as the run's description.
            status: FAILED for a crash, KILLED where somebody or a cap stopped it.
            metrics: its numbers, so that jobs compare on one chart; None is not logged.
            tags: facts known only now, such as the adapter's id.
        """
        ...

    def links(self) -> dict[str, str]:
        """Returns label -> URL of the pages worth opening for this job."""
        ...
