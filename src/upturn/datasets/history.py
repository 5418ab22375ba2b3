"""What earlier snapshots forbid: rows that a search has seen never become a holdout.

A group that was ever in train or dev may not enter a holdout; one that was ever in a holdout may
not enter train; one whose holdout is retired may be dev only. The holdout of an earlier snapshot
stays sealed: its manifest lists hashes of groups and texts, and those are compared. Rows of train
and dev are open, so their texts are compared as near-duplicates too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upturn.datasets.groups import GroupRules, text_of
from upturn.datasets.near_duplicates import near_duplicate_clusters, normalise
from upturn.datasets.split import Split, Splits
from upturn.records import Example, Json

if TYPE_CHECKING:
    from upturn.datasets.snapshot import Snapshot

_DIGITS = 16  # of a hash: two of a million names meet once in ten million snapshots
_SEEN = frozenset({Split.HOLDOUT})
_HELD = frozenset({Split.TRAIN})
_RETIRED = frozenset({Split.TRAIN, Split.HOLDOUT})


def group_hash(name: str) -> str:
    """Returns the first 16 hex digits of a hash of a group's name."""
    return _digest("group", name)


def text_hash(row: Example) -> str:
    """Returns the same of a row's inputs, as near-duplicates are compared by them."""
    return _digest("text", normalise(text_of(row.inputs)))


def row_hash(row_id: str) -> str:
    """Returns the same of a row's id."""
    return _digest("row", row_id)


def hashes_of(splits: Splits, joined: Mapping[str, str]) -> dict[str, Json]:
    """Returns what a manifest says of who is where, without a word of any row.

    Args:
        splits: the rows.
        joined: customer -> group, where grouping gave a customer's rows another's name.

    Returns:
        Split -> ``groups``, ``texts`` and ``rows``: sorted hashes of 16 digits, as one text.
    """
    members = _members(joined)
    listed: dict[str, Json] = {}
    for name in Split:
        rows: Sequence[Example] = getattr(splits, name)
        groups = {e.group for e in rows}
        customers = {c for g in groups for c in (g, *members.get(g, ()))}
        listed[str(name)] = {
            "groups": _packed(map(group_hash, customers)),
            "texts": _packed(map(text_hash, rows)),
            "rows": _packed(row_hash(e.id) for e in rows),
        }
    return listed


def hashes_in(manifest: Mapping[str, Json], split: Split, kind: str) -> frozenset[str]:
    """Returns a manifest's hashes of a split; none where it was frozen before there were any.

    Args:
        manifest: of a snapshot.
        split: which one.
        kind: ``groups``, ``texts`` or ``rows``.
    """
    packed = manifest.get("history", {}).get("hashes", {}).get(str(split), {}).get(kind, "")
    return frozenset(packed[i : i + _DIGITS] for i in range(0, len(packed), _DIGITS))


def without(
    manifest: Mapping[str, Json],
    split: Split,
    *,
    gone: Sequence[Example],
    kept: Sequence[Example],
    names: Collection[str],
) -> dict[str, Json]:
    """Returns a split's hashes less those that only rows that are gone gave.

    A hash of a short text can be guessed, so what is forgotten must not stay as its hash.

    Args:
        manifest: of the snapshot the rows were in.
        split: the split; gone, kept: its rows.
        names: customers that are forgotten whole.
    """
    groups = {e.group for e in gone} - {e.group for e in kept} | set(names)
    less = {
        "groups": set(map(group_hash, groups)),
        "texts": set(map(text_hash, gone)) - set(map(text_hash, kept)),
        "rows": {row_hash(e.id) for e in gone},
    }
    return {kind: _packed(hashes_in(manifest, split, kind) - out) for kind, out in less.items()}


