"""Proposers: where the search's choices come from. One file each, found by themselves."""

import sys
from collections.abc import Mapping
from pathlib import Path

from upturn.propose.asking import ask
from upturn.propose.base import Evidence, Proposal, Proposer, Survivor
from upturn.propose.registry import discover, resolve

#: Name in a config -> proposer, in the order in which they run.
PROPOSERS: Mapping[str, type[Proposer]] = discover(sys.modules[__name__])


def find(name: str, root: Path) -> Proposer:
    """Returns a proposer by its name, or a user's own by ``file.py:Name`` relative to ``root``.

    Raises:
        ProgramError: no such name or file, or what is there is no proposer.
    """
    return resolve(name, root, PROPOSERS)


__all__ = ["PROPOSERS", "Evidence", "Proposal", "Proposer", "Survivor", "ask", "find"]
