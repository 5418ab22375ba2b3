"""Which earlier looks a holdout has to answer for: those that saw its rows, under any name.

A snapshot of next month has another holdout, and most of its rows may be those of this month. A
budget that starts anew with each name would let the same rows be looked at without end. So a look
is charged to the rows that it saw, and a holdout has spent what its rows have spent: the amount
that no more than ``SHARED`` of its rows exceed. A holdout whose rows are all new, but for that
share, starts with the whole budget.

Why a tenth: a challenger that learned the answers of the shared rows by heart, and raises them from
0.7 to 1, gains 0.03 on the whole by it, below the ``min_gain`` of 0.05 that a config has where it
says nothing. A share of 0 would charge every holdout for a single customer's row that comes back.

The ledger keeps a sketch of each holdout, never its rows: the ``SKETCH_ROWS`` smallest hashes of
the rows' ids (a bottom-k sketch: Cohen and Kaplan 2007, "Summarizing data using bottom-k sketches",
PODC). Two sketches agree on which rows of a common random sample, those with hashes up to the
smaller of both ends, are in both. Of 512 rows a share of 0.1 is known to +-0.013.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Rows that a sketch holds at most.
SKETCH_ROWS = 512
#: Hexadecimal digits of a row's hash: enough to tell rows apart, too few to name a person.
SKETCH_DIGITS = 8
#: The share of a holdout's rows that may have spent more than the holdout is charged for.
SHARED = 0.1
#: A common sample of fewer rows tells too little; the look then counts as one that saw every row.
_LEAST_SAMPLE = 32
_LAST = "f" * SKETCH_DIGITS


@dataclass(frozen=True, kw_only=True)
class PastLook:
    """One look that the ledger holds.

    Attributes:
        holdout: sha256 of the holdout that it opened.
        turn: id of the turn that looked.
        alpha: error level that it could spend.
        sketch: of that holdout's rows; empty where it was recorded before there were any.
    """

    holdout: str
    turn: str
    alpha: float
    sketch: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """What the rows of a holdout have been through.

    Attributes:
        looks: looks that saw them; spent: error that these could spend. No more than a tenth of the
            rows have seen more of either.
        inherited: how many of the looks were at holdouts of another name.
    """

    looks: int
    spent: float
    inherited: int = 0


def sketch_rows(row_hashes: Iterable[str]) -> tuple[str, ...]:
    """Returns the sketch of a holdout, sorted: ``SKETCH_ROWS`` hashes of ``SKETCH_DIGITS`` digits.

    Args:
        row_hashes: a hexadecimal hash of each row's id.
    """
    return tuple(sorted({h[:SKETCH_DIGITS] for h in row_hashes})[:SKETCH_ROWS])


def exposure(holdout: str, sketch: Sequence[str], looks: Iterable[PastLook]) -> Exposure:
    """Returns what earlier looks, at any holdout, have made of this one's rows.

    A look at this very holdout counts for all rows. Another one counts for the rows that its sketch
    shows; without sketches on both sides nothing is known of it, and it does not count. A turn
    counts once for a row, whatever the names under which it saw it.

    Args:
        holdout: sha256 of the holdout.
        sketch: of its rows; empty where that is not known.
        looks: all looks in the ledger, in any order.
    """
    every = list(looks)
    own = {p.turn: p.alpha for p in every if p.holdout == holdout}
    others = [p for p in every if p.turn not in own and p.sketch and sketch]
    sample, narrow = _common_sample(sketch, others)
    whole = own | {p.turn: p.alpha for p in narrow}
    others = [p for p in others if p.turn not in whole]
    seen: dict[str, dict[str, float]] = {row: {} for row in sample}
    for look in others:
        for row in seen.keys() & set(look.sketch):
            seen[row][look.turn] = look.alpha
    number = _exceeded_by_few([len(s) for s in seen.values()])
    spent = _exceeded_by_few([sum(s.values()) for s in seen.values()])
    return Exposure(
        looks=len(whole) + int(number),
        spent=sum(whole.values()) + spent,
        inherited=len(whole) - len(own) + int(number),
    )


def _common_sample(
    sketch: Sequence[str], looks: Sequence[PastLook]
) -> tuple[list[str], list[PastLook]]:
    """Returns the rows whose presence in every look is known, and the looks that were too narrow.

    A narrow look, at a holdout so much larger that hardly any of its sketch could be one of ours,
    would leave nothing to go by; what cannot be told is taken to be seen.
    """
    least = min(_LEAST_SAMPLE, len(sketch))
    by_width = sorted(looks, key=lambda p: _end(p.sketch), reverse=True)
    narrow: list[PastLook] = []
    while by_width:
        sample = [row for row in sketch if row <= _end(by_width[-1].sketch)]
        if len(sample) >= least:
            return sample, narrow
        narrow.append(by_width.pop())
    return list(sketch), narrow


def _end(sketch: Sequence[str]) -> str:
    """The largest hash of which the sketch tells whether the row is there."""
    return sketch[-1] if len(sketch) == SKETCH_ROWS else _LAST


def _exceeded_by_few(values: Sequence[float]) -> float:
    """The smallest value that at most ``SHARED`` of the values exceed; 0 where there are none."""
    ordered = sorted(values, reverse=True)
    return ordered[int(SHARED * len(ordered))] if ordered else 0.0
