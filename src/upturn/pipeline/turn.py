"""One turn of the loop: data -> search -> gate -> promotion.

A turn is named by the question it asks (config, snapshot, program, metric, champion, model). Asking
the same question again gives the recorded answer, or goes on where a killed process stopped: every
answer of the model is on disk before it is used, so going on pays for nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from upturn.datasets import Snapshot
from upturn.ledger import Ledger
from upturn.lm import AnswerCache
from upturn.pipeline.canary.canaries import model_now, paid, watch
from upturn.pipeline.canary.watching import Watch
from upturn.pipeline.course import Course
from upturn.pipeline.elsewhere import Task, tasks_of
from upturn.pipeline.judge import looks_left
from upturn.pipeline.judging import judge_notices
from upturn.pipeline.opening import open_engines
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.question import Question
from upturn.pipeline.releases.release import Releases
from upturn.pipeline.result import TurnResult
from upturn.pipeline.seams import World
from upturn.pipeline.suites import open_suites
from upturn.pipeline.weights import Weights, open_weights
from upturn.pipeline.workspace import disk_errors, read_json, write_json
from upturn.programs.loading import file_hash
from upturn.records import Candidate, Json, Verdict, content_hash
from upturn.registry import Registry
from upturn.tracking import Tracker

#: How patiently a model is asked says nothing about its answers.
_PATIENCE = {
    *("concurrency", "timeout_s", "num_retries", "deadline_s"),
    *("requests_per_minute", "tokens_per_minute", "max_outage_minutes"),
}
_NOT_ASKED: Any = {
    **dict.fromkeys(("budget", "promotion", "tracking", "workspace", "executor", "ray"), True),
    **{"cache": True, "canaries": True, "model": _PATIENCE, "models": {"__all__": _PATIENCE}},
    "proposer_model": _PATIENCE,
    # In the question by what they mean, and only where there are weights.
    "search": {"space": {"weights": True}},
    "gate": {"guards": {"forgetting": True}, "judge": True, "suites": True},
}


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
    suites = open_suites(parts)
    notices = judge_notices(parts)
    model_id = world.identify(parts)
    with parts.workspace.locked(), disk_errors(parts.workspace.folder):
        snapshot = parts.snapshot(started)
        parts.try_metric(snapshot.train[0])
        _tell(world.progress, snapshot)
        ledger = Ledger(parts.workspace.ledger, clock=world.clock, actor=world.who)
        with world.store(parts) as (tracker, registry):
            tell = partial(world.progress.step, "release")
            releases = Releases(registry, ledger, parts.config.name, tell)
            seen, asked = _watched(parts, world, registry, snapshot, model_id)
            moved = releases.settle()
            if moved is not None and (asked.recorded is None or moved.data["turn"] != asked.turn):
                # Of the champion that it is now.
                asked = _ask(parts, registry, snapshot, seen.model_id)
            if asked.recorded is not None:
                turn = asked.turn
                world.progress.step("known", f"turn {turn} asked the same; its answer stands")
                seconds = (world.clock() - started).total_seconds()
                result = seen.charged(asked.recorded.again(max(0.0, seconds)))
            else:
                tasks = _tasks(parts, asked.weights, registry, started)
                question = Question(
                    turn=asked.turn,
                    snapshot=snapshot,
                    weights=asked.weights,
                    tasks=tasks,
                    suites=suites,
                    watch=replace(seen, notices=(*notices, *seen.notices)),
                )
                result = _run(parts, world, question, releases, tracker, started)
            return _promoted(result, releases, world.who, ask=parts.config.promotion == "ask")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The question of a turn, and its answer where it was asked before."""

    turn: str
    weights: Weights
    recorded: TurnResult | None


def _ask(parts: Parts, registry: Registry, snapshot: Snapshot, model_id: str) -> _Asked:
    champion = registry.champion(parts.config.name)
    start = champion.candidate if champion else parts.program.seed
    weights = open_weights(parts, champion, snapshot, model_id=model_id)
    turn = turn_id(parts, snapshot, start, model_id, weights=weights)
    return _Asked(turn=turn, weights=weights, recorded=_recorded(parts, turn))


def _watched(
    parts: Parts, world: World, registry: Registry, snapshot: Snapshot, model_id: str
) -> tuple[Watch, _Asked]:
    """Asks the canaries; then the question is of the model that answers today."""
    champion = registry.champion(parts.config.name)
    start = champion.candidate if champion else parts.program.seed
    known = model_now(parts, world, model_id)
    asked = _ask(parts, registry, snapshot, known)
    # Where an answer stands, its caps do not: it may stand for months.
    before = (0, 0.0) if asked.recorded else paid(parts, asked.turn)
    seen = watch(parts, world, snapshot, start, model_id, before=before)
    same = seen.model_id == known
    return seen, asked if same else _ask(parts, registry, snapshot, seen.model_id)


def _promoted(result: TurnResult, releases: Releases, who: str, *, ask: bool) -> TurnResult:
    """Moves the alias last, when the result is on disk: a killed process can always finish it."""
    if not result.promoted:
        if ask and result.version and result.verdict == Verdict.PROMOTE:
            releases.stage(result.version, turn=result.turn)
        return result
    assert result.version is not None, "a promotion has a version"
    stands = releases.finish(result.version, turn=result.turn, who=who, because=result.reasons[0])
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
        asked_calls, asked_usd = question.watch.charge(parts.workspace.turn(turn))
        if calls:
            world.progress.step("resume", f"turn {turn}: {calls} calls were paid before")
        left = looks_left(
            releases.ledger, question.snapshot, alpha=parts.config.gate.alpha, turn=turn
        )
        if left is not None and not left.looks_left:
            # The search costs as much, and no gate can promote what it finds.
            world.progress.step("looks", left.sentence)
        with open_engines(
            parts,
            world,
            cache,
            calls_before=calls + asked_calls,
            usd_before=usd + asked_usd,
            adapters=question.weights.adapters,
        ) as engines:
            seed = parts.program.seed
            course = Course(
                parts=parts,
                question=question,
                releases=releases,
                tracker=tracker,
                engines=engines,
                champion=releases.adopt(seed, parts.program.state_json(seed), who=world.who),
                started=started,
                clock=world.clock,
                progress=world.progress,
            )
            result, final = course.run()
            result = question.watch.charged(result)
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
    if parts.config.gate.judge is not None:
        # What shows that a judge may gate is asked every time; what it may be overruled by is not.
        question["human"] = parts.config.gate.judge.human
    if parts.config.gate.suites:
        # By what they ask and expect, wherever their files lie.
        question["suites"] = [s.question() for s in open_suites(parts)]
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
