"""Every bad input gets an error with rule, value, place and next command; nothing half-written."""

import json
import socket
import sqlite3
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.pipeline.conftest import CONFIG, PROGRAM, answer, events
from upturn.errors import (
    ConfigError,
    CorruptionError,
    DataError,
    MetricError,
    ModelError,
    ProgramError,
    StorageError,
)
from upturn.events import Feedback, Signal
from upturn.lm.connect import connect
from upturn.pipeline.turn import run_turn
from upturn.testing.engine import FakeEngine


def refused(project, kind, *overrides, world=None):
    """Runs a turn that must be refused, and checks what every refusal keeps."""
    with pytest.raises(kind) as caught:
        run_turn(project.parts(*overrides), world or project.world())
    error = caught.value
    assert error.exit_code == 2
    assert not (project.root / "mlruns" / "ledger.jsonl").exists()
    assert not list((project.root / "mlruns").glob("turns/*"))
    return error


def append(project, line):
    with (project.root / "log.jsonl").open("a") as file:
        file.write(line + "\n")


def request_line(project, **changes):
    """The log's first request with other content and a new id."""
    lines = (project.root / "log.jsonl").read_text().splitlines()
    value = next(v for v in map(json.loads, lines) if v["kind"] == "request")
    return json.dumps({**value, "id": "req-new", **changes})


def test_malformed_json_names_file_and_line(project):
    append(project, '{"upturn": 1, "kind": "request", ')
    error = refused(project, DataError)
    assert "log.jsonl:661" in str(error)
    assert project.engine.calls == 0


def test_an_unknown_label_names_line_value_and_what_is_allowed(project):
    append(project, request_line(project, outputs={"team": "biling"}))
    text = str(refused(project, DataError))
    assert "log.jsonl:661" in text
    assert "biling" in text
    assert "billing" in text
    assert "technical" in text


def test_wrong_field_names_are_explained(project):
    append(project, request_line(project, inputs={"mesage": "hello"}))
    text = str(refused(project, DataError))
    assert "mesage" in text
    assert "message" in text


def test_one_id_with_two_contents_names_both_lines(project):
    append(project, request_line(project, inputs={"message": "a"}))
    append(project, request_line(project, inputs={"message": "b"}))
    text = str(refused(project, DataError))
    assert "req-new" in text
    assert "661" in text
    assert "662" in text


def test_an_empty_log(project):
    (project.root / "log.jsonl").write_text("")
    assert "log.jsonl" in str(refused(project, DataError))


def test_a_missing_log(project):
    (project.root / "log.jsonl").unlink()
    assert "log.jsonl" in str(refused(project, DataError))


def test_feedback_that_contradicts_itself_everywhere(make_project):
    log = events(60)
    others = [
        Feedback(
            id=f"{f.id}-b",
            request_id=f.request_id,
            time=f.time,
            signal=Signal.CORRECTION,
            value={"team": "returns" if f.value["team"] != "returns" else "billing"},
            rater="agent-x",
            role=f.role,
        )
        for f in log
        if isinstance(f, Feedback)
    ]
    error = refused(make_project([*log, *others]), DataError)
    assert "at least one request a label" in error.what
    assert "60" in error.what


def test_a_holdout_that_can_never_decide_says_how_many_rows_it_takes(make_project):
    project = make_project(events(40))
    error = refused(project, DataError)
    assert "can never show a gain" in error.what
    assert "that takes at least" in error.what
    assert not (project.root / "mlruns" / "snapshots").exists()


def test_a_config_typo_suggests_the_key(make_project):
    project = make_project(config=CONFIG.replace("min_gain", "min_gian"))
    error = refused(project, ConfigError)
    assert "gate.min_gian: unknown key; did you mean min_gain?" in error.what


def test_a_program_that_does_not_import(make_project):
    error = refused(make_project(program="import dspy\nimport nothing_like_it\n"), ProgramError)
    assert error.where == "programs/triage.py:2"
    assert "nothing_like_it" in error.what


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("raise KeyError('team')", "the metric raised KeyError"),
        ("return float('nan')", "got nan"),
        ("return 'good'", "got 'good'"),
    ],
)
def test_a_metric_that_is_none(make_project, body, rule):
    head, _, _ = PROGRAM.partition("    return {")
    project = make_project(program=f"{head}    {body}\n")
    error = refused(project, MetricError)
    assert rule in error.what
    assert error.where == "programs/triage.py:metric"
    assert project.engine.calls == 0


def test_a_metric_that_fails_on_a_later_row_stops_the_turn(make_project):
    head, _, _ = PROGRAM.partition("    return {")
    body = "    return 1.0 if example.team == prediction.team else float('inf')\n"
    project = make_project(program=head + body)
    with pytest.raises(MetricError, match=r"got inf \(row req-"):
        run_turn(project.parts(), project.world())
    assert project.registry.champion("tickets").version == "1"


