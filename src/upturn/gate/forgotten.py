"""What an adapter unlearned: the base model without and with it, on rows of other tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from upturn.gate.designs.fixed import analyse
from upturn.gate.pairing import Compared, compare
from upturn.gate.report import GuardResult
from upturn.gate.rules import Guards
from upturn.gate.statistics import cluster
from upturn.records import Evaluation

#: First word of these guards' names.
NAME = "forgetting"
_DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class OtherTask:
    """One task that the challenger was not made for.

    Attributes:
        name: of the task, for people.
        plain: the base model on its rows.
        adapted: the base model with the challenger's adapter, on the same rows, same prompts.
        margin: how far the score may fall.
    """

    name: str
    plain: Evaluation
    adapted: Evaluation
    margin: float = 0.05


def judge_others(
    others: Sequence[OtherTask], rules: Guards, *, seed: int
) -> tuple[GuardResult, ...]:
    """Returns one guard for each task.

    A guard is broken where the score fell by more than its margin and the fall is
    beyond noise: one-sided p at most ``forgetting_level``, by the gate's own paired test. Both are
    asked, since these rows are few and are looked at by every turn: a fall of six in a hundred may
    be one unlucky row, and a sure fall of one in a hundred is no reason to keep a better model out.

    Raises:
        DataError: the two did not run on the same rows.
    """
    return tuple(_judged(other, rules, seed) for other in others)


def _judged(other: OtherTask, rules: Guards, seed: int) -> GuardResult:
    name = f"{NAME} {other.name}"
    compared = compare(other.plain, other.adapted)
    if len(compared) < rules.slice_min_rows:
        note = f"not judged: only {len(compared)} rows were answered"
        return GuardResult(
            name=name, baseline=None, challenger=None, limit=None, ok=True, note=note
        )
    before, after = _mean(c.baseline for c in compared), _mean(c.challenger for c in compared)
    limit = before - other.margin
    p_value = _p_of_a_fall(compared, seed)
    fell = after < limit - 1e-12
    return GuardResult(
        name=name,
        baseline=before,
        challenger=after,
        limit=limit,
        ok=not (fell and p_value <= rules.forgetting_level),
        note=f"{len(compared)} rows without and with the adapter, one-sided p = {p_value:.2g}",
    )


def _p_of_a_fall(compared: Sequence[Compared], seed: int) -> float:
    # The test asks whether the second is better; a fall is a gain of the first over the second.
    falls = cluster([-c.difference for c in compared], [c.baseline_row.group for c in compared])
    return analyse(falls, alpha=0.05, draws=_DRAWS, seed=seed).p_value


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
