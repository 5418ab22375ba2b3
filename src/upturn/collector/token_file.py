"""Reads the file with the collector's tokens, and makes one where there is none."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from upturn.collector.tokens import ALL_RIGHTS, Right, Token, digest_of
from upturn.errors import ConfigError, StorageError
from upturn.events.problems import found, one_of
from upturn.records import Json

#: Shorter tokens can be guessed.
SHORTEST = 16
_KEYS = ("token", "sha256", "programs", "expires", "may")
_HASH = re.compile(r"[0-9a-f]{64}")


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Reads a token file: one token a line (``#`` begins a comment), or a YAML or JSON list.

    An entry of a list has ``token`` or ``sha256`` (of the token), and may have ``programs`` (a
    list; all where absent), ``expires`` (a time with a zone) and ``may`` (of requests, feedback
    and traces; all where absent).

    Raises:
        ConfigError: the file breaks a rule; no message holds a token.
        StorageError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = type(error).__name__
        raise StorageError(f"the tokens must be readable, got {reason}", where=str(path)) from None
    entries = _entries(text, path)
    tokens = tuple(_token(e, f"{path}: entry {n}") for n, e in enumerate(entries, start=1))
    if not tokens:
        raise ConfigError(
            "a token file must hold at least one token, got none",
            where=str(path),
            fix=f"rm {path}, and start again to have one made",
        )
    return tokens


def create_token(path: Path) -> None:
    """Writes a file with one new random token, readable for its owner only.

    Raises:
        StorageError: the file cannot be written, or is there already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(f"{secrets.token_urlsafe(32)}\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        rule = f"the token file must be writable, got: {error.strerror}"
        raise StorageError(rule, where=str(path)) from error


def open_to_others(path: Path) -> bool:
    """Whether other accounts of this machine may read the file."""
    return bool(path.stat().st_mode & 0o077)


def _entries(text: str, path: Path) -> list[Json]:
    lines = [s for line in text.splitlines() if (s := line.split(" #")[0].strip())]
    lines = [s for s in lines if not s.startswith("#")]
    if not lines or not lines[0].startswith(("- ", "[", "{", "tokens:")):
        return list(lines)
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError("the tokens must be a YAML or JSON list", where=place) from None
    value = value.get("tokens") if isinstance(value, dict) else value
    if not isinstance(value, list):
        raise ConfigError("the tokens must be a list", where=str(path))
    return value


def _token(entry: Json, where: str) -> Token:
    if isinstance(entry, str):
        return Token(digest=_digest({"token": entry}, where))
    if not isinstance(entry, dict):
        raise ConfigError("an entry must be a token or an object", where=where)
    for key in entry:
        if key not in _KEYS:
            raise ConfigError(f"a key {one_of(_KEYS, key)}", where=where)
    return Token(
        digest=_digest(entry, where),
        programs=_programs(entry.get("programs"), where),
        expires=_expires(entry.get("expires"), where),
        may=_rights(entry.get("may"), where),
    )


def _digest(entry: Mapping[str, Json], where: str) -> str:
    secret, digest = entry.get("token"), entry.get("sha256")
    if isinstance(secret, str) and digest is None:
        if len(secret) < SHORTEST or not secret.isascii() or len(secret.split()) != 1:
            rule = f"a token must be {SHORTEST} or more ASCII characters without blanks"
            raise ConfigError(f"{rule}, got {len(secret)} characters", where=where)
        return digest_of(secret)
    if isinstance(digest, str) and secret is None and _HASH.fullmatch(digest.lower()):
        return digest.lower()
    raise ConfigError("an entry must have either token or sha256 (64 hex digits)", where=where)


def _programs(value: Json, where: str) -> frozenset[str] | None:
    if value is None or value == "all":
        return None
    if isinstance(value, list) and value and all(isinstance(v, str) and v for v in value):
        return frozenset(value)
    raise ConfigError(f"programs must be a list of names, or all, got {found(value)}", where=where)


def _rights(value: Json, where: str) -> frozenset[Right]:
    if value is None:
        return ALL_RIGHTS
    if isinstance(value, list) and value and all(v in list(Right) for v in value):
        return frozenset(Right(v) for v in value)
    rule = f"may must be a list of {', '.join(Right)}"
    raise ConfigError(f"{rule}, got {found(value)}", where=where)


def _expires(value: Json, where: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = value if isinstance(value, date) else datetime.fromisoformat(value)
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError):
        pass
    rule = "expires must be a time with a zone, such as 2030-01-01T00:00:00+00:00"
    raise ConfigError(f"{rule}, got {found(str(value))}", where=where)
