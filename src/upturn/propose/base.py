"""What a proposer is: it reads train (and where the seed failed) and offers instructions or demos.

To add one: write a file in this folder with a frozen dataclass that has ``name`` and ``propose``,
add it to ``PROPOSERS`` in ``propose/__init__.py``; ``upturn validate --schema`` then shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from upturn.evaluate import Evaluator
from upturn.programs import PredictorFields, Program
from upturn.records import Candidate, Example, Json, Row

Kind = Literal["instruction", "demos"]
Demos = tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One choice for one predictor.

    Attributes:
        predictor: whose choice it is.
        instruction: the text, for an instruction; None for a demo set.
        demos: the demos, for a demo set; None for an instruction.
        origin: the proposer's name and how, e.g. ``"balanced:12"``.
        example_ids: the train rows it was made from.
    """

    predictor: str
    origin: str
    instruction: str | None = None
    demos: Demos | None = None
    example_ids: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return "instruction" if self.demos is None else "demos"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that a proposer may read. It never sees rows that finalists or the gate are judged on.

    Attributes:
        program: the program.
        start: the candidate that runs now (the champion, or the seed).
        train: labelled rows of the train split.
        failures: rows of the search's part of dev that ``start`` got wrong, with their outcome.
        evaluator: runs candidates; what it spends is metered.
        max_demos: at most so many demos in a set.
        max_demo_chars: rows whose text is longer make no demos: long prompts read worse.
        seed: randomness is derived from it and the proposer's name.
    """

    program: Program
    start: Candidate
    train: Sequence[Example]
    failures: Sequence[tuple[Example, Row]]
    evaluator: Evaluator
    max_demos: int = 16
    max_demo_chars: int = 240
    seed: int = 0
    bootstrap_rows: int = field(default=48)

    def rng(self, name: str) -> np.random.Generator:
        """A generator of the proposer's own: adding a proposer changes no other's choices."""
        return np.random.default_rng([self.seed, *name.encode()])

    def demo_pool(self) -> list[Example]:
        """Train rows short enough to be shown, in a stable order."""
        rows = [e for e in self.train if text_length(e) <= self.max_demo_chars]
        return sorted(rows, key=lambda e: e.id)

    def sizes(self) -> list[int]:
        """Demo-set sizes worth trying: a quarter, a half, three quarters and all of the cap."""
        return sorted({max(1, round(self.max_demos * f)) for f in (0.25, 0.5, 0.75, 1.0)})


class Proposer(Protocol):
    """Called once for each generation of the search, before the catalogue is frozen."""

    @property
    def name(self) -> str: ...

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        """Yields choices; duplicates are fine, the catalogue names them by content."""
        ...


def text_length(example: Example) -> int:
    """Characters in the example's inputs."""
    return sum(len(str(v)) for v in example.inputs.values())


def text_of(example: Example) -> str:
    """The example's inputs as one text, for similarity."""
    return " ".join(str(v) for v in example.inputs.values())


def labelled_demo(fields: PredictorFields, example: Example) -> Mapping[str, Json] | None:
    """The example as a demo of a predictor, or None when it lacks one of the predictor's fields."""
    values = {**example.inputs, **example.labels}
    names = (*fields.inputs, *fields.outputs)
    return {n: values[n] for n in names} if all(n in values for n in names) else None


def demo_set(
    predictor: str, fields: PredictorFields, chosen: Sequence[Example], origin: str
) -> list[Proposal]:
    """Makes a proposal of labelled demos; none where a field of the predictor has no label."""
    demos = [labelled_demo(fields, e) for e in chosen]
    whole = tuple(d for d in demos if d is not None)
    if len(whole) < len(chosen) or not whole:
        return []
    ids = tuple(e.id for e in chosen)
    return [Proposal(predictor=predictor, origin=origin, demos=whole, example_ids=ids)]
