"""A bundle answers where Upturn is not, and sends to the byte what Upturn sends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dspy
import pytest

from upturn.errors import ProgramError, StorageError
from upturn.export import export_version, load_bundle, verify
from upturn.export.standalone import Asked, Standalone
from upturn.lm import AnswerCache, Meter, ModelSpec
from upturn.lm.adapters import adapter
from upturn.lm.connect import connect
from upturn.programs import Program
from upturn.records import Candidate, Json, PromptState
from upturn.testing.tracker import MemoryRegistry
from upturn.tracking.versions import RegisteredVersion
from upturn.weights.adapter import CARD, CONFIG

ONE = '''
from __future__ import annotations

from typing import Literal

import dspy

Team = Literal["billing", "technical"]


class Triage(dspy.Signature):
    """Route the message."""

    message: str = dspy.InputField()
    team: Team = dspy.OutputField()


class Tickets(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.triage = dspy.Predict(Triage)

    def forward(self, message: str) -> dspy.Prediction:
        return self.triage(message=message)
'''
TWO = """
import dspy


class Tickets(dspy.Module):
    signature = dspy.Signature("message -> team")

    def __init__(self):
        super().__init__()
        self.draft = dspy.ChainOfThought("message -> gist")
        self.triage = dspy.Predict("gist -> team")

    def forward(self, message):
        return self.triage(gist=self.draft(message=message).gist)
