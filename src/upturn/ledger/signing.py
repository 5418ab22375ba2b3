"""Signatures of ledger lines: Ed25519 (RFC 8032), by a key that only a file holds.

The private key is in a PEM file that the environment names. It is never part of a config, of a
record or of a log. Whoever holds the public key can tell that no line was written, changed or left
out by anybody else, from the first signed line on.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from upturn.errors import InputError, StorageError
from upturn.ledger.entry import Entry

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

#: Names the file of the private key.
KEY_VARIABLE = "UPTURN_LEDGER_KEY"
PRIVATE_NAME, PUBLIC_NAME = "ledger-private.pem", "ledger-public.pem"
_MAKE_KEY = "upturn ledger --make-key FOLDER"


@dataclass(frozen=True)
class Signer:
    """Signs with one private key; its representation does not show it."""

    _key: Ed25519PrivateKey

    @property
    def fingerprint(self) -> str:
        """Of the public key, see ``fingerprint_of``."""
        return fingerprint_of(self._key.public_key())

    def sign(self, data: bytes) -> str:
        """Returns the signature in base64."""
        return base64.b64encode(self._key.sign(data)).decode()

    def __repr__(self) -> str:
        return f"Signer({self.fingerprint})"


def signer_from_environment() -> Signer | None:
    """Returns the signer whose key file ``UPTURN_LEDGER_KEY`` names, None where it is not set.

    Raises:
        StorageError: the file cannot be read.
        InputError: it holds no Ed25519 private key, or one that asks for a password.
    """
    name = os.environ.get(KEY_VARIABLE, "")
    return Signer(_private_key(Path(name))) if name else None


def read_public_keys(paths: Sequence[Path]) -> dict[str, Ed25519PublicKey]:
    """Returns fingerprint -> public key of PEM files.

    Raises:
        StorageError: a file cannot be read.
        InputError: one holds no Ed25519 public key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    found: dict[str, Ed25519PublicKey] = {}
    for path in paths:
        try:
            key = load_pem_public_key(_content(path))
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise _no_key(path, "public")
        found[fingerprint_of(key)] = key
    return found


def fingerprint_of(key: Ed25519PublicKey) -> str:
    """Returns the first 16 hex digits of the sha256 of a public key's 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def is_signed_by(entry: Entry, keys: Mapping[str, Ed25519PublicKey]) -> bool:
    """Tells whether an entry carries a signature by one of the keys."""
    from cryptography.exceptions import InvalidSignature

    key = keys.get(entry.key)
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(entry.signature, validate=True), entry.signed_bytes)
    except (InvalidSignature, ValueError):  # or it is no base64
        return False
    return True


def make_key(folder: Path) -> tuple[Path, Path]:
    """Makes a key pair, the private key readable by its owner alone.

    Returns:
        The files of the private and of the public key.

    Raises:
        StorageError: a file of that name exists, or the folder cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    made = (folder / PRIVATE_NAME, folder / PUBLIC_NAME)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content, mode in zip(made, (private, public), (0o600, 0o644), strict=True):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
    except OSError as error:
        raise StorageError(
            f"a key must be written to a file that is not there yet, got: {error.strerror}",
            where=str(error.filename or folder),
            fix="name another folder; a key that signed a ledger must be kept",
        ) from error
    return made


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_content(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "private")
    return key


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"the ledger's key must be a file that can be read, got: {error.strerror}",
            where=str(path),
            fix=f"name the right file, or make a pair of keys: {_MAKE_KEY}",
        ) from error


def _no_key(path: Path, kind: str) -> InputError:
    # Without the cause: what a parser quotes of the file may be a part of the key.
    return InputError(
        f"a key must be an Ed25519 {kind} key in PEM, without a password",
        where=str(path),
        fix=f"name the right file, or make a pair of keys: {_MAKE_KEY}",
    )
