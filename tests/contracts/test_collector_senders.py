"""Real senders, real collector: OpenTelemetry's exporter, and our client through a kill."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.contracts.test_collector_process import collecting
from upturn.client import Client, Options, Stats, feedback, record_call
from upturn.store import FeedbackStore

#: Only what hangs takes so long; a machine that is slow does not.
PATIENCE_S = 120.0
FLUSH_MS = 120_000


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_an_opentelemetry_exporter_sends_its_spans(tmp_path: Path, compression: Compression):
    (tmp_path / "token").write_text("0123456789abcdef\n")
    (tmp_path / "token").chmod(0o600)
    with collecting(tmp_path, "--token-file", "token") as running:
        provider = TracerProvider(resource=Resource({"service.version": "7"}))
        exporter = OTLPSpanExporter(
            endpoint=f"{running.url}/v1/traces",
            headers={"authorization": "Bearer 0123456789abcdef"},
            compression=compression,
            timeout=PATIENCE_S,
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("app")
        with tracer.start_as_current_span("triage") as outer:
            outer.set_attribute("gen_ai.conversation.id", "c-1")
            with tracer.start_as_current_span("chat small-model") as span:
                span.set_attribute("gen_ai.request.model", "small-model")
                span.set_attribute("gen_ai.usage.input_tokens", 12)
                span.set_attribute(
                    "gen_ai.output.messages", '[{"role":"assistant","content":"Hello"}]'
                )
        assert provider.force_flush(FLUSH_MS)
        provider.shutdown()
        running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 0
    with FeedbackStore.open(str(tmp_path / "store.db")) as store:
        by_program = {r.program: r for r in store.requests()}
    top, step = by_program["triage"], by_program["chat small-model"]
    assert step.parent == top.id
    assert (
        top.id
        == f"{outer.get_span_context().trace_id:032x}-{outer.get_span_context().span_id:016x}"
    )
    assert (step.model, step.origin) == ("small-model", "otlp")
    assert top.session == "c-1"


def test_an_exporter_with_a_wrong_token_fails_and_says_so(tmp_path: Path, caplog):
    (tmp_path / "token").write_text("0123456789abcdef\n")
    (tmp_path / "token").chmod(0o600)
    with collecting(tmp_path, "--token-file", "token") as running:
        provider = TracerProvider()
        exporter = OTLPSpanExporter(
            endpoint=f"{running.url}/v1/traces",
            headers={"authorization": "Bearer wrong"},
            timeout=PATIENCE_S,
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        with provider.get_tracer("app").start_as_current_span("x"):
            pass
        provider.force_flush(FLUSH_MS)
        provider.shutdown()
    assert "401" in caplog.text
    with FeedbackStore.open(str(tmp_path / "store.db")) as store:
        assert store.counts().requests == 0


def until(client: Client, true: Callable[[Stats], bool]) -> None:
    """Returns when something holds for the client's counts."""
    end = time.monotonic() + PATIENCE_S
    while not true(client.stats()):
        assert time.monotonic() < end, client.stats()
        time.sleep(0.01)


def test_the_client_loses_nothing_while_the_collector_is_killed_and_comes_back(tmp_path: Path):
    options = Options(
        linger_s=0.01,
        spill_linger_s=0.05,
        first_wait_s=0.05,
        longest_wait_s=0.2,
        timeout_s=PATIENCE_S,
        exit_s=PATIENCE_S,
    )
    sent: list[str] = []
    port = "0"
    client: Client | None = None
    for _ in range(2):
        with collecting(tmp_path, "--no-token", "--port", port) as running:
            port = str(running.port)
            client = client or Client(
                running.url, spill=tmp_path / "spill", options=options, environment={}
            )
            for n in range(300):
                sent.append(record_call("triage", inputs={"n": n}, outputs={"y": 1}, client=client))
                feedback(sent[-1], thumbs=True, client=client)
                time.sleep(0.001)
            running.process.send_signal(signal.SIGKILL)
            running.wait()
        before = client.stats().spilled
        sent += [record_call("triage", inputs={"n": -1}, client=client) for _ in range(50)]
        # The collector comes back when the client has noticed that it is away.
        until(client, lambda stats, before=before: stats.spilled > before)
    assert client is not None
    with collecting(tmp_path, "--no-token", "--port", port):
        until(client, lambda stats: not stats.on_disk and not stats.pending)
        assert client.flush(PATIENCE_S), "a batch may be in hand"
        client.close()
        assert client.stats().on_disk == 0
    stats = client.stats()
    assert (stats.rejected, stats.dropped) == (0, {})
    assert stats.drained > 0
    with FeedbackStore.open(str(tmp_path / "store.db")) as store:
        counts = store.counts()
        stored = {r.id for r in store.requests()}
    assert stored == set(sent)
    assert (counts.requests, counts.feedback, counts.orphans) == (700, 600, 0)
