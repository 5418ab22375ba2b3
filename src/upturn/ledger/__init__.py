"""The ledger: what was looked at, decided and released, line by line, each bound to the last."""

from upturn.ledger.ledger import MOVES, Entry, EntryKind, Ledger

__all__ = ["MOVES", "Entry", "EntryKind", "Ledger"]
