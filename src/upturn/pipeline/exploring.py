"""Which search a config asks for: our own over a catalogue, or one of DSPy's optimizers."""

from __future__ import annotations

from collections.abc import Sequence

from upturn.lm import Meter
from upturn.peers import PEERS, Ground, PeerRules, run_peer
from upturn.pipeline.dev import DevParts
from upturn.pipeline.explore import Exploration, Listeners
from upturn.pipeline.opening import Engines
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.proposing import Proposing
from upturn.pipeline.weights import Weights
from upturn.records import Candidate, Evaluation, Example
from upturn.search import SearchResult


def explore(
    parts: Parts,
    train: Sequence[Example],
    dev: DevParts,
    *,
    start: Candidate,
    engines: Engines,
    turn: str,
    progress: Progress,
    listeners: Listeners,
    weights: Weights | None = None,
) -> SearchResult:
    """Runs the search of a config.

    Args:
        parts: the config's objects.
        train: rows that proposers read.
        dev: rows that the search reads.
        start: the candidate that runs now.
        engines: what it runs on.
        turn: names the record of the study.
        progress: told of baseline and catalogue.
        listeners: told of trials and rows.
        weights: the adapters that the search may choose.

    Raises:
        OutageError, BudgetExceededError, MetricError: the search cannot go on.
        ProgramError: a proposer failed.
    """
    config = parts.config
    if config.optimizer != "upturn":
        return _peer(parts, train, dev, start, engines, progress, listeners)
    exploration = Exploration(
        start=start,
        dev=dev,
        runner=engines.runner,
        proposing=Proposing(
            program=parts.program,
            start=start,
            train=train,
            runner=engines.runner,
            section=config.search,
            root=parts.root,
            seed=config.seed,
            strong=engines.strong,
            tell=lambda name, sentence: progress.step("proposer", f"{name}: {sentence}"),
            weights=weights or Weights(),
        ),
        section=config.search,
        seed=config.seed,
        name=turn,
        journal=parts.workspace.turn(turn) / "study.journal",
    )
    baseline = exploration.baseline()
    progress.step("baseline", f"dev {_shown(baseline)} ({baseline.denominator})")
    return exploration.search(baseline, progress=progress, listeners=listeners)


def _peer(
    parts: Parts,
    train: Sequence[Example],
    dev: DevParts,
    start: Candidate,
    engines: Engines,
    progress: Progress,
    listeners: Listeners,
) -> SearchResult:
    config = parts.config
    meter = engines.meter
    assert isinstance(meter, Meter), "a config with a peer and a cluster is refused"
    return run_peer(
        PEERS[config.optimizer],
        Ground(
            program=parts.program,
            start=start,
            train=train,
            searched=dev.searched,
            connection=engines.connection,
            strong=engines.strong,
            meter=meter,
            metric=parts.metric,
        ),
        fresh=dev.fresh,
        evaluator=engines.runner,
        rules=PeerRules(
            auto=config.peer.auto,
            max_demos=config.search.max_demos if config.peer.our_demos else None,
            finalists=config.search.finalists,
            seed=config.seed,
            concurrency=config.model.concurrency,
        ),
        may_go_on=listeners.may_go_on,
        on_trial=lambda trial: listeners.on_trial(trial, None),
        log=lambda line: progress.step("peer", line),
    )


def _shown(evaluation: Evaluation) -> str:
    return "unknown" if evaluation.score is None else f"{evaluation.score:.3f}"
