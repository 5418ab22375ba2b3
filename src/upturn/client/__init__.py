"""The client: records what an application asks and answers, and what people say about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from upturn.client.client import Client
from upturn.client.context import last_request_id
from upturn.client.default import default_client, use
from upturn.client.functions import record_call, recorded
from upturn.client.options import Options
from upturn.client.recorder import Recorder, recorder_of
from upturn.client.signals import feedback
from upturn.client.stats import Stats

__all__ = [
    "Client",
    "Options",
    "Recorder",
    "Stats",
    "default_client",
    "feedback",
    "last_request_id",
    "record",
    "record_call",
    "recorded",
    "use",
]


def record(
    program: Any,
    *,
    name: str | None = None,
    version: str | None = None,
    user: str | None = None,
    session: str | None = None,
    slices: Mapping[str, str] | None = None,
    consent: Iterable[str] | None = None,
    steps: bool = False,
    client: Client | None = None,
) -> Recorder:
    """Records the calls of a ``dspy.Module`` while the block runs (``with`` or ``async with``).

    Each call becomes a request: inputs, outputs, latency, the model, the error (raised again,
    unchanged), and the tokens where DSPy counts them. Its id is ``answer.request_id``. Never
    raises, never blocks.

    Args:
        program: the module.
        name: the program's name; that of its class where None.
        version: the version that answers.
        user, session: whose calls they are, and in which conversation.
        slices, consent: as of ``upturn.events.Request``.
        steps: record the modules inside too, as requests with a parent.
        client: where to; the process's client where None.
    """
    return recorder_of(
        program,
        client=client or default_client(),
        name=name,
        version=version,
        user=user,
        session=session,
        slices=slices,
        consent=consent,
        steps=steps,
    )
