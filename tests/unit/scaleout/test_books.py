"""One purse and one cache for all nodes: keys are paid once, caps hold, what is lost goes back."""

import asyncio

import pytest

from upturn.errors import BudgetExceededError, OutageError
from upturn.lm import Answer, AnswerCache, Caps, Meter
from upturn.scaleout.books import Books


def answer(text="yes", cost_usd=0.5):
    return Answer(
        text=text,
        finish_reason="stop",
        input_tokens=2,
        output_tokens=1,
        latency_s=0.1,
        cost_usd=cost_usd,
    )


@pytest.fixture
def cache(tmp_path):
    with AnswerCache(tmp_path / "a.db") as cache:
        yield cache


def test_a_key_is_paid_once_and_then_known(cache):
    async def story():
        books = Books(cache, Meter())
        assert await books.ask("b1", "k") == (None, True)
        assert books.reserve("b1", "k", 0.0)
        books.pay("b1", "k", answer())
        assert await books.ask("b2", "k") == (answer(), False)
        return books.totals()

    totals = asyncio.run(story())
    assert (totals.calls, totals.usd, totals.input_tokens) == (1, 0.5, 2)
    assert cache.get("k") == answer()


def test_who_asks_for_a_key_in_flight_gets_that_answer(cache):
    async def story():
        books = Books(cache, Meter())
        await books.ask("b1", "k")
        waiting = [asyncio.ensure_future(books.ask(f"b{i}", "k")) for i in (2, 3)]
        await asyncio.sleep(0)
        books.reserve("b1", "k", 0.0)
        books.pay("b1", "k", answer())
        return await asyncio.gather(*waiting), books.totals().calls

    assert asyncio.run(story()) == ([(answer(), False)] * 2, 1)


def test_who_waits_too_long_is_told_to_ask_again(cache):
    async def story():
        books = Books(cache, Meter(), ask_s=0.0)
        await books.ask("b1", "k")
        return await books.ask("b2", "k")

    assert asyncio.run(story()) == (None, False)


def test_a_failed_call_gives_key_and_reservation_back(cache):
    async def story():
        books = Books(cache, Meter(Caps(max_calls=1)))
        await books.ask("b1", "k")
        books.reserve("b1", "k", 0.0)
        books.drop("b1", "k")
        assert await books.ask("b2", "k") == (None, True)
        assert books.reserve("b2", "k", 0.0)
        return books.totals()

    totals = asyncio.run(story())
    assert (totals.calls, totals.failed_calls) == (0, 1)


def test_a_lost_worker_gives_back_all_that_it_held(cache):
    async def story():
        books = Books(cache, Meter(Caps(max_calls=2)))
        for key in ("k1", "k2"):
            await books.ask("b1", key)
            books.reserve("b1", key, 0.0)
        waiting = asyncio.ensure_future(books.ask("b2", "k1"))
        await asyncio.sleep(0)
        books.release("b1")
        assert await waiting == (None, False)
        assert await books.ask("b2", "k1") == (None, True)
        assert books.reserve("b2", "k1", 0.0)
        return books.totals().failed_calls

    assert asyncio.run(story()) == 2


def test_a_worker_that_was_given_up_may_not_pay_for_more(cache):
    async def story():
        books = Books(cache, Meter())
        await books.ask("b1", "k")
        books.release("b1")
        with pytest.raises(OutageError, match="given to another"):
            books.reserve("b1", "k", 0.0)
        with pytest.raises(OutageError, match="given to another"):
            await books.ask("b1", "other")

    asyncio.run(story())


def test_a_late_answer_is_kept_and_counted_and_frees_nobody_elses_key(cache):
    async def story():
        books = Books(cache, Meter())
        await books.ask("b1", "k")
        books.reserve("b1", "k", 0.0)
        books.release("b1")
        await books.ask("b2", "k")
        books.reserve("b2", "k", 0.0)
        books.pay("b1", "k", answer("late"))
        books.drop("b1", "k")
        books.pay("b2", "k", answer("mine"))
        return books.totals()

    totals = asyncio.run(story())
    assert (totals.calls, totals.usd) == (2, 1.0)
    assert cache.get("k") == answer("late")


def test_a_cap_holds_over_all_tickets_and_frees_the_key(cache):
    async def story():
        books = Books(cache, Meter(Caps(max_calls=1)))
        await books.ask("b1", "k1")
        await books.ask("b2", "k2")
        assert books.reserve("b1", "k1", 0.0)
        with pytest.raises(BudgetExceededError, match="cap of 1"):
            books.reserve("b2", "k2", 0.0)
        return await books.ask("b3", "k2")

    assert asyncio.run(story()) == (None, True)


def test_money_that_calls_in_flight_may_need_is_not_given_away(cache):
    async def story():
        books = Books(cache, Meter(Caps(max_usd=1.0)))
        for i in (1, 2):
            await books.ask(f"b{i}", f"k{i}")
        first = books.reserve("b1", "k1", 0.9)
        second = books.reserve("b2", "k2", 0.9)
        books.pay("b1", "k1", answer(cost_usd=0.05))
        return first, second, books.reserve("b2", "k2", 0.9)

    assert asyncio.run(story()) == (True, False, True)


def test_what_workers_wait_for_is_news_once(cache):
    books = Books(cache, Meter())
    for sentence in ("the server is away", "the server is full", "the server is away"):
        books.tell(sentence)
    assert books.news() == ["the server is away", "the server is full"]
    assert books.news() == []


def test_what_is_used_again_is_counted_apart(cache):
    books = Books(cache, Meter())
    books.replayed(3)
    assert (books.totals().cached_calls, books.totals().calls) == (3, 0)
