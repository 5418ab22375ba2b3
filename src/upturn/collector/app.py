"""The collector as an ASGI application: three doors for events, and three windows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from fastapi import FastAPI, Response
from starlette.routing import Route

from upturn.collector.accept import Acceptance, Scrub
from upturn.collector.accept import Batch as _Batch
from upturn.collector.bodies import Bodies
from upturn.collector.endpoint import Door, Endpoint
from upturn.collector.limits import Limits
from upturn.collector.metrics import CONTENT_TYPE, Metrics
from upturn.collector.native_route import NativeRoute
from upturn.collector.otlp_route import OtlpRoute
from upturn.collector.otlp_route import refuse as refuse_otlp
from upturn.collector.port import Store
from upturn.collector.rate import RateLimit
from upturn.collector.replies import RefusedError, Reply, json_reply, refusal
from upturn.collector.tokens import Right, TokenBook
from upturn.collector.writer import Writer

#: How old an answer of the store may be to still count, and how long one may take, in seconds.
FRESH_S = 1.0
PROBE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Collector:
    """What a collector is made of.

    Attributes:
        store: where events become durable; the collector uses it from one thread.
        book: who may send what.
        scrub: takes out of each event what must not be stored.
        limits: what is taken at most.
        clock: the time in UTC: events of the future are refused.
    """

    store: Store
    book: TokenBook
    scrub: Scrub
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


def create_app(collector: Collector) -> FastAPI:
    """Returns the application. Its lifespan starts the writer, and drains it at the end."""
    limits = collector.limits
    metrics = Metrics(lambda: writer.queued)
    writer = Writer(collector.store, limits, metrics)
    door = Door(
        book=collector.book,
        bodies=Bodies(limits),
        rate=RateLimit(limits),
        metrics=metrics,
        limits=limits,
    )
    acceptance = Acceptance(limits, collector.scrub, collector.clock)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        writer.start()
        yield
        await writer.close()

    # No schema and no documentation pages: nobody but senders has business here.
    app = FastAPI(title="Upturn collector", openapi_url=None, lifespan=lifespan)
    for kind, right in (("request", Right.REQUESTS), ("feedback", Right.FEEDBACK)):
        handle = NativeRoute(kind, right, door, acceptance, writer)
        _post(app, f"/v1/{right}", Endpoint(door, right, handle, _refuse))
    traces = OtlpRoute(door, acceptance, writer)
    _post(app, "/v1/traces", Endpoint(door, Right.TRACES, traces, refuse_otlp))
    app.add_api_route("/healthz", _alive)
    app.add_api_route("/readyz", partial(_ready, writer))
    app.add_api_route("/metrics", partial(_metrics, metrics))
    return app


def _post(app: FastAPI, path: str, endpoint: Endpoint) -> None:
    app.router.routes.append(Route(path, endpoint, methods=["POST"]))


def _refuse(error: RefusedError, content_type: bytes) -> Reply:
    return refusal(error)


async def _alive() -> Response:
    return _response(json_reply(200, {"status": "alive"}))


async def _metrics(metrics: Metrics) -> Response:
    return Response(metrics.text(), media_type=CONTENT_TYPE)


async def _ready(writer: Writer) -> Response:
    """200 where the queue has room and the store answers."""
    try:
        if writer.full:
            raise RefusedError(503, "the queue is full", retry_after_s=1)
        if time.monotonic() - writer.last_ok > FRESH_S:
            await asyncio.wait_for(writer.write(_Batch()), PROBE_S)
    except TimeoutError:
        rule = f"the store must answer within {PROBE_S:g} s"
        return _response(refusal(RefusedError(503, rule, retry_after_s=1)))
    except RefusedError as error:
        return _response(refusal(error))
    return _response(json_reply(200, {"status": "ready", "queued": writer.queued}))


def _response(reply: Reply) -> Response:
    headers = {} if reply.retry_after_s is None else {"retry-after": str(reply.retry_after_s)}
    return Response(reply.body, reply.status, headers, reply.content_type.decode())
