"""Text -> tokens, exactly as the engine sends a prompt and as the template goes on with an answer.

The prompt's ids are those of ``lm.prompt.Prompter``, which the engine itself uses. The answer's are
what the chat template renders after that prompt, up to and with the token at which the engine
stops. Nothing is ever cut: what does not fit is dropped and counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dspy.lm15 import InvalidRequestError, request_from_openai_chat

from upturn.errors import DataError, ModelError
from upturn.finetune.records import TrainingRow
from upturn.finetune.rows import Material, TextRow
from upturn.lm.prompt import Prompter

_Ids = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What is trained on.

    Attributes:
        rows: as tokens, in the material's order; equal rows are one.
        dropped: reason -> rows left out, of the text and of the tokens: ``no_consent``,
            ``empty_answer``, ``too_long``, ``equal_pair``.
        merged: rows that equalled an earlier one: the surest weight stays, with all events.
        conflicting: prompts that have two and more different right answers.
        longest: tokens of the longest row, those that were dropped included.
        source: row id -> the text row it was made from.
        all_rows: what came in, with equal rows and those that do not fit, but no empty answer.
    """

    rows: tuple[TrainingRow, ...]
    dropped: Mapping[str, int]
    merged: int
    conflicting: int
    longest: int
    source: Mapping[str, TextRow] = field(default_factory=dict)
    all_rows: tuple[TrainingRow, ...] = ()


class RowEncoder:
    """Encodes rows with one tokenizer.

    Args:
        tokenizer: of ``transformers``, fast.
        end_tokens: ids at which the engine ends an answer; see :func:`end_tokens`.
        where: the base model's folder, for errors.

    Raises:
        ModelError: the tokenizer has no chat template or no end token.
    """

    def __init__(self, tokenizer: Any, *, end_tokens: Sequence[int], where: str = "") -> None:
        self.tokenizer = tokenizer
        self.end_tokens = frozenset(end_tokens)
        self.where = where
        problems = tokenizer_problems(tokenizer, end_tokens)
        if problems:
            raise ModelError("; ".join(problems), where=where, fix=_MEND_TOKENIZER)
        self._prompter = Prompter(tokenizer)

    def encode(self, row: TextRow) -> TrainingRow:
        """Returns a row as tokens.

        Raises:
            DataError: the template refuses the roles, begins no answer, or rewrites what came
                before it.
        """
        prompt, completion = self._answered(row, row.answer)
        rejected = () if row.rejected is None else self._answered(row, row.rejected)[1]
        return TrainingRow(
            id=row.id,
            prompt_ids=prompt,
            completion_ids=completion,
            rejected_ids=rejected,
            desirable=row.desirable,
            weight=row.weight,
            event_ids=row.event_ids,
            group=row.group,
        )

    def _answered(self, row: TextRow, answer: str) -> tuple[_Ids, _Ids]:
        request = request_from_openai_chat({"model": "-", "messages": list(row.messages)})
        try:
            prompt, whole = self._prompter.texts(request, answer)
            ids = self._prompter.encode(request).ids
            tail = self._tail(prompt, whole)
            before = self._before(tail, self._prompter.inert(answer).strip())
            if before.strip() and not self._prompter.begins_answers(request):
                raise DataError(
                    "the chat template must have a generation prompt (add_generation_prompt), and "
                    f"it has none: the model itself would have to begin its turn with {before!r}",
                    where=self.where,
                    fix="add {% if add_generation_prompt %}…{% endif %} to chat_template.jinja",
                )
        except InvalidRequestError as error:
            raise DataError(str(error), where=self.where) from error
        return ids, self._ended(self._continued(ids, whole, tail))

    def _tail(self, prompt: str, whole: str) -> str:
        """Returns what the template writes after the prompt."""
        if not whole.startswith(prompt):
            raise DataError(
                "the chat template must go on after the prompt when an answer is added, and it "
                f"rewrites the prompt from {_differs(prompt, whole)}",
                where=self.where,
                fix="pin a chat_template.jinja that writes each turn once, whatever follows it",
            )
        return whole[len(prompt) :]

    def _before(self, tail: str, answer: str) -> str:
        """Returns what the template writes between the prompt and the answer."""
        if answer not in tail:
            raise DataError(
                f"the chat template must write the answer as it is, got {tail[:80]!r}",
                where=self.where,
                fix="pin a chat_template.jinja that does",
            )
        return tail[: tail.find(answer)]

    def _continued(self, prompt: _Ids, whole: str, tail: str) -> _Ids:
        """Returns the tail's ids: as they follow the prompt where that splits, else on their own.

        On its own a text may get a leading blank; within, its first token may join the prompt's
        last. What the engine has sent stands, so the prompt's ids are never others.
        """
        ids = self._ids(whole)
        if ids[: len(prompt)] == prompt:
            return ids[len(prompt) :]
        own = self._ids(tail)
        if self.tokenizer.decode([*prompt, *own]) != self.tokenizer.decode(list(ids)):
            raise DataError(
                "prompt and answer, tokenized apart, must read as the whole does, got "
                f"{self.tokenizer.decode([*prompt[-4:], *own[:4]])!r}",
                where=self.where,
                fix="use the fast tokenizer (tokenizer.json) of this model",
            )
        return own

    def _ended(self, ids: _Ids) -> _Ids:
        """Ends with the token at which the engine stops; a template may write more after it."""
        end = next((i for i, token in enumerate(ids) if token in self.end_tokens), None)
        return (*ids, int(self.tokenizer.eos_token_id)) if end is None else ids[: end + 1]

    def _ids(self, text: str) -> _Ids:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def encode_rows(material: Material, encoder: RowEncoder, *, max_length: int) -> Encoded:
    """Encodes all rows of a job, drops those that cannot be trained on, and joins equal ones.

    Args:
        material: the text.
        encoder: of the base model.
        max_length: most tokens of prompt and answer together; longer rows are dropped whole.

    Raises:
        DataError: no row is left, or the template cannot be trained under.
    """
    dropped = Counter[str](material.dropped)
    known: dict[tuple[Any, ...], TrainingRow] = {}
    source: dict[str, TextRow] = {}
    all_rows: list[TrainingRow] = []
    merged = 0
    for text in material.rows:
        if not text.answer.strip():
            dropped["empty_answer"] += 1
            continue
        row = encoder.encode(text)
        all_rows.append(row)
        if reason := _unfit(row, max_length):
            dropped[reason] += 1
            continue
        key = (row.prompt_ids, row.completion_ids, row.rejected_ids, row.desirable)
        merged += key in known
        known[key] = _joined(known[key], row) if key in known else row
        source[row.id] = text
    rows = tuple(known.values())
    longest = max(map(length, all_rows), default=0)
    if not rows:
        raise _none_left(dropped, max_length, longest, encoder.where)
    return Encoded(
        rows=rows,
        dropped=dict(+dropped),
        merged=merged,
        conflicting=_conflicting(rows),
        longest=longest,
        source={row.id: source[row.id] for row in rows},
        all_rows=tuple(all_rows),
    )


