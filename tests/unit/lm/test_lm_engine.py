"""The engine around any model: single flight, cache, caps, failures, through real DSPy calls."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import dspy
import pytest
from dspy.lm15 import Config, Message, Request, Response, ServerError

from upturn.errors import BudgetExceededError, CorruptionError
from upturn.lm import (
    Answer,
    AnswerCache,
    CallRecord,
    Caps,
    Meter,
    ModelSpec,
    classify,
    ours,
    rollout,
)
from upturn.lm.connect import Connection, connect_engine
from upturn.lm.engine import LATENCY, AnswerEngine
from upturn.lm.keys import request_key
from upturn.records import FailureKind
from upturn.testing.engine import FakeEngine


class Triage(dspy.Signature):
    """Name the team."""

    message: str = dspy.InputField()
    team: Literal["billing", "sales"] = dspy.OutputField()


GOOD = "[[ ## team ## ]]\nbilling\n\n[[ ## completed ## ]]\n"


def request(text: str = "hi", **config: float) -> Request:
    return Request(model="m", messages=(Message.user(text),), config=Config(**config))  # type: ignore[arg-type]


def triage(connection: Connection, message: str) -> str:
    adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)
    with dspy.context(lm=connection.lm, adapter=adapter):
        return dspy.Predict(Triage)(message=message).team


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    with AnswerCache(tmp_path / "answers.db", turn="t") as cache:
        yield cache


def connection(
    cache: AnswerCache, engine: FakeEngine, meter: Meter | None = None, **spec: float
) -> Connection:
    return connect_engine(
        engine,
        model_id="fake@1",
        cache=cache,
        meter=meter or Meter(),
        spec=ModelSpec(model="fake@1", **spec),  # type: ignore[arg-type]
    )


def test_the_second_run_pays_nothing_and_reports_what_the_first_paid(cache: AnswerCache) -> None:
    engine = FakeEngine(lambda _: GOOD)
    seen = []
    for _ in range(2):
        meter = Meter()
        con = connection(cache, engine, meter, usd_per_million_input=1e6)
        with meter.record() as calls:
            assert triage(con, "I was charged twice") == "billing"
        seen.append((calls[0], meter.totals()))
    (paid, first), (replayed, second) = seen
    assert engine.calls == 1
    assert (first.calls, first.cached_calls, second.calls, second.cached_calls) == (1, 0, 0, 1)
    assert paid.cost_usd == replayed.cost_usd == paid.input_tokens > 0
    assert paid.latency_s == replayed.latency_s > 0
    assert (paid.cached, replayed.cached) == (False, True)
    assert (first.usd, second.usd) == (paid.cost_usd, 0.0)
    assert cache.spent("t") == (1, paid.cost_usd)


def told_when(con: Connection, n: int, all_asked: threading.Event) -> None:
    """Sets the event when n calls have asked for an answer, be it to pay or to wait for it."""
    flights, asked = con._engine._flights, itertools.count(1)
    join = flights.join

    def joined(key: str) -> tuple[Future[Answer | None], bool]:
        found = join(key)
        if next(asked) == n:
            all_asked.set()
        return found

    flights.join = joined  # type: ignore[method-assign]


def after(all_asked: threading.Event) -> str:
    """An answer that is not there before everybody has asked for it."""
    assert all_asked.wait(60)
    return GOOD


def test_identical_requests_in_flight_are_one_call(cache: AnswerCache) -> None:
    all_asked = threading.Event()
    engine = FakeEngine(lambda _: after(all_asked))
    meter = Meter()
    con = connection(cache, engine, meter)
    told_when(con, 16, all_asked)
    with ThreadPoolExecutor(16) as pool:
        teams = list(pool.map(lambda _: triage(con, "same"), range(16)))
    assert teams == ["billing"] * 16
    assert engine.calls == 1
    assert (meter.totals().calls, meter.totals().cached_calls) == (1, 15)


def test_async_calls_share_flights_and_answers_with_sync_ones(cache: AnswerCache) -> None:
    all_asked = threading.Event()
    engine = FakeEngine(lambda _: after(all_asked))
    meter = Meter()
    con = connection(cache, engine, meter)
    told_when(con, 9, all_asked)
    adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)

    async def many() -> list[str]:
        with dspy.context(lm=con.lm, adapter=adapter):
            calls = (dspy.Predict(Triage).acall(message=m) for m in ["same"] * 8 + ["other"])
            return [p.team for p in await asyncio.gather(*calls)]

    assert asyncio.run(many()) == ["billing"] * 9
    assert engine.calls == 2
    assert triage(con, "same") == "billing"
    assert (meter.totals().calls, meter.totals().cached_calls) == (2, 8)


def test_a_failing_call_is_not_cached_and_is_an_outage(cache: AnswerCache) -> None:
    down = [True]
    engine = FakeEngine(lambda _: GOOD, fail=lambda _: ServerError("no") if down[0] else None)
    meter = Meter()
    con = connection(cache, engine, meter)
    with pytest.raises(Exception, match="no") as caught:
        triage(con, "hello")
    assert classify(caught.value) is FailureKind.OUTAGE
    assert (len(cache), meter.totals().calls, meter.totals().failed_calls) == (0, 0, 1)
    down[0] = False
    assert triage(con, "hello") == "billing"


def test_caps_hold_under_32_threads_and_reach_the_caller_as_budget(cache: AnswerCache) -> None:
    engine = FakeEngine(lambda _: GOOD, latency_s=0.001)
    con = connection(cache, engine, Meter(Caps(max_calls=20)))
    kinds: list[type] = []

    def row(i: int) -> FailureKind | str | None:
        try:
            return triage(con, f"message {i}")
        except Exception as error:
            kinds.append(type(ours(error)))
            return classify(error)

    with ThreadPoolExecutor(32) as pool:
        rows = list(pool.map(lambda i: contextvars.copy_context().run(row, i), range(100)))
    assert engine.calls == 20
    assert rows.count("billing") == 20
    assert rows.count(FailureKind.BUDGET) == 80
    assert kinds == [BudgetExceededError] * 80


def test_money_stops_at_the_cap_though_eight_threads_spend_it(cache: AnswerCache) -> None:
    engine = FakeEngine(lambda _: "one two")
    meter = Meter(Caps(max_usd=10.0))
    con = connection(cache, engine, meter, usd_per_million_output=0.5e6)

    def row(i: int) -> None:
        with pytest.raises(Exception):  # noqa: B017, PT011
            triage(con, f"message {i}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(row, range(60)))
    # The bound of a call is 32 dollars, its price 1: all of the cap is used, and no more.
    assert meter.totals().usd == 10.0


class Elsewhere:
    """Answers and a meter that are not ours, as a driver gives them to its workers."""

    def __init__(self, waits: int) -> None:
        self.kept: dict[str, Answer] = {}
        self.waits = waits
        self.told: list[tuple[str, float]] = []

    def get(self, key: str) -> Answer | None:
        return self.kept.get(key)

    def put(self, key: str, answer: Answer) -> None:
        self.kept[key] = answer

    def reserve(self, bound_usd: float = 0.0) -> bool:
        self.waits -= 1
        self.told.append(("reserve", bound_usd))
        return self.waits < 0

    def settle(self, record: CallRecord, bound_usd: float = 0.0) -> None:
        self.told.append(("settle", bound_usd))

    def cancel(self, bound_usd: float = 0.0) -> None:
        self.told.append(("cancel", bound_usd))

    def replay(self, record: CallRecord) -> None:
        self.told.append(("replay", record.cost_usd))


def elsewhere(engine: FakeEngine, waits: int) -> tuple[AnswerEngine, Elsewhere, list[float]]:
    there, slept = Elsewhere(waits), list[float]()
    made = AnswerEngine(
        engine,
        model_id="m@1",
        cache=there,
        meter=there,
        cost_usd=lambda n_in, n_out: float(n_in + 2 * n_out),
        sleep=slept.append,
    )
    return made, there, slept


def test_a_call_waits_while_the_money_may_be_needed_and_names_its_bound() -> None:
    engine, there, slept = elsewhere(FakeEngine(lambda _: "one two"), waits=9)
    asked = request("x" * 40, max_tokens=8)
    assert engine.complete(asked).message.text == "one two"
    assert engine.complete(asked).message.text == "one two"
    bound_usd = 40 / 4 + 2 * 8
    assert there.told == [("reserve", bound_usd)] * 10 + [("settle", bound_usd), ("replay", 5.0)]
    assert slept == [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]


def test_a_failed_call_gives_its_bound_back() -> None:
    engine, there, _ = elsewhere(
        FakeEngine(lambda _: "", fail=lambda _: ServerError("no")), waits=0
    )
    with pytest.raises(ServerError):
        asyncio.run(engine.acomplete(request("x" * 40, max_tokens=8)))
    assert there.told == [("reserve", 26.0), ("cancel", 26.0)]
    assert there.kept == {}


def test_an_engine_may_say_how_long_the_model_itself_took(cache: AnswerCache) -> None:
    class Waiting(FakeEngine):
        def complete(self, request: Request) -> Response:
            return replace(super().complete(request), provider_data={LATENCY: 0.25})

    meter = Meter()
    with meter.record() as calls:
        connection(cache, Waiting(lambda _: GOOD), meter).lm("hello")
    assert calls[0].latency_s == 0.25


def test_an_unreadable_answer_is_a_format_failure(cache: AnswerCache) -> None:
    con = connection(cache, FakeEngine(lambda _: "I think it is billing"))
    with pytest.raises(Exception, match="failed to parse") as caught:
        triage(con, "hello")
    assert classify(caught.value) is FailureKind.FORMAT


def test_a_programs_own_error_is_a_program_failure() -> None:
    assert classify(KeyError("team")) is FailureKind.PROGRAM


def test_corruption_is_no_row_but_ends_the_turn(cache: AnswerCache) -> None:
    con = connection(cache, FakeEngine(lambda _: GOOD))
    triage(con, "hello")
    cache._db.execute("update answers set text = 'x'")
    with pytest.raises(Exception, match="sha256") as caught:
        triage(con, "hello")
    assert classify(caught.value) is None
    assert isinstance(ours(caught.value), CorruptionError)


def test_keys_tell_apart_what_changes_an_answer() -> None:
    one = request("a", temperature=0.0, max_tokens=8)
    with rollout(1):
        rolled = request_key("m@1", one)
    keys = {
        request_key("m@1", one),
        request_key("m@2", one),
        request_key("m@1", request("b", temperature=0.0, max_tokens=8)),
        request_key("m@1", request("a", temperature=0.5, max_tokens=8)),
        request_key("m@1", request("a", temperature=0.0, max_tokens=9)),
        request_key("m@1", Request(model="m", system="s", messages=one.messages)),
        rolled,
    }
    assert len(keys) == 7
    assert request_key("m@1", one) == request_key("m@1", request("a", temperature=0, max_tokens=8))


def test_closing_the_connection_closes_the_engine(cache: AnswerCache) -> None:
    engine = FakeEngine(lambda _: GOOD)
    with connection(cache, engine) as con:
        con.probe()
    assert engine.closed
    assert engine.calls == 1
    assert len(cache) == 0
