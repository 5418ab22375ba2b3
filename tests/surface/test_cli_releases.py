"""Promote, approve, roll back, history, diff and why, as a person types them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.surface.conftest import Finished, Upturn
from upturn.pipeline.store import open_registry

PROGRAM = "tickets"


def move_alias(finished: Finished, version: str) -> None:
    """As somebody does in MLflow's UI."""
    with open_registry(finished.workspace) as registry:
        registry.set_champion(PROGRAM, version)


def test_a_staged_version_is_shown_and_approved_once(finished: Finished, upturn: Upturn):
    assert "upturn approve tickets" in finished.first.summary
    staged = {v["version"]: v["staged"] for v in upturn("ls", "--json").json["versions"]}
    assert staged == {"1": False, "2": True}
    assert "version 2 is staged" in upturn("history").out
    wrong = upturn("approve", PROGRAM, "1")
    assert (wrong.code, wrong.out) == (2, "")
    assert "must be the staged one, 2, got 1" in wrong.err
    done = upturn("approve", PROGRAM, "--because", "read the report", "--json")
    assert done.json == {"program": PROGRAM, "champion": "2"}
    again = upturn("approve", PROGRAM)
    assert again.code == 2
    assert "must be staged to be approved, none is" in again.err
    told = upturn("history", PROGRAM, "--json").json
    assert told["entries"][-1]["data"]["reason"] == "read the report"
    assert told["now"] == {PROGRAM: {"champion": "2", "staging": "", "unsettled": ""}}


def test_running_again_stages_nothing_that_was_approved(finished: Finished, upturn: Upturn):
    assert upturn("approve", PROGRAM).code == 0
    assert upturn("rollback", PROGRAM).code == 0
    again = upturn("run", finished.config, "--json")
    assert again.json["repeated"] is True
    assert upturn("approve", PROGRAM).code == 2


def test_an_override_needs_a_reason_and_is_loud_everywhere(finished: Finished, upturn: Upturn):
    assert upturn("approve", PROGRAM).code == 0
    silent = upturn("promote", PROGRAM, "1", "--override")
    assert (silent.code, silent.out) == (2, "")
    assert "--override must say why" in silent.err
    assert upturn("promote", PROGRAM, "1", "--override", "--because", "  ").code == 2
    loud = upturn("promote", PROGRAM, "1", "--override", "--because", "the customer <b>insists</b>")
    assert loud.code == 0
    assert "OVERRIDE" in loud.out
    shown = upturn("history", PROGRAM).out
    assert "OVERRIDE" in shown
    assert "promotions: 2 (1 OVERRIDE)" in shown
    assert upturn("history", "--json").json["overrides"] == 1
    versions = {v["version"]: v["override"] for v in upturn("ls", "--json").json["versions"]}
    assert versions == {"1": "the customer <b>insists</b>", "2": ""}
    told = upturn("why", PROGRAM, "--json").json
    assert [r["override"] for r in told["releases"]] == [False, True]


