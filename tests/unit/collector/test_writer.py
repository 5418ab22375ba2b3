"""Group commit: nothing is acknowledged before it is durable, and nobody pays for another."""

import asyncio
import threading

import pytest

from tests.unit.collector.natives import feedback, request
from tests.unit.collector.stores import MemoryStore
from upturn.collector.accept import Batch
from upturn.collector.limits import Limits
from upturn.collector.replies import RefusedError
from upturn.collector.writer import Writer
from upturn.events.checks import LineCheck, check_feedback, check_request
from upturn.events.lines import Line
from upturn.events.problems import Problems


class Observed:
    def __init__(self) -> None:
        self.commits: list[int] = []
        self.failures = 0

    def committed(self, events: int, seconds: float) -> None:
        self.commits.append(events)

    def store_failed(self) -> None:
        self.failures += 1


def event(value):
    check = LineCheck(Line(file="", number=0, value=value, text=""), Problems(), None)
    made = check_feedback(check) if "signal" in value else check_request(check)
    assert made is not None
    return made


def batch(*values, programs=None) -> Batch:
    return Batch(events=[(i, event(v)) for i, v in enumerate(values)], programs=programs)


def writing(store, work, limits=None):
    """Runs ``work(writer)`` on a writer, and returns what it returns and what was observed."""
    observed = Observed()
    if store.gate is None:
        store.gate = threading.Event()
        store.gate.set()

    async def run():
        writer = Writer(store, limits or Limits(), observed)
        writer.start()
        try:
            return await work(writer)
        finally:
            store.gate.set()
            await writer.close()

    return asyncio.run(run()), observed


async def outcomes(writer, *batches):
    return await asyncio.gather(*(writer.write(b) for b in batches), return_exceptions=True)


def begun(writer, *batches):
    return [asyncio.create_task(writer.write(b)) for b in batches]


async def queued(writer, events):
    """Returns when that many events wait for the store, or are held in it."""
    while writer.queued < events:
        await asyncio.sleep(0)


async def behind_another(store, writer, *batches):
    """Begins to write a batch, and more when the store has it; they wait together then.

    The store's gate is closed: whoever opens it sets them all free.
    """
    store.gate.clear()
    first = begun(writer, batch(request("first")))
    await asyncio.to_thread(store.entered.wait, 60)
    others = begun(writer, *batches)
    await queued(writer, 1 + sum(len(b.events) for b in batches))
    return first[0], others


def test_what_waits_together_is_written_together():
    store = MemoryStore()

    async def work(writer):
        batches = [batch(request(f"b{i}")) for i in range(20)]
        first, others = await behind_another(store, writer, *batches)
        assert not first.done()
        assert writer.queued == 21
        store.gate.set()
        await asyncio.gather(first, *others)
        return writer.queued

    queued, observed = writing(store, work)
    assert queued == 0
    assert observed.commits == [1, 20]
    assert len(store.ids) == 21


def test_a_group_has_a_size():
    store = MemoryStore()

    async def work(writer):
        batches = [batch(request(f"{i}")) for i in range(10)]
        first, others = await behind_another(store, writer, *batches)
        store.gate.set()
        await asyncio.gather(first, *others)

    _, observed = writing(store, work, Limits(group_events=4))
    assert observed.commits == [1, 4, 4, 2]


def test_conflicts_go_to_the_sender_who_caused_them():
    store = MemoryStore()

    async def work(writer):
        other = batch(request("z"), request("a", outputs={"team": "Sales"}))
        batches = (batch(request("a")), other, batch(request("a")))
        _, tasks = await behind_another(store, writer, *batches)
        store.gate.set()
        return await asyncio.gather(*tasks)

    (first, second, third), _ = writing(store, work)
    assert first == []
    assert second == [{"index": 1, "id": "a", "reason": "outputs differ"}]
    assert third == []
    assert store.rows["request", "a"].outputs == {"team": "Delivery"}


