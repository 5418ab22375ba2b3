"""The plan of a job: prompt, rows, dev, what a preflight finds, and what its weights depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from upturn.datasets import Snapshot
from upturn.errors import DataError
from upturn.finetune.encode import Encoded, RowEncoder, encode_rows, end_tokens
from upturn.finetune.findings import as_error
from upturn.finetune.fingerprint import Fingerprint, fingerprint
from upturn.finetune.leaks import find_leaks
from upturn.finetune.preflight import Preflight, preflight
from upturn.finetune.records import TrainingRow, WorkOrder
from upturn.finetune.rows import Material, material, prompt_for, unseen_pairs
from upturn.finetune.spec import JobSpec
from upturn.pipeline.training.data import TrainingData
from upturn.pipeline.training.task import Task
from upturn.records import Candidate, Example, Json, content_hash


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a job will do, before anything is written.

    Attributes:
        task: job and config.
        data: rows of train and dev.
        candidate: the prompt that the adapter is trained under.
        text: the rows as text.
        preflight: what was found; has the rows as tokens.
    """

    task: Task
    data: TrainingData
    candidate: Candidate
    text: Material
    preflight: Preflight

    @cached_property
    def encoded(self) -> Encoded:
        """The rows as tokens.

        Raises:
            InputError: the preflight found problems; it tells them all.
        """
        return self.preflight.check()

    @property
    def dev(self) -> tuple[Example, ...]:
        """The dev rows that evaluations run on: the worker's, and those before and after."""
        return self.data.dev[: self.task.spec.evaluation.rows]

    @cached_property
    def dev_rows(self) -> tuple[TrainingRow, ...]:
        """Pairs of dev that the job is measured on; none where dev gives none that fits."""
        pairs, program = self.data.preferred_dev.pairs, self.task.parts.program
        if not pairs:
            return ()
        kind = self.task.spec.kind
        folder, tokenizer = self.task.base[0], self.preflight.tokenizer
        ends = end_tokens(folder, tokenizer)
        encoder = RowEncoder(tokenizer, end_tokens=ends, where=str(folder))
        try:
            text = unseen_pairs(kind, program, self.candidate, self.data.dev, pairs)
            return encode_rows(text, encoder, max_length=self.task.spec.optim.max_length).rows
        except DataError:
            return ()

    @cached_property
    def rows_hash(self) -> str:
        """Of what is trained on, as tokens."""
        return _hash(self.encoded.rows)

    @property
    def settings(self) -> dict[str, Json]:
        """How the model is asked in evaluations."""
        model = self.task.model
        return {"temperature": model.temperature, "max_tokens": model.max_tokens}

    def check_sealed(self, snapshot: Snapshot) -> None:
        """Compares the rows with the holdout of a snapshot that was frozen just now, by hashes.

        Raises:
            InputError: the holdout knows a row that would be trained on.
        """
        problems = find_leaks(self.text.rows, (), snapshot.manifest).problems
        if problems:
            raise as_error(problems, where=str(snapshot.folder))

    def fingerprint(self, spec: JobSpec) -> Fingerprint:
        """Returns what the weights depend on, under a spec that may name a start."""
        parts = self.task.parts
        return fingerprint(
            spec,
            data={
                "rows": self.rows_hash,
                "row_count": len(self.encoded.rows),
                "dev": _hash(self.dev),
                "dev_rows": _hash(self.dev_rows),
                "program": parts.program.fingerprint,
                "metric": parts.metric.fingerprint,
            },
            base_id=self.task.base[1],
            template=str(self.preflight.tokenizer.chat_template),
            candidate=self.candidate.to_json(),
            settings=self.settings,
        )

    def order(self, spec: JobSpec, mark: Fingerprint) -> WorkOrder:
        """Returns what the worker is told."""
        folder, base_id = self.task.base
        return WorkOrder(
            spec=spec,
            base=str(folder.resolve()),
            base_id=base_id,
            root=str(self.task.root),
            program=self.task.parts.config.program,
            metric=self.task.parts.config.metric,
            candidate=self.candidate.to_json(),
            settings=self.settings,
            fingerprint=mark.hashes,
        )


def make_plan(task: Task, data: TrainingData, champion: Candidate | None) -> Plan:
    """Writes the rows of a job as text and as tokens, and looks at them.

    Args:
        task: job and config.
        data: its rows.
        champion: the prompt that runs now; None where none was ever promoted.

    Raises:
        DataError: nothing to train on.
        ProgramError: the program cannot be trained as one.
    """
    spec, program = task.spec, task.parts.program
    candidate = prompt_for(program, spec.combine, champion)
    text = material(
        spec.kind,
        program,
        candidate,
        data.train,
        pairs=data.preferred.pairs,
        kto=data.preferred.kto,
    )
    folder, base_id = task.base
    found = preflight(
        spec,
        text,
        base=folder,
        base_id=base_id,
        dev=data.dev,
        manifest=None if data.frozen is None else data.frozen.manifest,
        serving=task.job.export,
        on_cpu=not _on_gpu(spec),
    )
    return Plan(task=task, data=data, candidate=candidate, text=text, preflight=found)


def _on_gpu(spec: JobSpec) -> bool:
    if spec.run.device != "auto":
        return spec.run.device == "cuda"
    from upturn.finetune.device import has_gpu

    return has_gpu()


def _hash(values: Sequence[Any]) -> str:
    return content_hash([v.to_json() for v in values], length=16)