def test_history_of_a_local_registry_waits_for_no_mlflow(finished: Finished):
    code = (
        "import sys; from upturn import cli; assert cli.run(['history', '--json']) == 0; "
        "sys.stderr.write(str('mlflow' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "False"
    assert json.loads(done.stdout)["now"][PROGRAM]["staging"] == "2"


def test_history_is_readable_in_a_hundred_columns(finished: Finished, upturn: Upturn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert upturn("approve", PROGRAM, "--because", "a reason " * 20).code == 0
    lines = upturn("history", PROGRAM).out.splitlines()
    assert max(map(len, lines)) <= 100
    (move,) = [line for line in lines if "promoted 1 -> 2" in line]
    assert f"{finished.first.effect:+.3f}" in move
    assert move.startswith("20")


def test_an_alias_moved_in_the_ui_is_told_and_refused(finished: Finished, upturn: Upturn):
    move_alias(finished, "2")
    told = upturn("history", "--json").json["now"][PROGRAM]
    assert told["champion"] == "2"
    assert "must name version 1" in told["unsettled"]
    assert "must name version 1" in upturn("ls", "--json").json["unsettled"][PROGRAM]
    for command in (
        ("run", finished.config),
        ("approve", PROGRAM),
        ("promote", PROGRAM, "2"),
        ("rollback", PROGRAM),
    ):
        refused = upturn(*command)
        assert (refused.code, refused.out) == (2, ""), command
        assert "moved outside of Upturn" in refused.err
        assert "upturn rollback tickets --to 1" in refused.err
        assert "upturn promote tickets 2 --override" in refused.err
    assert upturn("rollback", PROGRAM, "--to", "1", "--because", "put back").code == 0
    assert upturn("history", "--json").json["now"][PROGRAM]["unsettled"] == ""
    move_alias(finished, "2")
    kept = upturn("promote", PROGRAM, "2", "--override", "--because", "it is fine", "--json")
    assert kept.json == {"program": PROGRAM, "champion": "2", "override": True}
    assert upturn("ls", "--json").json["unsettled"] == {}


def test_a_version_whose_files_went_is_refused_and_the_champion_stays(
    finished: Finished, upturn: Upturn
):
    with open_registry(finished.workspace) as registry:
        candidate = registry.load(PROGRAM, "2").candidate.id
    (folder,) = {
        p.parent
        for p in finished.workspace.glob("artifacts/**/manifest.json")
        if json.loads(p.read_text())["candidate"] == candidate
    }
    shutil.rmtree(folder)
    for command in (("approve", PROGRAM), ("why", PROGRAM, "2"), ("diff", PROGRAM, "1", "2")):
        refused = upturn(*command)
        assert (refused.code, refused.out) == (2, ""), command
        assert "version 2" in refused.err
    assert upturn("history", "--json").json["now"][PROGRAM]["champion"] == "1"


def test_a_version_whose_files_were_changed_is_refused(finished: Finished, upturn: Upturn):
    paths = list(finished.workspace.glob("artifacts/**/origins.json"))
    assert len(paths) == 1
    paths[0].write_text(paths[0].read_text().replace("req-", "req_"))
    refused = upturn("approve", PROGRAM)
    assert (refused.code, refused.out) == (2, "")
    assert "origins.json must have sha256" in refused.err


def test_names_of_versions(finished: Finished, upturn: Upturn):
    for name in ("9", "latest", "champion"):
        refused = upturn("promote", PROGRAM, name)
        assert (refused.code, refused.out) == (2, "")
        assert f"got '{name}'" in refused.err
    assert "got 'no-such'" in upturn("why", PROGRAM, "no-such").err
    assert "has no champion" in upturn("rollback", "nobody").err
    assert upturn("rollback", PROGRAM).code == 2
    same = upturn("diff", PROGRAM, "seed", "champion", "--json").json
    assert (same["a"]["version"], same["b"]["version"], same["changes"]) == ("1", "1", [])
    assert upturn("approve", PROGRAM).code == 0
    nothing = upturn("diff", PROGRAM, "staging", "champion")
    assert (nothing.code, nothing.out) == (2, "")
    assert "named 'staging', it has none" in nothing.err


def test_diff_tells_prompts_and_scores_without_a_model(finished: Finished, upturn: Upturn):
    told = upturn("diff", PROGRAM, "seed", "staging", "--json").json
    assert told["compared"]["effect"] == finished.first.effect
    assert told["a"]["score"] == finished.first.baseline_score
    assert told["b"]["score"] == finished.first.challenger_score
    shown = upturn("diff", PROGRAM, "1", "2").out
    (change,) = told["changes"]
    assert len(change["added"]) + len(change["instruction"]) > 0
    for line in change["instruction"]:
        assert f"  {line}" in shown
    back = upturn("diff", PROGRAM, "2", "1", "--json").json
    assert [c["removed"] for c in back["changes"]] == [change["added"]]


def test_why_leads_to_feedback_in_the_log(finished: Finished, upturn: Upturn):
    told = upturn("why", PROGRAM, "staging", "--json").json
    assert (told["version"], told["aliases"], told["releases"]) == ("2", ["staging"], [])
    assert told["decision"]["effect"] == finished.first.effect
    assert told["events"]["feedback"] > 0
    shown = upturn("why", PROGRAM, "2").out
    assert "correction" in shown
    assert "(agent), event fb-" in shown
    elsewhere = upturn("why", PROGRAM, "2", "--config", "configs/other.yaml")
    assert (elsewhere.code, elsewhere.out) == (2, "")
    Path("log.jsonl").unlink()
    without = upturn("why", PROGRAM, "2", "--json").json
    assert "could not be followed" in without["events"]["where"]
    assert without["events"]["unknown"] > 0


def test_a_bundle_tells_nobody_whose_requests_it_was_made_of(finished: Finished, upturn: Upturn):
    out = finished.root / "out"
    assert upturn("export", PROGRAM, "--version", "2", "--out", out).code == 0
    assert (out / "candidate.json").exists()
    assert not (out / "origins.json").exists()
    assert all("fb-00" not in p.read_text(errors="replace") for p in out.rglob("*") if p.is_file())
