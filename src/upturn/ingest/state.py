"""How far a source was taken in, and its counts: what a broken-off ingest goes on from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from upturn.ingest.batches import Batch
from upturn.ingest.rejects import Refusal
from upturn.ingest.report import COUNTS
from upturn.records import Json
from upturn.store import Added, Checkpoint

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class State:
    """What is committed of one source.

    Attributes:
        position: records that are done; format: name of the importer that read them.
        counts: each of ``COUNTS``, over all tries.
        rejects_bytes: size of the file of rejects up to here, less ``unlisted``.
        unlisted: conflicts of the last batch; they are known only when the batch is committed, so
            the file of rejects gets them afterwards.
        done: whether the source is finished.
    """

    position: int = 0
    format: str = ""
    counts: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    rejects_bytes: int = 0
    unlisted: tuple[Refusal, ...] = ()
    done: bool = False

    def after(self, batch: Batch, added: Added, *, format: str, rejects_bytes: int) -> State:
        """Returns the state when a batch is in the store."""
        counts = Counter(self.counts)
        counts.update(
            records=batch.records,
            empty=batch.empty,
            rejected=len(batch.refusals),
            requests=added.requests,
            feedback=added.feedback,
            duplicates=added.duplicates,
            conflicts=len(added.conflicts),
            forgotten=added.forgotten,
        )
        return State(
            position=batch.position,
            format=format,
            counts={name: counts[name] for name in COUNTS},
            rejects_bytes=rejects_bytes,
            unlisted=_conflicts(batch, added),
        )

    def checkpoint(self, source: str) -> Checkpoint:
        """Returns the state as the store keeps it."""
        state = {
            "version": _VERSION,
            "format": self.format,
            "counts": dict(self.counts),
            "rejects_bytes": self.rejects_bytes,
            "unlisted": [list(r) for r in self.unlisted],
            "done": self.done,
        }
        return Checkpoint(source=source, position=self.position, state=state)

    @classmethod
    def of(cls, checkpoint: Checkpoint | None) -> State:
        """Returns the state that a store kept; a fresh one where there is none of ours."""
        if checkpoint is None or checkpoint.state.get("version") != _VERSION:
            return cls()
        kept: Mapping[str, Json] = checkpoint.state
        return cls(
            position=checkpoint.position,
            format=kept["format"],
            counts={name: kept["counts"].get(name, 0) for name in COUNTS},
            rejects_bytes=kept["rejects_bytes"],
            unlisted=tuple(Refusal(*r) for r in kept["unlisted"]),
            done=kept["done"],
        )


def _conflicts(batch: Batch, added: Added) -> tuple[Refusal, ...]:
    if not added.conflicts:
        return ()
    # An id may conflict several times in one batch; each is listed where its last event stood.
    lines = {(_kind(e), e.id): at for e, at in zip(batch.events, batch.lines, strict=True)}
    return tuple(
        Refusal(*lines.get((c.kind, c.id), (0, batch.position)), "id", _reason(c.id, c.reason))
        for c in added.conflicts
    )


def _kind(event: object) -> str:
    return type(event).__name__.lower()


def _reason(id: str, reason: str) -> str:
    return f"must name one event, but {id[:100]!r} is in the store already; this one {reason}"
