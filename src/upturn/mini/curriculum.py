"""The order in which skills are learned, and when each counts as learned.

Four stages: copy; recall and one-cue classification over a growing range of token ids; bare turns;
whole episodes with texts growing to full sentences. Easy before hard and few ids before many: every
other order that was tried stayed at chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import Any

from upturn.mini.episodes import Hardness, Kind
from upturn.mini.extraction import EXTRACTION, REPLY
from upturn.mini.tokens import FIRST_WORD_ID, TokenTask

RUNNING_TEXT = "lm"
LABELLED = "lab"

#: Every kind of exercise whose accuracy is kept apart, in the order of the codes in a batch.
KINDS: tuple[str, ...] = (*TokenTask, RUNNING_TEXT, *Kind, EXTRACTION, REPLY)


class Stage(IntEnum):
    """Where the curriculum is."""

    COPY = 0
    CUES = 1
    BARE_TURNS = 2
    EPISODES = 3


#: Stage -> exercise -> its share.
MIXES: Mapping[Stage, Mapping[str, float]] = {
    Stage.COPY: {TokenTask.COPY: 1.0},
    Stage.CUES: {TokenTask.COPY: 0.1, TokenTask.RECALL: 0.3, TokenTask.CUES: 0.6},
    Stage.BARE_TURNS: {
        TokenTask.COPY: 0.05,
        TokenTask.CUES: 0.1,
        TokenTask.LONG_CUES: 0.3,
        Kind.BARE: 0.55,
    },
    Stage.EPISODES: {
        TokenTask.COPY: 0.03,
        TokenTask.LONG_CUES: 0.03,
        RUNNING_TEXT: 0.18,
        Kind.BARE: 0.1,
        LABELLED: 0.58,
        EXTRACTION: 0.04,
        REPLY: 0.04,
    },
}

_KEPT = 0.85  # weight of the past in a moving accuracy
_SETTLE = 100  # steps of a new stage before its texts grow harder


@dataclass(frozen=True, kw_only=True)
class Level:
    """What to draw now.

    Attributes:
        stage: the stage.
        easy: share of token-level classification drawn easy.
        ids: token ids in use are below this.
        hardness: of episodes.
    """

    stage: Stage = Stage.COPY
    easy: float = 0.85
    ids: int
    hardness: Hardness = field(default_factory=lambda: Hardness(texts=0.1, defined=0.1))


class Curriculum:
    """Watches accuracies and raises the level. A pure function of what it is told.

    Args:
        vocabulary: number of token ids that text can hold.
        first_ids: how many word ids the first stages begin with.
        growth: factor by which their range grows.
        patience: the most steps in stage CUES and in BARE_TURNS; COPY has none, because without
            copying nothing that follows can be learned (`copy_patience` is for smoke runs).
        copy_patience: the most steps in stage COPY, or None.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        first_ids: int = 500,
        growth: float = 1.5,
        patience: int = 4000,
        copy_patience: int | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._growth = growth
        self._patience = {Stage.CUES: patience, Stage.BARE_TURNS: patience}
        if copy_patience is not None:
            self._patience[Stage.COPY] = copy_patience
        self.level = Level(ids=min(vocabulary, FIRST_WORD_ID + first_ids))
        self.accuracies: dict[str, float] = {}
        self.stage_start = 0

    def observe(self, step: int, accuracies: Mapping[str, float]) -> list[str]:
        """Takes in a batch's accuracies and returns what changed, in words.

        Args:
            step: number of steps done.
            accuracies: kind -> share of right answers, for the kinds that the batch held.
        """
        for kind, value in accuracies.items():
            past = self.accuracies.get(kind)
            self.accuracies[kind] = value if past is None else _KEPT * past + (1 - _KEPT) * value
        cues = max(self._accuracy(TokenTask.CUES), self._accuracy(TokenTask.LONG_CUES))
        self.level = replace(self.level, easy=0.85 if cues < 0.7 else 0.3)
        changes = self._grow_ids() + self._promote(step)
        self._harden(step)
        return changes

    def state(self) -> dict[str, Any]:
        """Returns all that ``restore`` needs, in plain values."""
        level = {**asdict(self.level), "stage": int(self.level.stage)}
        return {
            "level": level,
            "accuracies": dict(self.accuracies),
            "stage_start": self.stage_start,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up where ``state`` was taken."""
        level = dict(state["level"])
        level["stage"] = Stage(level["stage"])
        level["hardness"] = Hardness(**level["hardness"])
        self.level = Level(**level)
        self.accuracies = dict(state["accuracies"])
        self.stage_start = state["stage_start"]

    def _accuracy(self, kind: str) -> float:
        return self.accuracies.get(kind, 0.0)

    def _grow_ids(self) -> list[str]:
        ids = self.level.ids
        learned = self._accuracy(TokenTask.CUES) > 0.8
        if self.level.stage is not Stage.CUES or not learned or ids >= self._vocabulary:
            return []
        ids = min(self._vocabulary, int(ids * self._growth))
        self.level = replace(self.level, ids=ids)
        self.accuracies[TokenTask.CUES] -= 0.1  # the wider range has to earn the next step
        return [f"token ids below {ids}"]

    def _promote(self, step: int) -> list[str]:
        stage = self.level.stage
        waited = step - self.stage_start >= self._patience.get(stage, step + 1)
        learned = {
            Stage.COPY: self._accuracy(TokenTask.COPY) > 0.9,
            Stage.CUES: self._accuracy(TokenTask.CUES) > 0.85
            and self.level.ids >= self._vocabulary,
            Stage.BARE_TURNS: self._accuracy(Kind.BARE) > 0.8,
            Stage.EPISODES: False,
        }[stage]
        if stage is Stage.EPISODES or not (learned or waited):
            return []
        reached = Stage(stage + 1)
        ids = self._vocabulary if reached >= Stage.BARE_TURNS else self.level.ids
        self.level = replace(self.level, stage=reached, ids=ids)
        self.stage_start = step
        return [f"stage {reached.name} ({'learned' if learned else 'out of patience'})"]

    def _harden(self, step: int) -> None:
        """Lets texts grow, every 50 steps, as accuracy allows."""
        if (
            self.level.stage is not Stage.EPISODES
            or step % 50
            or step <= self.stage_start + _SETTLE
        ):
            return
        bare, alone = self._accuracy(Kind.BARE), self._accuracy(Kind.DEFINITIONS_ALONE)
        hard = self.level.hardness
        texts = hard.texts + (0.03 if bare > 0.75 else 0.01 if bare > 0.65 else 0.0)
        defined = hard.defined + (0.02 if alone > 0.7 else 0.005 if alone > 0.6 else 0.0)
        hardness = Hardness(texts=min(1.0, texts), defined=min(1.0, defined))
        self.level = replace(self.level, hardness=hardness)
