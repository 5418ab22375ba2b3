"""Who may send what: bearer tokens, kept as hashes, with programs, rights and an end."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from upturn.collector.replies import RefusedError


class Right(StrEnum):
    """What a token may send."""

    REQUESTS = "requests"
    FEEDBACK = "feedback"
    TRACES = "traces"


ALL_RIGHTS = frozenset(Right)


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token, without its secret.

    Attributes:
        digest: sha256 of the token, in hex.
        programs: the programs it may speak of; None is all of them.
        expires: when it ends; None is never.
        may: what it may send.
    """

    digest: str
    programs: frozenset[str] | None = None
    expires: datetime | None = None
    may: frozenset[Right] = ALL_RIGHTS


#: What an open collector (loopback, ``--no-token``) takes every sender for.
ANYBODY = Token(digest="")


def digest_of(secret: str) -> str:
    """Returns the hash that a token is kept and compared as."""
    return hashlib.sha256(secret.encode()).hexdigest()


class TokenBook:
    """All tokens of a collector. Tokens are read once: a changed file needs a restart.

    Args:
        tokens: the tokens; None lets everybody in, which is for loopback only.
        clock: the time in UTC, to end tokens by.
    """

    def __init__(
        self,
        tokens: Iterable[Token] | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tokens = None if tokens is None else {t.digest: t for t in tokens}
        self._clock = clock

    def check(self, authorization: bytes | None, right: Right) -> Token:
        """Returns the sender's token.

        Raises:
            RefusedError: 401 where there is no valid token, 403 where it may not send this.
        """
        if self._tokens is None:
            return ANYBODY
        token = self._find(authorization)
        if token.expires is not None and token.expires <= self._clock():
            raise RefusedError(
                401, "the token must not be expired", fix="ask the operator for a new token"
            )
        if right not in token.may:
            allowed = ", ".join(sorted(token.may)) or "nothing"
            raise RefusedError(403, f"the token must be allowed to send {right}; it may {allowed}")
        return token

    def _find(self, authorization: bytes | None) -> Token:
        assert self._tokens is not None
        scheme, _, secret = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not secret.strip():
            raise RefusedError(
                401, "a token must be sent", fix="add the header 'Authorization: Bearer TOKEN'"
            )
        digest = hashlib.sha256(secret.strip()).hexdigest()
        # The look-up compares hashes, which a sender cannot steer: its timing tells nothing about
        # a token. The last word is a comparison in constant time all the same.
        token = self._tokens.get(digest)
        if token is None or not hmac.compare_digest(token.digest, digest):
            raise RefusedError(
                401, "the token must be one that the collector knows", fix="check the token"
            )
        return token
