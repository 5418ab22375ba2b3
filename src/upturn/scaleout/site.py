"""The site of a turn: a cluster, and the desk that keeps the turn's answers and money."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from upturn.lm import Caps
from upturn.scaleout.cluster import connected
from upturn.scaleout.desk import Reply
from upturn.scaleout.line import Line
from upturn.scaleout.options import RayOptions
from upturn.scaleout.wire import error_from_json
from upturn.scaleout.worker import DeskActor, caller

#: Questions that the desk has open at a time; those that wait for somebody's answer count.
_OPEN_QUESTIONS = 10_000


@dataclass(frozen=True, kw_only=True)
class Site:
    """Made by :func:`open_site`.

    Attributes:
        options: how the cluster is used.
        line: cache and meter of this process: hand it to ``connect``, so that what the turn asks
            for itself is paid from the same purse.
        desk: the handle of the desk's actor, for workers.
        id: names this site; processes of workers build anew for another.
    """

    options: RayOptions
    line: Line
    desk: Any
    id: str

    def slots(self) -> int:
        """Returns how many blocks the cluster can run at once, as it is now."""
        import ray

        cpus = ray.cluster_resources().get("CPU", 0.0)
        return max(1, min(self.options.max_tasks, int(cpus / self.options.num_cpus_per_task)))


@contextmanager
def open_site(
    options: RayOptions,
    *,
    cache: Path,
    turn: str,
    caps: Caps,
    calls_before: int = 0,
    usd_before: float = 0.0,
    seconds_before: float = 0.0,
) -> Generator[Site]:
    """Connects to the cluster and opens the desk; closes both, the cluster only if it was ours.

    Args:
        cache: the file of answers, on this machine.
        turn: id of the turn that pays.
        caps: limits over all nodes and this process.
        calls_before, usd_before, seconds_before: as of ``Meter``.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: no cluster answers at the address, or none starts here.
        StorageError: the file of answers cannot be opened.
    """
    before = {
        "calls_before": calls_before,
        "usd_before": usd_before,
        "seconds_before": seconds_before,
    }
    with connected(options):
        desk = _place_desk()
        try:
            _open(desk, str(cache.resolve()), turn, asdict(caps), before)
            yield Site(options=options, line=Line(caller(desk)), desk=desk, id=uuid.uuid4().hex)
        finally:
            _close(desk)


def _place_desk() -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(DeskActor)
    return actor.options(
        num_cpus=0, max_concurrency=_OPEN_QUESTIONS, scheduling_strategy=here
    ).remote()


def _open(desk: Any, *args: Any) -> None:
    import ray

    reply: Reply = ray.get(desk.open.remote(*args))
    if "error" in reply:
        raise error_from_json(reply["error"])


def _close(desk: Any) -> None:
    import ray
    from ray.exceptions import RayActorError

    try:
        ray.get(desk.close.remote())
    except RayActorError:
        return  # it has ended already; its file is whole at any time
    ray.kill(desk)
