"""Builds the tokenizer: byte-level BPE, digits one by one, ChatAdapter's phrases as single tokens.

python -m upturn.mini.tokenizer --corpus corpus.json.gz --out tokenizer.json
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from upturn.errors import InputError
from upturn.mini.corpus import Corpus
from upturn.mini.encode import PHRASES, SPECIALS
from upturn.mini.wording import GOALS, INPUTS, OUTPUTS, SECOND_OUTPUTS

#: Words that labels are made of; repeated so that each becomes few tokens.
_LABEL_WORDS = (
    "low normal high yes no positive negative urgent billing refund refunds shipping technical "
    "account sales support other general security returns delivery payment order cancel complaint "
    "feedback bug feature login password"
)
_LABEL_REPEATS = 500
_COMMON_WORDS = 9000


def build(corpus: Corpus, *, vocabulary: int = 8000) -> Tokenizer:
    """Returns a tokenizer of at most ``vocabulary`` ids, specials first and phrases last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(PHRASES),
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(corpus), trainer)
    tokenizer.add_tokens([AddedToken(p, normalized=False, special=False) for p in PHRASES])
    return tokenizer


def _texts(corpus: Corpus) -> Iterator[str]:
    yield from corpus.lines
    yield from (f"{w.word}: {w.definition}" for w in corpus.words)
    yield from corpus.vocabulary
    goals = [g.format(i=i, o=o) for g in GOALS for i in INPUTS for o in OUTPUTS]
    yield from goals * 3
    yield from (answer for _, answer in corpus.pairs[:60000])
    yield from _common_words(corpus)
    for word in (*INPUTS, *OUTPUTS, *SECOND_OUTPUTS, *_LABEL_WORDS.split()):
        yield from [word] * _LABEL_REPEATS


def _common_words(corpus: Corpus) -> Iterator[str]:
    """Yields words without the blank before them, as a label's first word has none."""
    counts = Counter(
        w for line in corpus.lines for w in sorted(set(re.findall(r"[a-z]{3,14}", line.lower())))
    )
    for word, count in counts.most_common(_COMMON_WORDS):
        yield from [word] * min(400, 40 + count // 4)
        yield from [word.capitalize()] * min(60, count // 20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m upturn.mini.tokenizer", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocabulary", type=int, default=8000)
    options = parser.parse_args(arguments)
    try:
        tokenizer = build(Corpus.read(options.corpus), vocabulary=options.vocabulary)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    tokenizer.save(str(options.out))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
