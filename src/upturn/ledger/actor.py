"""Who writes a line: the job that the environment names, or the user."""

from __future__ import annotations

import getpass
import os

#: Names a job that runs under a user's or nobody's name, e.g. ``nightly``.
ACTOR_VARIABLE = "UPTURN_ACTOR"


def current_actor() -> str:
    """Returns the name that the ledger writes down."""
    named = os.environ.get(ACTOR_VARIABLE, "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under an id that has no name
        return "unknown"
