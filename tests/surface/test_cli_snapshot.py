"""``upturn snapshot``: the old call, the diff of two snapshots, and the data card."""

from __future__ import annotations

from pathlib import Path

from tests.surface.conftest import Finished, Upturn


def test_a_config_is_frozen_with_and_without_the_word(finished: Finished, upturn: Upturn):
    short = upturn("snapshot", finished.config, "--json")
    assert short.code == 0, short.err
    assert short.json["id"] == finished.first.snapshot
    assert upturn("snapshot", "freeze", finished.config, "--json").json == short.json
    assert upturn("snapshot", "--json", finished.config).json == short.json
    shown = upturn("snapshot", finished.config)
    assert shown.out.startswith(f"snapshot {finished.first.snapshot[:12]} in ")
    assert [line.split()[0] for line in shown.out.splitlines()[2:5]] == ["dev", "holdout", "train"]


def test_help_names_all_three(upturn: Upturn):
    shown = upturn("snapshot", "--help")
    assert shown.code == 0
    listed = [line.split()[0] for line in shown.out.split("Commands:")[1].splitlines() if line]
    assert listed == ["freeze", "diff", "card"]
    assert upturn("snapshot", "diff", "--help").out.startswith("Usage: upturn snapshot diff ")


def test_the_diff_of_two_snapshots(finished: Finished, upturn: Upturn):
    first = finished.first.snapshot
    other = upturn("snapshot", finished.config, "seed=5", "--json").json
    found = upturn("snapshot", "diff", first[:12], other["id"], "--json").json
    assert (found["old"], found["new"], found["same"]) == (first, other["id"], False)
    assert found["rules"] == {"split.seed": {"before": 0, "after": 5}}
    assert found["added"] == found["removed"] == {"train": 0, "dev": 0, "holdout": 0}
    moved = found["moved"]
    assert isinstance(moved, list)
    assert {(m["from"], m["to"]) for m in moved} == {("train", "dev"), ("dev", "train")}
    shown = upturn("snapshot", "diff", first, other["folder"])
    assert "rows moved from train to dev" in shown.out
    assert "split.seed" in shown.out
    same = upturn("snapshot", "diff", first, first)
    assert same.out.splitlines()[1] == "the same rows under the same rules"


def test_a_card_is_written_as_markdown_and_html(finished: Finished, upturn: Upturn, tmp_path: Path):
    out = tmp_path / "new" / "card"
    made = upturn("snapshot", "card", finished.first.snapshot, "--out", out, "--json")
    assert made.code == 0, made.err
    assert made.json == {
        "snapshot": finished.first.snapshot,
        "markdown": str(out / "data_card.md"),
        "html": str(out / "data_card.html"),
    }
    assert (out / "data_card.html").read_text().startswith("<!doctype html>")
    told = upturn("snapshot", "card", finished.first.snapshot, "--out", out, "--title", "<b>mine")
    assert told.out.splitlines() == [
        f"wrote {out / 'data_card.md'}",
        f"wrote {out / 'data_card.html'}",
    ]
    assert "<h1>&lt;b&gt;mine</h1>" in (out / "data_card.html").read_text()
    assert (out / "data_card.md").read_text().startswith("# &lt;b&gt;mine\n")


def test_what_is_no_snapshot_is_bad_input(finished: Finished, upturn: Upturn, tmp_path: Path):
    for arguments in (
        ("diff", "nothing", finished.first.snapshot),
        ("card", "nothing", "--out", tmp_path),
    ):
        ran = upturn("snapshot", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "'nothing' must be a snapshot" in ran.err
        assert finished.first.snapshot[:12] in ran.err
    assert upturn("snapshot", "diff", finished.first.snapshot).code == 2
    (tmp_path / "file").write_text("in the way")
    blocked = upturn("snapshot", "card", finished.first.snapshot, "--out", tmp_path / "file")
    assert blocked.code == 2, blocked.err
    assert "Traceback" not in blocked.err
