"""The ledger: what was looked at, decided and released, line by line, each bound to the last."""

from upturn.ledger.actor import current_actor
from upturn.ledger.chain import Chain, read_chain
from upturn.ledger.entry import MOVES, Entry, EntryKind, head_of
from upturn.ledger.ledger import Ledger
from upturn.ledger.signing import (
    KEY_VARIABLE,
    Signer,
    is_signed_by,
    make_key,
    read_public_keys,
    signer_from_environment,
)

__all__ = [
    "KEY_VARIABLE",
    "MOVES",
    "Chain",
    "Entry",
    "EntryKind",
    "Ledger",
    "Signer",
    "current_actor",
    "head_of",
    "is_signed_by",
    "make_key",
    "read_chain",
    "read_public_keys",
    "signer_from_environment",
]
