"""What each command answers on a project that has run one turn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.surface.conftest import NOBODY, Finished, Upturn, serving
from upturn.export import verify
from upturn.pipeline.workspace import Workspace, read_json, write_json

RUN_KEYS = {
    "verdict",
    "effect",
    "low",
    "high",
    "n",
    "looks",
    "calls",
    "cached_calls",
    "seconds",
    "version",
}


def test_run_gives_the_recorded_answer_without_a_call(finished: Finished, upturn: Upturn):
    ran = upturn("run", finished.config, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) >= RUN_KEYS
    assert ran.json["repeated"] is True
    assert ran.json["calls"] == ran.json["cached_calls"] == 0
    first = finished.first
    for key in ("turn", "verdict", "effect", "low", "high", "n", "looks", "version"):
        assert ran.json[key] == getattr(first, key)
    assert (first.verdict, first.version, first.promoted) == ("PROMOTE", "2", False)


def test_run_speaks_on_stderr_and_answers_on_stdout(finished: Finished, upturn: Upturn):
    ran = upturn("run", finished.config)
    assert "PROMOTE" in ran.out
    assert "nothing was run or spent now" in ran.out
    lines = ran.err.splitlines()
    assert [line[9:].split()[0] for line in lines] == ["snapshot", "known"]
    assert all(line.startswith("[") for line in lines)


def test_run_strict_is_content_with_a_promotion_and_not_with_a_hold(
    finished: Finished, upturn: Upturn
):
    assert upturn("run", finished.config, "--strict").code == 0
    record = finished.workspace / "turns" / finished.first.turn / "result.json"
    _rewrite(record, verdict="HOLD", promoted=False)
    held = upturn("run", finished.config, "--strict", "--json")
    assert (held.code, held.json["verdict"]) == (3, "HOLD")
    assert upturn("run", finished.config, "--json").code == 0


def _rewrite(record: Path, **changes: object) -> None:
    write_json(record, {**read_json(record), **changes})


def test_history_tells_looks_and_decisions(finished: Finished, upturn: Upturn):
    told = upturn("history", "--json").json
    assert (told["promotions"], told["looks"], told["rollbacks"]) == (0, 1, 0)
    assert [e["kind"] for e in told["entries"]] == ["adoption", "look", "decision"]
    nobody = upturn("history", "nobody", "--json")
    assert (nobody.code, nobody.out) == (2, "")
    assert "got 'nobody'" in nobody.err
    shown = upturn("history", "tickets").out
    assert f"PROMOTE {finished.first.effect:+.3f}" in " ".join(shown.split())


def test_ls_lists_configs_snapshots_turns_and_versions(finished: Finished, upturn: Upturn):
    found = upturn("ls", "--json").json
    assert found["configs"] == ["configs/tickets.yaml"]
    assert found["snapshots"] == [finished.first.snapshot[:12]]
    assert [t["turn"] for t in found["turns"]] == [finished.first.turn]
    versions = {v["version"]: (v["champion"], v["verdict"]) for v in found["versions"]}
    assert versions == {"1": (True, ""), "2": (False, "PROMOTE")}
    shown = upturn("ls").out
    assert "champion" in shown
    assert "as written" in shown


def test_ls_works_in_an_empty_folder_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upturn: Upturn
):
    monkeypatch.chdir(tmp_path)
    empty = {"configs": [], "snapshots": [], "turns": [], "versions": [], "unsettled": {}}
    assert upturn("ls", "--json").json == empty
    assert "none yet" in upturn("ls").out
    assert list(tmp_path.iterdir()) == []


def test_ls_and_export_do_not_wait_for_a_run_and_promote_refuses(
    finished: Finished, upturn: Upturn
):
    with Workspace(finished.workspace).locked():
        assert len(upturn("ls", "--json").json["versions"]) == 2
        assert upturn("export", "tickets", "--json").json["version"] == "1"
        refused = upturn("promote", "tickets", "2")
    assert (refused.code, refused.out) == (2, "")
    assert "another run holds this workspace" in refused.err


def test_promote_roll_back_and_what_the_ledger_keeps(finished: Finished, upturn: Upturn):
    promoted = upturn("promote", "tickets", "2", "--because", "looks good", "--json")
    assert promoted.json == {"program": "tickets", "champion": "2", "override": False}
    again = upturn("promote", "tickets", "2")
    assert again.code == 2
    assert "is the champion already" in again.err
    back = upturn("rollback", "tickets", "--because", "worse in use", "--json")
    assert back.json == {"program": "tickets", "champion": "1"}
    told = upturn("history", "tickets", "--json").json
    assert (told["promotions"], told["rollbacks"]) == (1, 1)
    moves = [
        (e["kind"], e["data"].get("previous"), e["data"]["version"], e["data"].get("reason"))
        for e in told["entries"]
        if e["kind"] in ("promotion", "rollback")
    ]
    assert moves == [
        ("promotion", "1", "2", "looks good"),
        ("rollback", "2", "1", "worse in use"),
    ]
    assert "worse in use" in upturn("history").out


def test_promote_refuses_what_no_gate_promoted(finished: Finished, upturn: Upturn):
    assert upturn("promote", "tickets", "2").code == 0
    refused = upturn("promote", "tickets", "1")
    assert (refused.code, refused.out) == (2, "")
    assert "was not promoted by a gate" in refused.err
    assert "--override --because" in refused.err
    forced = upturn("promote", "tickets", "1", "--override", "--because", "a test", "--json")
    assert forced.json["champion"] == "1"


def test_export_leaves_a_folder_that_loads_without_upturn(finished: Finished, upturn: Upturn):
    out = finished.root / "out"
    told = upturn("export", "tickets", "--version", "2", "--out", out, "--json").json
    assert told == {"program": "tickets", "version": "2", "folder": str(out)}
    manifest = verify(out)
    assert (manifest["program"], manifest["version"]) == ("tickets", "2")
    code = (
        "import sys, json; sys.path.insert(0, 'programs'); import triage; "
        "p = triage.TicketTriage(); p.load('out/program.json'); "
        "print(json.dumps([p.triage.signature.instructions, len(p.triage.demos)])); "
        "assert not any(m.startswith('upturn') for m in sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    state = json.loads((out / "candidate.json").read_text())["states"]["triage"]
    assert json.loads(loaded.stdout) == [state["instruction"], len(state["demos"])]
    assert upturn("export", "tickets", "--version", "2", "--out", out).code == 0


def test_export_overwrites_nothing_else(finished: Finished, upturn: Upturn):
    out = finished.root / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep me")
    refused = upturn("export", "tickets", "--out", out)
    assert (refused.code, refused.out) == (2, "")
    assert "never overwrites" in refused.err
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_ui_links_lead_to_the_port_that_was_asked_for(finished: Finished, upturn: Upturn):
    shown = upturn("ui", "--links", "--port", "5055")
    assert shown.code == 0
    urls = [w for w in shown.out.split() if w.startswith("http")]
    assert len(urls) == len(finished.first.links) >= 2
    assert all(u.startswith("http://127.0.0.1:5055/#") for u in urls)


def test_compare_pays_only_for_what_is_new(finished: Finished, upturn: Upturn):
    with serving() as server:
        finished.config.write_text(finished.config.read_text().replace(NOBODY, server.base))
        told = upturn("compare", "seed", "2", "--json").json
        paid = server.calls
        again = upturn("compare", "champion", "2", "--json").json
    assert told["effect"] == pytest.approx(told["b"]["score"] - told["a"]["score"])
    assert told["low"] < told["effect"] < told["high"]
    assert told["effect"] > 0.1
    assert told["n"] > 50
    assert told["calls"] == paid - 1  # the probe is no row's
    assert (again["calls"], again["effect"]) == (0, told["effect"])
    assert any(line.startswith(("+", "triage")) for line in told["patch"])
