"""``upturn verify``: holds a ledger, its mirror and its evidence against each other.

Nothing is believed because it is written down. The chain is held byte by byte against its hashes,
every decision is derived again from its frozen evidence, and what one entry says of another is
looked up there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upturn.errors import UpturnError
from upturn.ledger import Chain, Entry, EntryKind, Ledger, head_of, read_public_keys
from upturn.pipeline.audit.chain import check_signatures, check_times
from upturn.pipeline.audit.champions import Served, check_champion, remark_on
from upturn.pipeline.audit.decisions import Checked, check_decisions
from upturn.pipeline.audit.looks import check_looks
from upturn.pipeline.audit.mirroring import is_behind
from upturn.pipeline.audit.moves import check_moves
from upturn.pipeline.audit.problem import Problem
from upturn.pipeline.workspace import Workspace
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the registry has seen of a ledger.

    Attributes:
        heads: program -> ``number:hash`` of the ledger's head, last written.
        served: program -> what it serves, and the entry that this stands for.
        own: the registry belongs to this ledger alone; a server may serve others besides.
    """

    heads: Mapping[str, str] = field(default_factory=dict)
    served: Mapping[str, Served] = field(default_factory=dict)
    own: bool = True


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was checked and what does not hold.

    Attributes:
        entries: whole lines.
        head: ``number:hash`` of the last of them.
        problems: what does not hold, by entry.
        remarks: what a reader should know, and is no fault.
        decisions: decisions of the gate; rederived: those that the frozen evidence led to again.
        without_evidence: decisions of a version that froze none; they cannot be derived again.
        looks, promotions, overrides: entries of that kind; an override is a promotion without the
            gate's word.
        signed: entries with a signature; keys: whether these were held against a public key.
        mirrored: whether a registry was asked.
    """

    entries: int
    head: str
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]
    decisions: int
    rederived: int
    without_evidence: int
    looks: int
    promotions: int
    overrides: int
    signed: int
    keys: bool
    mirrored: bool

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.problems

    @property
    def first_bad(self) -> int | None:
        """Number of the first entry that does not hold, None where all do."""
        return min((p.entry for p in self.problems), default=None)

    def to_json(self) -> dict[str, Json]:
        problems = [p.to_json() for p in self.problems]
        return {"ok": self.ok, "first_bad": self.first_bad, **vars(self), "problems": problems}


def verify(
    workspace: Workspace, ledger: Ledger, *, seen: Seen | None = None, keys: Sequence[Path] = ()
) -> Verification:
    """Checks a workspace's ledger and all that it stands on.

    Args:
        workspace: holds the evidence.
        ledger: the workspace's.
        seen: what the registry holds; None where it was not asked, which is remarked.
        keys: public keys; every entry from the first signed one on must be signed by one of them.

    Raises:
        StorageError: the ledger or a key cannot be read.
        InputError: a key is none.
    """
    known = read_public_keys(keys)
    chain = ledger.examine()
    entries, remarks = chain.entries, _remarks(chain, seen)
    checked = check_decisions(entries, workspace)
    problems = [
        *_broken(chain),
        *check_signatures(entries, known, asked=bool(keys)),
        *(_cut(entries, seen) if seen and chain.broken is None else ()),
        *check_looks(entries, checked.budgets),
        *checked.problems,
        *check_moves(entries),
    ]
    return Verification(
        entries=len(entries),
        head=head_of(entries[-1] if entries else None),
        problems=tuple(sorted(problems, key=lambda p: p.entry)),
        remarks=(*remarks, *check_times(entries), *_told(checked)),
        decisions=checked.decisions,
        rederived=checked.rederived,
        without_evidence=checked.without_evidence,
        looks=_count(entries, EntryKind.LOOK),
        promotions=_count(entries, EntryKind.PROMOTION),
        overrides=sum(e.data.get("override") is True for e in entries),
        signed=sum(bool(e.signature) for e in entries),
        keys=bool(keys),
        mirrored=seen is not None,
    )


def _count(entries: Sequence[Entry], kind: EntryKind) -> int:
    return sum(e.kind is kind for e in entries)


def _broken(chain: Chain) -> list[Problem]:
    if chain.broken is None:
        return []
    error: UpturnError = chain.broken
    return [Problem(entry=len(chain.entries) + 1, what=error.what, fix=error.fix)]


def _cut(entries: Sequence[Entry], seen: Seen) -> list[Problem]:
    """What the registry has seen and the ledger does not hold."""
    programs, hashes = {e.program for e in entries}, {e.hash for e in entries}
    found: list[Problem] = []
    for program in sorted({*seen.heads, *seen.served}):
        if not seen.own and program not in programs:
            continue
        served = seen.served.get(program, Served())
        head, settled = seen.heads.get(program, ""), served.settled
        if head and is_behind(entries, head):
            what = f"entry {head[:20]}…, the ledger's head when {program} was last recorded"
        elif settled and settled not in hashes:
            what = f"entry {settled[:12]}…, which the champion of {program} stands for"
        else:
            found += check_champion(entries, program, served)
            continue
        found.append(
            Problem(
                entry=len(entries) + 1,
                what=f"the registry has seen {what}; the ledger ends at {len(entries)} without it: "
                "lines were cut off or replaced",
                fix="restore the ledger from a backup that holds the entry",
            )
        )
    return found


def _remarks(chain: Chain, seen: Seen | None) -> list[str]:
    remarks: list[str] = []
    if chain.torn:
        remarks.append(
            f"{chain.torn} bytes of an unfinished line at the end, left by a kill and never "
            "acknowledged: the next append removes them"
        )
    if seen is None:
        remarks.append("no registry was asked: lines cut off at the end would not be found")
    for program, served in sorted(seen.served.items()) if seen else ():
        remarks += remark_on(chain.entries, program, served)
    return remarks


def _told(checked: Checked) -> list[str]:
    remarks = list(checked.remarks)
    if checked.without_evidence:
        remarks.append(
            f"{checked.without_evidence} decisions are of a version that froze no evidence: they "
            "stand as they were written and cannot be derived again"
        )
    return remarks
