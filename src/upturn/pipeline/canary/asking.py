"""Asks the champion's canary rows, past the cache: what it said before, and what it says now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, CallRecord, Meter, Totals
from upturn.lm.epoch import PastCache
from upturn.pipeline.canary.epochs import answers_now
from upturn.pipeline.parts import Parts
from upturn.pipeline.seams import World
from upturn.records import OWN_FAILURES, Candidate, Example, Row, content_hash

#: Answers of one row that are kept; more would hardly make a change easier to see.
KEPT = 5
#: With fewer earlier answers than this a row is asked twice.
_ENOUGH = 2


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """One answer, without its words: a hash of it, and its score."""

    answer: str
    score: float


@dataclass(kw_only=True)
class Answered:
    """What the canaries said.

    Attributes:
        old: row -> earlier answers. new: row -> those of today.
        models, servers: the model and the system fingerprint that the server named today.
        totals: what was spent.
    """

    old: dict[str, tuple[Spoken, ...]] = field(default_factory=dict[str, tuple[Spoken, ...]])
    new: dict[str, tuple[Spoken, ...]] = field(default_factory=dict[str, tuple[Spoken, ...]])
    models: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()
    totals: Totals = field(default_factory=Totals)


def row_name(example: Example) -> str:
    """The name under which a row's answers are kept; says nothing of it."""
    return content_hash([example.id, dict(example.inputs)], length=24)


def ask_canaries(
    parts: Parts,
    world: World,
    champion: Candidate,
    examples: Sequence[Example],
    known: Mapping[str, tuple[Spoken, ...]],
    *,
    before: tuple[int, float],
) -> Answered:
    """Asks each row once, or twice where few earlier answers are known.

    Earlier answers are those that were kept, and that of the answer cache. Rows that the world
    fails (outage, budget) are left out.

    Args:
        parts: of the model that the champion runs on.
        world: how it is reached.
        champion: what is run.
        examples: the rows.
        known: row -> answers that were kept.
        before: calls and US dollars that count under the caps already.

    Raises:
        ModelError: the model cannot be reached or used.
    """
    found, source = Answered(), PastCache()
    meter = Meter(parts.caps, calls_before=before[0], usd_before=before[1])
    with world.connect(parts, source, meter) as connection, meter.record() as calls:
        connection.probe()

        def run(rows: Sequence[Example]) -> Mapping[str, Row]:
            name = champion.settings.get("model")
            with Evaluator(
                parts.program,
                parts.metric,
                connection,
                meter,
                concurrency=parts.config.model.concurrency,
                connections={str(name): connection} if name else {},
            ) as evaluator:
                ran = evaluator.evaluate(champion, rows, tolerant=True).rows if rows else ()
            return {row_name(e): row for e, row in zip(rows, ran, strict=True)}

        unknown = [e for e in examples if len(known.get(row_name(e), ())) < _ENOUGH]
        with AnswerCache(parts.workspace.cache) as cache:
            source.reads = answers_now(parts, world.identify, cache)
            first = run(unknown)
            source.reads = None
        cached = {n for n, row in first.items() if 0 < row.calls == row.cached_calls}
        asked = [e for e in examples if row_name(e) not in first or row_name(e) in cached]
        rounds = [_without(first, cached), run(asked), run(unknown)]
    found.totals = meter.totals()
    _note(found, calls)
    for example in examples:
        name = row_name(example)
        earlier = _spoken([first[name]]) if name in cached else ()
        found.old[name] = (*known.get(name, ()), *earlier)
        found.new[name] = _spoken([r[name] for r in rounds if name in r])
    return found


def _without(rows: Mapping[str, Row], names: Collection[str]) -> Mapping[str, Row]:
    return {name: row for name, row in rows.items() if name not in names}


def _note(found: Answered, calls: Sequence[CallRecord]) -> None:
    fresh = [c for c in calls if not c.cached]
    found.models = frozenset(c.model for c in fresh if c.model)
    found.servers = frozenset(c.fingerprint for c in fresh if c.fingerprint)


def _spoken(rows: Sequence[Row]) -> tuple[Spoken, ...]:
    known = [r for r in rows if r.failure is None or r.failure in OWN_FAILURES]
    return tuple(
        Spoken(
            answer=content_hash([r.failure or "", _plain(r)], length=24),
            score=0.0 if r.value is None else r.value,
        )
        for r in known
    )


def _plain(row: Row) -> dict[str, str]:
    # An output may be any object of the user's; its text is what an answer is compared by.
    return {name: str(value) for name, value in row.outputs.items()}
