"""One answer of the application, from its start to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from upturn.client.context import current, ended
from upturn.client.encode import fragment
from upturn.client.ids import new_id
from upturn.client.lines import line_of, now, purposes
from upturn.records import Json

#: Characters of an exception's message that are recorded.
MAX_ERROR = 500


@dataclass(frozen=True, kw_only=True)
class About:
    """What the application says about its calls; see ``upturn.events.Request``."""

    program: str
    version: str | None = None
    model: str | None = None
    user: str | None = None
    session: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    consent: Iterable[str] | None = None

    def fields(self) -> dict[str, object]:
        """Returns it as fields of a request."""
        agreed = purposes(self.consent)
        said: dict[str, object] = {
            "program": self.program,
            "version": self.version,
            "model": self.model,
            "user": self.user,
            "session": self.session,
            "slices": dict(self.slices),
        }
        return said if agreed is None else {**said, "consent": list(agreed)}


class OpenCall:
    """A request that is being answered. The inputs are written down now: a program may change
    them."""

    def __init__(self, about: About, inputs: Mapping[str, object], parent: str | None) -> None:
        self.id = new_id()
        self.about = about
        self.parent = parent
        self._time = now()
        self._inputs = fragment(inputs)
        self._started = time.perf_counter()
        self._before = current.get()
        current.set(self.id)

    def end(
        self,
        outputs: Mapping[str, object],
        error: BaseException | None,
        *,
        model: str | None = None,
        usage: Mapping[str, int] | None = None,
    ) -> bytes:
        """Ends the request, and returns its line."""
        latency_ms = (time.perf_counter() - self._started) * 1000
        ended(self.id, self._before)
        fields: dict[str, object] = {
            "id": self.id,
            "time": self._time,
            **self.about.fields(),
            "inputs": self._inputs,
            "outputs": fragment({} if error is not None else outputs),
            "latency_ms": round(latency_ms, 3),
            "usage": usage,
            "error": None if error is None else error_text(error),
        }
        if model is not None:
            fields["model"] = model
        if self.parent is not None:
            fields["parent"] = self.parent
        return line_of("request", fields)

    def give_up(self) -> None:
        """Ends the request without a line: recording it has failed."""
        ended(self.id, self._before)


def error_text(error: BaseException) -> str:
    """Returns an exception as a request carries it."""
    return f"{type(error).__name__}: {error}"[:MAX_ERROR]


def as_fields(value: object, name: str) -> Mapping[str, object]:
    """Returns a value as named fields: an object as it is, anything else under ``name``."""
    if isinstance(value, Mapping):
        return value
    for method in ("toDict", "model_dump"):  # a dspy.Prediction, a pydantic model
        fields: Callable[[], Json] | None = getattr(value, method, None)
        if callable(fields):
            made = fields()
            if isinstance(made, Mapping):
                return made
    return {} if value is None else {name: value}
