"""Chat templates in Go, and the smoke script that asks a server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jinja2
import pytest

from upturn import mini
from upturn.export.serving.base import Source, Start
from upturn.export.serving.chat_pieces import Message, Pieces, Render, go_template, pieces
from upturn.export.serving.go_text import modelfile_template, render
from upturn.export.serving.smoke import smoke_script

CHAT: list[Message] = [
    {"role": "system", "content": " Be brief.\n"},
    {"role": "user", "content": "Hi {{ there }}"},
    {"role": "assistant", "content": ""},
    {"role": "user", "content": "and <|end|> now?"},
]


def jinja(text: str) -> Render:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    template = environment.from_string(text)
    return lambda messages, prompt: template.render(
        messages=list(messages), add_generation_prompt=prompt
    )


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


EMBEDDED = (mini.weights_dir() / "chat_template.jinja").read_text()
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@pytest.mark.parametrize("text", [EMBEDDED, CHATML], ids=["embedded", "chatml"])
def test_a_template_of_fixed_pieces_is_the_same_in_go(text):
    found, reason = pieces(jinja(text))
    assert found is not None, reason
    go = go_template(found)
    modelfile = f'FROM x\nTEMPLATE """{go}"""\nPARAMETER temperature 0\n'
    assert modelfile_template(modelfile) == go
    assert render(go, CHAT) == jinja(text)(CHAT, True)
    assert render(go, CHAT[1:2]) == jinja(text)(CHAT[1:2], True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CHATML.replace("m.content", "m.content | trim"), "otherwise than message by message"),
        (CHATML.replace("m.content", "(m.content | upper)"), "keep a message's text"),
        ("{% if messages[0].role != 'system' %}Be kind.{% endif %}" + CHATML, "beside others"),
        ("{{ messages[-1].content }}", "keep a message's text"),
        (
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
            + CHATML,
            "no system",
        ),
    ],
)
def test_any_other_template_has_a_reason(text, reason):
    found, why = pieces(jinja(text))
    assert found is None
    assert reason in why


def test_fixed_text_that_go_would_read_is_refused():
    found = Pieces(around={"user": ("{{ .Role", "")}, prompt="")
    with pytest.raises(ValueError, match="Go template"):
        go_template(found)


class _Server(BaseHTTPRequestHandler):
    asked: dict[str, object]

    def do_POST(self) -> None:
        type(self).asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ok = self.path == "/v1/chat/completions"
        body = json.dumps({"choices": [{"message": {"content": "billing"}}]}).encode()
        self.send_response(200 if ok else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


def test_the_smoke_script_asks_one_question_with_the_standard_library_only(tmp_path: Path):
    server = HTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    source = Source(
        adapter=tmp_path,
        lora=None,  # type: ignore[arg-type]
        adapter_id="a",
        base=tmp_path,
        base_id="b@c",
        base_known=True,
        messages=[{"role": "user", "content": 'It\'s "quoted" \\n {braces}'}],
    )
    text = smoke_script(source, Start(lines=("", ""), url=f"{url}/v1", model="b:mine"))
    (tmp_path / "smoke.py").write_text(text)
    try:
        ran = [
            # -I -S: no site-packages, so whatever it imports is the standard library's.
            subprocess.run(
                [sys.executable, "-I", "-S", tmp_path / "smoke.py", *arguments],
                capture_output=True,
                text=True,
                check=False,
            )
            for arguments in ([], [f"{url}/elsewhere"])
        ]
    finally:
        server.shutdown()
        server.server_close()
    assert (ran[0].returncode, ran[0].stdout) == (0, "billing\n")
    assert _Server.asked["model"] == "b:mine"
    assert _Server.asked["messages"] == list(source.messages)
    assert ran[1].returncode == 1
    assert "the server refused: 404" in ran[1].stderr
