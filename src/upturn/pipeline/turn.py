"""One turn of the loop: data -> search -> gate -> promotion.

A turn is named by the question it asks (config, snapshot, program, metric, champion, model). Asking
the same question again gives the recorded answer, or goes on where a killed process stopped: every
answer of the model is on disk before it is used, so going on pays for nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from upturn.datasets import Snapshot
from upturn.ledger import Ledger
from upturn.lm import AnswerCache
from upturn.lm.connect import Connection
from upturn.lm.engine import Answers, Metering
from upturn.pipeline.course import Course, Question
from upturn.pipeline.elsewhere import Task, tasks_of
from upturn.pipeline.opening import open_engines
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.release import Releases
from upturn.pipeline.result import TurnResult
from upturn.pipeline.weights import Weights, open_weights
from upturn.pipeline.workspace import disk_errors, read_json, write_json
from upturn.programs.loading import file_hash
from upturn.records import Candidate, Json, content_hash
from upturn.registry import Registry
from upturn.tracking import Tracker

#: How patiently a model is asked says nothing about its answers.
_PATIENCE = {
    *("concurrency", "timeout_s", "num_retries", "deadline_s"),
    *("requests_per_minute", "tokens_per_minute", "max_outage_minutes"),
}
_NOT_ASKED: Any = {
    **dict.fromkeys(("budget", "promotion", "tracking", "workspace", "executor", "ray"), True),
    **{"cache": True, "model": _PATIENCE, "models": {"__all__": _PATIENCE}},
    "proposer_model": _PATIENCE,
    # In the question by what they mean, and only where there are weights.
    "search": {"space": {"weights": True}},
    "gate": {"guards": {"forgetting": True}},
}


@dataclass(frozen=True, kw_only=True)
class World:
    """The outside, one seam each.

    Attributes:
        identify: the model's id, weights included, without loading it.
        connect: opens the model with a cache and a meter; the turn closes it.
        store: opens tracker and registry; the turn closes them.
        clock: the time now, with zone.
        progress: told what happens.
        who: who runs this, for the ledger.
        worker_engine: ``file.py:factory`` of an engine that workers of a cluster use in place of
            the model's own; None outside tests.
    """

    identify: Callable[[Parts], str]
    connect: Callable[[Parts, Answers, Metering], Connection]
    store: Callable[[Parts], AbstractContextManager[tuple[Tracker, Registry]]]
    clock: Callable[[], datetime]
    progress: Progress
    who: str
    worker_engine: str | None = None


def run_turn(parts: Parts, world: World) -> TurnResult:
    """Runs one turn, or gives the recorded answer where the same question was answered before.

    Raises:
        UpturnError: bad input, an unusable machine, a model that cannot be reached at the start.
            An outage or a cap in mid-run is no error: the turn ends INCONCLUSIVE and can be
            resumed.
    """
    started = world.clock()
    # Program and metric before the lock and the data: a typo costs nothing and writes nothing.
    _ = parts.program.fields, parts.metric, parts.model
    model_id = world.identify(parts)
    with parts.workspace.locked(), disk_errors(parts.workspace.folder):
        snapshot = parts.snapshot(started)
        parts.try_metric(snapshot.train[0])
        _tell(world.progress, snapshot)
        ledger = Ledger(parts.workspace.ledger, clock=world.clock)
        with world.store(parts) as (tracker, registry):
            releases = Releases(registry, ledger, parts.config.name)
            champion = registry.champion(parts.config.name)
            start = champion.candidate if champion else parts.program.seed
            weights = open_weights(parts, champion, snapshot, model_id=model_id)
            turn = turn_id(parts, snapshot, start, model_id, weights=weights)
            recorded = _recorded(parts, turn)
            if recorded is not None:
                world.progress.step("known", f"turn {turn} asked the same; its answer stands")
                seconds = (world.clock() - started).total_seconds()
                result = recorded.again(max(0.0, seconds))
            else:
                tasks = _tasks(parts, weights, registry, started)
                question = Question(turn=turn, snapshot=snapshot, weights=weights, tasks=tasks)
                result = _run(parts, world, question, releases, tracker, started)
            return _promoted(result, releases, world.who)


def _promoted(result: TurnResult, releases: Releases, who: str) -> TurnResult:
    """Moves the alias last, when the result is on disk: a killed process can always finish it."""
    if not result.promoted:
        return result
    assert result.version is not None, "a promotion has a version"
    stands = releases.finish(result.version, turn=result.turn, who=who, reason=result.reasons[0])
    return replace(result, promoted=stands)


def _run(
    parts: Parts,
    world: World,
    question: Question,
    releases: Releases,
    tracker: Tracker,
    started: datetime,
) -> TurnResult:
    turn = question.turn
    max_mb = parts.config.cache.max_mb
    with AnswerCache(parts.workspace.cache, turn=turn, max_mb=max_mb) as cache:
        calls, usd = cache.spent(turn)
        if calls:
            world.progress.step("resume", f"turn {turn}: {calls} calls were paid before")
        with open_engines(
            parts,
            world,
            cache,
            calls_before=calls,
            usd_before=usd,
            adapters=question.weights.adapters,
        ) as engines:
            seed = parts.program.seed
            course = Course(
                parts=parts,
                question=question,
                releases=releases,
                tracker=tracker,
                engines=engines,
                champion=releases.adopt(seed, parts.program.state_json(seed)),
                started=started,
                clock=world.clock,
                progress=world.progress,
            )
            result, final = course.run()
    if final:
        write_json(parts.workspace.turn(turn) / "result.json", result.to_json())
    return result


def _tasks(parts: Parts, weights: Weights, registry: Registry, now: datetime) -> tuple[Task, ...]:
    section = parts.config.gate.guards.forgetting
    if section is None or not weights.adapters:
        return ()
    return tasks_of(section, parts, registry, now=now)


def turn_id(
    parts: Parts,
    snapshot: Snapshot,
    champion: Candidate,
    model_id: str,
    *,
    weights: Weights | None = None,
) -> str:
    """Returns the content id of the question that a turn asks.

    Caps, promotion mode and places are left out: they change what may be spent, where it is run and
    written, not what is asked. So a turn that ran into a cap goes on when the cap is raised.
    """
    config = parts.config.model_dump(exclude=_NOT_ASKED)
    own = [n for n in parts.config.search.proposers or () if ":" in n]
    question: dict[str, Json] = {
        "config": config,
        "snapshot": snapshot.id,
        "program": parts.program.fingerprint,
        "metric": parts.metric.fingerprint,
        "champion": champion.id,
        "model": model_id,
    }
    if weights is not None and weights.adapters:
        # By content, whatever they are called: a job that was trained again asks anew.
        question["weights"] = sorted(weights.adapters)
        # Which tasks, not their rows: what another program learns in a night must not make this one
        # look at its holdout again.
        forgetting = parts.config.gate.guards.forgetting
        question["forgetting"] = forgetting.model_dump() if forgetting else None
    if own:
        question["proposers"] = [file_hash(parts.root / n.partition(":")[0]) for n in own]
    return "t" + content_hash(question, length=11)


def _recorded(parts: Parts, turn: str) -> TurnResult | None:
    path = parts.workspace.turn(turn) / "result.json"
    return TurnResult.from_json(read_json(path)) if path.exists() else None


def _tell(progress: Progress, snapshot: Snapshot) -> None:
    sizes = f"train {len(snapshot.train)}, dev {len(snapshot.dev)}"
    progress.step(
        "snapshot", f"{snapshot.id[:12]}: {sizes}, holdout {snapshot.holdout.rows} (sealed)"
    )
    abstained = snapshot.manifest["abstained"]
    if abstained:
        reasons = ", ".join(f"{n} {reason}" for reason, n in list(abstained.items())[:4])
        progress.step("abstained", reasons)
    for sentence in snapshot.manifest["provenance"].get("distrusted", []):
        progress.step("rater", sentence)
