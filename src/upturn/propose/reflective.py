"""Instructions by reflection: a strong model reads wrong answers, and what users said of them.

The idea is GEPA's reflective mutation: a minibatch of failures in, a rewritten instruction out, and
the parents are what did well before (Agrawal et al. 2025, "GEPA: Reflective Prompt Evolution Can
Outperform Reinforcement Learning"). What is kept is left to the search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from upturn.events.records import Purpose
from upturn.privacy.consent import may
from upturn.programs import PredictorFields
from upturn.propose.base import Evidence, Proposal, events_of
from upturn.propose.strong_cases import case_of
from upturn.propose.strong_quoting import fenced, texts_in
from upturn.propose.writing import accepted, ask_all, rewritten
from upturn.records import Candidate, Example, Json, Row, canonical_json

#: A row that somebody wrote about tells more than one that is only wrong.
NOTED = 2.0


@dataclass(frozen=True, kw_only=True)
class Parent:
    """A candidate whose instructions are rewritten, and the rows that it got wrong."""

    candidate: Candidate
    failed: Sequence[tuple[Example, Row]]


@dataclass(frozen=True, kw_only=True)
class Reflection:
    """One question: a predictor's instruction, and the cases it is to be rewritten on."""

    predictor: str
    number: int
    current: str
    cases: Sequence[Mapping[str, Json]]
    read: Sequence[Example]

    def inputs(self, fields: PredictorFields) -> dict[str, str]:
        """Returns what the strong model is shown."""
        outputs = {n: list(labels) if labels else "text" for n, labels in fields.outputs.items()}
        return {
            "step": canonical_json({"inputs": list(fields.inputs), "outputs": outputs}),
            "current_instruction": self.current,
            "cases": fenced(self.cases),
        }


@dataclass(frozen=True)
class ReflectiveProposer:
    """Asks the strong model for rewritten instructions, each from another minibatch of failures.

    Rows whose consent was stated without training are not read. A written instruction is refused
    where it is empty, too long, holds a chat format's markers, or copies a text of a user.
    """

    name: str = "reflective"
    reflections: int = 4
    minibatch: int = 6

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        if evidence.strong is None:
            evidence.tell(self.name, "no proposer_model is configured")
            return
        asked = list(self._reflections(evidence))
        if not asked:
            evidence.tell(self.name, "no wrong answer may be read")
            return
        fields = evidence.program.predictors
        asks = [partial(rewritten, r.inputs(fields[r.predictor])) for r in asked]
        for r, answer in zip(asked, ask_all(evidence.strong, asks), strict=True):
            instruction = accepted(
                evidence,
                answer,
                asked=(self.name, f"{r.predictor}, reflection {r.number}"),
                current=r.current,
                quoted=[t for e in r.read for t in texts_in([e.inputs, e.labels, e.notes])],
            )
            if instruction is not None:
                yield Proposal(
                    predictor=r.predictor,
                    origin=f"{self.name}:g{evidence.generation}:{r.number}",
                    instruction=instruction,
                    example_ids=tuple(e.id for e in r.read),
                    event_ids=events_of(r.read),
                )

    def _reflections(self, evidence: Evidence) -> Iterator[Reflection]:
        parents = parents_of(evidence)
        for predictor in evidence.start.states if parents else ():
            rng = evidence.rng(f"{self.name}:{evidence.generation}:{predictor}")
            for number in range(1, self.reflections + 1):
                parent = parents[(number - 1) % len(parents)]
                batch = drawn(parent.failed, self.minibatch, rng)
                made = [case_of(evidence, parent.candidate, predictor, *pair) for pair in batch]
                told = [(e, c) for (e, _), c in zip(batch, made, strict=True) if c is not None]
                if told:
                    yield Reflection(
                        predictor=predictor,
                        number=number,
                        current=parent.candidate.states[predictor].instruction,
                        cases=[case for _, case in told],
                        read=[e for e, _ in told],
                    )


def parents_of(evidence: Evidence) -> list[Parent]:
    """Returns the survivors that got rows wrong, best first; without any, what runs now."""
    rows = {e.id: e for e in evidence.searched}
    pairs = [
        (s.candidate, [(rows[r.example_id], r) for r in s.evaluation.rows if r.example_id in rows])
        for s in evidence.survivors
    ]
    found = [_parent(candidate, some) for candidate, some in pairs]
    parents = [p for p in found if p.failed] or [_parent(evidence.start, evidence.failures)]
    return [p for p in parents if p.failed]


def _parent(candidate: Candidate, rows: Iterable[tuple[Example, Row]]) -> Parent:
    failed = [
        (e, row)
        for e, row in rows
        if row.value is not None and row.value < 1.0 and may(e.consent, Purpose.TRAIN)
    ]
    return Parent(candidate=candidate, failed=failed)


def drawn(
    failed: Sequence[tuple[Example, Row]], size: int, rng: np.random.Generator
) -> list[tuple[Example, Row]]:
    """Draws rows without replacement: the worse, the surer and the annotated are likelier."""
    loss_R = np.array([1.0 - (row.value or 0.0) for _, row in failed])
    sure_R = np.array([e.weight * (NOTED if e.notes else 1.0) for e, _ in failed])
    p_R = loss_R * sure_R / (loss_R * sure_R).sum()
    picks = rng.choice(len(failed), min(size, len(failed)), replace=False, p=p_R)
    return [failed[i] for i in picks]


PROPOSER = ReflectiveProposer
