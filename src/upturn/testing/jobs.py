"""A tracker of fine-tune jobs that keeps everything in memory: same contract, no MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from upturn.tracking.base import TurnStatus
from upturn.tracking.jobs import JobInfo, Point


@dataclass(kw_only=True)
class MemoryJob:
    """One job, as tests look at it."""

    info: JobInfo
    points: list[Point] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    note: str = ""
    status: TurnStatus | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def curve(self, name: str) -> list[tuple[int, float]]:
        """Returns the points of one curve as (step, value), in the order they came."""
        return [(p.step, p.value) for p in self.points if p.name == name]


class MemoryJobTracker:
    """Keeps jobs in ``jobs``, by name and fingerprint. Implements ``JobTracker``."""

    def __init__(self) -> None:
        self.jobs: dict[tuple[str, str], MemoryJob] = {}
        self._current = ("", "")

    @property
    def job(self) -> MemoryJob:
        """The job that was started last."""
        return self.jobs[self._current]

    def start_job(self, info: JobInfo) -> str:
        self._current = (info.job, info.fingerprint)
        self.jobs.setdefault(self._current, MemoryJob(info=info)).status = None
        return f"run-{info.job}"

    def log_points(self, points: Sequence[Point]) -> None:
        self.job.points.extend(points)

    def log_files(self, files: Mapping[str, bytes]) -> None:
        self.job.files.update(files)

    def finish_job(
        self,
        note: str,
        status: TurnStatus,
        *,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.job.note, self.job.status = note, status
        self.job.metrics.update(metrics or {})
        self.job.tags.update(tags or {})

    def links(self) -> dict[str, str]:
        return {"job": f"memory://{self._current[0]}"} if self._current[0] else {}
