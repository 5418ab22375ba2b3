"""New ids: unique, not to be guessed, and without asking the kernel each time (that costs more
than all the rest of a call)."""

from __future__ import annotations

import itertools
import os
from hashlib import blake2b


class _Ids:
    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begins anew, with another key: a forked child must not repeat its parent's ids."""
        self._key = os.urandom(32)
        self._numbers = itertools.count()

    def next(self) -> str:
        number = next(self._numbers).to_bytes(8, "big")
        return blake2b(number, key=self._key, digest_size=16).hexdigest()


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.renew)


def new_id() -> str:
    """Returns 32 hex digits that nobody has had before."""
    return _ids.next()
