"""What a job kind is: all in which one way to train differs from the others.

Importing a kind imports neither torch nor TRL: a job is checked and looked at without them. Only
``trainer`` needs them, in the process that trains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from upturn.datasets.preferences import KtoRow, Pair
from upturn.finetune.findings import Finding
from upturn.finetune.records import TrainingRow
from upturn.finetune.spec import JobSpec, PreferenceSpec
from upturn.records import Example

Record = Example | Pair | KtoRow


@dataclass(frozen=True, kw_only=True)
class Curated:
    """What curation has for a job.

    Attributes:
        examples: the rows of train, with their labels.
        pairs: a chosen and a rejected answer each.
        judged: single answers, each wanted or not.
    """

    examples: Sequence[Example]
    pairs: Sequence[Pair] = ()
    judged: Sequence[KtoRow] = ()


class JobKind(ABC):
    """One way to train an adapter. Without state; there is one object of each kind.

    Attributes:
        name: as a job file writes it, which is also the name of its module.
        title: what people call it.
        needs: what train must hold, for the error where it holds none.
        fix: what to do then.
        learning_rate: where a job names none; must suit LoRA on a small model.
        trl_learning_rate: TRL's own default, that the preflight compares with.
        losses: values of ``preference.loss_type``, the first is the default; () where the kind does
            not read ``preference`` at all.
        smoothed_losses: those of them that need ``preference.label_smoothing`` above 0.
        reads_preferences: whether it is made of ``pairs`` or ``judged``, so that the events behind
            the rows are read.
        paired: whether a row has two answers, chosen and rejected.
        two_sided: whether a row's answer may be unwanted; wanted and unwanted must both be there.
        measured_on_pairs: whether evaluations measure pair accuracy on unseen pairs. The trainer's
            model must have TRL's fused head then, and PEFT's adapter.
        sequences: sequences of a row that run forward and backward in a step.
        forward_only: those that run forward only, such as a reference's.
        least_batch: rows that a batch of one device must hold; above 1 where the loss compares
            the rows of a batch.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[str]
    fix: ClassVar[str]
    learning_rate: ClassVar[float]
    trl_learning_rate: ClassVar[float]
    losses: ClassVar[tuple[str, ...]] = ()
    smoothed_losses: ClassVar[tuple[str, ...]] = ()
    reads_preferences: ClassVar[bool] = False
    paired: ClassVar[bool] = False
    two_sided: ClassVar[bool] = False
    measured_on_pairs: ClassVar[bool] = False
    sequences: ClassVar[int] = 1
    forward_only: ClassVar[int] = 0
    least_batch: ClassVar[int] = 1

    @abstractmethod
    def reads(self, given: Curated) -> Sequence[Record]:
        """Returns what becomes rows, one each, in order; asked before the preflight.

        An example teaches its labels, a pair its chosen answer against the rejected one, a judged
        answer itself. Who did not consent to training is left out later, for every kind alike.
        """

    @abstractmethod
    def columns(self, row: TrainingRow) -> dict[str, Any]:
        """Returns a row as TRL's collator takes it: column -> token ids or a flag.

        Asked once for each row, which has a prompt and an answer, and, where the kind is
        ``paired``, another that differs. Every row must have the same columns.
        """

    @abstractmethod
    def trainer(self, values: Mapping[str, Any], preference: PreferenceSpec, **parts: Any) -> Any:
        """Returns TRL's trainer; asked once, in the process that trains. Import TRL here.

        It must take the rows in their order and as they are: nothing shuffled, rendered or cut.

        Args:
            values: arguments of TRL's config that are the same for every kind.
            preference: of the job.
            parts: arguments of the trainer: ``model``, ``train_dataset``, ``processing_class``, and
                ``peft_config`` unless the model has its adapter already.

        Raises:
            ValueError: TRL or PEFT refuse the job.
            ModelError: TRL has changed.
        """

    def problems(self, spec: JobSpec, rows: Sequence[TrainingRow]) -> Iterable[Finding]:
        """Returns what keeps the rows from being trained on; asked by the preflight."""
        return ()

    def warnings(self, spec: JobSpec, rows: Sequence[TrainingRow]) -> Iterable[Finding]:
        """Returns what is worth knowing of the rows; asked by the preflight."""
        return ()
