"""What a proposer is: it reads train (and where the seed failed) and offers instructions or demos.

To add one, write a file in this folder that ends in ``PROPOSER = YourProposer``: a frozen dataclass
with ``name`` and ``propose`` (CONTRIBUTING.md shows a whole one). It is found by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from upturn.evaluate import CandidateRunner
from upturn.programs import PredictorFields, Program
from upturn.records import Candidate, Evaluation, Example, Json, Row

if TYPE_CHECKING:
    from upturn.lm.connect import Connection

Kind = Literal["instruction", "demos", "setting"]
Demos = tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One choice for one predictor, or one setting of the whole program.

    Attributes:
        predictor: whose choice it is; "" for a setting.
        instruction: the text, for an instruction; else None.
        demos: the demos, for a demo set; else None.
        setting: name and value, for a setting (see ``Candidate.settings``); else None.
        origin: the proposer's name and how, e.g. ``"balanced:12"``.
        example_ids: the train rows it was made from.
        event_ids: the events (requests, corrections, comments) that support it.
    """

    predictor: str
    origin: str
    instruction: str | None = None
    demos: Demos | None = None
    setting: tuple[str, Json] | None = None
    example_ids: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        if self.setting is not None:
            return "setting"
        return "instruction" if self.demos is None else "demos"


@dataclass(frozen=True, kw_only=True)
class Survivor:
    """A candidate that did well in the generation before, with its rows there.

    Attributes:
        candidate: the prompt.
        evaluation: its rows of the search's part of dev; not necessarily all of them.
        score: what the search makes of it.
    """

    candidate: Candidate
    evaluation: Evaluation
    score: float


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
        max_prompt_chars: a demo set with more characters than this is cut; None for no limit.
        seed: randomness is derived from it and the proposer's name.
        bootstrap_rows: train rows that a proposer may run the program on.
        searched: the search's part of dev, which ``failures`` come from.
        baseline: what ``start`` did on ``searched``.
        survivors: the best of the generation before, best first; empty in the first generation.
        generation: which one this is, from 1.
        strong: a model that can write instructions, or None: then such proposers propose nothing.
        tell: told (proposer, sentence) where one is skipped or falls short.
    """

    program: Program
    start: Candidate
    train: Sequence[Example]
    failures: Sequence[tuple[Example, Row]]
    evaluator: CandidateRunner
    max_demos: int = 16
    max_demo_chars: int = 240
    seed: int = 0
    bootstrap_rows: int = 48
    searched: Sequence[Example] = ()
    baseline: Evaluation | None = None
    survivors: Sequence[Survivor] = ()
    generation: int = 1
    strong: Connection | None = None
    tell: Callable[[str, str], None] = lambda proposer, sentence: None
    max_prompt_chars: int | None = None

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


def events_of(examples: Iterable[Example]) -> tuple[str, ...]:
    """The events that the examples came from, each once, in their order."""
    return tuple(dict.fromkeys(i for e in examples for i in e.event_ids))


def weights_of(examples: Sequence[Example]) -> NDArray[np.float64]:
    """How sure each example's label is, in (0, 1]."""
    return np.array([e.weight for e in examples], dtype=np.float64)


def demo_set(
    predictor: str, fields: PredictorFields, chosen: Sequence[Example], origin: str
) -> list[Proposal]:
    """Makes a proposal of labelled demos; none where a field of the predictor has no label."""
    demos = [labelled_demo(fields, e) for e in chosen]
    whole = tuple(d for d in demos if d is not None)
    if len(whole) < len(chosen) or not whole:
        return []
    return [
        Proposal(
            predictor=predictor,
            origin=origin,
            demos=whole,
            example_ids=tuple(e.id for e in chosen),
            event_ids=events_of(chosen),
        )
    ]
