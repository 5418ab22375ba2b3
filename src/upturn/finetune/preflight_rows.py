"""Whether the rows of a job teach what the program will be asked: prompts, ends, pairs, lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from dspy.lm15 import request_from_openai_chat

from upturn.finetune.encode import Encoded, RowEncoder, length
from upturn.finetune.findings import Finding
from upturn.finetune.kinds import job_kind
from upturn.finetune.order import samples_per_step, total_steps
from upturn.finetune.records import TrainingRow
from upturn.finetune.rows import Material
from upturn.finetune.spec import JobSpec
from upturn.lm.prompt import PINNED_DATE, Prompter
from upturn.records import Json

#: Fewer steps than this are hardly a training.
_FEW_STEPS = 10
_REASONS = {
    "too_long": "longer than optim.max_length",
    "no_consent": "whose consent does not name training",
    "empty_answer": "without an answer",
    "equal_pair": "whose two answers are equal",
}


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What there is to learn from.

    Attributes:
        total: tokens of all rows, each answer of a pair with its prompt.
        loss: tokens that a loss is taken on; share: of the total.
        ends: rows whose last loss token is the one at which the engine stops.
        rows: all rows.
        effective_rows: (sum of weights)^2 / sum of squared weights.
    """

    total: int
    loss: int
    share: float
    ends: int
    rows: int
    effective_rows: float

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One row, as it is trained on and as it will be asked.

    Attributes:
        id: of the row.
        training: the text that is trained on, the template's own words included.
        answer: the end of it, which a loss is taken on.
        inference: the text that the engine sends for the same input.
        prefix_holds: token by token, the training text begins with the inference prompt.
        rejected: a pair's other answer.
        tokens: of the training text.
    """

    id: str
    training: str
    answer: str
    inference: str
    prefix_holds: bool
    tokens: int
    rejected: str = ""

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def tokens_of(encoded: Encoded, encoder: RowEncoder) -> Tokens:
    """Counts what a loss is taken on."""
    rows = encoded.rows
    answers = [ids for row in rows for ids in (row.completion_ids, row.rejected_ids) if ids]
    loss = sum(map(len, answers))
    prompts = sum(len(r.prompt_ids) * (2 if r.rejected_ids else 1) for r in rows)
    weights = [row.weight for row in rows]
    return Tokens(
        total=prompts + loss,
        loss=loss,
        share=loss / (prompts + loss),
        ends=sum(_ends(row, encoder) for row in rows),
        rows=len(rows),
        effective_rows=sum(weights) ** 2 / sum(w * w for w in weights),
    )


def samples(encoded: Encoded, encoder: RowEncoder) -> tuple[Sample, ...]:
    """Returns the shortest, the middle and the longest row, or those that there are."""
    ordered = sorted(encoded.rows, key=length)
    places = sorted({0, len(ordered) // 2, len(ordered) - 1})
    return tuple(_sample(ordered[i], encoded, encoder) for i in places)


def row_findings(
    spec: JobSpec,
    material: Material,
    encoded: Encoded,
    encoder: RowEncoder,
    *,
    context: int | None,
) -> tuple[list[Finding], list[Finding]]:
    """Returns what keeps the rows from being trained on, and what is worth knowing.

    Args:
        spec: the job.
        material, encoded: its rows.
        encoder: of the base.
        context: tokens that the base reads at most; None where it does not say.
    """
    kind = job_kind(spec.kind)
    return (
        [
            *_problems(encoded, encoder, context),
            *_nothing_moves(spec, encoded),
            *kind.problems(spec, encoded.rows),
        ],
        [
            *_left_out(encoded),
            *kind.warnings(spec, encoded.rows),
            *_notes(spec, material, encoded),
            *_template(encoder),
        ],
    )


def _problems(encoded: Encoded, encoder: RowEncoder, context: int | None) -> Iterator[Finding]:
    for sample in samples(encoded, encoder):
        if not sample.prefix_holds:
            yield Finding(
                what=f"the training text must begin with the prompt that is sent, {sample.id} "
                "does not",
                where="template",
                fix="pin a chat_template.jinja that writes each turn once",
            )
    endless = sum(not _ends(row, encoder) for row in encoded.rows)
    if endless:
        yield Finding(what=f"every answer must end with an end token, {endless} do not")
    longest = max(map(length, encoded.rows))
    if context is not None and longest > context:
        yield Finding(
            what=f"rows must fit the base, which reads {context} tokens, the longest has {longest}",
            where="optim.max_length",
            fix=f"optim.max_length={context}",
        )


def _nothing_moves(spec: JobSpec, encoded: Encoded) -> Iterator[Finding]:
    warms_up = spec.optim.warmup_ratio > 0 and spec.optim.lr_scheduler_type != "constant"
    if warms_up and _steps(spec, encoded) == 1:
        yield Finding(
            what="a job of one step must have no warm-up: that begins at a rate of 0, so that "
            "nothing would be learned",
            where="optim.warmup_ratio",
            fix="optim.warmup_ratio=0, or more steps",
        )


def _left_out(encoded: Encoded) -> Iterator[Finding]:
    for reason, count in encoded.dropped.items():
        fix = f"optim.max_length={encoded.longest} keeps all" if reason == "too_long" else ""
        yield Finding(
            what=f"{count} rows are left out {_REASONS.get(reason, reason)}", where="rows", fix=fix
        )


def _notes(spec: JobSpec, material: Material, encoded: Encoded) -> Iterator[Finding]:
    if encoded.merged:
        yield Finding(
            what=f"{encoded.merged} rows equal others and are one with them", where="rows"
        )
    if encoded.conflicting:
        yield Finding(
            what=f"{encoded.conflicting} prompts have two right answers",
            where="rows",
            fix="upturn labels why ROW tells where each comes from",
        )
    if material.demos_hidden:
        yield Finding(
            what=f"{material.demos_hidden} rows are demos of the prompt themselves, which is "
            "hidden from them",
            where="rows",
        )
    steps = _steps(spec, encoded)
    if steps < _FEW_STEPS:
        batch = samples_per_step(spec.optim, processes=spec.run.processes)
        yield Finding(
            what=f"{len(encoded.rows)} rows in batches of {batch} are {steps} steps, which is few",
            where="optim",
            fix="more rows or epochs, or a smaller per_device_train_batch_size",
        )


def _steps(spec: JobSpec, encoded: Encoded) -> int:
    batch = samples_per_step(spec.optim, processes=spec.run.processes)
    return total_steps(len(encoded.rows), spec, batch=batch)


def _template(encoder: RowEncoder) -> Iterator[Finding]:
    tokenizer = encoder.tokenizer
    if "strftime_now" in str(tokenizer.chat_template):
        yield Finding(
            what=f"the chat template asks for today's date; here it is always {PINNED_DATE}",
            where="template",
            fix="let the server that serves the adapter pin it, too (chat_template_kwargs)",
        )
    if tokenizer.pad_token_id is None:
        yield Finding(
            what="the tokenizer has no pad_token; rows are padded with the end token, and what is "
            "padding is known by its place",
            where="tokenizer",
        )


def _ends(row: TrainingRow, encoder: RowEncoder) -> bool:
    ends = {*encoder.end_tokens, encoder.tokenizer.eos_token_id}
    return all(ids[-1] in ends for ids in (row.completion_ids, row.rejected_ids) if ids)


def _sample(row: TrainingRow, encoded: Encoded, encoder: RowEncoder) -> Sample:
    # What is sent is made anew, by an encoder that has seen no other row.
    messages = list(encoded.source[row.id].messages)
    request = request_from_openai_chat({"model": "-", "messages": messages})
    sent = Prompter(encoder.tokenizer).encode(request).ids
    trained = (*row.prompt_ids, *row.completion_ids)
    return Sample(
        id=row.id,
        training=encoder.tokenizer.decode(list(trained)),
        answer=encoder.tokenizer.decode(list(row.completion_ids)),
        inference=encoder.tokenizer.decode(list(sent)),
        prefix_holds=trained[: len(sent)] == sent and len(trained) > len(sent),
        tokens=len(trained),
        rejected=encoder.tokenizer.decode(list(row.rejected_ids)) if row.rejected_ids else "",
    )
