"""What to train on, as text: the messages that the program really sends, and the right answer.

Rows of train only. A row whose consent was stated without training is left out, and so is every
pair made of it; a row is never shown its own answer as a demo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from upturn.datasets.groups import text_of
from upturn.datasets.near_duplicates import normalise
from upturn.datasets.preferences import KtoRow, Pair
from upturn.errors import DataError
from upturn.events import Purpose
from upturn.finetune.kinds import Curated, JobKind, Record, job_kind
from upturn.finetune.spec import Combine
from upturn.privacy.consent import may
from upturn.programs import Chat, Message, Program
from upturn.records import Candidate, Example, Json, PromptState, content_hash

#: The setting that names an adapter: a prompt that is trained under must not bring one.
_WEIGHTS = "weights"


@dataclass(frozen=True, kw_only=True)
class TextRow:
    """One row before it is tokens; fields as of :class:`~upturn.finetune.records.TrainingRow`.

    Attributes:
        inputs: what was asked, for leaks and duplicates.
        messages: the chat messages that the program sends.
        answer: the assistant's text; of a pair, the chosen one.
        rejected: a pair's other text; None elsewhere.
        labels: output field -> value behind ``answer``.
    """

    id: str
    inputs: Mapping[str, Json]
    messages: tuple[Message, ...]
    answer: str
    labels: Mapping[str, Json]
    rejected: str | None = None
    desirable: bool = True
    weight: float = 1.0
    event_ids: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a job trains on, as text.

    Attributes:
        kind: name of the job kind.
        candidate: the prompt that the rows were made under, without weights.
        rows: in the order they came in.
        dropped: reason -> rows left out: ``no_consent``, ``empty_answer``.
        demos_hidden: rows from which a demo was hidden because it is the row's own.
    """

    kind: str
    candidate: Candidate
    rows: tuple[TextRow, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    demos_hidden: int = 0


def prompt_for(program: Program, combine: Combine, champion: Candidate | None) -> Candidate:
    """Returns the prompt that an adapter is trained under.

    Args:
        program: the program.
        combine: ``weights_only`` takes the program's own instruction and no demos; the others the
            champion's prompt, or the program's where there is no champion.
        champion: the champion's candidate; its weights are left out.
    """
    if combine == "weights_only" or champion is None:
        seed = program.seed
        if combine != "weights_only":
            return seed
        bare = {n: PromptState(instruction=s.instruction) for n, s in seed.states.items()}
        return replace(seed, states=bare)
    settings = {k: v for k, v in champion.settings.items() if k != _WEIGHTS}
    return replace(champion, settings=settings)


def trainable(rows: Iterable[Example]) -> tuple[Example, ...]:
    """Returns the rows that may be trained on: consent says so, or was not stated."""
    return tuple(row for row in rows if may(row.consent, Purpose.TRAIN))


def material(
    kind: str,
    program: Program,
    candidate: Candidate,
    examples: Sequence[Example],
    *,
    pairs: Sequence[Pair] = (),
    kto: Sequence[KtoRow] = (),
) -> Material:
    """Writes the rows of a job as text.

    Args:
        kind: name of the job kind, which says what of these it reads.
        program: with one predictor, whose outputs are all labelled.
        candidate: what :func:`prompt_for` gave.
        examples: rows of train (or of dev, to measure on), also where the kind reads pairs: their
            consent decides on those.

    Raises:
        ProgramError: the program has several predictors, or the candidate does not fit it.
        DataError: nothing to train on, or a row lacks a field of the program.
        ConfigError: there is no such kind.
    """
    asked = job_kind(kind)
    given = asked.reads(Curated(examples=examples, pairs=pairs, judged=kto))
    return _written(asked, program, candidate, examples, given)


def unseen_pairs(
    kind: str,
    program: Program,
    candidate: Candidate,
    examples: Sequence[Example],
    pairs: Sequence[Pair],
) -> Material:
    """Writes the pairs of dev that a job is measured on; otherwise as ``material``."""
    return _written(job_kind(kind), program, candidate, examples, pairs)


def _written(
    kind: JobKind,
    program: Program,
    candidate: Candidate,
    examples: Sequence[Example],
    given: Sequence[Record],
) -> Material:
    writer = _Writer(Chat.of(program, candidate))
    barred = {row.id for row in examples if not may(row.consent, Purpose.TRAIN)}
    made = [writer.write(row) for row in given if barred.isdisjoint(_sources(row))]
    refused = len(given) - len(made)
    kept = tuple(row for row in made if not _is_empty(row.labels))
    dropped = Counter(no_consent=refused, empty_answer=len(made) - len(kept))
    if not kept:
        raise _nothing(kind, program.ref, +dropped)
    return Material(
        kind=kind.name,
        candidate=candidate,
        rows=kept,
        dropped=dict(+dropped),
        demos_hidden=writer.hidden,
    )


def _sources(row: Record) -> Iterable[str]:
    """Returns the ids of the examples whose consent decides on a row, among others."""
    return (row.id,) if isinstance(row, Example) else row.event_ids


def _nothing(kind: JobKind, ref: str, dropped: Mapping[str, int]) -> DataError:
    left = ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "none came in"
    return DataError(f"train must hold {kind.needs}, got 0 ({left})", where=ref, fix=kind.fix)


class _Writer:
    """Writes rows under one prompt, and counts those from which a demo was hidden."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._demos = [_text(chat, demo) for demo in chat.demos]
        self.hidden = 0

    def write(self, row: Record) -> TextRow:
        if isinstance(row, Example):
            return self._row(row, row.id, row.labels)
        if isinstance(row, Pair):
            made = content_hash([row.inputs, row.chosen, row.rejected], length=16)
            return self._row(row, made, row.chosen, rejected=self._chat.answer(row.rejected))
        made = content_hash([row.inputs, row.completion, row.desirable], length=16)
        return self._row(row, made, row.completion, desirable=row.desirable)

    def _row(self, row: Record, row_id: str, labels: Mapping[str, Json], **rest: Any) -> TextRow:
        return TextRow(
            id=row_id,
            inputs=row.inputs,
            messages=self._prompt(row.inputs),
            answer=self._chat.answer(labels),
            labels=labels,
            weight=row.weight,
            event_ids=row.event_ids,
            group=row.group,
            **rest,
        )

    def _prompt(self, inputs: Mapping[str, Json]) -> tuple[Message, ...]:
        own = _text(self._chat, inputs)
        if own not in self._demos:
            return tuple(self._chat.prompt(inputs))
        self.hidden += 1
        return tuple(self._chat.prompt(inputs, shown=lambda demo: _text(self._chat, demo) != own))


def _text(chat: Chat, values: Mapping[str, Json]) -> str:
    """Returns a row's inputs as near-duplicates are compared: a copy in capitals is one, too."""
    return normalise(text_of({name: values[name] for name in chat.inputs if name in values}))


def _is_empty(labels: Mapping[str, Json]) -> bool:
    return all(v is None or (isinstance(v, str) and not v.strip()) for v in labels.values())