def test_two_runs_on_one_workspace(project):
    with project.parts().workspace.locked():
        error = refused(project, StorageError)
    assert "another run holds this workspace: process" in error.what


def test_a_workspace_that_cannot_be_made(project):
    error = refused(project, StorageError, "workspace=log.jsonl/runs")
    assert "a file stands where a folder must be" in error.what


def test_a_corrupted_snapshot(project):
    run_turn(project.parts(), project.world())
    (train,) = (project.root / "mlruns" / "snapshots").glob("*/train.jsonl")
    train.write_text(train.read_text().replace("billing", "returns", 1))
    with pytest.raises(CorruptionError, match=r"train\.jsonl") as caught:
        run_turn(project.parts("seed=0"), project.world())
    assert caught.value.exit_code == 2
    assert "upturn snapshot" in caught.value.fix


def test_a_corrupted_cache_says_how_to_mend_it(project):
    run_turn(project.parts("promotion=ask"), project.world())
    cache = project.root / "mlruns" / "cache.db"
    with sqlite3.connect(cache) as db:
        db.execute("update answers set text = 'tampered'")
    db.close()
    with pytest.raises(CorruptionError, match="must match its sha256") as caught:
        run_turn(project.parts("search.n_trials=9"), project.world())
    assert "upturn doctor --repair-cache" in caught.value.fix


def test_a_cache_that_is_no_database(project):
    (project.root / "mlruns").mkdir()
    (project.root / "mlruns" / "cache.db").write_bytes(b"not a database at all" * 300)
    assert "cache.db" in str(refused(project, CorruptionError))


def test_a_full_disk_stops_the_turn_and_loses_nothing_paid(project):
    from dataclasses import replace

    from upturn.lm import AnswerCache
    from upturn.lm.connect import connect_engine

    world = project.world()

    def small_disk(parts, cache, meter):
        full = AnswerCache(cache.path, turn=cache.turn, max_pages=24)
        return connect_engine(
            project.engine, model_id="fake@1", cache=full, meter=meter, spec=parts.model
        )

    with pytest.raises(StorageError, match="room for the cache"):
        run_turn(project.parts(), replace(world, connect=small_disk))
    paid = project.engine.calls
    project.engine = FakeEngine(answer)
    assert run_turn(project.parts(), project.world()).verdict == "PROMOTE"
    assert paid > 20


def test_a_model_folder_without_a_tokenizer(project, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    error = refused(project, ModelError, f"model.name=hf:{folder}", world=real_model(project))
    assert str(folder) in str(error)
    assert "tokenizer" in str(error)


def real_model(project):
    from dataclasses import replace

    return replace(
        project.world(),
        connect=lambda parts, cache, meter: connect(parts.model, cache=cache, meter=meter),
    )


@contextmanager
def server(status, body, content_type="application/json"):
    """A server on loopback that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Silent."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def remote(base):
    return ("model.name=openai/m", f"model.api_base={base}", "model.num_retries=0")


def test_a_wrong_key_is_said_and_never_shown(project, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret-value")
    with server(401, b'{"error": {"message": "bad key"}}') as base:
        error = refused(
            project,
            ModelError,
            *remote(base),
            "model.api_key_env=MY_KEY",
            world=real_model(project),
        )
    assert "the key must be accepted" in error.what
    assert "MY_KEY" in error.fix
    assert "sk-very-secret-value" not in str(error)


def test_a_dead_server(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        error = refused(project, ModelError, *remote(base), world=real_model(project))
    assert "must be reachable" in error.what
    assert base in str(error)


def test_a_server_that_answers_garbage(project):
    with server(200, b"<html>welcome</html>", "text/html") as base:
        error = refused(project, ModelError, *remote(base), world=real_model(project))
    assert "must answer with a completion" in error.what


def test_ctrl_c_leaves_a_turn_that_goes_on(project):
    served = []

    def interrupted(request):
        served.append(1)
        if len(served) > 200:
            raise KeyboardInterrupt
        return answer(request)

    project.engine = FakeEngine(interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_turn(project.parts(), project.world())
    project.engine = FakeEngine(answer)
    result = run_turn(project.parts(), project.world())
    assert result.verdict == "PROMOTE"
    # Four rows are in flight at a time: no more than those are asked again.
    whole = run_calls(project)
    assert 200 + result.calls <= whole + 4


def run_calls(project):
    """Calls of the same turn, uninterrupted, in a fresh workspace."""
    project.registry = type(project.registry)()
    return run_turn(project.parts("workspace=fresh"), project.world()).calls
