"""How a cluster is reached and used."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """The knobs of scale-out.

    Attributes:
        address: ``host:port`` of a running cluster, "auto" for the one that this process runs in,
            None to start one on this machine for the time of the turn.
        num_cpus_per_task: CPUs that Ray sets aside for one worker.
        max_tasks: most blocks of rows in flight.
        block_rows: most rows of a block.
        max_retries: how often a block is run again because its worker or node was lost.
        start_timeout_s: longest wait for the first block to start, for a cluster that has to grow.
        local_cpus: CPUs of a cluster that is started here; None for all of the machine's.
    """

    address: str | None = None
    num_cpus_per_task: float = 1.0
    max_tasks: int = 32
    block_rows: int = 16
    max_retries: int = 3
    start_timeout_s: float = 600.0
    local_cpus: int | None = None

    def __post_init__(self) -> None:
        address = self.address
        if address is not None and address.startswith("ray://"):
            raise ConfigError(
                f"the turn must run on a node of the cluster, because it keeps the answers on its "
                f"own disk; got the address of a remote client, {address}",
                where="ray.address",
                fix="submit the turn as a Ray job (docs/scale-out.md), or give the GCS's host:port",
            )
        numbers = ("num_cpus_per_task", "max_tasks", "block_rows", "start_timeout_s")
        broken = [n for n in numbers if getattr(self, n) <= 0]
        if broken or self.max_retries < 0:
            got = ", ".join(f"{n}={getattr(self, n)}" for n in (*numbers, "max_retries"))
            raise ConfigError(f"numbers must be > 0, max_retries >= 0, got {got}", where="ray")

    @property
    def threads(self) -> int:
        """Threads of a local model in one worker: what Ray set aside for it."""
        return max(1, int(self.num_cpus_per_task))
