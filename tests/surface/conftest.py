"""A finished project on the real MLflow store, and a model server on loopback, for the commands."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.pipeline.conftest import CONFIG, PROGRAM, Project, answer, events
from upturn import cli
from upturn.events import write_log
from upturn.lm.connect import identify
from upturn.pipeline.result import TurnResult
from upturn.pipeline.turn import run_turn
from upturn.pipeline.world import mlflow_store
from upturn.testing.engine import FakeEngine
from upturn.testing.tracker import migrated_store

#: Nothing listens there: a command that would call the model fails at once.
NOBODY = "http://127.0.0.1:9/v1"
SMALL = ("search.n_trials=6", "search.evaluations=400")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """The answer of ``--json``: exactly one line on stdout."""
        assert self.out.count("\n") == 1, (self.out, self.err)
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A project whose first turn found something better, which waits to be promoted."""

    root: Path
    first: TurnResult

    @property
    def config(self) -> Path:
        return self.root / "configs" / "tickets.yaml"

    @property
    def workspace(self) -> Path:
        return self.root / "mlruns"


Upturn = Callable[..., Ran]


def write_project(root: Path, api_base: str, *, n: int = 330) -> Path:
    """Writes the tickets project for a remote model, and returns its config."""
    model = f"model: {{name: openai/tickets, api_base: '{api_base}', concurrency: 4}}"
    for name, text in (
        ("programs/triage.py", PROGRAM),
        ("configs/tickets.yaml", CONFIG.replace("model: {name: fake, concurrency: 4}", model)),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    write_log(root / "log.jsonl", events(n))
    return root / "configs" / "tickets.yaml"


def migrate(cache: Path, workspace: Path) -> None:
    """Puts an empty MLflow database into a workspace."""
    migrated_store(cache, workspace).close()


@pytest.fixture(scope="session")
def mlflow_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the one migrated database that all tests copy."""
    return tmp_path_factory.getbasetemp().parent / "mlflow"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, mlflow_cache: Path) -> tuple[Finished, Path]:
    """A project after one turn with ``promotion: ask``, and an untouched copy of its files."""
    root = tmp_path_factory.mktemp("finished") / "project"
    config = write_project(root, NOBODY)
    migrate(mlflow_cache, root / "mlruns")
    project = Project(root=root, engine=FakeEngine(answer))
    parts = project.parts(*SMALL, "promotion=ask")
    project.model_id = identify(parts.model)
    result = run_turn(parts, replace(project.world(), store=mlflow_store))
    # The settings of the turn become the config's own, so that commands ask the same question.
    text = config.read_text().replace("n_trials: 8", "n_trials: 6")
    text = text.replace("evaluations: 500", "evaluations: 400")
    config.write_text(text + "promotion: ask\n")
    pristine = root.with_name("pristine")
    shutil.copytree(root, pristine)
    return Finished(root=root, first=result), pristine


@pytest.fixture
def finished(built: tuple[Finished, Path], monkeypatch: pytest.MonkeyPatch) -> Finished:
    """The finished project as the turn left it, with the working directory in it.

    MLflow keeps absolute paths of artifacts, so the files go back to where they were made.
    """
    project, pristine = built
    shutil.rmtree(project.root)
    shutil.copytree(pristine, project.root)
    monkeypatch.chdir(project.root)
    return project


@pytest.fixture
def upturn(capfd: pytest.CaptureFixture[str]) -> Upturn:
    """Runs a command in this process; whatever any library prints is captured too."""

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        code = cli.run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return Ran(code=code, out=out, err=err)

    return run


@dataclass
class Served:
    """The scripted model behind HTTP.

    Attributes:
        calls: how many have arrived; held: how many of them wait for their answer.
        answers: calls are answered while it is set.
    """

    base: str = ""
    calls: int = 0
    held: int = 0
    answers: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_for(self, calls: int) -> None:
        """Returns when that many calls have arrived."""
        self._wait(lambda: self.calls >= calls)

    def hold(self) -> None:
        """Answers no call from now on, and returns when one waits for its answer."""
        self.answers.clear()
        self._wait(lambda: self.held > 0)

    def arrive(self) -> None:
        """Counts a call, and returns when it may be answered."""
        with self._lock:
            self.calls += 1
        if not self.answers.is_set():
            with self._lock:
                self.held += 1
            self.answers.wait()

    def _wait(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + 300
        while not true():
            assert time.monotonic() < end, f"only {self.calls} calls arrived, {self.held} wait"
            time.sleep(0.01)


@contextmanager
def serving() -> Iterator[Served]:
    """Serves the scripted model as an OpenAI-compatible server on loopback."""
    served = Served()
    served.answers.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise each answer waits for the acknowledgement of its headers.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.arrive()
            body = json.dumps(_completion(asked)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keeps the test's output clean."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A client that went away is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        served.base = f"http://127.0.0.1:{server.server_port}/v1"
        yield served
    finally:
        served.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _completion(asked: dict[str, object]) -> dict[str, object]:
    messages = asked["messages"]
    assert isinstance(messages, list)
    system = "\n".join(_text(m) for m in messages if m["role"] == "system")
    turns = [_Message(role=m["role"], text=_text(m)) for m in messages if m["role"] != "system"]
    text = answer(_Request(system=system, messages=turns))
    return {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def _text(message: dict[str, object]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    assert isinstance(content, list)
    return "".join(part.get("text", "") for part in content)


@dataclass(frozen=True, kw_only=True)
class _Message:
    role: str
    text: str


@dataclass(frozen=True, kw_only=True)
class _Request:
    system: str
    messages: list[_Message]