def length(row: TrainingRow) -> int:
    """Returns the tokens of a row: prompt and its longer answer."""
    return len(row.prompt_ids) + max(len(row.completion_ids), len(row.rejected_ids))


def end_tokens(folder: Path, tokenizer: Any) -> tuple[int, ...]:
    """Returns the ids at which the engine ends an answer: of generation_config.json, else EOS.

    Raises:
        ModelError: the file is no JSON.
    """
    found: Any = None
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        try:
            found = json.loads(path.read_text()).get("eos_token_id") if path.is_file() else None
        except (OSError, ValueError, AttributeError) as error:
            raise ModelError("must be a JSON object", where=str(path)) from error
        if found is not None:
            break
    found = tokenizer.eos_token_id if found is None else found
    if found is None:
        return ()
    return tuple(found) if isinstance(found, list) else (int(found),)


def tokenizer_problems(tokenizer: Any, end_tokens: Sequence[int]) -> list[str]:
    """Returns what keeps a tokenizer from training, in sentences."""
    problems: list[str] = []
    if not tokenizer.chat_template:
        problems.append("the tokenizer must have a chat template, it has none")
    if tokenizer.eos_token_id is None or not end_tokens:
        problems.append("the tokenizer must have an end token (eos_token), it has none")
    return problems


_MEND_TOKENIZER = (
    "set eos_token and chat_template in tokenizer_config.json, as the model's card says"
)


def _unfit(row: TrainingRow, max_length: int) -> str:
    if length(row) > max_length:
        return "too_long"
    return "equal_pair" if row.rejected_ids == row.completion_ids else ""


def _joined(one: TrainingRow, other: TrainingRow) -> TrainingRow:
    best = max(one, other, key=lambda r: r.weight)
    events = sorted({*one.event_ids, *other.event_ids})
    return replace(best, event_ids=tuple(events))


def _conflicting(rows: Sequence[TrainingRow]) -> int:
    """Counts prompts with two right answers; a pair and a judged answer name no right one alone."""
    answers: dict[_Ids, set[_Ids]] = {}
    for row in rows:
        if row.desirable:
            answers.setdefault(row.prompt_ids, set()).add(row.completion_ids)
    return sum(len(found) > 1 for found in answers.values())


def _none_left(dropped: Mapping[str, int], max_length: int, longest: int, where: str) -> DataError:
    reasons = ", ".join(f"{n} {reason}" for reason, n in (+Counter(dropped)).items())
    too_long = dropped.get("too_long", 0)
    fix = f"optim.max_length={longest}, or fewer demos (combine: weights_only)"
    return DataError(
        f"a row must be left to train on, all are dropped: {reasons} (max_length {max_length})",
        where=where,
        fix=fix if too_long else "bring answers that differ, and that are not empty",
    )


def _differs(prompt: str, whole: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), None)
    at = min(len(prompt), len(whole)) if at is None else at
    return f"{prompt[at : at + 40]!r} to {whole[at : at + 40]!r}"
