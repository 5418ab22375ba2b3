"""Native lines, as the application's calls become them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import orjson

from upturn.client.encode import dumps
from upturn.events import FORMAT, Event, Problems, Purpose
from upturn.events.checks import LineCheck, check_feedback, check_kind, check_request
from upturn.events.lines import Line
from upturn.records import Json


def now() -> str:
    """Returns the time in UTC, as events carry it."""
    return datetime.now(UTC).isoformat()


def line_of(kind: str, fields: Mapping[str, object]) -> bytes:
    """Returns the native line of an event whose values may be anything.

    The first bytes are always version and kind: the sender tells requests and feedback by them.
    """
    return b'{"upturn":%d,"kind":"%s",' % (FORMAT, kind.encode()) + dumps(fields)[1:]


def line_of_event(event: Event) -> bytes:
    """Returns the native line of an event."""
    value = event.to_json()
    kind = value["kind"]
    return line_of(kind, {k: v for k, v in value.items() if k not in ("upturn", "kind")})


def purposes(consent: Iterable[str] | None) -> tuple[Purpose, ...] | None:
    """Returns the purposes that were agreed to.

    Raises:
        ValueError: one of them is no purpose.
    """
    return None if consent is None else tuple(sorted({Purpose(c) for c in consent}))


def scrubbed(scrub: Callable[[Event], Event]) -> Callable[[bytes], bytes]:
    """Returns a function that scrubs lines, of one that scrubs events.

    The function raises ``ValueError`` for a line that is no event: what cannot be read cannot be
    scrubbed.
    """

    def line(text: bytes) -> bytes:
        value: dict[str, Json] = orjson.loads(text)
        check = LineCheck(Line(file="", number=0, value=value, text=""), Problems(), None)
        kind = check_kind(check)
        event = check_request(check) if kind == "request" else check_feedback(check)
        if event is None:
            raise ValueError("no event")
        clean = scrub(event)
        return text if clean is event else line_of_event(clean)

    return line
