"""What a person may call a version: its number, an alias, or the program as it was adopted."""

from __future__ import annotations

from upturn.errors import InputError
from upturn.registry import RegisteredVersion, Registry

#: Turn of the version that is the program as written.
ADOPTION = "adoption"


def find_version(registry: Registry, program: str, name: str) -> RegisteredVersion:
    """Returns a version by its number, ``champion``, ``staging``, or ``seed``.

    Raises:
        InputError: there is none of that name.
        CorruptionError: its files do not match their hashes.
    """
    if name not in ("champion", "staging", "seed"):
        return registry.load(program, name)
    if name == "seed":
        adopted = [v.version for v in registry.versions(program) if v.turn == ADOPTION]
        found, fix = adopted[-1] if adopted else "", "upturn run CONFIG"
    else:
        named = registry.aliases(program)
        found = named.champion if name == "champion" else named.staging
        fix = "upturn run CONFIG" if name == "champion" else "upturn run CONFIG promotion=ask"
    if not found:
        raise InputError(f"{program} must have a version named {name!r}, it has none", fix=fix)
    return registry.load(program, found)


def version_to_run(registry: Registry, program: str, name: str) -> RegisteredVersion | None:
    """Returns what ``find_version`` does, and None for ``seed``: the program as written today,
    which may have changed since it was adopted.

    Raises:
        InputError, CorruptionError: as ``find_version``.
    """
    return None if name == "seed" else find_version(registry, program, name)
