"""SFT: the label is the answer, and the loss is on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from upturn.finetune.kinds.base import Curated, JobKind, Record
from upturn.finetune.records import TrainingRow
from upturn.finetune.spec import PreferenceSpec

_IGNORED = -100


class Sft(JobKind):
    """Supervised fine-tuning on labelled rows."""

    name = "sft"
    title = "SFT"
    needs = "labelled rows"
    fix = "upturn snapshot CONFIG, with a log that holds labels"
    learning_rate = 1.0e-3
    trl_learning_rate = 2e-5

    def reads(self, given: Curated) -> Sequence[Record]:
        return given.examples

    def columns(self, row: TrainingRow) -> dict[str, Any]:
        prompt, answer = list(row.prompt_ids), list(row.completion_ids)
        return {"input_ids": prompt + answer, "labels": [_IGNORED] * len(prompt) + answer}

    def trainer(self, values: Mapping[str, Any], preference: PreferenceSpec, **parts: Any) -> Any:
        from trl.trainer.sft_config import SFTConfig
        from trl.trainer.sft_trainer import SFTTrainer

        args = SFTConfig(**values, dataset_kwargs={"skip_prepare_dataset": True})
        return SFTTrainer(args=args, **parts)


KIND = Sft()
