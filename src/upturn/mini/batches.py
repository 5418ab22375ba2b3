"""Batches of fixed shapes, drawn in this process. Needs numpy, never torch: workers start fast."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from upturn.mini.corpus import Corpus
from upturn.mini.curriculum import KINDS, LABELLED, MIXES, RUNNING_TEXT, Level, Stage
from upturn.mini.encode import PHRASES, Encoded, Encoder, Role
from upturn.mini.episodes import Kind, labelled
from upturn.mini.extraction import EXTRACTION, REPLY, extraction, reply
from upturn.mini.tokens import TokenTask, TokenTasks

BUCKETS = (64, 128, 192, 256, 384, 512, 768, 1024)
_RUNNING_LENGTH = (64, 380)  # tokens


def _role_weights() -> dict[int, float]:
    return {Role.GIVEN: 0.0, Role.FORMAT: 0.05, Role.REST: 0.3, Role.FIRST: 1.0, Role.TEXT: 0.06}


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """Shapes and weights.

    Attributes:
        tokens: tokens a batch, padding included.
        targets: the most tokens of a batch that enter the loss; values' first tokens come before
            all others, which are drawn.
        weights: role -> weight in the loss. Running text must not drown the labels.
    """

    tokens: int = 32768
    targets: int = 4096
    weights: Mapping[int, float] = field(default_factory=_role_weights)


class Batch(NamedTuple):
    """One training batch; B sequences of T tokens, M targets of which some are padding.

    Attributes:
        stage: the stage that it was drawn for.
        ids: (B, T) token ids, 0 past a sequence's end.
        positions: (M) where a prediction is read, in the flattened (B, T).
        targets: (M) the ids to predict there.
        weights: (M) their weights; 0 is padding.
        roles: (M) their roles.
        kinds: (M) indexes into ``KINDS``.
    """

    stage: int
    ids: NDArray[np.uint16]
    positions: NDArray[np.int32]
    targets: NDArray[np.uint16]
    weights: NDArray[np.float32]
    roles: NDArray[np.uint8]
    kinds: NDArray[np.uint8]


class _Exercise(NamedTuple):
    ids: list[int]
    roles: list[int]
    kind: int


class BatchSource:
    """Draws exercises of the level's mix and fills one bucket of each length.

    A function of seed, corpus and the levels asked for; ``state`` and ``restore`` make it go on
    exactly where it was.
    """

    def __init__(
        self, corpus: Corpus, encoder: Encoder, settings: BatchSettings, *, seed: int | str
    ) -> None:
        assert encoder.vocabulary <= np.iinfo(np.uint16).max + 1
        self._corpus, self._encoder, self._settings = corpus, encoder, settings
        self._rng = random.Random(seed)
        self._stage: Stage | None = None
        self._buckets: dict[int, list[_Exercise]] = {}
        self._weights = np.array([settings.weights[r] for r in Role], np.float32)

    def next(self, level: Level) -> Batch:
        """Returns the next batch; a new stage throws away what was half filled."""
        if level.stage is not self._stage:
            self._stage, self._buckets = level.stage, {length: [] for length in BUCKETS}
        while True:
            exercise = self._draw(level)
            length = next((n for n in BUCKETS if n >= len(exercise.ids)), None)
            if length is None:
                continue
            bucket = self._buckets[length]
            bucket.append(exercise)
            if len(bucket) == max(1, self._settings.tokens // length):
                self._buckets[length] = []
                return self._batch(bucket, length)

    def state(self) -> dict[str, Any]:
        """Returns the position in the data, in plain values."""
        version, internal, gauss = self._rng.getstate()
        return {
            "rng": [version, list(internal), gauss],
            "stage": None if self._stage is None else int(self._stage),
            "buckets": {n: [list(x) for x in rows] for n, rows in self._buckets.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to where ``state`` was taken."""
        version, internal, gauss = state["rng"]
        self._rng.setstate((version, tuple(internal), gauss))
        self._stage = None if state["stage"] is None else Stage(state["stage"])
        self._buckets = {n: [_Exercise(*x) for x in rows] for n, rows in state["buckets"].items()}

    def _draw(self, level: Level) -> _Exercise:
        mix = MIXES[level.stage]
        name = self._rng.choices(list(mix), list(mix.values()))[0]
        if name in tuple(TokenTask):
            ids = min(level.ids, self._encoder.vocabulary - len(PHRASES))
            tasks = TokenTasks(self._encoder, ids=ids, easy=level.easy)
            length = 64 if level.stage < Stage.EPISODES else 128
            return self._exercise(tasks.draw(TokenTask(name), self._rng, length), name)
        if name == RUNNING_TEXT:
            return self._exercise(self._running_text(), name)
        if name == EXTRACTION:
            return self._exercise(self._encoder.episode(extraction(self._rng, self._corpus)), name)
        if name == REPLY:
            ids, roles = self._encoder.episode(reply(self._rng, self._corpus))
            as_text = [int(Role.TEXT) if r in (Role.REST, Role.FIRST) else r for r in roles]
            return self._exercise(Encoded(ids, as_text), name)
        bare = name == Kind.BARE
        assert bare or name == LABELLED, name
        episode = labelled(self._rng, self._corpus, level.hardness, bare=bare)
        return self._exercise(self._encoder.episode(episode, bare=bare), episode.kind)

    def _exercise(self, encoded: Encoded, kind: str) -> _Exercise:
        return _Exercise(encoded.ids, encoded.roles, KINDS.index(kind))

    def _running_text(self) -> Encoded:
        count = self._rng.randint(*_RUNNING_LENGTH)
        ids: list[int] = []
        while len(ids) < count:
            ids += self._passage()
        return Encoded(ids[:count], [int(Role.GIVEN)] + [int(Role.TEXT)] * (count - 1))

    def _passage(self) -> list[int]:
        rng, corpus, encoder = self._rng, self._corpus, self._encoder
        draw = rng.random()
        if draw < 0.3:
            word = corpus.words[rng.randrange(len(corpus.words))]
            text = f"{word.word}: {word.definition}"
            text += f". {word.example}" if word.example else ""
            text += f" ({', '.join(word.synonyms[:4])})" if word.synonyms else ""
            return [*encoder.text(text), encoder.end]
        if draw < 0.6:
            said, answer = corpus.pairs[rng.randrange(len(corpus.pairs))]
            asked = [encoder.user, *encoder.text(said), encoder.end, encoder.assistant]
            return [*asked, *encoder.text(answer), encoder.end]
        line = corpus.lines[rng.randrange(len(corpus.lines))]
        return [*encoder.text(line), encoder.end]

    def _batch(self, rows: list[_Exercise], length: int) -> Batch:
        ids = np.zeros((len(rows), length), np.uint16)
        roles = np.zeros((len(rows), length), np.uint8)
        for k, row in enumerate(rows):
            ids[k, : len(row.ids)] = row.ids
            roles[k, : len(row.roles)] = row.roles
        read = roles[:, 1:] > 0  # the token before predicts
        row_of, column = np.nonzero(read)
        kept = self._kept(roles[:, 1:][read])
        kinds = np.array([row.kind for row in rows], np.uint8)[row_of]
        chosen_roles = roles[:, 1:][read][kept]
        return Batch(
            stage=-1 if self._stage is None else int(self._stage),
            ids=ids,
            positions=self._padded((row_of * length + column)[kept].astype(np.int32)),
            targets=self._padded(ids[:, 1:][read][kept]),
            weights=self._padded(self._weights[chosen_roles]),
            roles=self._padded(chosen_roles),
            kinds=self._padded(kinds[kept]),
        )

    def _kept(self, roles: NDArray[np.uint8]) -> NDArray[np.intp]:
        if len(roles) <= self._settings.targets:
            return np.arange(len(roles))
        noise = np.random.default_rng(self._rng.getrandbits(64)).random(len(roles))
        key = noise + 10.0 * (roles == Role.FIRST)
        return np.sort(np.argpartition(-key, self._settings.targets)[: self._settings.targets])

    def _padded(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate(
            [values, np.zeros(self._settings.targets - len(values), values.dtype)]
        )
