"""Importers against the real thing: an OpenTelemetry exporter, and an MLflow tracking store."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode

from upturn.errors import StorageError
from upturn.events import Feedback, Request, Role, Signal
from upturn.importers import Rejection, importer
from upturn.importers.mlflow_store import records
from upturn.importers.otlp import from_protobuf
from upturn.records import Json
from upturn.testing.tracker import migrated_store
from upturn.tracking.mlflow_client import tracking_uri_set
from upturn.tracking.mlflow_store import MlflowStore


class Catcher(HTTPServer):
    """Keeps the bodies that are posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keep)
        self.bodies: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class _Keep(BaseHTTPRequestHandler):
    server: Catcher

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.headers["Content-Type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def catching() -> Iterator[Catcher]:
    with Catcher() as catcher:
        thread = threading.Thread(target=catcher.serve_forever, daemon=True)
        thread.start()
        try:
            yield catcher
        finally:
            catcher.shutdown()
            thread.join()


def export(url: str) -> None:
    """Sends what an application sends whose author changed nothing but the endpoint."""
    resource = Resource.create({"service.name": "helpdesk", "service.version": "3.1.0"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    # All in one piece, however long it takes to make the spans and to send them.
    exporter = OTLPSpanExporter(endpoint=url, timeout=120)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=600_000))
    tracer = provider.get_tracer("app")
    with tracer.start_as_current_span("POST /ask") as root:
        root.set_attribute("http.response.status_code", 200)
        with tracer.start_as_current_span("chat gpt-4o") as span:
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.conversation.id": "c-1",
                    "user.id": "cust-1",
                    "gen_ai.usage.input_tokens": 9,
                    "gen_ai.usage.output_tokens": 2,
                    "gen_ai.response.finish_reasons": ["stop"],
                    "gen_ai.input.messages": json.dumps(
                        [{"role": "user", "parts": [{"type": "text", "content": "Wo?"}]}]
                    ),
                    "gen_ai.output.messages": json.dumps(
                        [{"role": "assistant", "parts": [{"type": "text", "content": "Kiel."}]}]
                    ),
                }
            )
            span.add_event(
                "gen_ai.evaluation.result",
                {
                    "gen_ai.evaluation.name": "Relevance",
                    "gen_ai.evaluation.score.value": 0.9,
                    "gen_ai.evaluation.score.label": "pass",
                    "gen_ai.evaluation.explanation": "answers it",
                },
            )
        with tracer.start_as_current_span("openai.chat") as old:
            old.set_attributes(
                {
                    "gen_ai.prompt.0.role": "user",
                    "gen_ai.prompt.0.content": "Hi",
                    "gen_ai.completion.0.content": "Hello",
                    "gen_ai.usage.prompt_tokens": 1,
                }
            )
        with tracer.start_as_current_span("execute_tool track") as failed:
            failed.set_status(StatusCode.ERROR, "no route")
    assert provider.force_flush(120_000)
    provider.shutdown()


def read(name: str, record: Json) -> tuple[dict[str, Request], list[Feedback], list[str]]:
    """Returns requests by program, feedback by time and id, and what was rejected."""
    outcomes = list(importer(name).events(record))
    requests = {e.program: e for e in outcomes if isinstance(e, Request)}
    feedback = [e for e in outcomes if isinstance(e, Feedback)]
    return requests, feedback, [str(e) for e in outcomes if isinstance(e, Rejection)]


def test_what_a_real_exporter_sends() -> None:
    with catching() as catcher:
        export(catcher.url)
    ((kind, body),) = catcher.bodies
    assert kind == "application/x-protobuf"
    record = from_protobuf(body)
    assert importer("otlp").recognises(record)
    requests, feedback, rejected = read("otlp", record)
    assert rejected == []
    root, chat = requests["POST /ask"], requests["chat gpt-4o"]
    old, failed = requests["openai.chat"], requests["execute_tool track"]

    assert root.parent is None
    assert {chat.parent, old.parent, failed.parent} == {root.id}
    assert root.slices == {"service": "helpdesk"}
    trace, _, span = chat.id.partition("-")
    assert (len(trace), len(span)) == (32, 16)

    assert chat.inputs == {"messages": [{"role": "user", "content": "Wo?"}]}
    assert chat.outputs == {"output": "Kiel."}
    assert chat.usage == {"input_tokens": 9, "output_tokens": 2}
    assert (chat.user, chat.session, chat.model) == ("cust-1", "c-1", "gpt-4o")
    assert (chat.version, chat.error) == ("3.1.0", None)
    assert chat.latency_ms is not None
    assert root.time <= chat.time
    assert (old.inputs, old.outputs) == (
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"output": "Hello"},
    )
    assert (failed.error, failed.outputs) == ("no route", {})

    said = [(f.signal, f.value, f.name, f.role, f.comment) for f in feedback]
    assert said == [
        (Signal.SCORE, 0.9, "Relevance", Role.JUDGE, "answers it"),
        (Signal.CATEGORY, "pass", "Relevance", Role.JUDGE, None),
    ]
    assert {f.request_id for f in feedback} == {chat.id}


