"""Whose fault is it when a program's call raises?"""

from __future__ import annotations

from collections.abc import Iterator

from upturn.errors import BudgetExceededError, UpturnError
from upturn.records import FailureKind


def classify(error: BaseException) -> FailureKind | None:
    """Returns the kind of failure that a row's exception is.

    DSPy wraps what an engine raises, so the causes are walked, outermost first.

    Returns:
        BUDGET where a cap was reached; FORMAT where the answer could not be parsed; OUTAGE where
        the server, the network or the key failed; PROGRAM for the rest, the program's own errors.
        None where one of our errors shows that the turn itself cannot go on (a corrupted cache, a
        full disk, a model that cannot be loaded, a revoked key, a server that stays away): raise
        ``ours(error)`` instead of making a row.
    """
    from dspy.utils.exceptions import (
        AdapterParseError,
        LMAuthError,
        LMBillingError,
        LMNotConfiguredError,
        LMProviderError,
        LMRateLimitError,
        LMServerError,
        LMTimeoutError,
        LMTransportError,
        LMUnexpectedError,
        LMUnsupportedModelError,
    )

    own = ours(error)
    if own is not None:
        return FailureKind.BUDGET if isinstance(own, BudgetExceededError) else None
    outages = (
        LMAuthError,
        LMBillingError,
        LMNotConfiguredError,
        LMRateLimitError,
        LMServerError,
        LMTimeoutError,
        LMTransportError,
        LMUnexpectedError,
        LMUnsupportedModelError,
    )
    chain = list(_chain(error))
    # The outage first: DSPy retries a failed answer in another format, and that attempt may be
    # what the outage hit, with the parse error as its context.
    if any(isinstance(e, outages) or type(e) is LMProviderError for e in chain):
        return FailureKind.OUTAGE
    if any(isinstance(e, AdapterParseError) for e in chain):
        return FailureKind.FORMAT
    return FailureKind.PROGRAM


def ours(error: BaseException) -> UpturnError | None:
    """Returns the first of our own errors in the chain of causes, or None."""
    return next((e for e in _chain(error) if isinstance(e, UpturnError)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
