"""From one of DSPy's optimizers to finalists: the same records as our own search leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from upturn.evaluate import CandidateRunner
from upturn.peers.base import Ground, Part, Peer, PeerRules
from upturn.records import Candidate, Example
from upturn.search import Finalist, SearchResult, Trial, reported, rescore

if TYPE_CHECKING:
    from upturn.peers.observe import Observed
    from upturn.peers.recorder import Seen


def run_peer(
    peer: Peer,
    ground: Ground,
    *,
    fresh: Sequence[Example],
    evaluator: CandidateRunner,
    rules: PeerRules,
    may_go_on: Callable[[], str] = lambda: "",
    on_trial: Callable[[Trial], None] = lambda t: None,
    log: Callable[[str], None] = lambda line: None,
) -> SearchResult:
    """Runs an optimizer, then the best of its programs on all dev rows.

    The optimizer's own choice is always a finalist. Its claim is told beside what fresh rows say.

    Args:
        peer: one of ``PEERS``.
        ground: what it works on.
        fresh: dev rows kept for the finalists; the optimizer never sees them.
        evaluator: runs the finalists; shares the answer cache with ``ground.connection``.
        rules: how much is tried.
        may_go_on: asked before each call of the optimizer; what it returns ends its run.
        on_trial: told of each program after the optimizer's end.
        log: told a line now and then.

    Raises:
        OutageError, MetricError, StorageError: the run cannot go on; what was paid for is kept.
        BudgetExceededError: a cap was reached before any program was judged, or while finalists
            ran.
        UpturnError: the optimizer failed before any program was judged.
    """
    from upturn.peers.observe import observe

    _announce(peer, ground, log)
    seen = observe(peer, ground, rules=rules, may_go_on=may_go_on, log=log)
    trials = trials_of(peer, ground, seen)
    for trial in trials:
        on_trial(trial)
    chosen = _chosen(trials, seen, {ground.start.id, seen.student.id}, rules.finalists)
    rescored = rescore(
        [("start", ground.start), *chosen],
        searched=ground.searched,
        fresh=fresh,
        evaluator=evaluator,
    )
    result = SearchResult(
        trials=tuple(trials),
        finalists=tuple(f for f in rescored if f.name != "start"),
        start=next(f for f in rescored if f.name == "start"),
        reported=reported(rescored, fresh),
        leads=rescored[0].name != "start",
        evaluations=_rows_run(seen, rescored),
        stopped=seen.stopped,
    )
    _conclude(peer, seen, result, log)
    return result


def trials_of(peer: Peer, ground: Ground, seen: Observed) -> list[Trial]:
    """Every program that was judged, as a trial, in the order of their first call.

    Number 0 is the start candidate; some optimizers never judge it, and then there is none.
    """
    starts = {ground.start.id, seen.student.id}
    own = [p for p in seen.programs if p.candidate.id in starts]
    others = [p for p in seen.programs if p.candidate.id not in starts]
    numbered = [*((0, p) for p in own), *enumerate(others, start=1)]
    return [_trial(n, program, peer, ground, seen) for n, program in numbered]


def _trial(number: int, program: Seen, peer: Peer, ground: Ground, seen: Observed) -> Trial:
    examples: dict[Part, Sequence[Example]] = {"train": ground.train, "searched": ground.searched}
    part: Part = next(p for p in peer.judges_on if program.rows.get(p))
    evaluation = program.on(part, examples[part])
    ran, total = len(evaluation.rows), len(examples[part])
    reason = f"ran on {ran} of {total} {part} rows"
    if seen.choice is not None and seen.choice.id == program.candidate.id:
        claim = "" if seen.claimed is None else f", which reports {seen.claimed:.3f}"
        reason += f"; the choice of {peer.name}{claim}"
    return Trial(
        number=number,
        candidate=program.candidate,
        evaluation=evaluation,
        estimate=evaluation.score,
        finished=ran == total and part == peer.judges_on[0],
        reason=reason,
    )


def _chosen(
    trials: Sequence[Trial], seen: Observed, starts: set[str], finalists: int
) -> list[tuple[str, Candidate]]:
    """The optimizer's choice first, then who looks best; those that ran on every row before."""
    choice = None if seen.choice is None else seen.choice.id
    ranked = sorted(
        (t for t in trials if t.candidate.id not in starts and t.estimate is not None),
        key=lambda t: (t.candidate.id != choice, not t.finished, -(t.estimate or 0.0), t.number),
    )
    best = [(t.name, t.candidate) for t in ranked]
    if seen.choice is not None and choice not in starts | {c.id for _, c in best}:
        best.insert(0, ("choice", seen.choice))
    return best[:finalists]


def _rows_run(seen: Observed, rescored: Sequence[Finalist]) -> int:
    """Rows of the optimizer's judgements, and those that the finalists ran besides."""
    judged = {(p.candidate.id, i) for p in seen.programs for rows in p.rows.values() for i in rows}
    final = {
        (f.candidate.id, r.example_id) for f in rescored for r in (*f.searched.rows, *f.fresh.rows)
    }
    return len(judged | final)


def _announce(peer: Peer, ground: Ground, log: Callable[[str], None]) -> None:
    if ground.strong is None:
        log(f"{peer.name}: no proposer_model, so the task model writes the instructions")
    if not peer.has_budgets:
        log(f"{peer.name}: DSPy defines no budgets for it; it runs its default")


def _conclude(peer: Peer, seen: Observed, result: SearchResult, log: Callable[[str], None]) -> None:
    if seen.unread:
        log(f"{peer.name}: {seen.unread} answers of the prompt model could not be read")
    if seen.stopped:
        log(f"{peer.name}: ended early: {seen.stopped}")
    own = [f for f in result.finalists if seen.choice and f.candidate.id == seen.choice.id]
    if own and seen.claimed is not None and own[0].fresh.score is not None:
        log(
            f"{peer.name}: reports {seen.claimed:.3f} of its choice, "
            f"{len(own[0].fresh.rows)} fresh rows say {own[0].fresh.score:.3f}"
        )
