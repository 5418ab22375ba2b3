"""RayRunner: candidates run on many machines, and the rows come out as on one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from upturn.errors import ConfigError
from upturn.evaluate.known import Key, KnownRows, check
from upturn.evaluate.runner import Work
from upturn.records import Candidate, Evaluation, Example, Json, Row
from upturn.scaleout.dispatch import Dispatch
from upturn.scaleout.job import Job
from upturn.scaleout.site import Site
from upturn.scaleout.wire import row_from_json
from upturn.scaleout.worker import run_block, run_trace

_runners = itertools.count(1)


class RayRunner:
    """Runs candidates as blocks of rows on a cluster. Implements ``CandidateRunner``.

    A row depends on candidate and example alone: neither the number of nodes nor the size of blocks
    nor a lost worker changes it, and no answer is paid for twice.

    Args:
        job: program, metric and model.
        site: the cluster, and the desk that keeps answers and money.
        on_rows: told how many rows have just been finished; for progress bars.
        tell: told in one sentence when rows run again, and when a server makes workers wait.
    """

    def __init__(
        self,
        job: Job,
        site: Site,
        *,
        on_rows: Callable[[int], None] = lambda n: None,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        import ray

        self._site, self._on_rows = site, on_rows
        self._known = KnownRows()
        self._dispatch = Dispatch(site, f"r{next(_runners)}", tell=tell)
        # Stored once: each node fetches it once, whatever the number of blocks.
        self._order = ray.put({"id": f"{site.id}-{job.id}", "job": job.to_json()})
        self._block = self._task(run_block)
        self._trace = self._task(run_trace)

    def evaluate(
        self, candidate: Candidate, examples: Sequence[Example], *, tolerant: bool = False
    ) -> Evaluation:
        """Runs one candidate; see :meth:`upturn.evaluate.Evaluator.evaluate`."""
        return self.evaluate_all([(candidate, examples)], tolerant=tolerant)[0]

    def evaluate_all(self, work: Work, *, tolerant: bool = False) -> list[Evaluation]:
        """Runs several candidates at once, each on its rows.

        Raises:
            UpturnError: as :meth:`upturn.evaluate.Evaluator.evaluate_all`.
            OutageError: a block was lost with its worker too often, or no node takes one.
            StorageError: an answer cannot be kept, or the desk ended.
            ConfigError: a candidate has trained weights, which only this machine has.
        """
        for candidate, _ in work:
            _refuse_weights(candidate)
        fresh = self._known.fresh(work)
        rows = self._run(fresh)
        if not tolerant:
            check({key: rows[key] for key in fresh})
        return self._known.evaluations(work, rows)

    def trace(self, candidate: Candidate, example: Example) -> dict[str, dict[str, Json]]:
        """Returns predictor name -> the fields it read and wrote on one row, as JSON.

        Runs on a node, so that this process needs no model. A row that was run before costs
        nothing.
        """
        _refuse_weights(candidate)
        traced: list[Json] = []
        work = [(candidate.to_json(), example.to_json())]
        self._dispatch.run(self._trace, work, lambda _, value: traced.append(value))
        return traced[0]

    def close(self) -> None:
        """Forgets the job; the site stays open, it is the caller's."""
        self._order = None

    def __enter__(self) -> RayRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, fresh: Mapping[Key, tuple[Candidate, Example]]) -> dict[Key, Row]:
        blocks = self._blocks(fresh)
        rows: dict[Key, Row] = {}

        def done(index: int, value: list[Json]) -> None:
            for key, json in zip(blocks[index], value, strict=True):
                rows[key] = row_from_json(json)
                # At once: a later block may stop the turn, and these rows were run.
                self._known.keep(key, rows[key])
            self._on_rows(len(value))

        self._dispatch.run(self._block, [_arguments(block, fresh) for block in blocks], done)
        return rows

    def _blocks(self, keys: Mapping[Key, Any]) -> list[list[Key]]:
        """Blocks of one candidate each, small enough that every node gets some."""
        fair = math.ceil(len(keys) / self._site.slots()) if keys else 1
        size = min(self._site.options.block_rows, fair)
        blocks: list[list[Key]] = []
        for _, own in itertools.groupby(keys, key=lambda key: key[0]):
            mine = list(own)
            blocks += [mine[i : i + size] for i in range(0, len(mine), size)]
        return blocks

    def _task(self, function: Callable[..., Any]) -> Callable[..., Any]:
        import ray

        remote: Any = ray.remote(function)
        task = remote.options(
            num_cpus=self._site.options.num_cpus_per_task,
            max_retries=0,
            scheduling_strategy="SPREAD",
        )
        return lambda ticket, *args: task.remote(self._order, self._site.desk, ticket, *args)


def _refuse_weights(candidate: Candidate) -> None:
    if candidate.settings.get("weights") is not None:
        raise ConfigError(
            f"candidates that run on Ray must have no trained weights, {candidate.id} has "
            f"{candidate.settings['weights']}",
            where="executor",
            fix="run with executor=local",
        )


def _arguments(
    block: Sequence[Key], rows: Mapping[Key, tuple[Candidate, Example]]
) -> tuple[Json, ...]:
    candidate, _ = rows[block[0]]
    return candidate.to_json(), [rows[key][1].to_json() for key in block]
