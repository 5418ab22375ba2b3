"""A version with settings is exported with them, and loads as it was measured."""

from __future__ import annotations

import json
from pathlib import Path

import dspy
import pytest

from upturn.errors import ConfigError, CorruptionError, InputError, ProgramError
from upturn.export import export_version, load_bundle
from upturn.lm import AnswerCache, Meter
from upturn.lm.connect import connect_engine
from upturn.programs import Program, Settings
from upturn.records import Candidate, PromptState
from upturn.testing.engine import FakeEngine
from upturn.testing.tracker import MemoryRegistry
from upturn.tracking.versions import RegisteredVersion

PROGRAM = """
import dspy


class Triage(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict("text -> team")

    def forward(self, text):
        return self.route(text=text)
"""
STATE = PromptState(instruction="Route it.", demos=({"text": "a", "team": "x"},))
SETTINGS = {"temperature": 0.7, "adapter": "json", "module": "cot", "model": "big"}


def registered(
    program: Program, candidate: Candidate, facts: dict[str, str] | None = None
) -> RegisteredVersion:
    registry = MemoryRegistry()
    messages = program.messages(candidate, {"text": "{text}"})
    version = registry.register(
        candidate,
        program="triage",
        turn="t1",
        report_json={},
        files={
            "program.json": program.state_json(candidate).encode(),
            "prompt.json": json.dumps(messages).encode(),
        },
        facts={"program": program.ref} if facts is None else facts,
    )
    return registry.load("triage", version)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "p.py").write_text(PROGRAM)
    return Program("p.py:Triage", tmp_path)


def test_a_version_with_settings_answers_as_it_was_measured(
    program: Program, tmp_path: Path
) -> None:
    candidate = Candidate(states={"route": STATE}, settings=SETTINGS)
    out = export_version(registered(program, candidate), tmp_path / "out")
    loaded = load_bundle(out, root=tmp_path)
    assert loaded.settings == Settings(temperature=0.7, adapter="json", module="cot", model="big")
    asked = []

    def answer(request: object) -> str:
        asked.append(request)
        return '{"reasoning": "because", "team": "x"}'

    with AnswerCache(tmp_path / "cache.db") as cache:
        connection = connect_engine(FakeEngine(answer), model_id="m", cache=cache, meter=Meter())
        with loaded.context(connection.lm):
            assert loaded.module(text="new").team == "x"
            assert isinstance(loaded.module.route, dspy.ChainOfThought)
    texts = [asked[0].system, *(m.text for m in asked[0].messages)]
    assert asked[0].config.temperature == 0.7
    assert texts == [m["content"] for m in program.messages(candidate, {"text": "new"})]
    written = json.loads((out / "prompt.json").read_text())
    assert written == program.messages(candidate, {"text": "{text}"})


def test_the_state_alone_is_refused_by_the_program_as_written(
    program: Program, tmp_path: Path
) -> None:
    candidate = Candidate(states={"route": STATE}, settings={"module": "cot"})
    out = export_version(registered(program, candidate), tmp_path / "out")
    with pytest.raises(KeyError, match="route"):
        program.build(program.seed).load(str(out / "program.json"))
    load_bundle(out, root=tmp_path).module.load(str(out / "program.json"))


def test_the_card_says_how_it_is_run(program: Program, tmp_path: Path) -> None:
    candidate = Candidate(states={"route": STATE}, settings=SETTINGS)
    text = (export_version(registered(program, candidate), tmp_path / "a") / "card.md").read_text()
    assert "- temperature: 0.7\n- adapter: json\n- module: cot\n- model: big\n" in text
    assert "load_bundle(" in text
    assert "program.load(" not in text
    plain = registered(program, Candidate(states={"route": STATE}))
    text = (export_version(plain, tmp_path / "b") / "card.md").read_text()
    assert "load_bundle" not in text
    assert 'program.load("program.json")' in text


def test_a_plain_version_loads_too(program: Program, tmp_path: Path) -> None:
    out = export_version(registered(program, Candidate(states={"route": STATE})), tmp_path / "out")
    loaded = load_bundle(out, root=tmp_path)
    assert loaded.settings == Settings()
    assert loaded.module.route.signature.instructions == "Route it."


def test_what_cannot_be_applied_is_not_exported(program: Program, tmp_path: Path) -> None:
    found = registered(program, Candidate(states={"route": STATE}))
    odd = Candidate(states={"route": STATE}, settings={"top_p": 0.5})
    with pytest.raises(ConfigError, match="got 'top_p'"):
        program.state_json(odd)
    unknown = RegisteredVersion(**{**vars(found), "candidate": odd})
    with pytest.raises(ConfigError, match="got 'top_p'"):
        export_version(unknown, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bundle_that_cannot_be_loaded_says_why(program: Program, tmp_path: Path) -> None:
    candidate = Candidate(states={"route": STATE})
    nameless = export_version(registered(program, candidate, facts={}), tmp_path / "a")
    with pytest.raises(InputError, match="must name its program"):
        load_bundle(nameless, root=tmp_path)
    out = export_version(registered(program, candidate), tmp_path / "b")
    (tmp_path / "p.py").write_text(PROGRAM.replace("self.route", "self.other"))
    with pytest.raises(ProgramError, match=r"sets \['route'\], the program has \['other'\]"):
        load_bundle(out, root=tmp_path)
    (out / "candidate.json").write_text("{}")
    with pytest.raises(CorruptionError, match=r"candidate.json"):
        load_bundle(out, root=tmp_path)
