"""Two versions of a program on the same dev rows; answers that were paid for cost nothing again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from upturn.errors import InputError
from upturn.evaluate import Evaluator
from upturn.gate.designs.fixed import analyse
from upturn.gate.statistics import cluster
from upturn.lm import AnswerCache, Meter
from upturn.pipeline.parts import Parts
from upturn.pipeline.turn import World
from upturn.pipeline.weights import champion_adapter
from upturn.records import Evaluation, Json, canonical_json, pair
from upturn.registry import RegisteredVersion, Registry
from upturn.report.changes import Change, as_patch, changes, setting_changes

#: One-sided error level of each end of the interval that is shown.
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two."""

    name: str
    candidate_id: str
    score: float | None
    denominator: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two versions on dev; ``effect`` is b - a with a 90 % interval, clustered by group."""

    program: str
    a: Side
    b: Side
    effect: float | None
    low: float | None
    high: float | None
    n: int
    groups: int
    calls: int
    patch: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "patch": list(self.patch)}


def compare_versions(path: Path, a: str, b: str, world: World) -> Comparison:
    """Runs two versions on all dev rows of a config's snapshot.

    Args:
        path: the config.
        a, b: a version, ``champion``, or ``seed`` for the program as written.
        world: the outside.

    Raises:
        InputError: no such version.
        UpturnError: bad data or an unusable model.
    """
    parts = Parts.load(path)
    with parts.workspace.locked(), world.store(parts) as (_, registry):
        versions = [_version(parts, registry, name) for name in (a, b)]
        left, right = (v.candidate if v else parts.program.seed for v in versions)
        found = [champion_adapter(v, parts.workspace) for v in versions if v]
        adapters = {adapter.id: adapter for adapter in found if adapter}
        dev = parts.snapshot(world.clock()).dev
        meter = Meter(parts.caps)
        with (
            AnswerCache(parts.workspace.cache, turn="compare") as cache,
            world.connect(parts, cache, meter) as connection,
        ):
            connection.probe()
            with Evaluator(
                parts.program, parts.metric, connection, meter, adapters=adapters
            ) as evaluator:
                rows = [evaluator.evaluate(c, dev) for c in (left, right)]
    patch = [line for change in changes(left, right) for line in _patch(change)]
    patch += setting_changes(left, right)
    return _compared(parts.config.name, (a, b), rows, meter.totals().calls, patch)


def _version(parts: Parts, registry: Registry, name: str) -> RegisteredVersion | None:
    """The version that a name means, None for the program as written."""
    if name == "seed":
        return None
    if name != "champion":
        return registry.load(parts.config.name, name)
    champion = registry.champion(parts.config.name)
    if champion is None:
        raise InputError(f"{parts.config.name} has no champion", fix="upturn run CONFIG")
    return champion


def _patch(change: Change) -> list[str]:
    """What one predictor's prompt gains and loses, as lines of a diff."""
    demos = [("+", d) for d in change.added] + [("-", d) for d in change.removed]
    return [
        f"{change.predictor}: {change.kept} demos in both",
        *as_patch(change.instruction).splitlines(),
        *(f"{mark} demo {canonical_json(demo)}" for mark, demo in demos),
    ]


def _compared(
    program: str, names: tuple[str, str], rows: list[Evaluation], calls: int, patch: list[str]
) -> Comparison:
    known = [
        (y.value - x.value, x.group)
        for x, y in pair(rows[0].rows, rows[1].rows)
        if x.value is not None and y.value is not None
    ]
    clusters = cluster([d for d, _ in known], [g for _, g in known]) if known else None
    finding = analyse(clusters, alpha=LEVEL, draws=20_000, seed=0) if clusters else None
    sides = [
        Side(name=n, candidate_id=r.candidate_id, score=r.score, denominator=r.denominator)
        for n, r in zip(names, rows, strict=True)
    ]
    return Comparison(
        program=program,
        a=sides[0],
        b=sides[1],
        effect=clusters.effect if clusters else None,
        low=finding.low if finding else None,
        high=finding.high if finding else None,
        n=len(known),
        groups=len(clusters.sums) if clusters else 0,
        calls=calls,
        patch=tuple(patch),
    )
