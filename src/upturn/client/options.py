"""What a client is told: where events go, and how much it may hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

log = logging.getLogger("upturn.client")

URL = "UPTURN_COLLECTOR_URL"
TOKEN = "UPTURN_TOKEN"
TOKEN_FILE = "UPTURN_TOKEN_FILE"
SPILL = "UPTURN_SPILL"
#: Where events wait when nothing else is said: beside the application, to be found and ingested.
DEFAULT_SPILL = "upturn-spill"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much a client holds, and how long it waits.

    Attributes:
        queue_events, queue_bytes: what waits in memory; more is dropped and counted.
        batch_events, batch_bytes: what one request carries.
        event_bytes: one event; a larger one is dropped and counted.
        linger_s: how long the first event waits for company.
        spill_linger_s: the same, where the events go to disk.
        timeout_s: for connecting, and for each answer.
        first_wait_s, longest_wait_s: the pause after a failure: it doubles from one to the other.
        spill_bytes: what waits on disk; more is dropped and counted.
        exit_s: how long the end of the application may take.
    """

    queue_events: int = 10_000
    queue_bytes: int = 32 * 1024 * 1024
    batch_events: int = 500
    batch_bytes: int = 1024 * 1024
    event_bytes: int = 512 * 1024
    linger_s: float = 0.2
    spill_linger_s: float = 5.0
    timeout_s: float = 10.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    spill_bytes: int = 64 * 1024 * 1024
    exit_s: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where events go.

    Attributes:
        url: the collector's base URL; None where there is none, and events stay on disk.
        token: what to show there, or None.
        spill: the folder where events wait; None keeps them in memory only.
    """

    url: str | None
    token: str | None
    spill: Path | None


def destination(
    url: str | None,
    token: str | None,
    token_file: str | Path | None,
    spill: str | Path | bool | None,
    environment: Mapping[str, str],
) -> Destination:
    """Returns where events go: what is given counts, then the environment. Never raises.

    ``spill=False`` keeps nothing on disk; None takes the environment's folder or the default.
    """
    checked = _url(url or environment.get(URL))
    place: Path | None = None
    if spill is None or spill is True:
        spill = environment.get(SPILL) or DEFAULT_SPILL
    if spill is not False:
        # Absolute from the start: an application may change its working directory.
        place = Path(spill).absolute()
    secret: str | None = (
        token or environment.get(TOKEN) or _read(token_file or environment.get(TOKEN_FILE))
    )
    if checked and secret and checked.startswith("http:") and not _is_near(checked):
        log.warning("the token crosses the network unencrypted; use https://…")
    return Destination(url=checked, token=secret, spill=place)


def _url(url: str | None) -> str | None:
    if not url:
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        good = False
    if not good:
        # Not shown: a wrong URL may be a token in the wrong variable.
        log.warning("the collector's URL must be http://… or https://…; events stay on disk")
        return None
    return url.rstrip("/")


def _is_near(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _read(path: str | Path | None) -> str | None:
    if not path:
        return None
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return next((s for line in lines if (s := line.strip()) and s[0] != "#"), None)
    except (OSError, UnicodeError) as error:
        log.warning("the token file must be readable, got %s", type(error).__name__)
        return None
