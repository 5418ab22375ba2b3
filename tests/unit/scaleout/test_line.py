"""An engine on a line pays, replays and stops as it would beside the cache."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import dspy
import pytest
from dspy.lm15 import ServerError

from upturn.errors import BudgetExceededError, StorageError
from upturn.lm import Caps, ModelSpec
from upturn.lm.connect import connect_engine
from upturn.scaleout.line import Line
from upturn.testing.engine import FakeEngine


def connection(line, engine):
    spec = ModelSpec(model="fake", usd_per_million_input=1e6)
    return connect_engine(engine, model_id="fake@1", cache=line, meter=line, spec=spec)


def say(connection, text):
    # A plain thread has no settings of DSPy's.
    with dspy.context(lm=connection.lm):
        return connection.lm(text)[0]


def test_an_answer_is_on_disk_and_counted_before_it_is_used(make_office):
    office = make_office()
    line, engine = office.line(), FakeEngine(lambda r: "yes")
    with line.record() as calls:
        assert say(connection(line, engine), "hello") == "yes"
        assert len(office.cache) == 1
        assert say(connection(line, engine), "hello") == "yes"
    assert [c.cached for c in calls] == [False, True]
    totals = line.totals()
    assert (totals.calls, totals.cached_calls, engine.calls) == (1, 1, 1)
    assert totals.usd == calls[0].cost_usd > 0


def test_two_workers_that_ask_the_same_pay_once(make_office):
    office, both = make_office(), Barrier(2)
    engines = [FakeEngine(lambda r: "yes") for _ in range(2)]

    def work(i):
        line = office.line(f"b{i}")
        open_ = connection(line, engines[i])
        answers = []
        for n in range(20):
            both.wait()
            answers.append(say(open_, f"question {n}"))
        line.flush()
        return answers

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, range(2))) == [["yes"] * 20] * 2
    assert sum(e.calls for e in engines) == 20
    totals = office.line().totals()
    assert (totals.calls, totals.cached_calls) == (20, 20)


def test_a_failed_call_is_given_back_and_may_be_tried_again(make_office):
    office = make_office(Caps(max_calls=1))
    down = [True]
    engine = FakeEngine(lambda r: "yes", fail=lambda r: ServerError("down") if down else None)
    line = office.line()
    open_ = connection(line, engine)
    with pytest.raises(Exception, match="down"):
        say(open_, "hello")
    down.clear()
    assert say(open_, "hello") == "yes"
    assert (line.totals().calls, line.totals().failed_calls) == (1, 1)


def test_a_cap_is_one_for_all_lines(make_office):
    office = make_office(Caps(max_calls=1))
    engine = FakeEngine(lambda r: "yes")
    assert say(connection(office.line("b1"), engine), "one") == "yes"
    with pytest.raises(Exception, match="cap of 1") as caught:
        say(connection(office.line("b2"), engine), "two")
    chain = [caught.value, caught.value.__cause__]
    assert any(isinstance(e, BudgetExceededError) for e in chain)
    assert engine.calls == 1


def test_an_error_of_the_desk_is_raised_here():
    reply = {"error": {"kind": "StorageError", "what": "disk full", "where": "a.db", "fix": ""}}
    with pytest.raises(StorageError, match=r"a\.db: disk full"):
        Line(lambda question, *args: reply).get("k")
