"""Bootstrapped demos: what the running program itself answered right on train."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upturn.propose.base import Evidence, Proposal
from upturn.records import Example


@dataclass(frozen=True)
class BootstrappedProposer:
    """Runs the start candidate on some train rows and keeps its own traces where they scored full.

    The only proposer that gives demos to inner predictors of a program with several.
    """

    name: str = "bootstrapped"
    threshold: float = 1.0

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        pool, rng = evidence.demo_pool(), evidence.rng(self.name)
        picks = rng.permutation(len(pool))[: evidence.bootstrap_rows]
        rows = [pool[i] for i in picks]
        result = evidence.evaluator.evaluate(evidence.start, rows)
        right = [
            e
            for e, r in zip(rows, result.rows, strict=True)
            if r.value is not None and r.value >= self.threshold
        ]
        yield from self._sets(evidence, right[: evidence.max_demos])

    def _sets(self, evidence: Evidence, right: list[Example]) -> Iterable[Proposal]:
        traces = [evidence.evaluator.trace(evidence.start, e) for e in right]
        for predictor in evidence.start.states:
            own = [
                (e.id, t[predictor]) for e, t in zip(right, traces, strict=True) if predictor in t
            ]
            for size in evidence.sizes():
                if len(own) >= size:
                    yield Proposal(
                        predictor=predictor,
                        origin=f"{self.name}:{size}",
                        demos=tuple(demo for _, demo in own[:size]),
                        example_ids=tuple(i for i, _ in own[:size]),
                    )
