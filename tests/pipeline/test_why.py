"""From a shipped release back to the exact feedback events, also after something was forgotten."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import NOW, PROGRAM, Project, events
from tests.pipeline.forgetting import STORE_CONFIG, fill
from upturn.events import Feedback
from upturn.ledger import Ledger
from upturn.pipeline.forgetting import forget
from upturn.pipeline.lineage.events import Events, open_events
from upturn.pipeline.lineage.text import lines
from upturn.pipeline.lineage.why import explain_version
from upturn.pipeline.releases.diff import diff_versions
from upturn.pipeline.turn import run_turn
from upturn.pipeline.world import mlflow_store
from upturn.registry import MlflowRegistry
from upturn.store import FeedbackStore
from upturn.testing.tracker import migrated_store
from upturn.tracking.mlflow_store import open_store

SMALL = ("search.n_trials=6", "search.evaluations=400")


@dataclass(frozen=True)
class Shipped:
    """A project whose first turn was promoted on the real registry."""

    project: Project

    @property
    def workspace(self) -> Path:
        return self.project.root / "mlruns"

    def why(self, version: str = "champion", found: Events | None = None) -> dict[str, Any]:
        store = open_store(self.workspace)
        entries = Ledger(self.workspace / "ledger.jsonl", clock=lambda: NOW).entries()
        try:
            with open_events("tickets", self.project.config) as from_config:
                return explain_version(
                    "tickets",
                    version,
                    registry=MlflowRegistry(store),
                    entries=entries,
                    snapshots=self.workspace / "snapshots",
                    events=found or from_config,
                )
        finally:
            store.close()

    def forget(self, identity: str) -> None:
        with FeedbackStore.open(str(self.project.root / "feedback.db")) as store:
            forget(identity, store=store, folder=self.workspace, pseudonyms=None, clock=lambda: NOW)


def ship(project: Project, cache: Path, *overrides: str) -> Shipped:
    migrated_store(cache, project.root / "mlruns").close()
    world = replace(project.world(), store=mlflow_store)
    result = run_turn(project.parts(*SMALL, *overrides), world)
    assert (result.verdict, result.promoted) == ("PROMOTE", True)
    return Shipped(project)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp().parent / "mlflow"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Shipped, Path]:
    """A shipped release on a feedback store, and an untouched copy of its files."""
    root = tmp_path_factory.mktemp("why") / "project"
    for name, text in (("programs/triage.py", PROGRAM), ("configs/tickets.yaml", STORE_CONFIG)):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    fill(root, events())
    made = ship(Project(root=root), cache)
    shutil.copytree(root, root.with_name("pristine"))
    return made, root.with_name("pristine")


@pytest.fixture
def shipped(built: tuple[Shipped, Path]) -> Shipped:
    """The release as it was shipped: MLflow keeps absolute paths, so files go back in place."""
    made, pristine = built
    shutil.rmtree(made.project.root)
    shutil.copytree(pristine, made.project.root)
    return made


def all_rows(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in told["parts"]:
        yield from part.get("rows", ())
        for demo in part.get("demos", ()):
            yield from demo["rows"]


def demos_of(told: dict[str, Any]) -> dict[str, Any]:
    (part,) = [p for p in told["parts"] if p["kind"] == "demos"]
    return part


def said_of(request_id: str) -> Feedback:
    found = [e for e in events() if isinstance(e, Feedback) and e.request_id == request_id]
    (only,) = found
    return only


def test_a_release_leads_to_the_exact_feedback_also_after_forgetting(shipped):
    told = shipped.why()
    (release,) = told["releases"]
    assert (release["kind"], release["who"], release["previous"]) == ("promotion", "tester", "1")
    assert told["decision"]["verdict"] == "PROMOTE"
    assert told["decision"]["against"] == "1"
    assert told["decision"]["look"]["number"] == 1
    assert told["snapshot"]["there"]
    assert told["snapshot"]["sizes"]["train"] > 50
    demos = demos_of(told)["demos"]
    assert len(demos) >= 2
    for demo in demos:
        (row,) = demo["rows"]
        request, said = row["events"]
        source = said_of(row["row"])
        assert row["split"] == "train"
        assert row["label"]["team"] == demo["demo"]["team"]
        assert (request["kind"], request["id"], request["status"]) == (
            *("request", row["row"], "found"),
        )
        assert request["who"] == f"cust-{int(row['row'][4:]) // 3:03d}"
        assert said == {
            **{"id": source.id, "kind": "feedback", "status": "found", "time": source.time},
            **{"who": source.rater, "role": "agent", "signal": "correction"},
            "value": source.value,
        }
    instruction = next(p for p in told["parts"] if p["kind"] == "instruction")
    assert instruction["rows"]
    assert told["events"]["missing"] == told["events"]["forgotten_rows"] == 0
    first = demos[0]
    gone = first["rows"][0]["row"]
    text = first["demo"]["message"]
    assert any(gone in line for line in lines(told))

    shipped.forget(gone)

    after = shipped.why()
    said = "\n".join(lines(after)) + json.dumps(after)
    assert gone not in said
    assert said_of(gone).id not in said
    assert text not in said
    assert after["stale"] == {"demos": 1}
    assert "STALE: 1 demos were forgotten" in "\n".join(lines(after))
    assert [f["requests"] for f in after["forgotten"]] == [1]
    assert after["snapshot"]["ids"][0] == told["snapshot"]["ids"][0]
    assert len(after["snapshot"]["ids"]) == 2
    left = demos_of(after)
    assert left["demos_forgotten"] == 1
    assert left["demos"] == demos[1:]  # the chain to the rest is as it was
    assert after["releases"] == told["releases"]
    assert after["decision"] == told["decision"]


def test_a_row_behind_an_instruction_is_forgotten_and_the_prompt_is_not_stale(shipped):
    told = shipped.why()
    shown = {r["row"] for d in demos_of(told)["demos"] for r in d["rows"]}
    instruction = next(p for p in told["parts"] if p["kind"] == "instruction")
    gone = next(r["row"] for r in instruction["rows"] if r["row"] not in shown)
    shipped.forget(gone)
    after = shipped.why()
    assert after["stale"] is None
    assert after["candidate"] == told["candidate"]
    assert gone not in json.dumps(after)
    rows = next(p for p in after["parts"] if p["kind"] == "instruction")["rows"]
    assert [r["status"] for r in rows].count("forgotten") == 1
    assert len(rows) == len(instruction["rows"])
    assert after["events"]["forgotten_rows"] == 1
    assert demos_of(after) == demos_of(told)
    assert "1 rows that were forgotten" in "\n".join(lines(after))


def test_events_that_are_no_longer_there_are_said_to_be_missing(shipped):
    (shipped.project.root / "feedback.db").unlink()
    fill(shipped.project.root, [e for e in events() if not isinstance(e, Feedback)])
    told = shipped.why()
    assert told["events"]["feedback"] == 0
    assert told["events"]["missing"] > 10
    assert "no longer in the events: fb-" in "\n".join(lines(told))
    unknown = shipped.why(found=Events(where="nowhere", known=False))
    assert unknown["events"]["requests"] == 0
    assert "not looked up" in "\n".join(lines(unknown))


def test_a_native_log_leads_there_too_and_parts_are_followed_through_versions(project, cache):
    shipped = ship(project, cache)
    first = shipped.why()
    assert first["events"]["where"] == "log.jsonl"
    assert first["events"]["feedback"] > 10
    # A version that keeps the prompt and adds a setting: its demos come from the one before.
    store = open_store(shipped.workspace)
    registry = MlflowRegistry(store)
    champion = registry.champion("tickets")
    assert champion is not None
    origins = json.loads(champion.files["origins.json"])
    for part in origins["parts"]:
        part["kept_from"], part["rows"] = champion.version, []
        kept = {"kept_from": champion.version, "rows": []}
        part["causes"] = [kept for _ in part.get("causes", ())]
    made = registry.register(
        replace(champion.candidate, settings={"temperature": 0.7}),
        program="tickets",
        turn="t2",
        report_json={"verdict": "PROMOTE"},
        files={"program.json": b"{}", "origins.json": json.dumps(origins).encode()},
        facts=dict(champion.manifest["facts"]),
    )
    diff = diff_versions(registry, "tickets", "champion", made)
    store.close()
    assert diff.settings == ("temperature: as configured -> 0.7",)
    assert diff.changes == ()
    told = shipped.why(made)
    assert told["releases"] == []
    assert told["decision"] is None
    shown = [{**d, "kept_from": ""} for d in demos_of(told)["demos"]]
    assert shown == demos_of(first)["demos"]
    assert {d["kept_from"] for d in demos_of(told)["demos"]} == {champion.version}
    instruction = next(p for p in told["parts"] if p["kind"] == "instruction")
    assert instruction["kept_from"] == champion.version
    assert instruction["rows"] == next(p for p in first["parts"] if p["kind"] != "demos")["rows"]


def test_the_program_as_written_was_caused_by_nobody(shipped):
    told = shipped.why("seed")
    assert (told["version"], told["decision"]) == ("1", None)
    assert [r["kind"] for r in told["releases"]] == ["adoption"]
    assert [p["origin"] for p in told["parts"]] == ["as written"]
    assert list(all_rows(told)) == []
    assert "searched on no snapshot" in "\n".join(lines(told))


def test_a_version_from_before_origins_were_written_down(shipped):
    told = shipped.why()
    store = open_store(shipped.workspace)
    registry = MlflowRegistry(store)
    champion = registry.champion("tickets")
    assert champion is not None
    version = registry.register(
        champion.candidate,
        program="tickets",
        turn="t-old",
        report_json={},
        files={"program.json": b"{}"},
        facts={"snapshot": champion.manifest["facts"]["snapshot"]},
    )
    store.close()
    old = shipped.why(version)
    assert [p["origin"] for p in old["parts"]] == ["not recorded", "not recorded"]
    rows = [d["rows"] for d in demos_of(old)["demos"]]
    assert rows == [d["rows"] for d in demos_of(told)["demos"]]
