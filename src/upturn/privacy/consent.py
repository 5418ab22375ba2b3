"""Consent: what an event may be used for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from upturn.errors import ConfigError
from upturn.events.records import Purpose

Unstated = Literal["allow", "deny"]


def may(
    consent: Collection[str] | None, purpose: Purpose | str, unstated: Unstated = "allow"
) -> bool:
    """Tells whether something may be used for a purpose.

    Args:
        consent: the purposes that were agreed to; empty where all were refused; None where nothing
            was stated.
        purpose: what it is to be used for.
        unstated: what holds where nothing was stated: the operator's decision, by config.

    Raises:
        ConfigError: ``purpose`` or ``unstated`` is none that exists.
    """
    if purpose not in tuple(Purpose):
        known = ", ".join(Purpose)
        raise ConfigError(f"a purpose must be one of {known}, got {str(purpose)!r}")
    if unstated not in ("allow", "deny"):
        raise ConfigError(f"unstated consent must be allow or deny, got {unstated!r}")
    if consent is None:
        return unstated == "allow"
    return str(purpose) in {str(agreed) for agreed in consent}
