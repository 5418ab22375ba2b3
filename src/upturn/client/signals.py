"""``upturn.feedback(request_id, …)``: what somebody said or did about an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from upturn.client.client import Client
from upturn.client.default import default_client
from upturn.client.ids import new_id
from upturn.client.lines import line_of_event, now, purposes
from upturn.events import Feedback, Role, Signal
from upturn.events.problems import one_of
from upturn.events.values import broken_value_rule
from upturn.records import Json

#: Who gave feedback where nobody says.
ANONYMOUS = "anonymous"


def feedback(
    request_id: str | None,
    *,
    user: str | None = None,
    role: str = "customer",
    comment: str | None = None,
    name: str | None = None,
    program: str | None = None,
    time: str | None = None,
    consent: Iterable[str] | None = None,
    client: Client | None = None,
    **signals: Json,
) -> tuple[str, ...]:
    """Records feedback on a request. Never raises, never blocks.

    Args:
        request_id: the request: ``answer.request_id``, or ``upturn.last_request_id()``.
        user: who gives it; ``"anonymous"`` where nobody knows.
        role: what they are: agent, customer, reviewer, system or judge.
        comment: free text; stands alone where there is no signal.
        name: what a ``score`` or ``category`` measures.
        program: the program, where the collector may not know the request yet.
        time: ISO 8601 with a zone; now where None.
        consent: what was agreed to (train, evaluate); None where nothing was stated.
        client: where to; the process's client where None.
        **signals: any of ``upturn.events.Signal``: ``thumbs=True``, ``stars=4``,
            ``correction={"team": "Billing"}``, ``kept=True``, ``edit={…}``, ``verdict=False``, …;
            None says nothing, and so does False where a signal can only be true.

    Returns:
        The ids of the events, one for each signal; () where nothing was recorded.
    """
    client = client or default_client()
    try:
        moment, agreed = time or now(), purposes(consent)
        made: list[str] = []
        for signal, value in _signals(client, signals, comment):
            event = Feedback(
                id=new_id(),
                request_id=request_id or "",
                time=moment,
                signal=signal,
                value=value,
                rater=user or ANONYMOUS,
                role=Role(role),
                comment=comment if not made else None,
                name=name if signal in (Signal.SCORE, Signal.CATEGORY) else None,
                program=program,
                consent=agreed,
            )
            rule = broken_value_rule(event)
            if not request_id or rule:
                client.invalid(f"{signal} {rule}" if rule else "a request id must be given")
                continue
            client.put(line_of_event(event))
            made.append(event.id)
        return tuple(made)
    except Exception as error:  # feedback must never break the application
        client.swallow(error)
        return ()


_SIGNALS = {str(s): s for s in Signal}
_DONE = frozenset(
    {
        *(Signal.KEPT, Signal.COPY, Signal.RETRY, Signal.REPHRASE, Signal.ABANDON),
        *(Signal.ESCALATED, Signal.REOPENED),
    }
)


def _signals(
    client: Client, signals: Mapping[str, Json], comment: str | None
) -> Iterator[tuple[Signal, Json]]:
    """Yields the signals that say something; a comment alone is one."""
    said = False
    for key, value in signals.items():
        signal = _SIGNALS.get(key)
        if signal is None:
            client.invalid(f"a signal {one_of(_SIGNALS, key)}")
            continue
        if value is None or (value is False and signal in _DONE):
            continue
        said = True
        yield signal, value
    if comment and not said:
        yield Signal.COMMENT, None
