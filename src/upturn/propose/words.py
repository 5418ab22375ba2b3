"""Which words tell one label from the others, and which rows show it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from upturn.propose.base import text_of
from upturn.records import Example

_WORD = re.compile(r"[a-z][a-z'-]{2,}")
#: Words that tell topics apart nowhere; short, because the log-odds already discount common words.
_EMPTY = frozenset(
    re.findall(
        r"\w+",
        """
    the and you for that this with have has had not but are was were can could would will just
    your our its his her from been they them their there what when which who how why all any
    some also please thanks thank hello dear hey
        """,
    )
)


def words_in(example: Example) -> set[str]:
    """The words of an example's inputs, without those that tell no topics apart."""
    return set(_WORD.findall(text_of(example).lower())) - _EMPTY


def contrast_words(train: Sequence[Example], field: str, *, top: int = 8) -> dict[str, list[str]]:
    """Returns label -> words that tell it from the other labels, best first.

    Scored by the z of the log-odds ratio with an informative Dirichlet prior, the prior being the
    corpus itself (Monroe, Colaresi and Quinn 2008, "Fightin' Words"). Words are counted once a row,
    so that one shouting customer does not make a definition.
    """
    counts: dict[str, Counter[str]] = {}
    for example in train:
        if field in example.labels:
            label = str(example.labels[field])
            counts.setdefault(label, Counter()).update(words_in(example))
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


def supporting(
    train: Sequence[Example], field: str, words: Mapping[str, Sequence[str]], *, limit: int = 64
) -> list[Example]:
    """Returns the rows that bear a label's words out best: of that label, most of its words first.

    Args:
        words: label -> its words.
        limit: at most so many rows, for provenance that a person can still read.
    """
    of = {label: set(own) for label, own in words.items()}
    counts = [len(words_in(e) & of.get(str(e.labels.get(field)), set())) for e in train]
    order = sorted(range(len(train)), key=lambda i: (-counts[i], train[i].id))
    return [train[i] for i in order[:limit] if counts[i]]
