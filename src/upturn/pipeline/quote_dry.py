"""A quote for somebody who has not decided yet: no turn is opened, nothing is written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, Meter
from upturn.pipeline.pace import PROBE_ROWS, Pace, assumed_pace, probed_pace
from upturn.pipeline.parts import Parts
from upturn.pipeline.quote import Quoting
from upturn.pipeline.seams import World
from upturn.pipeline.weights import SETTING
from upturn.records import Candidate, Example
from upturn.report.quote import Quote


def quote_config(parts: Parts, world: World, *, latency_s: float | None = None) -> Quote:
    """Returns what a turn of this config would cost.

    A remote model is not called and its key is not read. A local one answers a few probe calls,
    unless ``latency_s`` says how long a call takes.

    Raises:
        InputError: what ``upturn validate`` would refuse, too.
    """
    data = parts.preview(world.clock())
    quoting = Quoting(parts, data, _start(parts, world))
    if parts.model.is_local and latency_s is None:
        pace = _probed(parts, world, quoting.dry.prompts, data.train)
    else:
        pace = assumed_pace(parts.model, latency_s)
    return quoting.quote(pace)


def _start(parts: Parts, world: World) -> Candidate:
    """The champion, where a database knows one; else the program as its author wrote it."""
    if not (parts.config.tracking.uri or (parts.workspace.folder / "mlflow.db").exists()):
        return parts.program.seed
    with world.store(parts) as (_, registry):
        champion = registry.champion(parts.config.name)
    return _on_base(champion.candidate) if champion else parts.program.seed


def _on_base(candidate: Candidate) -> Candidate:
    """The same prompt without its adapter, which has none of the tokens and little of the time."""
    settings = {k: v for k, v in candidate.settings.items() if k != SETTING}
    return replace(candidate, settings=settings)


def _probed(
    parts: Parts, world: World, prompts: Sequence[Candidate], rows: Sequence[Example]
) -> Pace:
    meter = Meter()
    # The answers are thrown away: a quote leaves no trace in the workspace.
    with (
        tempfile.TemporaryDirectory(prefix="upturn-quote-") as folder,
        AnswerCache(Path(folder) / "cache.db") as cache,
        world.connect(parts, cache, meter) as connection,
        Evaluator(
            parts.program, parts.metric, connection, meter, concurrency=PROBE_ROWS
        ) as evaluator,
    ):
        connection.probe()
        return probed_pace(evaluator, prompts, rows)
