"""Definitions and rules mined by contrast: which words tell one label from the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upturn.propose.base import Evidence, Proposal, events_of
from upturn.propose.words import contrast_words, supporting


@dataclass(frozen=True)
class ContrastProposer:
    """Appends to the instruction one line for each label: ``label: word, word, word``.

    Offers definitions with few and many words, for each output field alone and for all together,
    and the same as rule sentences.
    """

    name: str = "contrast"
    word_counts: tuple[int, ...] = (3, 5, 8)

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        for predictor, fields in evidence.program.predictors.items():
            base = evidence.program.seed.states[predictor].instruction
            closed = [f for f, labels in fields.outputs.items() if labels]
            words = {f: contrast_words(evidence.train, f) for f in closed}
            rows = [e for f in closed for e in supporting(evidence.train, f, words[f])]
            ids, events = tuple(dict.fromkeys(e.id for e in rows)), events_of(rows)
            for count in self.word_counts:
                lines = {f: _definitions(words[f], count) for f in closed if words[f]}
                rules = {f: _rules(f, words[f], count) for f in closed if words[f]}
                for text, how in _combinations(lines, rules):
                    yield Proposal(
                        predictor=predictor,
                        origin=f"{self.name}:{how}:{count}",
                        instruction=base + text,
                        example_ids=ids,
                        event_ids=events,
                    )


def _combinations(lines: Mapping[str, str], rules: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for field, text in lines.items():
        yield text, f"definitions-{field}"
    for field, text in rules.items():
        yield text, f"rules-{field}"
    if len(lines) > 1:
        yield "".join(lines.values()), "definitions-all"


def _definitions(words: Mapping[str, Sequence[str]], count: int) -> str:
    return "".join(f"\n{label}: {', '.join(ws[:count])}" for label, ws in words.items())


def _rules(field: str, words: Mapping[str, Sequence[str]], count: int) -> str:
    return "".join(
        f" The {field} is '{label}' when it mentions {' or '.join(ws[:count])}."
        for label, ws in words.items()
    )


PROPOSER = ContrastProposer
