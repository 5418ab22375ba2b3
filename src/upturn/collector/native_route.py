"""``POST /v1/requests`` and ``POST /v1/feedback``: native events."""

from __future__ import annotations

from upturn.collector.accept import Acceptance, Batch, Fault
from upturn.collector.endpoint import Call, Door
from upturn.collector.parse import values
from upturn.collector.replies import Reply, json_reply
from upturn.collector.writer import Writer
from upturn.records import Json

#: Problems that one answer lists; the rest are counted.
SHOWN = 100


class NativeRoute:
    """Answers posts of one kind of event.

    The answer is ``{"accepted", "rejected", "problems", "conflicts"}``: ``accepted`` events are
    durable (now, or since they came before), ``rejected`` ones break a rule, and ``problems``
    lists index, field and rule. The status is 200 where anything was accepted or nothing is
    wrong, else 422 (a rule), 409 (ids that name other events) or 403 (another's programs).
    """

    def __init__(
        self, kind: str, route: str, door: Door, acceptance: Acceptance, writer: Writer
    ) -> None:
        self._kind = kind
        self._route = route
        self._door = door
        self._acceptance = acceptance
        self._writer = writer

    async def __call__(self, call: Call) -> Reply:
        """Returns the answer when the call's events are durable."""
        batch = await self._door.work(len(call.body), lambda: self._batch(call))
        self._door.charge(call.token, batch)
        conflicts = await self._writer.write(batch) if batch.events else []
        return self._reply(batch, conflicts)

    def _batch(self, call: Call) -> Batch:
        found = values(call.body, call.content_type, self._door.limits)
        return self._acceptance.native(self._kind, found, call.token.programs)

    def _reply(self, batch: Batch, conflicts: list[dict[str, Json]]) -> Reply:
        rejected = len({f.index for f in batch.faults})
        accepted = len(batch.events) - len(conflicts)
        self._door.metrics.events(
            self._route, accepted=accepted, rejected=rejected, conflicts=len(conflicts)
        )
        value = {
            "accepted": accepted,
            "rejected": rejected,
            "problems": [f.to_json() for f in sorted(batch.faults, key=_place)[:SHOWN]],
            "conflicts": conflicts[:SHOWN],
        }
        return json_reply(_status(accepted, batch.faults, conflicts), value)


def _place(fault: Fault) -> int:
    return fault.index


def _status(accepted: int, faults: list[Fault], conflicts: list[dict[str, Json]]) -> int:
    if accepted or not (faults or conflicts):
        return 200
    statuses = {f.status for f in faults} | ({409} if conflicts else set())
    return statuses.pop() if len(statuses) == 1 else 422