def test_one_event_that_the_store_cannot_take_fails_alone(caplog):
    store = MemoryStore(poison=frozenset({"bad"}), invalid=frozenset({"odd"}))

    async def work(writer):
        batches = [batch(request(i)) for i in ("a", "bad", "b", "odd", "c")]
        return await outcomes(writer, *batches)

    # A group is whole when all five are in it, however long that takes.
    got, observed = writing(store, work, Limits(group_events=5, group_wait_s=600))
    assert [g if isinstance(g, list) else g.status for g in got] == [[], 503, [], 422, []]
    assert got[3].rule == "a text must have no such character"
    assert store.ids == {"a", "b", "c"}
    assert observed.failures == 3
    assert "4111-secret-value" not in caplog.text
    assert "RuntimeError" in caplog.text


def test_a_store_that_is_away_fails_all_after_two_more_tries():
    store = MemoryStore(away=True)

    async def work(writer):
        got = await outcomes(writer, *(batch(request(str(i))) for i in range(50)))
        store.away = False
        return got, await writer.write(batch(*(request(f"back{i}") for i in range(50))))

    (got, back), observed = writing(store, work, Limits(group_events=50, group_wait_s=600))
    assert {(type(g), g.status, g.retry_after_s) for g in got} == {(RefusedError, 503, 2)}
    assert back == []
    assert store.ids == {f"back{i}" for i in range(50)}
    assert observed.failures == 3


def test_a_full_queue_refuses_and_a_single_large_batch_passes():
    store = MemoryStore(gate=threading.Event())

    async def work(writer):
        (large,) = begun(writer, batch(*(request(str(i)) for i in range(9))))
        await queued(writer, 9)
        assert writer.full
        with pytest.raises(RefusedError) as error:
            await writer.write(batch(request("x")))
        store.gate.set()
        await large
        return error.value

    error, _ = writing(store, work, Limits(queue_events=5))
    assert (error.status, error.retry_after_s) == (503, 1)
    assert "x" not in store.ids


def test_closing_writes_and_answers_what_is_queued():
    store = MemoryStore(gate=threading.Event())

    async def work(writer):
        tasks = begun(writer, *(batch(request(str(i))) for i in range(30)))
        await queued(writer, 30)
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0)
        assert not any(task.done() for task in (closing, *tasks))
        store.gate.set()
        await closing
        done = await asyncio.gather(*tasks)
        with pytest.raises(RefusedError, match="shutting down"):
            await writer.write(batch(request("late")))
        return done

    done, _ = writing(store, work, Limits(group_events=7))
    assert done == [[]] * 30
    assert len(store.ids) == 30


def test_feedback_on_requests_of_other_programs_is_refused():
    store = MemoryStore()
    mine = frozenset({"triage"})

    async def work(writer):
        await writer.write(batch(request("a"), request("b", program="billing")))
        on = [feedback(f"on-{r}", r, program="triage") for r in ("a", "b", "unknown")]
        sent = batch(*on, programs=mine)
        assert await writer.write(sent) == []
        several = batch(feedback("f", "never"), programs=frozenset({"triage", "x"}))
        await writer.write(several)
        return sent, several

    (sent, several), _ = writing(store, work)
    assert [(f.index, f.field, f.status) for f in sent.faults] == [(1, "program", 403)]
    assert store.ids == {"a", "b", "on-a", "on-unknown"}
    assert several.faults[0].rule.startswith("must be there: the request is not known yet")


def test_an_id_that_lost_a_conflict_does_not_lend_its_program():
    store = MemoryStore()

    async def work(writer):
        await writer.write(batch(request("a", program="billing")))
        taken = await writer.write(batch(request("a"), programs=frozenset({"triage"})))
        sent = batch(feedback("f", "a", program="triage"), programs=frozenset({"triage"}))
        await writer.write(sent)
        return taken, sent

    (taken, sent), _ = writing(store, work)
    assert taken[0]["id"] == "a"
    assert [f.status for f in sent.faults] == [403]
    assert "f" not in store.ids
