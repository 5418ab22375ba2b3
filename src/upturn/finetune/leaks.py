"""Rows to train on that dev or the holdout knows, too: an adapter must not be judged on them.

Dev is open, so its texts are compared as near-duplicates. The holdout stays sealed: the snapshot's
manifest lists hashes of its groups and texts, and those are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from upturn.datasets.groups import GroupRules, text_of
from upturn.datasets.history import group_hash, hashes_in, text_hash
from upturn.datasets.near_duplicates import near_duplicate_clusters
from upturn.datasets.split import Split
from upturn.finetune.findings import Finding
from upturn.finetune.rows import TextRow
from upturn.records import Example, Json


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """How many rows to train on are known elsewhere.

    Attributes:
        dev_texts, dev_groups: rows whose inputs, or whose group, dev has as well.
        dev_near: further rows that are near-duplicates of a row of dev.
        holdout_texts, holdout_groups: the same of the holdout; None where the rows are not frozen
            yet, and there is no manifest to ask.
    """

    dev_texts: int = 0
    dev_groups: int = 0
    dev_near: int = 0
    holdout_texts: int | None = None
    holdout_groups: int | None = None

    @property
    def problems(self) -> list[Finding]:
        """What makes a measurement worth nothing."""
        counts = {
            "dev": (self.dev_texts, self.dev_groups),
            "the holdout": (self.holdout_texts or 0, self.holdout_groups or 0),
        }
        return [
            Finding(
                what=f"no row may be trained on that {name} knows, got {texts} of the same text "
                f"and {groups} of the same group",
                where="leaks",
                fix="train on the train rows of one snapshot: upturn snapshot CONFIG",
            )
            for name, (texts, groups) in counts.items()
            if texts or groups
        ]

    @property
    def warnings(self) -> list[Finding]:
        """What makes it flatter."""
        if not self.dev_near:
            return []
        what = f"{self.dev_near} rows are near-duplicates of rows of dev, whose score will flatter"
        return [Finding(what=what, where="leaks")]

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def find_leaks(
    rows: Sequence[TextRow],
    dev: Sequence[Example],
    manifest: Mapping[str, Json] | None = None,
    *,
    threshold: float = GroupRules().threshold,
) -> Leaks:
    """Compares rows to train on with dev, and by hashes with the holdout.

    Args:
        rows: with inputs; a row without a group is compared by its text alone.
        dev: the rows of dev.
        manifest: of the snapshot, or None where it is not frozen yet.
        threshold: Jaccard similarity from which two texts are near-duplicates.
    """
    texts = [_text_hash(row) for row in rows]
    groups = [group_hash(row.group) if row.group else "" for row in rows]
    known_texts = {text_hash(e) for e in dev}
    known_groups = {group_hash(e.group) for e in dev if e.group}
    same = [text in known_texts for text in texts]
    near = _near(rows, dev, threshold)
    held_texts, held_groups = _held(manifest)
    return Leaks(
        dev_texts=sum(same),
        dev_groups=sum(g in known_groups for g in groups),
        dev_near=sum(n and not s for n, s in zip(near, same, strict=True)),
        holdout_texts=None if manifest is None else sum(t in held_texts for t in texts),
        holdout_groups=None if manifest is None else sum(g in held_groups for g in groups),
    )


def _held(manifest: Mapping[str, Json] | None) -> tuple[frozenset[str], frozenset[str]]:
    found = manifest or {}
    return hashes_in(found, Split.HOLDOUT, "texts"), hashes_in(found, Split.HOLDOUT, "groups")


def _text_hash(row: TextRow) -> str:
    return text_hash(Example(id=row.id, inputs=row.inputs, labels={}, group=row.group))


def _near(rows: Sequence[TextRow], dev: Sequence[Example], threshold: float) -> list[bool]:
    found = [False] * len(rows)
    if not dev:
        return found
    texts = [*(text_of(r.inputs) for r in rows), *(text_of(e.inputs) for e in dev)]
    for cluster in near_duplicate_clusters(texts, threshold=threshold):
        if cluster[-1] >= len(rows):
            for position in cluster:
                if position < len(rows):
                    found[position] = True
    return found
