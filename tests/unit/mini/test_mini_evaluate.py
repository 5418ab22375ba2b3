"""The evaluation: what a row is, how an answer is read, what the tables say."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("torch")

from upturn.errors import DataError
from upturn.mini import weights_dir
from upturn.mini.benchmark import Benchmark, Cell
from upturn.mini.evaluate import Evaluator, cells, main, parse, score
from upturn.mini.tables import markdown

pytestmark = [pytest.mark.local, pytest.mark.usefixtures("one_thread")]

_TOPICS = {
    "lost_parcel": "where is my parcel it never arrived at my door",
    "double_charge": "i was charged twice for the same order please refund",
    "login_failed": "the app does not let me sign in with my password",
    "change_address": "how can i change the street in my account",
}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    rng = random.Random(0)
    return [
        {"text": " ".join(rng.sample(text.split(), 5)) + rng.choice(["", "?"]), "intent": label}
        for label, text in _TOPICS.items()
        for _ in range(40)
    ]


@pytest.fixture(scope="module")
def data(rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator(weights_dir())


def test_rows_hold_what_the_cell_says(data: Path) -> None:
    cell = Cell(real=False, defined=True, demos=6, ways=3, fields=2)
    for episode in Benchmark.read(data).episodes(cell, rows=30, seed=3):
        texts = [t.text for t in episode.turns]
        names = [t.answers[0].value for t in episode.turns[:-1]]
        assert len(set(texts)) == 7, "a demo never repeats, and never is the question"
        assert sorted(names.count(n) for n in set(names)) == [2, 2, 2]
        assert all(f"\n        {n}: " in episode.system for n in set(names))
        assert [a.field for a in episode.turns[-1].answers] == ["team", "priority"]
        assert " The priority is '" in episode.system


def test_cells_share_their_texts(data: Path) -> None:
    benchmark = Benchmark.read(data)

    def asked(cell: Cell) -> list[str]:
        return [e.turns[-1].text for e in benchmark.episodes(cell, rows=20, seed=1)]

    one = asked(Cell(real=True, defined=False, demos=3, ways=3))
    two = asked(Cell(real=True, defined=True, demos=3, ways=3, fields=2))
    assert all(b.startswith(a) for a, b in zip(one, two, strict=True))


def test_keywords_are_the_class_own(data: Path) -> None:
    words = Benchmark.read(data).words
    assert set(words["lost_parcel"]) < set(_TOPICS["lost_parcel"].split())
    assert {len(w) for w in words.values()} == {4}


def test_only_the_exact_format_is_read() -> None:
    good = "[[ ## a ## ]]\nx y\n\n[[ ## b ## ]]\nz\n\n[[ ## completed ## ]]\n<|end|>\n"
    assert parse(good, ["a", "b"]) == {"a": "x y", "b": "z"}
    assert parse(good, ["a"]) == {"a": "x y\n\n[[ ## b ## ]]\nz"}, "one field is not an option"
    assert parse(good.removesuffix("<|end|>\n"), ["a", "b"]) == {}
    assert parse("x y", ["a"]) == {}


def test_scores_count_each_field(data: Path) -> None:
    cell = Cell(real=True, defined=False, demos=0, ways=2, fields=2)
    episodes = Benchmark.read(data).episodes(cell, rows=4, seed=1)
    right = [{a.field: a.value for a in e.turns[-1].answers} for e in episodes]
    answers = [right[0], {**right[1], "priority": "none such"}, {}, right[3]]
    result = score(cell, episodes, answers)
    assert result.accuracy == {"team": 0.75, "priority": 0.5}
    assert (result.all_right, result.format, result.n) == (0.5, 0.5, 4)


def test_batches_answer_like_single_prompts(data: Path, evaluator: Evaluator) -> None:
    benchmark, episodes = Benchmark.read(data), []
    for demos in (0, 1, 2, 3):
        cell = Cell(real=demos % 2 == 0, defined=demos > 1, demos=demos, ways=2, fields=1)
        episodes += benchmark.episodes(cell, rows=(15, 13, 12, 10)[demos], seed=demos)
    alone, together = [], []
    for size, answers in ((1, alone), (16, together)):
        evaluator.batch = size
        answers += evaluator.answers(episodes)
    assert len(alone) == 50
    assert together == alone
    assert sum(bool(a) for a in alone) >= 45, "the model answers in the format"


def test_demos_help(data: Path, evaluator: Evaluator) -> None:
    benchmark = Benchmark.read(data)
    shares = []
    for demos in (0, 8):
        cell = Cell(real=False, defined=False, demos=demos, ways=2)
        episodes = benchmark.episodes(cell, rows=40, seed=2)
        shares.append(score(cell, episodes, evaluator.answers(episodes)).all_right)
    assert shares[0] < 0.7 < shares[1], shares


def test_command_writes_and_continues(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cells.json"
    arguments = ["--data", str(data), "--rows", "4", "--ways", "2", "--fields", "1"]
    arguments += ["--demos", "0,1", "--threads", "1", "--json", str(out)]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert "n = 4 a cell" in table
    assert table.count("\n| ") == 5
    body = json.loads(out.read_text())
    assert len(body["cells"]) == 8
    body["cells"][0]["accuracy"]["team"] = 0.123  # a cell that is there is not measured again
    out.write_text(json.dumps(body))
    assert main(arguments) == 0
    assert "| .123 / " in capsys.readouterr().out
    assert main([*arguments, "--seed", "12"]) == 2
    assert "continued only with the settings" in capsys.readouterr().err


def test_bad_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "intent": "b"}\n{"text": "a"}\n')
    with pytest.raises(DataError, match="a line must be") as caught:
        Benchmark.read(path)
    assert caught.value.where == f"{path}:2"


def test_two_field_table() -> None:
    cell = Cell(real=False, defined=False, demos=3, ways=5, fields=2)
    right = {"team": 0.5, "priority": 0.25}
    result = {"cell": asdict(cell), "n": 400, "accuracy": right, "all_right": 0.2, "format": 1.0}
    assert markdown([result]) == (
        "Accuracy of `team`, of `priority`, of both / exact format; n = 400 a cell; "
        "standard error at most 0.025.\n\n"
        "| 5 classes, two fields (chance 0.20) | 3 demos |\n|---|---|\n"
        "| arbitrary names (`K7`) | .500, .250, .200 / 1.00 |"
    )


def test_cells_cover_the_table() -> None:
    assert len(set(cells((5, 3), (1, 2), (0, 3, 5, 10, 16)))) == 80
