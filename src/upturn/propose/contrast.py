"""Definitions and rules mined by contrast: which words tell one label from the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from upturn.propose.base import Evidence, Proposal, text_of
from upturn.records import Example

_WORD = re.compile(r"[a-z][a-z'-]{2,}")
#: Words that tell topics apart nowhere; short, because the log-odds already discount common words.
_EMPTY = frozenset(
    [
        "the",
        "and",
        "you",
        "for",
        "that",
        "this",
        "with",
        "have",
        "has",
        "had",
        "not",
        "but",
        "are",
        "was",
        "were",
        "can",
        "could",
        "would",
        "will",
        "just",
        "your",
        "our",
        "its",
        "his",
        "her",
        "from",
        "been",
        "they",
        "them",
        "their",
        "there",
        "what",
        "when",
        "which",
        "who",
        "how",
        "why",
        "all",
        "any",
        "some",
        "also",
        "please",
        "thanks",
        "thank",
        "hello",
        "dear",
        "hey",
    ]
)


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
            for count in self.word_counts:
                lines = {f: _definitions(words[f], count) for f in closed if words[f]}
                rules = {f: _rules(f, words[f], count) for f in closed if words[f]}
                for text, how in _combinations(lines, rules):
                    yield Proposal(
                        predictor=predictor,
                        origin=f"{self.name}:{how}:{count}",
                        instruction=base + text,
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


def contrast_words(train: Sequence[Example], field: str, *, top: int = 8) -> dict[str, list[str]]:
    """Returns label -> words that tell it from the other labels, best first.

    Scored by the z of the log-odds ratio with an informative Dirichlet prior, the prior being the
    corpus itself (Monroe, Colaresi and Quinn 2008, "Fightin' Words"). Words are counted once a row,
    so that one shouting customer does not make a definition.
    """
    counts: dict[str, Counter[str]] = {}
    for example in train:
        if field in example.labels:
            words = set(_WORD.findall(text_of(example).lower())) - _EMPTY
            counts.setdefault(str(example.labels[field]), Counter()).update(words)
    total: Counter[str] = Counter()
    for counter in counts.values():
        total.update(counter)
    vocabulary = sorted(w for w, n in total.items() if n >= 3)
    if len(counts) < 2 or not vocabulary:
        return {}
    return {label: _top_words(counts[label], total, vocabulary, top) for label in sorted(counts)}


def _top_words(
    own: Counter[str], total: Counter[str], vocabulary: Sequence[str], top: int
) -> list[str]:
    a_W = np.array([own[w] for w in vocabulary], dtype=float)
    t_W = np.array([total[w] for w in vocabulary], dtype=float)
    b_W, prior_W = t_W - a_W, t_W / t_W.sum() * 50.0
    mass = prior_W.sum()
    odds_a = np.log((a_W + prior_W) / (a_W.sum() + mass - a_W - prior_W))
    odds_b = np.log((b_W + prior_W) / (b_W.sum() + mass - b_W - prior_W))
    z_W = (odds_a - odds_b) / np.sqrt(1 / (a_W + prior_W) + 1 / (b_W + prior_W))
    order = sorted(range(len(vocabulary)), key=lambda i: (-z_W[i], vocabulary[i]))
    return [vocabulary[i] for i in order[:top] if z_W[i] > 0]
