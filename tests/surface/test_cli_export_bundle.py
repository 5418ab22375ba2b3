"""``upturn export --to bundle``: from a turn's version to a folder that answers by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.surface.conftest import Finished, Upturn, serving
from upturn.errors import InputError
from upturn.export import verify
from upturn.pipeline.bundling import asked, bundle_of
from upturn.pipeline.store import open_registry
from upturn.records import Json
from upturn.tracking.versions import RegisteredVersion
from upturn.weights.adapter import CONFIG


def decision(finished: Finished) -> str:
    lines = (finished.workspace / "ledger.jsonl").read_text().splitlines()
    (found,) = (e for e in map(json.loads, lines) if e["kind"] == "decision")
    return found["hash"]


def loaded(finished: Finished, version: str = "2") -> RegisteredVersion:
    with open_registry(finished.workspace) as registry:
        return registry.load("tickets", version)


def test_a_version_leaves_with_its_program_its_page_and_its_lineage(
    finished: Finished, upturn: Upturn
):
    told = upturn("export", "tickets@2", "--to", "bundle", "--out", "out", "--json")
    assert told.json == {"program": "tickets", "version": "2", "folder": "out"}
    out = Path("out")
    manifest = verify(out)
    assert manifest["decision"] == decision(finished)
    assert manifest["facts"]["snapshot"] == finished.first.snapshot
    assert manifest["facts"]["program"] == "programs/triage.py:TicketTriage"
    assert (manifest["turn"], manifest["verdict"]) == (finished.first.turn, "PROMOTE")
    assert manifest["run"]["lm"] == {"temperature": 0.0, "max_tokens": 64}
    assert (out / "program.py").read_bytes() == Path("programs/triage.py").read_bytes()
    page = (finished.workspace / "turns" / finished.first.turn / "report.html").read_bytes()
    assert (out / "report.html").read_bytes() == page
    assert {"decision.md", "report.json", "requirements.txt"} <= set(manifest["files"])
    # No --to is the same bundle: nothing is written anew, and nothing else is.
    again = upturn("export", "tickets", "--version", "2", "--out", "out")
    assert again.code == 0
    assert 'run it: python out/predict.py --model openai/NAME \'{"message": "…"}\'' in again.out


def test_a_bundle_answers_at_a_server(finished: Finished, upturn: Upturn):
    assert upturn("export", "tickets@2", "--out", "out").code == 0
    rows = [{"message": "please my invoice 1"}, {"message": "the app had a crash today"}]
    with serving() as served:
        ran = subprocess.run(
            [sys.executable, "out/predict.py", "--model", "openai/tickets"],
            input="".join(json.dumps(row) + "\n" for row in rows),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PREDICT_API_BASE": served.base},
        )
    assert ran.returncode == 0, ran.stderr
    assert [json.loads(line)["team"] for line in ran.stdout.splitlines()] == [
        "billing",
        "technical",
    ]
    assert served.calls == 2


@pytest.mark.parametrize("name", ["tickets", "tickets@seed"])
def test_the_adopted_champion_leaves_with_the_program_of_the_newest_turn(
    finished: Finished, upturn: Upturn, name: str
):
    assert upturn("export", name, "--out", "out", "--json").json["version"] == "1"
    manifest = verify(Path("out"))
    assert manifest["facts"]["program"] == "programs/triage.py:TicketTriage"
    assert (manifest["decision"], manifest["run"]["class"]) == ("", "TicketTriage")


def test_the_name_of_a_model_at_a_server_of_its_own_is_no_default(finished: Finished):
    made = bundle_of("tickets@2", workspace=finished.workspace).standalone.asked
    assert made.model == ""
    assert "name both, --model openai/tickets and PREDICT_API_BASE" in made.why


CONFIG_TEXT = """
model: {name: openai/small, api_base: null, temperature: 0.1, max_tokens: 32, seed: 3}
models:
  big: {name: openai/big, api_base: null, temperature: 0.9, max_tokens: 512, seed: null}
  own: {name: upturn-mini, api_base: null, temperature: 0.0, max_tokens: 64, seed: null}
"""


def with_settings(found: RegisteredVersion, **settings: Json) -> RegisteredVersion:
    return replace(found, candidate=replace(found.candidate, settings=settings))


def test_the_model_that_was_measured_is_asked_as_it_was(finished: Finished):
    found, config = loaded(finished), yaml.safe_load(CONFIG_TEXT)
    plain = asked(found, config)
    assert (plain.model, plain.temperature, plain.max_tokens, plain.seed) == (
        *("openai/small", 0.1, 32),
        3,
    )
    big = asked(with_settings(found, model="big"), config)
    assert (big.model, big.temperature, big.max_tokens, big.seed) == ("openai/big", 0.9, 512, None)
    mini = asked(with_settings(found, model="own"), config)
    assert mini.model == ""
    assert "upturn-mini, which runs inside Upturn" in mini.why
    with pytest.raises(InputError, match="lacks 'gone'"):
        asked(with_settings(found, model="gone"), config)


def test_a_version_with_weights_never_asks_the_base(finished: Finished):
    found = loaded(finished)
    heavy = replace(found, files={**found.files, CONFIG: b"{}"})
    made = asked(heavy, yaml.safe_load(CONFIG_TEXT))
    assert made.model == ""
    assert "Prompt and weights were measured together" in made.why


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(finished: Finished, upturn: Upturn):
    refused = upturn("export", "tickets", "--base", "x", "--dtype", "f16", "--out", "out")
    assert refused.code == 2
    assert "--base, --dtype is for the weights of a server" in refused.err
    program = Path("programs/triage.py")
    program.write_text(program.read_text() + "# another\n")
    changed = upturn("export", "tickets@2", "--out", "out")
    assert changed.code == 2
    assert "must be the one that version 2 was measured with" in changed.err
    program.unlink()
    gone = upturn("export", "tickets@2", "--out", "out")
    assert gone.code == 2
    assert "the program's file must be here" in gone.err
    assert not Path("out").exists()
