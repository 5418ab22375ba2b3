"""What formats of preferences are made of: the events behind the train rows of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from upturn.datasets.preferences import Preferences, preferences
from upturn.events import Feedback, FieldRules, Request
from upturn.events.fitting import FieldMap, FittedSource
from upturn.records import Example
from upturn.store import FeedbackStore


def stored_preferences(
    store: str,
    train: Sequence[Example],
    *,
    program: str | None = None,
    outputs: Mapping[str, str] | None = None,
) -> Preferences:
    """Reads a store once and makes preferences of the train rows.

    Args:
        store: URL or path of the store that the rows came from.
        train: the train rows of a snapshot, less those that may not be used.
        program: whose requests are read, as the events name it; all where it is None.
        outputs: output field -> JMESPath over a request's outputs, as in the config's ``data``; a
            field without one is taken by its own name.

    Raises:
        StorageError: there is no such store, or it cannot be read.
        ConfigError: an expression does not compile.
    """
    labels = dict.fromkeys(field for row in train for field in row.labels)
    # The inputs are the row's own; only what was answered has to be found in the events.
    fields = FieldRules(inputs=(), outputs=labels)
    mapped = FieldMap(outputs=outputs or {})
    with FeedbackStore.open(store, create=False) as opened:
        programs = [program] if program else sorted(opened.counts().programs)
        return preferences(_joined(opened, programs, fields, mapped), train)


def _joined(
    store: FeedbackStore, programs: Iterable[str], fields: FieldRules, mapped: FieldMap
) -> Iterator[tuple[Request, tuple[Feedback, ...]]]:
    for program in programs:
        yield from FittedSource(store, program, fields, mapped).joined()
