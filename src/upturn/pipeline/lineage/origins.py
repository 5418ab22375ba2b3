"""Where a version's prompt came from: written down when it is registered, read by ``upturn why``.

``origins.json`` lies in the version beside the prompt. It names rows and events by their ids and
holds no text of them; ``upturn forget`` takes ids out of it as it does out of every file, and what
stands in their place says that something was forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from upturn.datasets import Snapshot
from upturn.propose import Proposal
from upturn.propose.sources import Sources
from upturn.records import Candidate, Example, Json, PromptState
from upturn.registry import RegisteredVersion
from upturn.search import Catalogue

FORMAT = 1


@dataclass(frozen=True)
class Causes:
    """Which proposals the candidates of a search were made of; fills as trials leave."""

    _known: dict[tuple[str, str], Proposal] = field(default_factory=dict)

    def note(self, candidate: Candidate, catalogue: Catalogue) -> None:
        """Remembers the proposals behind a candidate. Of one choice, the first to offer it stays:
        later generations only hand it on."""
        for name, option in candidate.choices.items():
            found = catalogue.options.get(name, {}).get(option)
            if found is not None:
                self._known.setdefault((name, option), found)

    def file(
        self,
        candidate: Candidate,
        *,
        snapshot: Snapshot,
        champion: RegisteredVersion,
        optimizer: str,
    ) -> bytes:
        """Returns ``origins.json`` of a candidate.

        Args:
            candidate: what is registered.
            snapshot: the rows that were searched on; train and dev alone.
            champion: what ran before: parts that it has already are kept, not found.
            optimizer: names the origin of parts that are in no catalogue.
        """
        rows = (*snapshot.train, *snapshot.dev)
        writer = _Writer(self._known, Sources(snapshot.train), rows, champion, optimizer)
        parts = [
            part
            for name, state in candidate.states.items()
            for part in writer.parts(name, state, candidate.choices)
        ]
        settings = [
            {"name": name, "origin": writer.setting(name, candidate.choices)}
            for name in sorted(candidate.settings)
        ]
        value = {
            "format": FORMAT,
            "snapshot": snapshot.id,
            "parts": parts,
            "settings": settings,
        }
        return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


class _Writer:
    """Writes the parts of one candidate."""

    def __init__(
        self,
        known: Mapping[tuple[str, str], Proposal],
        sources: Sources,
        rows: Sequence[Example],
        champion: RegisteredVersion,
        optimizer: str,
    ) -> None:
        self._known = known
        self._sources = sources
        self._rows = {e.id: e for e in rows}
        self._row_of = {event: e.id for e in rows for event in e.event_ids}
        self._champion = champion
        self._optimizer = optimizer

    def parts(
        self, name: str, state: PromptState, choices: Mapping[str, str]
    ) -> Iterable[dict[str, Json]]:
        """Yields the instruction and the demos of one predictor."""
        before = self._champion.candidate.states.get(name, PromptState(instruction=""))
        found, head = self._part(name, "instruction", choices)
        kept = self._champion.version if state.instruction == before.instruction else ""
        rows, events = self._caused(found)
        yield {**head, "kept_from": kept, "rows": rows, "events": events}
        found, head = self._part(name, "demos", choices)
        if state.demos:
            had = [dict(d) for d in before.demos]
            demos = [self._demo(d, found, kept=dict(d) in had) for d in state.demos]
            # Not "demos": forgetting takes demos out of lists of that name, and a cause stays.
            yield {**head, "causes": demos}

    def setting(self, name: str, choices: Mapping[str, str]) -> str:
        """Who proposed a setting."""
        found = self._known.get((f"@{name}", choices.get(f"@{name}", "")))
        return found.origin if found else self._optimizer

    def _part(
        self, name: str, kind: str, choices: Mapping[str, str]
    ) -> tuple[Proposal | None, dict[str, Json]]:
        choice = choices.get(f"{name}.{kind}", "")
        found = self._known.get((f"{name}.{kind}", choice))
        origin = found.origin if found else self._optimizer
        return found, {"predictor": name, "kind": kind, "choice": choice, "origin": origin}

    def _caused(self, found: Proposal | None) -> tuple[list[Json], list[str]]:
        """The rows behind a proposal, each with its events, and events of no row."""
        if found is None:
            return [], []
        ids = [*found.example_ids, *(self._row_of.get(i, "") for i in found.event_ids)]
        rows = [self._row(i) for i in dict.fromkeys(ids) if i]
        return rows, [i for i in found.event_ids if i not in self._row_of]

    def _demo(
        self, demo: Mapping[str, Json], found: Proposal | None, *, kept: bool
    ) -> dict[str, Json]:
        """The rows that a demo shows: of those that its proposal names, where it names them."""
        shown = self._sources.of([demo])
        named = set(found.example_ids) if found else set[str]()
        rows = [e.id for e in shown if e.id in named] or [e.id for e in shown]
        version = self._champion.version if kept else ""
        return {"kept_from": version, "rows": [self._row(i) for i in rows]}

    def _row(self, row_id: str) -> dict[str, Json]:
        row = self._rows.get(row_id)
        return {"row": row_id, "events": list(row.event_ids) if row else []}
