"""Signatures and times of a ledger's entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from upturn.ledger import Entry, is_signed_by
from upturn.pipeline.audit.problem import Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check_signatures(
    entries: Sequence[Entry], keys: Mapping[str, Ed25519PublicKey], *, asked: bool
) -> list[Problem]:
    """Checks that from the first signed entry on all are signed, by one of the keys.

    Args:
        entries: the ledger's.
        keys: fingerprint -> public key.
        asked: whether there are keys to hold them against; a ledger without any signature is a
            fault then, since whoever forges a whole ledger signs none of it.
    """
    signed = [e.number for e in entries if e.signature]
    if not signed:
        what = "a ledger that is held against a key must have a signed entry, none is"
        fix = "verify without --key, or restore the ledger that was signed"
        return [Problem(entry=1, what=what, fix=fix)] if asked and entries else []
    problems: list[Problem] = []
    for entry in entries[signed[0] - 1 :]:
        if not entry.signature:
            what = f"entries from {signed[0]} on must be signed, this one is not"
        elif asked and not is_signed_by(entry, keys):
            known = ", ".join(keys)
            what = f"the signature must be by key {known}, it names {entry.key} and is not valid"
        else:
            continue
        problems.append(Problem(entry=entry.number, what=what))
    return problems


def check_times(entries: Sequence[Entry]) -> list[str]:
    """Returns a remark where a clock was set back: order is by number, so nothing else follows."""
    back = [b.number for a, b in pairwise(entries) if _is_before(b.time, a.time)]
    shown = ", ".join(map(str, back[:5])) + (" …" if len(back) > 5 else "")
    return [f"by its clock entry {shown} was written before the one before it"] if back else []


def _is_before(later: str, earlier: str) -> bool:
    try:
        return datetime.fromisoformat(later) < datetime.fromisoformat(earlier)
    except (ValueError, TypeError):
        return True
