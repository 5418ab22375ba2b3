"""The collector as an application, asked over ASGI: every status, and what it promises."""

import asyncio
import gzip
import json
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.unit.collector.natives import feedback, request
from tests.unit.collector.stores import MemoryStore
from upturn.collector.app import Collector, create_app
from upturn.collector.limits import Limits
from upturn.collector.tokens import Right, Token, TokenBook, digest_of

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ALL, TRIAGE, OLD, TALK = ("all-" * 5, "triage-" * 3, "old-" * 5, "talk-" * 5)
BOOK = TokenBook(
    [
        Token(digest=digest_of(ALL)),
        Token(digest=digest_of(TRIAGE), programs=frozenset({"triage"})),
        Token(digest=digest_of(OLD), expires=NOW - timedelta(days=1)),
        Token(digest=digest_of(TALK), may=frozenset({Right.FEEDBACK})),
    ],
    clock=lambda: NOW,
)


class Asking:
    """Asks an application in its event loop."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def post(self, path: str, value=None, *, token: str | None = ALL, body=None, **headers):
        content = json.dumps(value).encode() if body is None else body
        if token:
            headers["authorization"] = f"Bearer {token}"
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        return await self._client.post(path, content=content, headers=headers)

    async def get(self, path: str):
        return await self._client.get(path)


def asking(work, *, store=None, limits=None, scrub=lambda e: e):
    """Runs ``work(ask)`` against a collector, from its start to its drained end."""
    app = create_app(
        Collector(
            store=store or MemoryStore(),
            book=BOOK,
            scrub=scrub,
            limits=limits or Limits(),
            clock=lambda: NOW,
        )
    )

    async def run():
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://collector") as client,
        ):
            return await work(Asking(client))

    return asyncio.run(run())


def test_an_event_is_acknowledged_when_it_is_in_the_store():
    store = MemoryStore(gate=threading.Event())

    async def work(ask):
        task = asyncio.create_task(ask.post("/v1/requests", request("a")))
        await asyncio.to_thread(store.entered.wait, 60)
        assert not task.done()
        store.gate.set()
        return await task

    answer = asking(work, store=store)
    assert answer.status_code == 200
    assert answer.json() == {"accepted": 1, "rejected": 0, "problems": [], "conflicts": []}
    assert store.ids == {"a"}


def test_lists_lines_and_gzip_are_taken():
    store = MemoryStore()

    async def work(ask):
        lines = b"\n".join(json.dumps(feedback(f"f{i}", "a")).encode() for i in range(3))
        big = [request(f"r{i}", inputs={"message": "long " * 50}) for i in range(500)]
        return [
            (await ask.post("/v1/requests", [request("a"), request("b")])).json()["accepted"],
            (await ask.post("/v1/feedback", body=lines)).json()["accepted"],
            (
                await ask.post(
                    "/v1/requests",
                    body=gzip.compress(json.dumps(big).encode()),
                    content_encoding="gzip",
                )
            ).json()["accepted"],
            (await ask.post("/v1/requests", [])).json()["accepted"],
        ]

    assert asking(work, store=store) == [2, 3, 500, 0]
    assert len(store.ids) == 505


def test_the_same_again_is_accepted_and_other_content_is_a_conflict():
    async def work(ask):
        await ask.post("/v1/requests", request("a"))
        again = await ask.post("/v1/requests", request("a"))
        other = await ask.post("/v1/requests", request("a", outputs={"team": "Sales"}))
        mixed = await ask.post(
            "/v1/requests", [request("b"), request("a", outputs={"team": "Sales"})]
        )
        return again, other, mixed

    again, other, mixed = asking(work)
    assert (again.status_code, again.json()["accepted"]) == (200, 1)
    assert other.status_code == 409
    assert other.json() == {
        "accepted": 0,
        "rejected": 0,
        "problems": [],
        "conflicts": [{"index": 0, "id": "a", "reason": "outputs differ"}],
    }
    assert (mixed.status_code, mixed.json()["accepted"]) == (200, 1)
    assert mixed.json()["conflicts"][0]["index"] == 1


def test_problems_are_listed_by_index_and_the_rest_is_taken():
    async def work(ask):
        values = [request("a"), request("b", time="x"), request("c")]
        return await ask.post("/v1/requests", values), await ask.post("/v1/requests", {"id": "x"})

    some, none = asking(work)
    assert some.status_code == 200
    assert some.json() == {
        "accepted": 2,
        "rejected": 1,
        "problems": [
            {
                "index": 1,
                "field": "time",
                "rule": "must be an ISO 8601 time with a zone, got 'x'",
            }
        ],
        "conflicts": [],
    }
    assert none.status_code == 422
    assert (none.json()["accepted"], none.json()["rejected"]) == (0, 1)
    assert {p["field"] for p in none.json()["problems"]} == {
        "user", "time", "program", "inputs", "outputs",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("token", "path", "status", "error"),
    [
        (None, "/v1/requests", 401, "a token must be sent"),
        ("wrong-wrong-wrong-wrong", "/v1/requests", 401, "the token must be one that"),
        (OLD, "/v1/feedback", 401, "the token must not be expired"),
        (TALK, "/v1/requests", 403, "the token must be allowed to send requests; it may feedback"),
    ],
)
def test_tokens(token, path, status, error):
    async def work(ask):
        return await ask.post(path, request("a"), token=token)

    answer = asking(work)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(error)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert "wrong-wrong" not in answer.text


def test_a_token_speaks_of_its_programs_only():
    store = MemoryStore()

    async def work(ask):
        await ask.post("/v1/requests", [request("mine"), request("theirs", program="billing")])
        return [
            await ask.post("/v1/requests", request("x", program="billing"), token=TRIAGE),
            await ask.post("/v1/feedback", feedback("f1", "theirs"), token=TRIAGE),
            await ask.post("/v1/feedback", feedback("f2", "mine"), token=TRIAGE),
            await ask.post("/v1/feedback", feedback("f3", "later"), token=TRIAGE),
            await ask.post(
                "/v1/feedback", [feedback("f4", "mine"), feedback("f5", "theirs")], token=TRIAGE
            ),
        ]

    answers = asking(work, store=store)
    assert [a.status_code for a in answers] == [403, 403, 200, 200, 200]
    assert answers[1].json()["problems"] == [
        {
            "index": 0,
            "field": "program",
            "rule": "must be one of the token's programs (triage), got 'billing'",
        }
    ]
    assert (answers[4].json()["accepted"], answers[4].json()["rejected"]) == (1, 1)
    assert store.ids == {"mine", "theirs", "f2", "f3", "f4"}
    assert store.feedback("f3").program == "triage"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"no json", {}, 400),
        (b"", {}, 400),
        (b"rubbish", {"content_encoding": "gzip"}, 400),
        (b"{}", {"content_encoding": "br"}, 415),
        (b" " * 2000, {}, 413),
        (gzip.compress(bytes(10_000_000)), {"content_encoding": "gzip"}, 413),
        (json.dumps([request(str(i)) for i in range(6)]).encode()[:2000], {}, 413),
    ],
)
def test_bad_bodies(body, headers, status):
    async def work(ask):
        return await ask.post("/v1/requests", body=body, **headers)

    answer = asking(work, limits=Limits(body_bytes=1000, events=5))
    assert answer.status_code == status
    assert "error" in answer.json()


def test_more_events_than_the_limit_are_413():
    async def work(ask):
        return await ask.post("/v1/requests", [request(str(i)) for i in range(6)])

    answer = asking(work, limits=Limits(events=5))
    assert answer.status_code == 413
    assert answer.json()["error"] == "a body must hold at most 5 events, got 6"


def test_a_token_that_sends_too_fast_waits():
    async def work(ask):
        values = [request(str(i)) for i in range(5)]
        first = await ask.post("/v1/requests", values)
        second = await ask.post("/v1/requests", values)
        other = await ask.post("/v1/requests", request("x"), token=TRIAGE)
        return first, second, other

    # However long it takes to ask, no event comes back to the bucket meanwhile.
    first, second, other = asking(work, limits=Limits(rate_per_s=0.001, burst=8))
    assert [first.status_code, second.status_code, other.status_code] == [200, 429, 200]
    assert int(second.headers["retry-after"]) >= 2


def test_a_store_that_is_away_acknowledges_nothing():
    store = MemoryStore(away=True)

    async def work(ask):
        away = await ask.post("/v1/requests", request("a"))
        ready = await ask.get("/readyz")
        alive = await ask.get("/healthz")
        store.away = False
        return away, ready, alive, await ask.post("/v1/requests", request("a"))

    away, ready, alive, back = asking(work, store=store)
    assert (away.status_code, away.headers["retry-after"]) == (503, "2")
    assert away.json() == {"error": "the store did not answer, nothing was taken"}
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert back.status_code == 200
    assert store.ids == {"a"}


def test_a_full_queue_is_503_and_not_ready():
    store = MemoryStore(gate=threading.Event())

    async def work(ask):
        tasks = [asyncio.create_task(ask.post("/v1/requests", request(str(i)))) for i in range(3)]
        while "upturn_collector_queued_events 3.0" not in (await ask.get("/metrics")).text:
            await asyncio.sleep(0)
        refused = await ask.post("/v1/requests", request("x"))
        ready = await ask.get("/readyz")
        store.gate.set()
        return refused, ready, await asyncio.gather(*tasks)

    refused, ready, answers = asking(work, store=store, limits=Limits(queue_events=3))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert ready.status_code == 503
    assert [a.status_code for a in answers] == [200, 200, 200]
    assert "x" not in store.ids


def test_readiness_asks_the_store(monkeypatch):
    monkeypatch.setattr("upturn.collector.app.PROBE_S", 120.0)

    async def work(ask):
        return await ask.get("/readyz")

    assert asking(work).json() == {"status": "ready", "queued": 0}


def test_an_error_of_ours_is_a_500_without_words(caplog):
    def scrub(event):
        raise RuntimeError(f"quotes {event.inputs}")

    async def work(ask):
        return await ask.post("/v1/requests", request("a")), await ask.get("/healthz")

    failed, alive = asking(work, scrub=scrub)
    assert failed.status_code == 500
    assert failed.json() == {"error": "the collector failed, nothing is acknowledged"}
    assert alive.status_code == 200
    assert "parcel" not in caplog.text
    assert "RuntimeError" in caplog.text


def test_metrics_count_and_hold_no_data():
    async def work(ask):
        await ask.post("/v1/requests", [request("a"), request("b", time="x")])
        await ask.post("/v1/feedback", feedback("f", "a"))
        await ask.post("/v1/feedback", feedback("f", "a"), token="wrong-wrong-wrong-wrong")
        return (await ask.get("/metrics")).text

    text = asking(work)
    for line in (
        'upturn_collector_requests_total{route="requests",status="200"} 1.0',
        'upturn_collector_requests_total{route="feedback",status="401"} 1.0',
        'upturn_collector_events_total{outcome="accepted",route="requests"} 1.0',
        'upturn_collector_events_total{outcome="rejected",route="requests"} 1.0',
        'upturn_collector_latency_seconds_count{route="feedback"} 2.0',
        "upturn_collector_commit_events_sum 2.0",
        "upturn_collector_queued_events 0.0",
    ):
        assert line in text
    assert "parcel" not in text


def test_there_is_nothing_else():
    async def work(ask):
        paths = ("/", "/docs", "/redoc", "/openapi.json", "/v1/requests")
        return [(await ask.get(p)).status_code for p in paths]

    assert asking(work) == [404, 404, 404, 404, 405]
