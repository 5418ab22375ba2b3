"""Recorded tables as arenas: a search can be replayed in milliseconds, and the truth is known.

A table is taken for the whole population of rows. A replay draws its dev rows from it with
replacement, so they are independent draws and the candidates' true scores are the table's means.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upturn.search.catalogue import Choices
from upturn.search.space import Space

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """One recorded task.

    Attributes:
        name: the task's.
        space: its choices.
        values_CR: who was right where.
        index: the choices' key -> row of ``values_CR``.
        start: the choices of the program as written.
    """

    name: str
    space: Space
    values_CR: Floats
    index: dict[tuple[str, ...], int]
    start: Choices

    @classmethod
    def read(cls, path: Path) -> Table:
        """Reads what ``benchmarks.record`` wrote."""
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        names = list(lines[0]["choices"])
        options = {n: tuple(sorted({x["choices"][n] for x in lines})) for n in names}
        origins = {n: {x["choices"][n]: x["origins"][n] for x in lines} for n in names}
        chars = {tuple(x["choices"][n] for n in names): x["chars"] for x in lines}
        space = Space(
            options=options, origins=origins, chars=lambda c: chars[tuple(c[n] for n in names)]
        )
        seed = {n: next(i for i, o in origins[n].items() if o == "seed") for n in names}
        return cls(
            name=path.stem,
            space=space,
            values_CR=np.array([_bits(x["right"], x["rows"]) for x in lines]),
            index={key: i for i, key in enumerate(chars)},
            start=seed,
        )

    @cached_property
    def truth_C(self) -> Floats:
        return self.values_CR.mean(axis=1)

    def truth(self, choices: Choices) -> float:
        """The true score of a combination."""
        return float(self.truth_C[self.index[self.space.key(choices)]])


def _bits(digits: str, n: int) -> list[float]:
    return [float(bit) for bit in f"{int(digits, 16):0{n}b}"]


class TableArena:
    """Some drawn rows of a table.

    Args:
        table: the population.
        rows: which of its rows, in running order; one may come twice.
    """

    def __init__(self, table: Table, rows: NDArray[np.int64]) -> None:
        self._table = table
        self._values_CR = table.values_CR[:, rows]
        self.units = np.arange(len(rows))
        self.spent = 0

    def run(self, work: Sequence[tuple[Choices, range]]) -> list[Floats]:
        index, space = self._table.index, self._table.space
        self.spent += sum(len(span) for _, span in work)
        return [self._values_CR[index[space.key(c)], s.start : s.stop] for c, s in work]

    def refusal(self, choices: Choices) -> str:
        return ""
