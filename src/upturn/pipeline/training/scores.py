"""Dev before and after, measured where answers are served: base alone, base with the adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from upturn.evaluate import Evaluator
from upturn.finetune.length import length_change
from upturn.lm import AnswerCache, Caps, Meter
from upturn.lm.connect import Connection
from upturn.lm.engine import Answers, Metering
from upturn.pipeline.parts import Parts
from upturn.pipeline.weights import SETTING
from upturn.records import Candidate, Evaluation, Example, Json, pair
from upturn.weights.adapter import Adapter

Connect = Callable[[Parts, Answers, Metering], Connection]


@dataclass(frozen=True, kw_only=True)
class DevScores:
    """The metric on dev, of the prompt that the adapter was trained under.

    Attributes:
        before, after: mean score, without and with the adapter; None where no row could be scored.
        rows: dev rows that both ran on.
        counts: the counts behind ``after``, as reports print them.
        answer_tokens: how the length of answers changed (``finetune.length.length_change``).
        engine: "serving" where the engine that answers in production measured it, "worker" where
            the process that trained did.
    """

    before: float | None
    after: float | None
    rows: int
    counts: str = ""
    answer_tokens: Json = None
    engine: str = "serving"

    def to_json(self) -> dict[str, Json]:
        told = {"counts": self.counts, "answer_tokens": self.answer_tokens}
        return {
            "before": self.before,
            "after": self.after,
            "rows": self.rows,
            "engine": self.engine,
            **{name: value for name, value in told.items() if value},
        }


def measure(
    parts: Parts,
    connect: Connect,
    candidate: Candidate,
    adapter: Adapter,
    dev: Sequence[Example],
    *,
    start: Adapter | None = None,
) -> DevScores:
    """Runs dev twice on one engine; answers that were asked before come from the cache.

    Args:
        parts: the config's objects.
        connect: opens the base model.
        candidate: the prompt, without weights.
        adapter: the one that was trained.
        dev: the rows.
        start: the adapter that training started from: what "before" means then.

    Raises:
        UpturnError: the model cannot be run, or the metric raises.
    """
    adapters = {a.id: a for a in (adapter, start) if a is not None}
    with (
        AnswerCache(parts.workspace.cache, turn=f"job-{adapter.id}") as cache,
        connect(parts, cache, meter := Meter(Caps())) as connection,
        Evaluator(
            parts.program,
            parts.metric,
            connection,
            meter,
            concurrency=parts.config.model.concurrency,
            adapters=adapters,
        ) as evaluator,
    ):
        work = [(_with(candidate, each), dev) for each in (start, adapter)]
        before, after = evaluator.evaluate_all(work)
    return _scores(before, after)


def _with(candidate: Candidate, adapter: Adapter | None) -> Candidate:
    if adapter is None:
        return candidate
    return replace(candidate, settings={**candidate.settings, SETTING: adapter.id})


def _scores(before: Evaluation, after: Evaluation) -> DevScores:
    return DevScores(
        before=before.score,
        after=after.score,
        rows=len(after.rows),
        counts=after.denominator,
        answer_tokens=_answer_tokens(before, after),
    )


def _answer_tokens(before: Evaluation, after: Evaluation) -> Json:
    """How the length of answers changed, on the rows that were answered both times."""
    both = [(b, a) for b, a in pair(before.rows, after.rows) if b.output_tokens and a.output_tokens]
    return length_change([b.output_tokens for b, _ in both], [a.output_tokens for _, a in both])


def licence(folder: Path) -> str:
    """Returns the licence that a model's folder states: in its README's header, or as a file."""
    readme = folder / "README.md"
    if readme.is_file():
        lines = readme.read_text(encoding="utf-8", errors="replace").splitlines()
        if lines[:1] == ["---"]:
            for line in lines[1:]:
                if line == "---":
                    break
                name, _, value = line.partition(":")
                if name == "license" and value.strip():
                    return value.strip()
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md"):
        if (folder / name).is_file():
            return f"see {name} of the base"
    return NOT_RECORDED


NOT_RECORDED = "not recorded"
