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

from upturn.datasets import Snapshot
from upturn.evaluate import Evaluator
from upturn.ledger import Ledger
from upturn.lm import AnswerCache, Meter
from upturn.lm.connect import Connection
from upturn.pipeline.course import Course
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.release import Releases
from upturn.pipeline.result import TurnResult
from upturn.pipeline.workspace import disk_errors, read_json, write_json
from upturn.records import Candidate, content_hash
from upturn.registry import Registry
from upturn.tracking import Tracker


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
    """

    identify: Callable[[Parts], str]
    connect: Callable[[Parts, AnswerCache, Meter], Connection]
    store: Callable[[Parts], AbstractContextManager[tuple[Tracker, Registry]]]
    clock: Callable[[], datetime]
    progress: Progress
    who: str


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
            turn = turn_id(parts, snapshot, start, model_id)
            recorded = _recorded(parts, turn)
            if recorded is not None:
                world.progress.step("known", f"turn {turn} asked the same; its answer stands")
                result = recorded.again((world.clock() - started).total_seconds())
            else:
                result = _run(parts, world, snapshot, releases, tracker, turn, started)
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
    snapshot: Snapshot,
    releases: Releases,
    tracker: Tracker,
    turn: str,
    started: datetime,
) -> TurnResult:
    with AnswerCache(parts.workspace.cache, turn=turn) as cache:
        calls, usd = cache.spent(turn)
        if calls:
            world.progress.step("resume", f"turn {turn}: {calls} calls were paid before")
        meter = Meter(parts.caps, calls_before=calls, usd_before=usd)
        with (
            world.connect(parts, cache, meter) as connection,
            Evaluator(
                parts.program,
                parts.metric,
                connection,
                meter,
                concurrency=parts.config.model.concurrency,
            ) as evaluator,
        ):
            connection.probe()
            seed = parts.program.seed
            course = Course(
                parts=parts,
                snapshot=snapshot,
                releases=releases,
                tracker=tracker,
                connection=connection,
                evaluator=evaluator,
                meter=meter,
                champion=releases.adopt(seed, parts.program.state_json(seed)),
                turn=turn,
                started=started,
                clock=world.clock,
                progress=world.progress,
            )
            result, final = course.run()
    if final:
        write_json(parts.workspace.turn(turn) / "result.json", result.to_json())
    return result


def turn_id(parts: Parts, snapshot: Snapshot, champion: Candidate, model_id: str) -> str:
    """Returns the content id of the question that a turn asks.

    Caps, promotion mode and places are left out: they change what may be spent and where it is
    written, not what is asked. So a turn that ran into a cap goes on when the cap is raised.
    """
    config = parts.config.model_dump(exclude={"budget", "promotion", "tracking", "workspace"})
    question = {
        "config": config,
        "snapshot": snapshot.id,
        "program": parts.program.fingerprint,
        "metric": parts.metric.fingerprint,
        "champion": champion.id,
        "model": model_id,
    }
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
