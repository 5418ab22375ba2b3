"""What was forgotten: the answer of the commands, and the ledger's entry."""

from __future__ import annotations

from dataclasses import dataclass, field

from upturn.pipeline.forget.tables import Swept
from upturn.pipeline.forget.work import Removed
from upturn.records import Json


@dataclass(kw_only=True)
class Forgetting:
    """What was forgotten, as ``upturn forget`` and ``upturn expire`` answer.

    Attributes:
        found: whether anything of it was in the store or the workspace.
        repeated: whether it was forgotten before.
        requests, feedback: rows removed from the store.
        removed: what was taken out of the workspace.
        quoted_by: events that stay, in which its texts were quoted.
        store: what was redacted in other rows of the store's file.
        left: where something is still, and why.
        unreached: what was not searched.
    """

    found: bool = False
    repeated: bool = False
    requests: int = 0
    feedback: int = 0
    removed: Removed = field(default_factory=Removed)
    quoted_by: tuple[str, ...] = ()
    store: Swept = field(default_factory=Swept)
    left: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Returns the answer; it repeats no text that was forgotten."""
        removed, swept = self.removed, self.removed.swept
        return {
            "found": self.found,
            "repeated": self.repeated,
            "requests": self.requests,
            "feedback": self.feedback,
            "snapshots": [s.to_json() for s in removed.snapshots],
            "versions": [v.to_json() for v in removed.versions],
            "learned_from_it": removed.learned,
            "exports": [c.to_json() for c in removed.exports],
            "adapters": [],
            "candidates": removed.candidates,
            "turns": removed.turns,
            "files": swept.files,
            "tables": {**swept.tables, **self.store.tables},
            "quoted_by": list(self.quoted_by),
            "left": list(self.left),
            "unreached": list(self.unreached),
        }


def entry_of(mark: str, answer: Forgetting) -> dict[str, Json]:
    """What the ledger keeps: hashes, ids of Upturn's own and counts."""
    return {
        "subject": mark,
        "requests": answer.requests,
        "feedback": answer.feedback,
        "snapshots": [[s.id, s.rebuilt_as] for s in answer.removed.snapshots],
        "versions": [[v.program, v.version] for v in answer.removed.versions],
        "places": len(answer.removed.swept.files) + len(answer.removed.swept.tables),
    }