def test_protobuf_and_the_official_json_are_one() -> None:
    """The same message by the protobuf runtime's own JSON, whose ids are base64."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with catching() as catcher:
        export(catcher.url)
    body = catcher.bodies[0][1]
    official = MessageToDict(ExportTraceServiceRequest.FromString(body))
    ours, _, _ = read("otlp", from_protobuf(body))
    theirs, _, rejected = read("otlp", official)
    assert rejected == []
    assert {k: r.to_json() for k, r in ours.items()} == {k: r.to_json() for k, r in theirs.items()}


@pytest.fixture
def store(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowStore]:
    made = migrated_store(tmp_path_factory.getbasetemp().parent / "mlflow", tmp_path)
    yield made
    made.close()


@pytest.fixture
def logged(store: MlflowStore, tmp_path: Path) -> str:
    """Logs three traces with MLflow's own API, judged by people and programs; returns the URI."""
    import mlflow

    artifacts = (tmp_path / "artifacts").as_uri()
    experiment = store.client.create_experiment("helpdesk", artifact_location=artifacts)
    with tracking_uri_set(store.uri):
        try:
            trace, step = log_traces(experiment)
            log_assessments(trace, step)
        finally:
            mlflow.tracing.reset()
    return store.uri


def log_traces(experiment: str) -> tuple[str, str]:
    """Returns the ids of a trace and of a step in it."""
    import mlflow
    from mlflow.entities.trace_location import MlflowExperimentLocation

    # The experiment is named on each trace: setting it would outlive the test.
    where = MlflowExperimentLocation(experiment)
    with mlflow.start_span("qa", span_type="CHAIN", trace_destination=where) as root:
        root.set_inputs({"question": "When?"})
        metadata = {"mlflow.trace.user": "u-1", "mlflow.trace.session": "s-1"}
        mlflow.update_current_trace(metadata=metadata, tags={"market": "de"})
        with mlflow.start_span("llm", span_type="CHAT_MODEL") as llm:
            llm.set_inputs({"messages": [{"role": "user", "content": "When?"}]})
            llm.set_attribute("mlflow.llm.model", "gpt-4o")
            llm.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4})
            llm.set_outputs("At nine.")
        root.set_outputs("At nine.")
    with (
        pytest.raises(ValueError, match="boom"),
        mlflow.start_span("broken", trace_destination=where),
    ):
        raise ValueError("boom")
    with mlflow.start_span("alone", trace_destination=where) as alone:
        alone.set_inputs({"q": 1})
    mlflow.flush_trace_async_logging()
    return root.trace_id, llm.span_id


def log_assessments(trace: str, step: str) -> None:
    import mlflow
    from mlflow.entities import AssessmentSource

    def source(kind: str, identity: str) -> AssessmentSource:
        return AssessmentSource(source_type=kind, source_id=identity)

    person = source("HUMAN", "u-1")
    mlflow.log_feedback(
        trace_id=trace, name="thumbs", value=False, rationale="too short", source=person
    )
    judge = source("LLM_JUDGE", "gpt-4o")
    mlflow.log_feedback(trace_id=trace, name="relevance", value=0.7, source=judge, span_id=step)
    first = mlflow.log_feedback(trace_id=trace, name="ok", value=True, source=person)
    mlflow.override_feedback(
        trace_id=trace, assessment_id=first.assessment_id, value=False, source=person
    )
    mlflow.log_expectation(
        trace_id=trace, name="expected_response", value="At ten.", source=source("HUMAN", "a-1")
    )


# MLflow warns about its own type hints when it starts its first span, and makes no span then.
@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")
def test_a_real_tracking_store(logged: str) -> None:
    traces = {t["info"]["tags"]["mlflow.traceName"]: t for t in records(logged, "helpdesk", page=2)}
    assert set(traces) == {"qa", "broken", "alone"}
    assert all(importer("mlflow").recognises(t) for t in traces.values())
    # Records are plain JSON, as a file of them would hold.
    assert json.loads(json.dumps(traces)) == traces

    requests, feedback, rejected = read("mlflow", traces["qa"])
    root, llm = requests["qa"], requests["llm"]
    assert (root.inputs, root.outputs) == ({"question": "When?"}, {"output": "At nine."})
    assert (root.user, root.session, root.slices) == ("u-1", "s-1", {"market": "de"})
    assert (llm.parent, llm.user, llm.model) == (root.id, "u-1", "gpt-4o")
    assert llm.usage == {"input_tokens": 3, "output_tokens": 4}
    assert root.usage is not None
    assert root.usage["output_tokens"] == 4
    said = {(f.name, f.value): f for f in feedback if f.signal is not Signal.CORRECTION}
    assert set(said) == {("thumbs", False), ("relevance", 0.7), ("ok", False)}
    thumbs = said["thumbs", False]
    assert (thumbs.signal, thumbs.rater, thumbs.role) == (Signal.THUMBS, "u-1", Role.CUSTOMER)
    assert (thumbs.request_id, thumbs.comment) == (root.id, "too short")
    assert said["relevance", 0.7].request_id == llm.id
    (correction,) = [f for f in feedback if f.signal is Signal.CORRECTION]
    assert (correction.value, correction.role) == ({"output": "At ten."}, Role.REVIEWER)
    assert len(rejected) == 1
    assert "valid must be true: it was withdrawn or replaced" in rejected[0]

    broken = read("mlflow", traces["broken"])[0]["broken"]
    assert (broken.error, broken.outputs) == ("ValueError: boom", {})
    with pytest.raises(StorageError, match=r"must be one of the store's \(Default, helpdesk\)"):
        next(records(logged, "helpdesc"))
    assert len(list(records(logged, "helpdesk", page=1))) == 3
