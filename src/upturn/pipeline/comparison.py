"""Versions of a program on the same dev rows; answers that were paid for cost nothing again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from upturn.errors import DataError, InputError
from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, Meter
from upturn.pipeline.canary.epochs import answers_now
from upturn.pipeline.parts import Parts
from upturn.pipeline.releases.names import version_to_run
from upturn.pipeline.seams import World
from upturn.pipeline.weights import champion_adapter
from upturn.records import OWN_FAILURES, Evaluation, Example, Json, Outcome, canonical_json
from upturn.report.changes import Change, as_patch, changes, setting_changes
from upturn.report.comparison import Contrast, Side, contrast, render_comparison


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is told of one version alone."""

    name: str
    candidate_id: str
    score: float | None
    denominator: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Versions on dev; ``effect`` is b - a with a 90 % interval, clustered by group.

    Attributes:
        program, model_id: what was run, on what.
        a, b: the first two versions; effect, low, high, n, groups: the second against the first.
        calls: model calls paid for now.
        patch: what differs between the first two prompts, as lines of a diff.
        contrasts: every version but the first, against the first.
        sides, examples: all versions with their rows, and what was asked.
    """

    program: str
    model_id: str
    a: Told
    b: Told
    effect: float | None
    low: float | None
    high: float | None
    n: int
    groups: int
    calls: int
    patch: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    sides: tuple[Side, ...]
    examples: tuple[Example, ...]

    def to_json(self) -> dict[str, Json]:
        """Returns the numbers, without rows and texts."""
        names = ("program", "effect", "low", "high", "n", "groups", "calls")
        return {
            **{name: getattr(self, name) for name in names},
            "a": asdict(self.a),
            "b": asdict(self.b),
            "patch": list(self.patch),
            "sides": [c.to_json() for c in self.contrasts],
        }

    def page(self) -> str:
        """Returns the comparison as one HTML file."""
        return render_comparison(
            self.sides, self.examples, program=self.program, model_id=self.model_id
        )


@dataclass(frozen=True, kw_only=True)
class DevRun:
    """Versions that were run on all dev rows of a config's snapshot."""

    sides: tuple[Side, ...]
    examples: tuple[Example, ...]
    model_id: str
    calls: int


def compare_versions(parts: Parts, names: Sequence[str], world: World) -> Comparison:
    """Runs versions on all dev rows of a config's snapshot, and compares them with the first.

    Args:
        parts: the config's objects.
        names: at least two; each a version, ``champion``, or ``seed`` for the program as written.
        world: the outside.

    Raises:
        InputError: no such version, or fewer than two.
        UpturnError: bad data or an unusable model.
    """
    if len(names) < 2:
        raise InputError(
            f"there must be at least two versions to compare, got {len(names)}",
            fix="upturn compare champion 3",
        )
    run = run_on_dev(parts, names, world)
    first, second = run.sides[:2]
    found = [contrast(first, other) for other in run.sides[1:]]
    told = [
        Told(
            name=s.name,
            candidate_id=s.evaluation.candidate_id,
            score=s.evaluation.score,
            denominator=s.evaluation.denominator,
        )
        for s in (first, second)
    ]
    return Comparison(
        program=parts.config.name,
        model_id=run.model_id,
        a=told[0],
        b=told[1],
        effect=found[0].effect,
        low=found[0].low,
        high=found[0].high,
        n=found[0].n,
        groups=found[0].groups,
        calls=run.calls,
        patch=tuple(_patch(first, second)),
        contrasts=tuple(found),
        sides=run.sides,
        examples=run.examples,
    )


def run_on_dev(parts: Parts, names: Sequence[str], world: World) -> DevRun:
    """Runs versions on all dev rows; the arguments are those of ``compare_versions``."""
    with parts.workspace.locked(), world.store(parts) as (_, registry):
        versions = [version_to_run(registry, parts.config.name, name) for name in names]
        candidates = [v.candidate if v else parts.program.seed for v in versions]
        found = [champion_adapter(v, parts.workspace) for v in versions if v]
        adapters = {adapter.id: adapter for adapter in found if adapter}
        dev = parts.snapshot(world.clock()).dev
        meter = Meter(parts.caps)
        with (
            AnswerCache(parts.workspace.cache, turn="compare") as cache,
            world.connect(parts, answers_now(parts, world.identify, cache), meter) as connection,
        ):
            connection.probe()
            with Evaluator(
                parts.program, parts.metric, connection, meter, adapters=adapters
            ) as evaluator:
                rows = [evaluator.evaluate(c, dev) for c in candidates]
            model_id = connection.model_id
    sides = (
        Side(name=n, candidate=c, evaluation=e)
        for n, c, e in zip(names, candidates, rows, strict=True)
    )
    return DevRun(
        sides=tuple(sides), examples=tuple(dev), model_id=model_id, calls=meter.totals().calls
    )


def gate_rows(evaluation: Evaluation) -> list[dict[str, Json]]:
    """Returns rows as ``upturn gate`` reads them, without those that the metric left unscored.

    Raises:
        DataError: the world took a row's answer, so that the file would not be whole.
    """
    lost = [r for r in evaluation.rows if r.failure and r.failure not in OWN_FAILURES]
    if lost:
        raise DataError(
            f"every row must have an answer, {len(lost)} of {len(evaluation.rows)} were lost to "
            f"{lost[0].failure}",
            where=lost[0].example_id,
            fix="run the same command again: answers that were paid for cost nothing",
        )
    return [
        {"id": r.example_id, "group": r.group, "score": r.score, "failed": r.failure is not None}
        for r in evaluation.rows
        if r.outcome is not Outcome.UNSCORED
    ]


def _patch(first: Side, second: Side) -> list[str]:
    """What the second prompt gains and loses, as lines of a diff."""
    old, new = first.candidate, second.candidate
    lines = [line for change in changes(old, new) for line in _lines(change)]
    return [*lines, *setting_changes(old, new)]


def _lines(change: Change) -> list[str]:
    demos = [("+", d) for d in change.added] + [("-", d) for d in change.removed]
    return [
        f"{change.predictor}: {change.kept} demos in both",
        *as_patch(change.instruction).splitlines(),
        *(f"{mark} demo {canonical_json(demo)}" for mark, demo in demos),
    ]
