"""Whether feedback speaks of a request that its sender may speak of; asks the store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from upturn.collector.accept import Batch, Fault, outside
from upturn.collector.port import Store
from upturn.events import Event, Feedback, Request

#: Request ids whose program is remembered: feedback mostly follows soon after its request.
REMEMBERED = 50_000


class FeedbackScope:
    """Refuses feedback on requests of other programs. Used by the writer's thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._programs: OrderedDict[str, str] = OrderedDict()

    def check(self, batch: Batch) -> None:
        """Moves the events that the sender may not send from the batch to its faults."""
        programs = batch.programs
        if programs is None:
            return
        kept: list[tuple[int, Event]] = []
        for index, event in batch.events:
            fault = None
            if isinstance(event, Feedback):
                fault = self._fault(index, event, programs)
            if fault is None:
                kept.append((index, event))
            else:
                batch.faults.append(fault)
        batch.events = kept

    def remember(self, events: Sequence[Event]) -> None:
        """Keeps the programs of requests that the store has taken."""
        for event in events:
            if isinstance(event, Request):
                self._keep(event.id, event.program)

    def _fault(self, index: int, event: Feedback, programs: frozenset[str]) -> Fault | None:
        program = self._program_of(event.request_id)
        if program is not None:
            return None if program in programs else outside(index, program, programs)
        if event.program is None:
            rule = "must be there: the request is not known yet and the token has several programs"
            return Fault(index=index, field="program", rule=rule, status=403)
        return None

    def _program_of(self, request_id: str) -> str | None:
        program = self._programs.get(request_id)
        if program is None:
            request = self._store.request(request_id)
            if request is not None:
                program = self._keep(request_id, request.program)
        return program

    def _keep(self, request_id: str, program: str) -> str:
        self._programs[request_id] = program
        if len(self._programs) > REMEMBERED:
            self._programs.popitem(last=False)
        return program
