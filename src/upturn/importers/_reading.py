"""What several formats share: lists read part by part, token counts, metadata as slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

from upturn.events import Event
from upturn.events.problems import found
from upturn.importers.base import RejectedError, Rejection
from upturn.importers.fields import decoded, items, slices_of
from upturn.records import Json

Outcome = Event | Rejection

#: Names that APIs gave to the same count over the years -> ours; other kinds keep their names.
_TOKENS = {
    **dict.fromkeys(("input", "prompt_tokens", "promptTokens", "inputTokens"), "input_tokens"),
    **dict.fromkeys(
        ("output", "completion_tokens", "completionTokens", "outputTokens"), "output_tokens"
    ),
    **dict.fromkeys(("total", "totalTokens"), "total_tokens"),
}

#: Metadata that says whose it is: kept in ``user`` and ``session``, where privacy rules know them,
#: and of no use as a slice.
_WHO = frozenset(
    (
        *("user", "user_id", "userId", "session", "session_id", "sessionId"),
        *("thread_id", "threadId", "conversation_id", "conversationId"),
    )
)


def each(
    record: Mapping[str, Json], key: str, read: Callable[[dict[str, Json]], Iterable[Outcome]]
) -> Iterator[Outcome]:
    """Reads the objects of a list one by one; a rejected one takes no other with it.

    A rejection names the place where it happened, such as ``spans[2].startTimeUnixNano``.
    """
    for index, value in enumerate(items(record, key)):
        place = f"{key}[{index}]"
        try:
            for outcome in read(as_object(value)):
                yield placed(outcome, place) if isinstance(outcome, Rejection) else outcome
        except RejectedError as error:
            yield placed(error.rejection, place)


def placed(rejection: Rejection, place: str) -> Rejection:
    """Returns a rejection that also says where in its record it happened."""
    return Rejection(f"{place}.{rejection.field}" if rejection.field else place, rejection.rule)


def as_object(value: Json) -> dict[str, Json]:
    """Returns an element that must be an object."""
    value = decoded(value)
    if isinstance(value, dict):
        return cast(dict[str, Json], value)
    raise RejectedError("", f"must be an object, got {found(value)}")


def loose(value: Json) -> dict[str, Json]:
    """Returns an object, or {} where it is anything else: what is only looked into, never kept."""
    value = decoded(value)
    return cast(dict[str, Json], value) if isinstance(value, dict) else {}


def tokens(*sources: Mapping[str, Json]) -> dict[str, int] | None:
    """Returns tokens by kind; of several sources the first that names a kind counts.

    What is no count, such as a cost or a list of details, is left out; None where none is left.
    """
    counts: dict[str, int] = {}
    for source in sources:
        for name, value in source.items():
            count = _count(value)
            if count is not None:
                counts.setdefault(_TOKENS.get(name, name), count)
    return counts or None


def _count(value: Json) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) <= 15:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and value >= 0 and value is not True else None


def labels(metadata: Json, tags: Json, **more: Json) -> dict[str, str]:
    """Returns slices: short texts of the metadata, each tag as ``tag:<name>``, and what is named.

    A tag is a slice of its own, because a guard asks for the rows that carry it. What names a
    person or a conversation is left out.
    """
    result = {k: v for k, v in slices_of(loose(metadata)).items() if k not in _WHO}
    names = decoded(tags)
    for tag in cast(list[Json], names) if isinstance(names, list) else []:
        if isinstance(tag, str) and 0 < len(tag) <= 64:
            result[f"tag:{tag}"] = "true"
    result.update(slices_of(more))
    return result


def first_text(values: Mapping[str, Json], *keys: str) -> str | None:
    """Returns the first non-empty text among some keys; unlike ``optional_text`` it refuses none,
    because metadata may hold anything under these names."""
    for key in keys:
        value = values.get(key)
        if isinstance(value, str) and value:
            return value
    return None
