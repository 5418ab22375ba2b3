"""A preflight for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from upturn.finetune.estimate import Estimate
from upturn.finetune.leaks import Leaks
from upturn.finetune.preflight_rows import Sample

if TYPE_CHECKING:
    from upturn.finetune.preflight import Preflight

#: Characters of a prompt that are shown at each end: what differs is at the end.
_SHOWN = 160
_LABELS = 8


def text(found: Preflight) -> str:
    """Returns all that a preflight found, problems last, where they are read."""
    blocks = [
        _rows(found),
        *(_sample(sample) for sample in found.samples),
        _cost(found.estimate),
        _defaults(found),
        _findings("warning", [f.line for f in found.warnings]),
        _findings("problem", [f.line for f in found.problems]),
    ]
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block)))


def _rows(found: Preflight) -> Iterator[str]:
    counts = found.counts
    yield f"preflight of {found.name}"
    if "kept" in counts:
        dropped = ", ".join(f"{n} {reason}" for reason, n in counts["dropped"].items()) or "none"
        yield (
            f"  rows     {counts['came_in']} came in, {counts['kept']} kept, {counts['cut']} cut, "
            f"{counts['merged']} merged; dropped: {dropped}"
        )
    if tokens := found.tokens:
        yield (
            f"  loss     on {tokens.loss:,} of {tokens.total:,} tokens ({tokens.share:.1%}); "
            f"{tokens.ends} of {tokens.rows} rows end with the end token"
        )
        yield f"  weights  {tokens.rows} rows count as {tokens.effective_rows:.1f} sure ones"
    if balance := found.balance:
        for name, labels in balance.fields.items():
            shown = ", ".join(f"{label} {n}" for label, n in list(labels.items())[:_LABELS])
            more = len(labels) - _LABELS
            yield f"  labels   {name}: {shown}{f', {more} more' if more > 0 else ''}"
    if found.leaks:
        yield f"  leaks    {_leaks(found.leaks)}"


def _leaks(leaks: Leaks) -> str:
    dev = f"dev {leaks.dev_texts} texts, {leaks.dev_groups} groups, {leaks.dev_near} near"
    if leaks.holdout_texts is None:
        return f"{dev}; holdout: not frozen yet, compared when it is"
    return f"{dev}; holdout {leaks.holdout_texts} texts, {leaks.holdout_groups} groups (by hash)"


def _sample(sample: Sample) -> Iterator[str]:
    holds = "begins with" if sample.prefix_holds else "DOES NOT BEGIN WITH"
    yield f"row {sample.id}, {sample.tokens} tokens: what is trained {holds} what is sent"
    yield f"  sent     {_ends(sample.inference)}"
    yield f"  trained  {_ends(sample.training)}"
    yield f"  loss on  {sample.answer!r}"
    if sample.rejected:
        yield f"  against  {sample.rejected!r}"


def _ends(value: str) -> str:
    if len(value) <= 2 * _SHOWN:
        return repr(value)
    return f"{value[:_SHOWN]!r} … {value[-_SHOWN:]!r}"


def _cost(cost: Estimate | None) -> Iterator[str]:
    if cost is None:
        return
    yield "estimate, from arithmetic alone"
    yield (
        f"  work     {cost.steps} steps, {cost.samples:,} samples, {cost.tokens:,} tokens "
        f"({cost.padding:.0%} padding), {cost.pflops:.3g} x 10^15 operations"
    )
    yield f"  model    {cost.parameters:,} weights, of the adapter {cost.trainable:,}"
    busy = "on a machine as busy as this one is now"
    time = "not known for a GPU" if cost.minutes is None else f"{cost.minutes:.2g} minutes {busy}"
    yield f"  takes    {time}; {cost.memory_mb:,.0f} MB"


def _defaults(found: Preflight) -> Iterator[str]:
    if found.defaults is None or not found.defaults.lines:
        return
    yield "TRL's defaults would, with these rows"
    yield from (f"  {line}" for line in found.defaults.lines)


def _findings(kind: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"{len(lines)} {kind}{'' if len(lines) == 1 else 's'}"
        yield from (f"  {line}" for line in lines)
