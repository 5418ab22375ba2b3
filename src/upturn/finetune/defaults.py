"""What a plain TRL script would have done with these very rows, computed and not told."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.finetune.encode import Encoded
from upturn.finetune.kinds import job_kind
from upturn.finetune.records import TrainingRow
from upturn.finetune.rows import Material
from upturn.finetune.spec import JobSpec
from upturn.records import Json

#: Defaults of TRL 1.16; a test compares them with the library. Learning rates are the kinds' own.
MAX_LENGTH = 1024
BF16 = True
GRADIENT_CHECKPOINTING = True


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """Counts of what would have gone wrong.

    Attributes:
        rows: the rows that it would have been given, equal ones and those dropped here included.
        lost: rows without any loss: the prompt alone fills ``MAX_LENGTH``. Dropped silently.
        cut: rows whose answer would have been cut, so that the model never sees it end.
        equal_pairs: pairs of equal answers, accepted.
        repeated: equal rows, trained on as often as they come.
        learning_rate: the default, and how many times larger the job's is.
        bf16_on_cpu: it would have computed in bf16 on a CPU.
        unweighted: rows of confidence below 1 that would have counted as if they were sure.
        shown_answers: rows that would have seen their own answer as a demo.
    """

    rows: int
    lost: int
    cut: int
    equal_pairs: int
    repeated: int
    learning_rate: float
    ratio: float
    bf16_on_cpu: bool
    unweighted: int
    shown_answers: int

    @property
    def lines(self) -> list[str]:
        """What matters here, for people."""
        of = f"of {self.rows} rows"
        said = {
            f"drop {self.lost} {of} silently: their prompt fills {MAX_LENGTH} tokens": self.lost,
            f"cut the answer of {self.cut} {of}: the model never sees it end": self.cut,
            f"train on {self.equal_pairs} pairs of equal answers": self.equal_pairs,
            f"train on {self.repeated} repeated rows as often as they come": self.repeated,
            f"take {self.unweighted} {of} for sure that are not": self.unweighted,
            f"show {self.shown_answers} {of} their own answer as a demo": self.shown_answers,
            f"learn at {self.learning_rate:g}, {self.ratio:.3g} times slower": self.ratio >= 2,
            "compute in bf16 on a CPU": self.bf16_on_cpu,
        }
        return [line for line, holds in said.items() if holds]

    def to_json(self) -> dict[str, Json]:
        return {**{n: getattr(self, n) for n in self.__dataclass_fields__}, "lines": self.lines}


def with_defaults(spec: JobSpec, material: Material, encoded: Encoded, *, on_cpu: bool) -> Defaults:
    """Counts what TRL's defaults would have done.

    Args:
        spec: the job, to compare with.
        material: its text.
        encoded: its tokens; ``all_rows`` are those that TRL would have been given.
        on_cpu: whether it runs on a CPU.
    """
    rows = encoded.all_rows
    rate = job_kind(spec.kind).trl_learning_rate
    return Defaults(
        rows=len(rows),
        lost=sum(len(row.prompt_ids) >= MAX_LENGTH for row in rows),
        cut=sum(_is_cut(row) for row in rows),
        equal_pairs=encoded.dropped.get("equal_pair", 0),
        repeated=encoded.merged,
        learning_rate=rate,
        ratio=spec.optim.learning_rate / rate,
        bf16_on_cpu=BF16 and on_cpu,
        unweighted=sum(row.weight < 1 for row in rows),
        shown_answers=material.demos_hidden,
    )


def _is_cut(row: TrainingRow) -> bool:
    answer = max(len(row.completion_ids), len(row.rejected_ids))
    return len(row.prompt_ids) < MAX_LENGTH < len(row.prompt_ids) + answer
