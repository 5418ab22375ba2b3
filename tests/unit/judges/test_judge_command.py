"""``upturn judge``: answers, exit codes, and files that break a rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upturn import cli


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """200 pairs; the judge follows people on 180, and stays with the first place on 20."""
    rows = []
    for i in range(200):
        human = ("first", "second")[i % 2]
        swapped = ("second", "first")[i % 2]
        said, then = ("first", "first") if i >= 180 else (human, swapped)
        rows.append(json.dumps({"id": i, "judge": said, "human": human, "swapped": then}))
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(rows))
    return path


def ran(capfd, *arguments: object) -> tuple[int, str, str]:
    code = cli.run([str(a) for a in arguments])
    return (code, *capfd.readouterr())


def test_it_shows_kappa_its_interval_and_what_sways_the_judge(labels, capfd):
    code, out, _ = ran(capfd, "judge", labels)
    lines = out.splitlines()
    assert (code, lines[0]) == (0, "CALIBRATED")
    assert "kappa 0.900 [0.8" in lines[1]
    assert "on 200 rows in 200 groups" in lines[1]
    assert "They agree on 95.0%; by chance it would be 50.0%." in lines[2]
    assert lines[3].startswith("- WARNING: The judge prefers the first place: of 200 pairs")


def test_json_is_all_of_it_and_the_standard_may_be_raised(labels, capfd):
    code, out, _ = ran(capfd, "judge", labels, "--min-kappa", 0.95, "--json")
    found = json.loads(out)
    assert (code, found["calibrated"]) == (3, False)
    assert found["agreement"]["kappa"] == pytest.approx(0.9)
    assert [b["name"] for b in found["biases"]] == ["position"]
    assert found["biases"][0]["share"] == 0.1


def test_the_judges_scores_may_stand_in_another_file(tmp_path, capfd):
    labels, scores = tmp_path / "labels.jsonl", tmp_path / "scores.jsonl"
    labels.write_text("\n".join(json.dumps({"id": i, "human": i % 2}) for i in range(60)))
    scores.write_text("\n".join(json.dumps({"id": i, "score": i % 2}) for i in range(90)))
    code, out, _ = ran(capfd, "judge", labels, "--scores", scores)
    assert (code, out.splitlines()[0]) == (0, "CALIBRATED")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "x", "judge": 1}', "human must be a number in [0, 1], true, false or a word"),
        ('{"id": "x", "judge": NaN, "human": 1}', "NaN is no JSON"),
    ],
)
def test_a_broken_line_is_exit_2_with_its_place(labels, capfd, line, told):
    labels.write_text(line)
    code, out, err = ran(capfd, "judge", labels)
    assert (code, out) == (2, "")
    assert f"{labels}:1: " in err
    assert told in err
    assert "Traceback" not in err


def test_a_weight_that_is_none_is_exit_2(labels, capfd):
    code, _, err = ran(capfd, "judge", labels, "--weights", "cubic")
    assert code == 2
    assert "weights must be none, linear or quadratic, got 'cubic'" in err