"""
DEMO = {"message": 'my "bill" is {wrong}\n--- é', "team": "billing"}
TRIAGE = PromptState(instruction="Route {it}.\n\nTo a team.", demos=(DEMO,))
DRAFT = PromptState(
    instruction="Say the gist.", demos=({"message": "a", "reasoning": "b", "gist": "c"},)
)
SHORT = PromptState(instruction="Route it.", demos=({"gist": "c", "team": "billing"},))
ANSWERS = {
    "chat": "".join(f"[[ ## {n} ## ]]\nbilling\n\n" for n in ("reasoning", "gist", "team")),
    "json": '{"reasoning": "r", "team": "billing"}',
    "xml": "<team>billing</team>",
}
ASKED = Asked(model="", why="name a model", temperature=0.25, max_tokens=80, seed=7)
KEY = "sk-do-not-tell-anybody"


class Server:
    """Speaks OpenAI's protocol on this machine and remembers what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Json]] = []
        self.keys: list[str] = []
        self.answer = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = json.loads(self.rfile.read(length))
                outer.bodies.append(body)
                outer.keys.append(self.headers["authorization"].removeprefix("Bearer "))
                status, reply = outer.reply(body)
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def reply(self, body: dict[str, Json]) -> tuple[int, Json]:
        if "REFUSE" in json.dumps(body["messages"][-1]):
            return 401, {"error": {"message": f"bad key {KEY}", "type": "invalid_request_error"}}
        message = {"role": "assistant", "content": self.answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        told = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
        return 200, {**told, "choices": [choice], "usage": usage}

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Generator[Server]:
    made = Server()
    yield made
    made.close()


def clean() -> dict[str, str]:
    """This environment without what would let another Python see this project."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has DSPy and what DSPy needs, and no Upturn."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    # The .pth files of that folder are not read: an Upturn that is installed for work is not seen.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # And one that is installed for good is in the shade of this.
    (site / "upturn.py").write_text("raise ModuleNotFoundError('no Upturn here')\n")
    command = [python, "-c", "import upturn"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False, env=clean())
    assert "no Upturn here" in tried.stderr
    return python


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def predict(bare_python: Path, server: Server, tmp_path: Path) -> Run:
    """Runs a bundle's ``predict.py`` in the bare Python, in a folder of no project."""

    def run(folder: Path, *args: str, stdin: str = "", **env: str):
        place = tmp_path / "elsewhere"
        place.mkdir(exist_ok=True)
        return subprocess.run(
            [bare_python, folder.resolve() / "predict.py", *args],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=place,
            check=False,
            env={**clean(), "PREDICT_API_BASE": server.url, "PREDICT_API_KEY": KEY, **env},
        )

    return run


def version(
    root: Path,
    text: str,
    states: dict[str, PromptState],
    files: dict[str, bytes] | None = None,
    **settings: Json,
) -> tuple[RegisteredVersion, Standalone]:
    """A registered version of a program, and what its bundle is made of."""
    root.mkdir(exist_ok=True)
    (root / "p.py").write_text(text)
    program = Program("p.py:Tickets", root)
    candidate = Candidate(states=states, settings=settings)
    holes = {"message": "{message}"}
    registry = MemoryRegistry()
    number = registry.register(
        candidate,
        program="tickets",
        turn="t1",
        report_json={},
        files={
            "program.json": program.state_json(candidate).encode(),
            "prompt.json": json.dumps(program.messages(candidate, holes)).encode(),
            **(files or {}),
        },
        facts={"program": program.ref, "snapshot": "ab" * 32},
    )
    made = Standalone(program=program, source=text.encode(), asked=ASKED, decision="cd" * 32)
    return registry.load("tickets", number), made


def upturn_sends(
    server: Server, made: Standalone, found: RegisteredVersion, message: str, cache: Path
) -> list[dict[str, Json]]:
    """Asks as Upturn does when it measures a candidate, and returns what the server was sent."""
    built = made.program.assemble(found.candidate)
    said = built.settings.temperature
    spec = ModelSpec(
        model="openai/stub",
        api_base=server.url,
        temperature=made.asked.temperature if said is None else said,
        max_tokens=made.asked.max_tokens,
        seed=made.asked.seed,
    )
    with AnswerCache(cache) as answers, connect(spec, cache=answers, meter=Meter()) as connection:
        form: Any = adapter(built.settings.adapter)
        with dspy.context(lm=connection.lm, adapter=form):
            assert built.module(message=message).team == "billing"
    sent, server.bodies = server.bodies, []
    return sent


@pytest.mark.parametrize(
    ("text", "states", "settings"),
    [
        (ONE, {"triage": TRIAGE}, {}),
        (ONE, {"triage": TRIAGE}, {"adapter": "json", "module": "cot", "temperature": 0.75}),
        (ONE, {"triage": TRIAGE}, {"adapter": "xml"}),
        (TWO, {"draft.predict": DRAFT, "triage": SHORT}, {"module": "predict"}),
    ],
    ids=["chat", "json that reasons", "xml", "two predictors, one no longer reasons"],
)
def test_predict_sends_what_upturn_sends(
    tmp_path: Path,
    server: Server,
    predict: Run,
    text: str,
    states: dict[str, PromptState],
    settings: dict[str, Json],
):
    found, made = version(tmp_path / "project", text, states, **settings)
    server.answer = ANSWERS[settings.get("adapter", "chat")]
    message = 'where is "it"? {message}\n\n[[ ## é ## ]]'
    wanted = upturn_sends(server, made, found, message, tmp_path / "cache.db")
    out = export_version(found, tmp_path / "out", standalone=made)
    shutil.rmtree(tmp_path / "project")
    ran = predict(out, json.dumps({"message": message}), "--model", "openai/stub")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["team"] == "billing"
    assert server.bodies == wanted
    assert [len(b["messages"]) for b in wanted] == [4] * len(found.candidate.states)
    assert {b["temperature"] for b in wanted} == {settings.get("temperature", 0.25)}
    assert set(server.keys[-len(wanted) :]) == {KEY}
    verify(out)


def test_lines_fail_one_by_one_and_the_exit_code_says_the_worst(
    tmp_path: Path, server: Server, predict: Run
):
    found, made = version(tmp_path, ONE, {"triage": TRIAGE})
    out = export_version(found, tmp_path / "out", standalone=made)
    server.answer = ANSWERS["chat"]
    lines = [
        '{"message": "é", "id": 4}',
        '{"mesage": "typo"}',
        "not json",
        "[1]",
        "",
        '{"message": "REFUSE"}',
    ]
    env = {"PREDICT_MODEL": "openai/stub"}
    ran = predict(out, stdin="\n".join(lines) + "\n", **env)
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 2
    assert told[0] == {"team": "billing"}
    assert told[1]["error"] == "ValueError: the input must have message; missing: message"
    assert "JSONDecodeError" in told[2]["error"]
    assert "must be a JSON object, got list" in told[3]["error"]
    assert "[PREDICT_API_KEY]" in told[4]["error"]
    assert len(told) == 5
    assert KEY not in ran.stdout + ran.stderr
    failed = predict(out, '{"message": "REFUSE"}', **env)
    assert (failed.returncode, len(failed.stdout.splitlines())) == (1, 1)
    server.answer = "no field at all"
    unread = predict(out, '{"message": "a"}', **env)
    assert unread.returncode == 1
    # Nothing is asked a second time in another format, as DSPy would by itself.
    assert len(server.bodies) == 4


def test_without_a_model_nothing_is_asked(tmp_path: Path, server: Server, predict: Run):
    found, made = version(tmp_path, ONE, {"triage": TRIAGE})
    out = export_version(found, tmp_path / "out", standalone=made)
    ran = predict(out, '{"message": "a"}')
    assert (ran.returncode, ran.stdout, server.bodies) == (2, "", [])
    assert ran.stderr.endswith("predict.py: error: name a model\n")


def test_the_bundle_names_all_that_it_rests_on(tmp_path: Path):
    found, made = version(tmp_path / "project", ONE, {"triage": TRIAGE}, module="cot")
    out = export_version(found, tmp_path / "out", standalone=made)
    manifest = verify(out)
    assert manifest["decision"] == "cd" * 32
    assert manifest["facts"]["snapshot"] == "ab" * 32
    assert manifest["turn"] == "t1"
    assert manifest["packages"] == {"dspy": dspy.__version__}
    assert manifest["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert manifest["run"] == {
        "class": "Tickets",
        "inputs": ["message"],
        "adapter": "ChatAdapter",
        "module": "cot",
        "model": "",
        "why": "name a model",
        "lm": {"temperature": 0.25, "max_tokens": 80, "seed": 7},
    }
    assert (out / "requirements.txt").read_text() == f"dspy=={dspy.__version__}\n"
    assert (out / "program.py").read_text() == ONE
    assert len((out / "predict.py").read_text().splitlines()) <= 30
    for name in ("predict.py", "bundle.py"):
        assert "import upturn" not in (out / name).read_text()
    text = (out / "card.md").read_text()
    assert 'predict.py --model openai/NAME \'{"message": "…"}\'' in text
    assert "temperature 0.25, max_tokens 80, seed 7, DSPy's ChatAdapter, every predictor" in text
    shutil.rmtree(tmp_path / "project")
    assert "reasoning" in load_bundle(out).module.triage.predict.signature.output_fields
    verify(out)


def test_a_model_that_means_the_same_everywhere_is_asked_by_default(tmp_path: Path):
    found, made = version(tmp_path, ONE, {"triage": TRIAGE})
    asked = Asked(model="openai/gpt-x", temperature=0.0, max_tokens=64)
    made = Standalone(program=made.program, source=made.source, asked=asked)
    out = export_version(found, tmp_path / "out", standalone=made)
    assert verify(out)["run"]["lm"] == {"temperature": 0.0, "max_tokens": 64}
    assert "`openai/gpt-x` is asked" in (out / "card.md").read_text()


def test_a_version_with_weights_takes_them_along_and_names_no_model(tmp_path: Path):
    files = {CONFIG: b"{}", CARD: b'{"base_id": "hf-small@12"}'}
    found, made = version(tmp_path, ONE, {"triage": TRIAGE}, files, weights="0123456789ab")
    out = export_version(found, tmp_path / "out", standalone=made)
    assert set(verify(out)["files"]) > {CONFIG, CARD, "predict.py"}
    text = (out / "card.md").read_text()
    assert "predict.py --model openai/NAME" in text
    assert "the base is `hf-small@12`, and on another one they load and answer wrongly" in text


def test_a_program_that_changed_since_is_not_exported(tmp_path: Path):
    found, _ = version(tmp_path, ONE, {"triage": TRIAGE})
    plain = "message: str = dspy.InputField()"
    for text, names in (
        (ONE.replace('"technical"', '"sales"'), "prompt.json"),
        (ONE.replace(plain, plain.replace("()", "(desc='x')")), "program.json and prompt.json"),
    ):
        (tmp_path / "p.py").write_text(text)
        program = Program("p.py:Tickets", tmp_path)
        made = Standalone(program=program, source=text.encode(), asked=ASKED)
        with pytest.raises(ProgramError, match=f"differs from {names}\n"):
            export_version(found, tmp_path / "out", standalone=made)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import upturn_is_not; Path = 1", "imports upturn_is_not"),
        ("rules = (Path(__file__).parent / 'rules.txt').read_text()", "No such file"),
        ("__import__('upturn')", "upturn"),
    ],
    ids=["a module beside it", "a file beside it", "Upturn by a back door"],
)
def test_a_program_that_would_not_load_elsewhere_is_not_exported(
    tmp_path: Path, line: str, said: str
):
    root = tmp_path / "project"
    root.mkdir()
    (root / "rules.txt").write_text("x")
    (root / "upturn_is_not.py").write_text("")
    sys.path.insert(0, str(root))
    try:
        text = ONE.replace("import dspy\n", f"import dspy\nfrom pathlib import Path\n{line}\n", 1)
        found, made = version(root, text, {"triage": TRIAGE})
    finally:
        sys.path.remove(str(root))
        sys.modules.pop("upturn_is_not", None)
    with pytest.raises(ProgramError, match=said):
        export_version(found, tmp_path / "out", standalone=made)
    assert [p.name for p in tmp_path.iterdir()] == ["project"]


def test_the_same_bundle_again_changes_nothing_even_after_it_ran(tmp_path: Path):
    found, made = version(tmp_path, ONE, {"triage": TRIAGE})
    out = export_version(found, tmp_path / "out", standalone=made)
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    (out / "__pycache__").mkdir()
    (out / "__pycache__" / "bundle.cpython-311.pyc").write_bytes(b"")
    export_version(found, out, standalone=made)
    verify(out)
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} | before == {
        **before,
        "__pycache__": (out / "__pycache__").stat().st_mtime_ns,
    }
    other = Standalone(program=made.program, source=made.source, asked=ASKED, decision="ef" * 32)
    with pytest.raises(StorageError, match="never overwrites"):
        export_version(found, out, standalone=other)
