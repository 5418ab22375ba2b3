"""Token-level tasks: the skills that full prompts stand on, without any language around them.

Learned in this order on a small, growing range of token ids they take minutes; from scratch on
prompts they do not come at all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum

from upturn.mini.encode import SPECIALS, Encoded, Encoder, Role

#: The first id that is neither a special token nor a byte.
FIRST_WORD_ID = len(SPECIALS) + 256
_GIVEN, _REST, _FIRST = int(Role.GIVEN), int(Role.REST), int(Role.FIRST)
_CUED_LENGTH = 192  # tokens


class TokenTask(StrEnum):
    """What is trained."""

    COPY = "rep"  # a random sequence comes a second time
    RECALL = "kv"  # keys come back, and with them their values
    CUES = "icl"  # short texts with a cue, labels of one token
    LONG_CUES = "icl2"  # longer texts and labels, a filling before the label


class TokenTasks:
    """Draws token-level tasks.

    Args:
        encoder: gives the special tokens.
        ids: token ids in use: ``range(FIRST_WORD_ID, ids)``.
        easy: share of classification tasks that are drawn easy.
    """

    def __init__(self, encoder: Encoder, *, ids: int, easy: float) -> None:
        self._encoder = encoder
        self._range = range(FIRST_WORD_ID, ids)
        self._easy = easy

    def draw(self, task: TokenTask, rng: random.Random, length: int) -> Encoded:
        """Returns a task of at most ``length`` tokens (LONG_CUES: of at most 192)."""
        if task is TokenTask.COPY:
            return self._copy(rng, length)
        if task is TokenTask.RECALL:
            return self._recall(rng, length)
        return self._cues(rng, length, long=task is TokenTask.LONG_CUES)

    def _words(self, rng: random.Random, count: int) -> list[int]:
        return [self._range[rng.randrange(len(self._range))] for _ in range(count)]

    def _copy(self, rng: random.Random, length: int) -> Encoded:
        count = rng.randint(8, length // 2 - 1)
        before = self._words(rng, rng.randint(0, length - 2 * count))
        copied = self._words(rng, count)
        # The first token of the copy cannot be foreseen.
        roles = [_GIVEN] * (len(before) + count + 1) + [_FIRST] * (count - 1)
        return Encoded(before + copied + copied, roles)

    def _recall(self, rng: random.Random, length: int) -> Encoded:
        keys = rng.sample(self._range, rng.randint(2, 8))
        values = self._words(rng, len(keys))
        ids: list[int] = []
        roles: list[int] = []
        seen: set[int] = set()
        while len(ids) + 2 <= length:
            k = rng.randrange(len(keys))
            ids += [keys[k], values[k]]
            roles += [_GIVEN, _FIRST if k in seen else _GIVEN]
            seen.add(k)
        return Encoded(ids, roles)

    def _cues(self, rng: random.Random, length: int, *, long: bool) -> Encoded:
        easy = rng.random() < self._easy
        labels = self._labels(rng, long)
        if long:
            cue_count, filler, length = rng.randint(1, 3), 3 if easy else 12, _CUED_LENGTH
        else:
            cue_count, filler = (2, 0) if easy else (rng.randint(2, 4), 4)
        filler = rng.randint(0, filler)
        gap = self._words(rng, rng.randint(0, 5)) if long else []
        cues = [rng.sample(self._range, cue_count) for _ in labels]
        end = [self._encoder.end] if long else []
        ids: list[int] = []
        roles: list[int] = []
        seen: set[tuple[int, int]] = set()
        while True:
            y = rng.randrange(len(labels))
            shown = rng.sample(cues[y], 1 if easy else rng.randint(1, min(2, cue_count)))
            text = shown + self._words(rng, rng.randint(0, filler))
            rng.shuffle(text)
            if len(ids) + len(text) + len(gap) + 6 > length:
                return Encoded(ids, roles)
            known = any((y, c) in seen for c in text)
            seen |= {(y, c) for c in text if c in cues[y]}
            answer = [*labels[y], *end]
            asked = [self._encoder.user, *text, self._encoder.assistant, *gap]
            ids += asked + answer
            roles += [_GIVEN] * len(asked) + _answer_roles(answer, known)

    def _labels(self, rng: random.Random, long: bool) -> list[list[int]]:
        if not long:
            return [[x] for x in rng.sample(self._range, rng.randint(2, 5))]
        return [self._words(rng, rng.choice([1, 1, 2, 3])) for _ in range(rng.randint(2, 8))]


def _answer_roles(answer: Sequence[int], known: bool) -> list[int]:
    return [_FIRST] + [_REST] * (len(answer) - 1) if known else [_GIVEN] * len(answer)
