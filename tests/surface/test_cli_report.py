"""``upturn report`` and ``upturn compare``: which report is meant, and files that are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.surface.conftest import NOBODY, Finished, Upturn, serving
from tests.unit.report.test_report_texts import Tags
from upturn.pipeline.reports import RECORD, read_document, refresh
from upturn.pipeline.workspace import read_json, write_json


def test_a_turn_is_named_by_its_first_letters_its_version_or_its_program(
    finished: Finished, upturn: Upturn
):
    turn = finished.first.turn
    answers = [
        upturn("report", name, "--json").json for name in (turn, turn[:5], "tickets", "tickets@2")
    ]
    assert [a["turn"]["turn"] for a in answers] == [turn] * 4
    assert answers[0]["turn"]["gate"]["verdict"] == "PROMOTE"
    told = upturn("report", turn[:5])
    assert told.code == 0
    assert told.out.startswith("PROMOTE  tickets")
    assert f"turns/{turn}/report.html" in told.out


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".html", "<!doctype html>"), (".md", "## PROMOTE: tickets"), (".json", "{")],
)
def test_the_suffix_says_what_is_written(finished: Finished, upturn: Upturn, suffix, start):
    out = finished.root / f"told{suffix}"
    assert upturn("report", "tickets", "--out", out).code == 0
    assert out.read_text().lstrip().startswith(start)
    if suffix == ".json":
        assert json.loads(out.read_text())["overrides"] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing"], "there must be a turn, a version or a program of this name, got 'nothing'"),
        (["tickets@1"], "version 1 was adopted as written"),
        (["tickets@99"], "99"),
        (["tickets", "--out", "told.pdf"], "--out must end in .html or .md or .json"),
        (["tickets", "--workspace", "absent"], "this workspace has no turns yet"),
    ],
)
def test_what_is_not_there_is_exit_2(finished: Finished, upturn: Upturn, words, told):
    ran = upturn("report", *words)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_a_promotion_without_the_gates_word_is_the_first_line(finished: Finished, upturn: Upturn):
    assert upturn("promote", "tickets", "2", "--because", "gate said so").code == 0
    assert upturn("report", "tickets@2").out.startswith("PROMOTE")
    assert upturn("rollback", "tickets", "--because", "worse").code == 0
    done = upturn("promote", "tickets", "2", "--override", "--because", "<b>I know better</b>")
    assert done.code == 0, done.err
    assert upturn("report", "tickets@2").out.startswith("OVERRIDE: version 2 was promoted on ")
    out = finished.root / "told.html"
    assert upturn("report", "tickets", "--out", out).code == 0
    text = Tags(out.read_text()).text
    assert "<b>I know better</b>" in text
    assert text.index("Override:") < text.index("The challenger is better")


def test_a_page_is_made_anew_when_its_record_was_changed(finished: Finished):
    folder = finished.workspace / "turns" / finished.first.turn
    page = (folder / "report.html").read_text()
    assert refresh(finished.workspace) == []
    record = read_json(folder / RECORD)
    assert record["fixed"], "a promotion fixed rows"
    first = record["fixed"][0]["example_id"]
    assert first in page
    write_json(folder / RECORD, {**record, "fixed": record["fixed"][1:]})
    assert refresh(finished.workspace / "turns") == [folder / RECORD]
    assert first not in (folder / "report.html").read_text()
    assert refresh(finished.workspace / "turns") == []


def test_the_record_is_what_the_page_shows(finished: Finished):
    folder = finished.workspace / "turns" / finished.first.turn
    made = read_document(folder / RECORD)
    assert made.turn.gate is not None
    assert made.tally is not None
    assert made.tally.known == made.turn.gate.n == finished.first.n
    facts = made.origin.facts
    assert (facts["snapshot"], facts["seed"]) == (finished.first.snapshot, "0")
    assert (folder / made.origin.data_card).exists()
    logged = list((finished.workspace / "artifacts").rglob("search.svg"))
    assert len(logged) == 1


def test_compare_takes_many_versions_and_overrides(finished: Finished, upturn: Upturn):
    page = finished.root / "compared.html"
    with serving() as server:
        finished.config.write_text(finished.config.read_text().replace(NOBODY, server.base))
        ran = upturn(
            "compare", "seed", "champion", "2", "model.concurrency=2", "--out", page, "--json"
        )
        shown = upturn("compare", "seed", "2")
    assert ran.code == 0, ran.err
    told = ran.json
    names = [(s["name"], s["effect"]) for s in told["sides"]]
    assert [n for n, _ in names] == ["champion", "2"]
    assert names[0][1] == told["effect"] == 0.0  # the first champion is the program as written
    second = told["sides"][1]
    assert second["low"] < second["effect"] < second["high"]
    counts = second["tally"]
    assert counts["wins"] + counts["losses"] + counts["ties"] == second["n"]
    assert counts["gained"] - counts["lost"] == pytest.approx(second["effect"] * second["n"])
    text = Tags(page.read_text()).text
    for part in ("This is no verdict", "Rows on which 2 is better", "Nothing differs."):
        assert part in text
    assert "Each against seed, intervals at 90 %" in shown.out
    assert f"{counts['wins']} / {counts['losses']} / {counts['ties']}" in shown.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seed"], "there must be at least two versions to compare, got 1"),
        (["seed", "2", "--out", "x.pdf"], "--out must end in .html or .json"),
        (["seed", "2", "model.concurency=2"], "did you mean concurrency?"),
    ],
)
def test_compare_says_what_is_wrong_before_it_runs(finished: Finished, upturn: Upturn, words, told):
    ran = upturn("compare", *words)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


def test_evaluate_writes_rows_that_the_gate_reads(
    finished: Finished, upturn: Upturn, tmp_path: Path
):
    with serving() as server:
        finished.config.write_text(finished.config.read_text().replace(NOBODY, server.base))
        for version in ("seed", "2"):
            rows = tmp_path / f"{version}.jsonl"
            ran = upturn(
                "evaluate", finished.config, "--version", version, "--rows", rows, "--json"
            )
            assert ran.code == 0, ran.err
            assert ran.json["rows"] == len(rows.read_text().splitlines()) > 50
    sides = ("--baseline", tmp_path / "seed.jsonl", "--challenger", tmp_path / "2.jsonl")
    assert upturn("gate", *sides, "--json").json["verdict"] == "PROMOTE"


def test_evaluate_writes_no_half_file_when_the_model_is_away(finished: Finished, upturn: Upturn):
    rows = finished.root / "rows.jsonl"
    ran = upturn("evaluate", finished.config, "--rows", rows)
    assert ran.code != 0
    assert not rows.exists()
    assert "Traceback" not in ran.err
