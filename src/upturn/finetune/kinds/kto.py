"""KTO: wanted answers become likelier and unwanted ones less likely, without pairs.

Ethayarajh et al., "KTO: Model Alignment as Prospect Theoretic Optimization" (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from upturn.datasets.preferences import KtoRow, Pair
from upturn.finetune.findings import Finding
from upturn.finetune.kinds.base import Curated, JobKind, Record
from upturn.finetune.kinds.token_ids import on_token_ids
from upturn.finetune.records import TrainingRow
from upturn.finetune.spec import JobSpec, PreferenceSpec
from upturn.records import content_hash

#: The two sides are to weigh about the same (section 4.3 of the paper: wanted to unwanted from 1 to
#: 4/3); outside of these it is told.
_RATIOS = (0.5, 2.0)


class Kto(JobKind):
    """Kahneman-Tversky optimization on judged answers and, as wanted ones, what pairs chose."""

    name = "kto"
    title = "KTO"
    needs = "judged answers"
    fix = "bring thumbs or verdicts, or train with kind=sft"
    learning_rate = 5.0e-5
    trl_learning_rate = 1e-6
    losses = ("kto",)
    reads_preferences = True
    two_sided = True
    measured_on_pairs = True
    forward_only = 3  # the reference's side, and both again for another prompt's answer
    least_batch = 2  # that other answer is one of the batch

    def reads(self, given: Curated) -> Sequence[Record]:
        # Thumbs come mostly where an answer was wrong, so that wanted ones would be few.
        return [*given.judged, *_wanted(given.pairs, given.judged)]

    def columns(self, row: TrainingRow) -> dict[str, Any]:
        return {
            "prompt_ids": list(row.prompt_ids),
            "completion_ids": list(row.completion_ids),
            "label": row.desirable,
        }

    def trainer(self, values: Mapping[str, Any], preference: PreferenceSpec, **parts: Any) -> Any:
        from trl.trainer.kto_config import KTOConfig
        from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference, KTOTrainer

        args = KTOConfig(
            **values,
            beta=preference.beta,
            desirable_weight=preference.desirable_weight,
            undesirable_weight=preference.undesirable_weight,
        )
        pad = parts["processing_class"].pad_token_id
        collator = _Turned(DataCollatorForUnpairedPreference(pad_token_id=pad))
        return on_token_ids(KTOTrainer)(args=args, data_collator=collator, **parts)

    def problems(self, spec: JobSpec, rows: Sequence[TrainingRow]) -> Iterator[Finding]:
        if len(rows) < self.least_batch:
            yield Finding(what="KTO must have two rows and more, got 1", where="rows")

    def warnings(self, spec: JobSpec, rows: Sequence[TrainingRow]) -> Iterator[Finding]:
        wanted = sum(row.desirable for row in rows)
        unwanted = len(rows) - wanted
        if not wanted or not unwanted:
            return
        own = spec.preference
        ratio = wanted * own.desirable_weight / (unwanted * own.undesirable_weight)
        if not _RATIOS[0] <= ratio <= _RATIOS[1]:
            even = own.desirable_weight / ratio
            yield Finding(
                what=f"wanted answers weigh {ratio:.2g} times what unwanted ones do ({wanted} rows "
                f"against {unwanted}); KTO learns best from about as much",
                where="preference",
                fix=f"preference.desirable_weight={even:.3g}",
            )


class _Turned:
    """Pairs each prompt with its neighbour's answer, for the estimate of the divergence.

    TRL does that before training, in the order of the rows; here the batch itself is turned, so
    the pairs are the same wherever a batch begins.
    """

    def __init__(self, collate: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> None:
        self._collate = collate

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        answers = [row["completion_ids"] for row in rows]
        turned = [answers[-1], *answers[:-1]]
        return self._collate(
            [{**row, "KL_completion_ids": a} for row, a in zip(rows, turned, strict=True)]
        )


def _wanted(pairs: Sequence[Pair], judged: Sequence[KtoRow]) -> Iterator[KtoRow]:
    """Yields what pairs chose as wanted answers, each once, and none that is judged already."""
    seen = {content_hash([row.inputs, row.completion]) for row in judged}
    for pair in pairs:
        key = content_hash([pair.inputs, pair.chosen])
        if key not in seen:
            seen.add(key)
            yield KtoRow(
                inputs=pair.inputs,
                completion=pair.chosen,
                desirable=True,
                weight=pair.weight,
                event_ids=pair.event_ids,
                group=pair.group,
            )


KIND = Kto()
