"""``upturn forget`` and ``upturn expire`` on a project with the real MLflow store."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import Project, answer, events
from tests.pipeline.forgetting import STORE_CONFIG, fill, traces
from tests.surface.conftest import NOBODY, SMALL, Upturn, migrate, write_project
from upturn.events import Request
from upturn.export import export_version, verify
from upturn.lm.connect import identify
from upturn.pipeline.store import open_registry
from upturn.pipeline.turn import run_turn
from upturn.pipeline.world import mlflow_store
from upturn.records import Candidate
from upturn.store import FeedbackStore
from upturn.testing.engine import FakeEngine


@dataclass(frozen=True)
class Promoted:
    """A project whose champion has demos, and a bundle of that champion."""

    root: Path
    demo: Request

    @property
    def text(self) -> str:
        return str(self.demo.inputs["message"])

    @property
    def store(self) -> str:
        return str(self.root / "feedback.db")

    def champion(self) -> tuple[Candidate, dict[str, object]]:
        """Returns the champion, its files checked against their hashes, and its manifest."""
        with open_registry(self.root / "mlruns") as registry:
            found = registry.champion("tickets")
        assert found is not None
        return found.candidate, dict(found.manifest)


@pytest.fixture
def promoted(tmp_path, mlflow_cache, monkeypatch) -> Promoted:
    root = tmp_path / "project"
    config = write_project(root, NOBODY)
    model = next(s for s in config.read_text().splitlines() if s.startswith("model:"))
    fake = next(s for s in STORE_CONFIG.splitlines() if s.startswith("model:"))
    config.write_text(STORE_CONFIG.replace(fake, model))
    fill(root, events())
    migrate(mlflow_cache, root / "mlruns")
    project = Project(root=root, engine=FakeEngine(answer))
    parts = project.parts(*SMALL, "promotion=auto")
    project.model_id = identify(parts.model)
    assert run_turn(parts, replace(project.world(), store=mlflow_store)).promoted
    monkeypatch.chdir(root)
    with open_registry(root / "mlruns") as registry:
        found = registry.champion("tickets")
    assert found is not None
    export_version(found, root / "exported" / "tickets")
    text = found.candidate.states["triage"].demos[0]["message"]
    with FeedbackStore.open(str(root / "feedback.db")) as store:
        demo = next(r for r in store.requests() if r.inputs["message"] == text)
    return Promoted(root=root, demo=demo)


def test_a_demo_leaves_the_champion_the_bundle_and_every_file(promoted: Promoted, upturn: Upturn):
    before, _ = promoted.champion()
    assert len(traces(promoted.root, promoted.text)) > 8
    ran = upturn("forget", promoted.demo.id, "--store", promoted.store, "--json")
    assert ran.code == 0, ran.err
    assert traces(promoted.root, promoted.text, promoted.demo.id) == []
    after, manifest = promoted.champion()
    kept = tuple(d for d in before.states["triage"].demos if d["message"] != promoted.text)
    assert after.states["triage"].demos == kept
    assert after.states["triage"].instruction == before.states["triage"].instruction
    assert manifest["candidate"] == after.id
    assert manifest["stale"]["candidate"] == before.id  # pyright: ignore[reportIndexIssue]
    assert verify(promoted.root / "exported" / "tickets")["candidate"] == after.id
    (version,) = ran.json["versions"]  # pyright: ignore[reportGeneralTypeIssues]
    assert (version["program"], version["version"], version["champion"]) == ("tickets", "2", True)
    assert version["demos"] == 1
    assert ran.json["learned_from_it"] == [f"tickets: turn {version['turn']}"]
    assert [e["demos"] for e in ran.json["exports"]] == [1]  # pyright: ignore[reportGeneralTypeIssues]
    assert (ran.json["requests"], ran.json["feedback"], ran.json["left"]) == (1, 1, [])
    assert ran.out.count(promoted.text) == 0


def test_the_program_file_has_the_demos_of_the_candidate(promoted: Promoted, upturn: Upturn):
    upturn("forget", promoted.demo.user or "", "--store", promoted.store)
    candidate, _ = promoted.champion()
    with open_registry(promoted.root / "mlruns") as registry:
        found = registry.champion("tickets")
    assert found is not None
    program = json.loads(found.files["program.json"])
    wanted = [d["message"] for d in candidate.states["triage"].demos]
    assert [d["message"] for d in program["triage"]["demos"]] == wanted
    prompt = json.loads(found.files["prompt.json"])
    shown = [m for m in prompt if m["role"] == "user"]
    assert len(shown) == len(wanted) + 1


def test_commands_work_on_what_is_left(promoted: Promoted, upturn: Upturn):
    upturn("forget", promoted.demo.id, "--store", promoted.store)
    assert upturn("doctor", "--json").json["ok"] is True
    versions: Any = upturn("ls", "--json").json["versions"]
    assert {v["version"]: v["stale"] for v in versions} == {"1": False, "2": True}
    assert upturn("history", "tickets").code == 0
    ran = upturn("export", "tickets", "--out", "again", "--json")
    assert (ran.code, ran.json["version"]) == (0, "2")
    assert upturn("rollback", "tickets", "--json").json["champion"] == "1"


def test_it_says_what_was_done_and_what_not(promoted: Promoted, upturn: Upturn):
    ran = upturn("forget", promoted.demo.id, "--store", promoted.store)
    assert ran.code == 0
    assert "removed from the store: 1 requests, 1 feedback" in ran.out
    assert "tickets version 2: 1 demos (the champion, serving without it)" in ran.out
    assert "next: upturn run configs/tickets.yaml" in ran.out
    assert "not reached from here:" in ran.out
    again = upturn("forget", promoted.demo.id, "--store", promoted.store, "--json")
    assert (again.code, again.json["repeated"], again.json["requests"]) == (0, True, 0)


def test_an_unknown_id_or_store_is_bad_input(promoted: Promoted, upturn: Upturn):
    ran = upturn("forget", "nobody-1", "--store", promoted.store)
    assert (ran.code, "nobody has it" in ran.err) == (2, True)
    ran = upturn("forget", "nobody-1", "--store", str(promoted.root / "none.db"))
    assert (ran.code, "the store must exist" in ran.err) == (2, True)


def test_age(promoted: Promoted, upturn: Upturn):
    ran = upturn("expire", "--store", promoted.store, "--older-than", "5200w", "--json")
    assert (ran.code, ran.json["requests"], ran.json["found"]) == (0, 0, False)
    ran = upturn("expire", "--store", promoted.store, "--older-than", "6 months")
    assert (ran.code, "--older-than 180d" in ran.err) == (2, True)
