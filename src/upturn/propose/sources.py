"""Which train rows a demo was made from: a parent's demos carry no ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from upturn.propose.base import Proposal, events_of
from upturn.records import Example, Json, canonical_json


class Sources:
    """Finds train rows by the inputs that a demo shows.

    A demo of an inner predictor may show some of the program's inputs, or none: then its rows are
    all that share these, or not known.

    Args:
        train: the train rows.
    """

    def __init__(self, train: Sequence[Example]) -> None:
        self._rows = sorted(train, key=lambda e: e.id)
        self._index: dict[tuple[str, ...], dict[str, list[Example]]] = {}

    def of(self, demos: Iterable[Mapping[str, Json]]) -> list[Example]:
        """The rows behind the demos, each once, in the demos' order."""
        found = {e.id: e for demo in demos for e in self._of(demo)}
        return list(found.values())

    def proposal(
        self, predictor: str, origin: str, demos: Iterable[Mapping[str, Json]]
    ) -> Proposal:
        """A demo set with the rows and events behind it."""
        kept = tuple(demos)
        rows = self.of(kept)
        return Proposal(
            predictor=predictor,
            origin=origin,
            demos=kept,
            example_ids=tuple(e.id for e in rows),
            event_ids=events_of(rows),
        )

    def _of(self, demo: Mapping[str, Json]) -> list[Example]:
        names = tuple(sorted({n for e in self._rows[:1] for n in e.inputs} & set(demo)))
        if not names:
            return []
        if names not in self._index:
            by_key = self._index.setdefault(names, {})
            for row in self._rows:
                by_key.setdefault(_key(row.inputs, names), []).append(row)
        return self._index[names].get(_key(demo, names), [])


def _key(values: Mapping[str, Json], names: Iterable[str]) -> str:
    return canonical_json([values.get(n) for n in names])
