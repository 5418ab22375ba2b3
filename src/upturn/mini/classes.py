"""The classes of an episode: labelled, made by a word, or a dictionary's."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from upturn.mini.corpus import Corpus
from upturn.mini.wording import window

_COUNTS = (2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8)
_EASY_COUNTS = (2, 3, 4)
_LONGEST_WORD = 16


@dataclass(frozen=True, kw_only=True)
class DrawnClass:
    """A class of one episode.

    Attributes:
        name: its real name.
        keywords: words that set it apart, best first.
        descriptions: sentences that define it, where there are any.
        draw: returns one of its texts at random.
    """

    name: str
    keywords: Sequence[str]
    descriptions: Sequence[str]
    draw: Callable[[], str]


def draw_classes(rng: random.Random, corpus: Corpus, hardness: float) -> list[DrawnClass]:
    """Draws 2 to 8 classes; unlimited in number, since any word of the corpus makes one.

    Args:
        rng: where the draw comes from.
        corpus: what to draw from.
        hardness: 0 (few classes, texts cut to a word) to 1 (whole sentences, labelled data sets).
    """
    count = rng.choice(_COUNTS) if rng.random() < hardness else rng.choice(_EASY_COUNTS)
    draw = rng.random()
    if draw < 0.55 and rng.random() > hardness:
        draw = 0.7
    if draw < 0.55:
        return _labelled(rng, corpus, count) or draw_classes(rng, corpus, hardness)
    if draw < 0.85:
        return [
            _made_by_a_word(rng, corpus, word, hardness) for word in rng.sample(corpus.keys, count)
        ]
    return _from_the_dictionary(rng, corpus, count)


def _labelled(rng: random.Random, corpus: Corpus, count: int) -> list[DrawnClass]:
    """Returns classes of one table or of any; none where two share a name."""
    if rng.random() < 0.6:
        table = corpus.tables[rng.choice(corpus.table_lottery)]
        chosen = rng.sample(table, min(count, len(table)))
    else:
        chosen = rng.sample(range(len(corpus.classes)), min(count, len(corpus.classes)))
    picked = [corpus.classes[k] for k in chosen]
    if len({c.name for c in picked}) < len(picked) or len(picked) < 2:
        return []
    return [
        DrawnClass(
            name=c.name,
            keywords=corpus.keywords[k],
            descriptions=c.descriptions,
            draw=_any_of(rng, c.texts),
        )
        for k, c in zip(chosen, picked, strict=True)
    ]


def _made_by_a_word(rng: random.Random, corpus: Corpus, word: str, hardness: float) -> DrawnClass:
    lines = corpus.lines_by_word[word]
    line = corpus.lines[lines[rng.randrange(len(lines))]].lower()
    near = [x for x in re.findall(r"[a-z']{4,}", line) if x != word and "'" not in x]
    name = [word, *rng.sample(near, min(len(near), rng.choice([0, 0, 0, 1, 1, 2, 3])))]
    rng.shuffle(name)

    def draw() -> str:
        text = corpus.lines[lines[rng.randrange(len(lines))]]
        return window(rng, text, word, hardness)

    return DrawnClass(
        name=" ".join(name),
        keywords=[word, *rng.sample(corpus.keys, rng.randint(0, 2))],
        descriptions=(),
        draw=draw,
    )


def _from_the_dictionary(rng: random.Random, corpus: Corpus, count: int) -> list[DrawnClass]:
    """Returns classes whose texts are what a dictionary says of a word, or its example."""
    drawn: dict[str, DrawnClass] = {}
    while len(drawn) < count:
        entry = corpus.words[rng.randrange(len(corpus.words))]
        if entry.word in drawn or len(entry.word) > _LONGEST_WORD:
            continue
        described = rng.random() < 0.5
        texts = [entry.definition]
        if entry.example and rng.random() < 0.5:
            texts.append(entry.example)
        drawn[entry.word] = DrawnClass(
            name=entry.word,
            keywords=(entry.synonyms or (entry.word,))[:4],
            descriptions=(entry.definition,) if described else (),
            draw=_any_of(rng, texts),
        )
    return list(drawn.values())


def _any_of(rng: random.Random, texts: Sequence[str]) -> Callable[[], str]:
    return lambda: texts[rng.randrange(len(texts))]
