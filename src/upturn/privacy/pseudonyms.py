"""Pseudonyms: the same personal item becomes the same mark everywhere, and the way back needs a
key that is never kept beside the data.

A mark is ``<KIND:0123456789ab>``: twelve hex digits of HMAC-SHA256 over kind and normal form. So
an e-mail in a text and the same e-mail as a user's id stay one person, and nobody without the key
can try candidates. Whoever loses the key keeps the data, but new marks no longer match old ones.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from upturn.errors import ConfigError, StorageError

#: The environment variable that may hold the key instead of a file, such as in a container.
VARIABLE = "UPTURN_PRIVACY_KEY"
#: What a mark looks like; nothing inside one is ever taken for personal data.
MARK = re.compile(r"<[A-Z][A-Z0-9_]{0,30}:[0-9a-f]{12}>")
_KEY_BYTES = 32


class Pseudonyms:
    """Makes marks.

    Args:
        key: at least 16 secret bytes.

    Raises:
        ConfigError: the key is too short to be secret.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ConfigError(
                f"the key of the pseudonyms must have at least 16 bytes, got {len(key)}",
                fix='python -c "import secrets; print(secrets.token_hex(32))"',
            )
        self._key = key

    @classmethod
    def from_key_file(
        cls, path: Path | None = None, environment: Mapping[str, str] = os.environ
    ) -> Pseudonyms:
        """Reads the key, or makes one.

        Args:
            path: the key's file, made (mode 0600, 32 random bytes) where it is absent. None takes
                the text of ``UPTURN_PRIVACY_KEY`` if it is set, else ``default_key_file``.
            environment: where variables are looked up.

        Raises:
            StorageError: the file cannot be read or made, or others may read it.
            ConfigError: the key is too short.
        """
        if path is None and environment.get(VARIABLE):
            return cls(environment[VARIABLE].encode())
        path = path or default_key_file(environment)
        try:
            _make(path)
            shared = stat.S_IMODE(path.stat().st_mode) & 0o077
            key = path.read_bytes()
        except OSError as error:
            raise StorageError(
                f"the key of the pseudonyms must be readable: {error.strerror or error}",
                where=str(path),
                fix=f"mend its permissions, or set {VARIABLE}",
            ) from error
        if shared:
            raise StorageError(
                f"the key of the pseudonyms must be its owner's alone, got mode 0{shared:03o} for "
                "others",
                where=str(path),
                fix=f"chmod 600 {path}",
            )
        return cls(key)

    def mark(self, kind: str, normal: str) -> str:
        """Returns the mark of an item in its normal form."""
        digest = hmac.digest(self._key, f"{kind}\x00{normal}".encode(), "sha256")
        return f"<{kind}:{digest.hex()[:12]}>"


def default_key_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Returns ``$XDG_CONFIG_HOME/upturn/privacy.key``; ``~/.config`` stands in where it is unset.

    The file is the user's, not the project's: it must not travel with the data it protects.
    """
    home = environment.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "upturn" / "privacy.key"


def _make(path: Path) -> None:
    """Makes the key whole or not at all; of several processes that try, one wins."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
