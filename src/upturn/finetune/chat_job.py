"""Chat messages -> an adapter of the workspace: a job without a job file, such as DSPy asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from upturn.errors import DataError
from upturn.finetune.encode import Encoded, RowEncoder, encode_rows, end_tokens
from upturn.finetune.fingerprint import fingerprint
from upturn.finetune.folder import JobFolder
from upturn.finetune.launch import Launcher
from upturn.finetune.local_lm import JOBS, LocalModels, split_model
from upturn.finetune.records import Event, WorkOrder
from upturn.finetune.rows import Material, TextRow
from upturn.finetune.runner import Runner
from upturn.finetune.spec import JobSpec
from upturn.finetune.train_kwargs import job_spec
from upturn.records import Candidate, Json, content_hash
from upturn.weights.adapter import adapted_id, find, store
from upturn.weights.base import ties_embeddings

_ROLES = ("system", "user", "assistant")


class _Deaf:
    """A listener that needs no news: nobody watches."""

    def event(self, event: Event) -> None:
        """Lets it pass; ``events.jsonl`` has it."""


@dataclass(frozen=True, kw_only=True)
class ChatJob:
    """Trains on chat messages.

    There are no dev rows, so nothing is evaluated and the last step's adapter is the result: DSPy's
    optimizers evaluate programs themselves.

    Attributes:
        models: the base and its workspace.
        launcher: where the worker runs.
    """

    models: LocalModels
    launcher: Launcher

    def train(
        self, model: str, data: Sequence[Mapping[str, Any]], values: Mapping[str, Any]
    ) -> str:
        """Trains, and returns the model string with the new adapter.

        Args:
            model: the base, or the base with the adapter to train on.
            data: ``{"messages": [...]}``, the last message the assistant's.
            values: see ``train_kwargs.job_spec``.

        Raises:
            ConfigError: an unknown name, a wrong value, or another base.
            DataError: no row, or one that is no chat or ends without an answer.
            TrainingError, StoppedError: as ``Runner.run``.
        """
        _, weights = split_model(self.models.check(model))
        start = str(find(self.models.adapters, weights).folder) if weights else None
        spec = job_spec(values, name="dspy", start=start)
        encoded = encode_rows(
            Material(kind=spec.kind, candidate=_NO_PROMPT, rows=text_rows(data)),
            self._encoder(),
            max_length=spec.optim.max_length,
        )
        order = self._order(spec, encoded)
        folder = JobFolder(self.models.workspace / JOBS / order.spec.name)
        with folder.locked() as lock:
            card = folder.read_result() or self._card(folder, order, encoded, lock)
            adapter = store(
                folder.final,
                self.models.adapters,
                base_id=self.models.base_id,
                card=card,
                tied=ties_embeddings(self.models.folder),
            )
        return adapted_id(self.models.base_id, adapter)

    def _card(
        self, folder: JobFolder, order: WorkOrder, encoded: Encoded, lock: int
    ) -> dict[str, Json]:
        """Trains; goes on where a job of the same name was broken off."""
        before = folder.read_order()
        if before is None:
            folder.write(order, encoded.rows, (), ())
        else:
            # Its batch may have been made to fit the memory; caps are those of now.
            order = replace(before, spec=replace(before.spec, run=order.spec.run))
            folder.write_order(order)
        training = Runner(self.launcher, _Deaf()).run(folder, order, lock=lock)
        card: dict[str, Json] = {
            "source": "dspy",
            "job": training.order.spec.to_json(),
            "data": {"rows": len(encoded.rows), "dropped": dict(encoded.dropped)},
            "fingerprint": dict(order.fingerprint),
            "seconds": training.seconds,
        }
        folder.write_result(card)
        return card

    def _order(self, spec: JobSpec, encoded: Encoded) -> WorkOrder:
        hashed = content_hash([row.to_json() for row in encoded.rows])
        found = fingerprint(
            spec,
            data={"rows": hashed},
            base_id=self.models.base_id,
            template="",
            candidate=_NO_PROMPT.to_json(),
            settings={},
        )
        return WorkOrder(
            # Named by content: what was changed is another job, what was not goes on.
            spec=replace(spec, name=f"dspy-{found.id[:12]}"),
            base=str(self.models.folder),
            base_id=self.models.base_id,
            root=str(self.models.workspace),
            program="",
            metric="",
            candidate=_NO_PROMPT.to_json(),
            fingerprint=found.hashes,
        )

    def _encoder(self) -> RowEncoder:
        from transformers import AutoTokenizer

        folder = self.models.folder
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return RowEncoder(tokenizer, end_tokens=end_tokens(folder, tokenizer), where=str(folder))


_NO_PROMPT = Candidate(states={})


def text_rows(data: Sequence[Mapping[str, Any]]) -> tuple[TextRow, ...]:
    """Returns rows of chat messages as ours.

    Raises:
        DataError: no rows, or a row without messages, with a role of another kind, with a part
            that is not text, or without an answer at its end.
    """
    if not data:
        raise DataError(
            "there must be rows to train on, got none",
            where="train_data",
            fix="the metric may have refused every trace: look at a few, or train without a metric",
        )
    return tuple(_text_row(row, i) for i, row in enumerate(data))


def _text_row(row: Mapping[str, Any], number: int) -> TextRow:
    messages: Any = row.get("messages")
    where = f"train_data[{number}]"
    if not isinstance(messages, list) or len(messages) < 2:
        raise DataError("messages must be a list of two and more", where=where)
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES or not isinstance(content, str):
            raise DataError(
                f"a message must have a role of {', '.join(_ROLES)} and a text, got "
                f"{role!r} with {type(content).__name__}",
                where=where,
                fix="train on programs whose inputs and outputs are text",
            )
    if messages[-1]["role"] != "assistant":
        raise DataError(f"must end with the answer, got {messages[-1]['role']}", where=where)
    *asked, answer = messages
    return TextRow(
        id=content_hash(messages)[:16],
        inputs={},
        messages=tuple(asked),
        answer=answer["content"],
        labels={},
    )
