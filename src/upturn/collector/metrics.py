"""What Prometheus reads: counters and histograms of one collector, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


class Metrics:
    """The numbers of one collector. No label holds anything that a sender wrote.

    Args:
        queued: returns the events that wait for the store now.
    """

    def __init__(self, queued: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        name, registry = "upturn_collector", self._registry
        self._requests = Counter(
            f"{name}_requests", "HTTP requests", ["route", "status"], registry=registry
        )
        self._events = Counter(
            f"{name}_events", "Events by outcome", ["route", "outcome"], registry=registry
        )
        self._latency = Histogram(
            f"{name}_latency_seconds",
            "From the first byte that the application sees to the answer",
            ["route"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._commit_seconds = Histogram(
            f"{name}_commit_seconds", "One transaction", registry=registry, buckets=_SECONDS
        )
        self._commit_events = Histogram(
            f"{name}_commit_events",
            "Events in one transaction",
            registry=registry,
            buckets=_EVENTS,
        )
        self._failures = Counter(
            f"{name}_store_failures", "Transactions that the store refused", registry=registry
        )
        waiting = Gauge(f"{name}_queued_events", "Events that wait", registry=registry)
        waiting.set_function(queued)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts one HTTP answer."""
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def events(self, route: str, *, accepted: int, rejected: int, conflicts: int) -> None:
        """Counts what became of the events of one body."""
        counts = {"accepted": accepted, "rejected": rejected, "conflict": conflicts}
        for outcome, n in counts.items():
            if n:
                self._events.labels(route, outcome).inc(n)

    def committed(self, events: int, seconds: float) -> None:
        """Counts one transaction."""
        self._commit_events.observe(events)
        self._commit_seconds.observe(seconds)

    def store_failed(self) -> None:
        """Counts one transaction that the store refused."""
        self._failures.inc()

    def text(self) -> bytes:
        """Returns everything in Prometheus' text format."""
        return generate_latest(self._registry)