@dataclass(frozen=True, kw_only=True)
class History:
    """Where rows were in earlier snapshots.

    Attributes:
        snapshots: their ids, sorted.
        seen: hashes of groups and texts that were ever in train or dev.
        held: the same of those ever in a holdout; retired: of those in a retired one.
        texts: the normalised texts ever in train or dev.
        threshold: Jaccard similarity from which two texts are near-duplicates.
    """

    snapshots: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    threshold: float = GroupRules().threshold

    @classmethod
    def of(
        cls,
        previous: Sequence[Snapshot],
        *,
        retired: Collection[str] = (),
        threshold: float = GroupRules().threshold,
    ) -> History:
        """Reads the history of all snapshots that a program ever had.

        Args:
            previous: every one that still exists: what is not given is not known.
            retired: sha256 of the holdouts that are not to be looked at again.
            threshold: as of the grouping.
        """
        held, past = set[str](), set[str]()
        seen, texts = set[str](), set[str]()
        for snapshot in previous:
            inside = _listed(snapshot.manifest, Split.HOLDOUT)
            held |= inside
            past |= inside if snapshot.holdout.sha256 in retired else set()
            rows = snapshot.train + snapshot.dev
            seen |= _listed(snapshot.manifest, Split.TRAIN) | _listed(snapshot.manifest, Split.DEV)
            # Snapshots from before there were hashes have their rows still.
            seen |= {group_hash(g) for g in {e.group for e in rows}}
            texts |= {normalise(text_of(e.inputs)) for e in rows}
        return cls(
            snapshots=tuple(sorted({s.id for s in previous})),
            seen=frozenset(seen | {_digest("text", t) for t in texts}),
            held=frozenset(held),
            retired=frozenset(past),
            texts=tuple(sorted(texts)),
            threshold=threshold,
        )

    def barred(
        self, rows: Sequence[Example], joined: Mapping[str, str]
    ) -> dict[str, frozenset[Split]]:
        """Returns group -> the splits that it may not enter, for groups that are not free.

        Args:
            rows: grouped rows.
            joined: as of :func:`hashes_of`.
        """
        if not self.snapshots:
            return {}
        hashes = _hashes_by_group(rows, joined)
        near = self._near(rows, {g for g, own in hashes.items() if own & self.seen})
        found: dict[str, frozenset[Split]] = {}
        for group, own in hashes.items():
            barred = _SEEN if own & self.seen or group in near else frozenset[Split]()
            barred |= _HELD if own & self.held else frozenset[Split]()
            barred |= _RETIRED if own & self.retired else frozenset[Split]()
            if barred:
                found[group] = barred
        return found

    def _near(self, rows: Sequence[Example], known: Collection[str]) -> set[str]:
        """Returns other groups with a row that is a near-duplicate of a text seen before."""
        asked = [e for e in rows if e.group not in known]
        texts = [text_of(e.inputs) for e in asked]
        if not asked or not self.texts:
            return set()
        clusters = near_duplicate_clusters([*texts, *self.texts], threshold=self.threshold)
        return {
            asked[position].group
            for cluster in clusters
            if cluster[-1] >= len(asked)
            for position in cluster
            if position < len(asked)
        }


def _hashes_by_group(rows: Sequence[Example], joined: Mapping[str, str]) -> dict[str, set[str]]:
    members = _members(joined)
    hashes: dict[str, set[str]] = {}
    for row in rows:
        own = hashes.get(row.group)
        if own is None:
            customers = (row.group, *members.get(row.group, ()))
            own = hashes[row.group] = {group_hash(c) for c in customers}
        own.add(text_hash(row))
    return hashes


def _members(joined: Mapping[str, str]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for customer, group in joined.items():
        members.setdefault(group, []).append(customer)
    return members


def _listed(manifest: Mapping[str, Json], split: Split) -> frozenset[str]:
    return hashes_in(manifest, split, "groups") | hashes_in(manifest, split, "texts")


def _digest(kind: str, text: str) -> str:
    data = f"{kind}\x00{text}".encode(errors="surrogatepass")
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def _packed(hashes: Iterable[str]) -> str:
    return "".join(sorted(set(hashes)))
