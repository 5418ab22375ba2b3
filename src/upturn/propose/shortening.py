"""The same prompt with less in it: what the score does not need is paid for on every call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from upturn.programs import PredictorFields
from upturn.propose.base import Demos, Evidence, Proposal
from upturn.propose.credit import leader
from upturn.propose.drawing import widest_field
from upturn.propose.similarity import similarity
from upturn.propose.sources import Sources
from upturn.propose.wording import Wording


@dataclass(frozen=True)
class ShorteningProposer:
    """Drops demos and sentences from the best candidate so far; each choice is strictly shorter.

    Demos: without the quarter, then the half, that stands nearest to another demo of its label;
    and the first and the second half. Instruction: without the longest sentence or the longer half
    of the sentences that the program's author did not write, and with fewer words in a definition.
    """

    name: str = "shortening"

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        candidate, sources = leader(evidence), Sources(evidence.train)
        for predictor, fields in evidence.program.predictors.items():
            state = candidate.states[predictor]
            for demos in shorter_sets(state.demos, fields):
                yield sources.proposal(predictor, f"{self.name}:{len(demos)}", demos)
            written = evidence.program.seed.states[predictor].instruction
            for text in shorter_texts(state.instruction, written, fields):
                yield Proposal(
                    predictor=predictor, origin=f"{self.name}:instruction", instruction=text
                )


def shorter_sets(demos: Demos, fields: PredictorFields) -> list[Demos]:
    """Smaller sets of the same demos, in their order; none is empty."""
    count = len(demos)
    if count < 2:
        return []
    spare = redundant(demos, fields)
    found: list[Demos] = []
    for dropped in (spare[: max(1, count // 4)], spare[: count // 2]):
        found.append(tuple(d for i, d in enumerate(demos) if i not in dropped))
    return [*found, demos[: count // 2], demos[count // 2 :]]


def redundant(demos: Demos, fields: PredictorFields) -> list[int]:
    """Indices of demos in the order in which they can be spared: nearest to one that stays first.

    Only demos of the same label stand for one another. Of two that do, the later goes.
    """
    field = widest_field(fields)
    texts = [" ".join(str(d.get(n, "")) for n in fields.inputs) for d in demos]
    labels = np.array([str(d.get(field or "")) for d in demos])
    near_DD = np.where(labels[:, None] == labels[None, :], similarity(texts, texts), -1.0)
    near_DD[np.triu_indices(len(demos))] = -2.0  # a pair is (later, earlier), once
    order: list[int] = []
    for _ in range(len(demos) - 1):
        later, _earlier = np.unravel_index(int(np.argmax(near_DD)), near_DD.shape)
        order.append(int(later))
        near_DD[later, :] = near_DD[:, later] = -2.0
    return order


def shorter_texts(text: str, written: str, fields: PredictorFields) -> list[str]:
    """The instruction with less of what was appended to the author's text; never an empty one."""
    labels = {label for closed in fields.outputs.values() for label in closed or ()}
    now = Wording.parse(text, labels)
    author = set(Wording.parse(written, labels).sentences)
    appended = sorted(set(now.sentences) - author, key=lambda s: (-len(s), s))
    words = max((len(ws) for ws in now.definitions.values()), default=0)
    found = [
        now.without(appended[:1]).text,
        now.without(appended[: -(-len(appended) // 2)]).text,
        now.cut(max(1, words // 2)).text,
        now.cut(0).text,
    ]
    return [t for t in dict.fromkeys(found) if t.strip() and len(t) < len(text)]


PROPOSER = ShorteningProposer
