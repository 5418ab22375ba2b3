"""Files of labels: what they may say, and what is told where they break a rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upturn.errors import DataError
from upturn.judges import Judged, Standard, calibrate, read_judged


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
    return path


def test_a_row_is_read_with_all_it_may_say(tmp_path):
    file = write(
        tmp_path / "l",
        {"id": 7, "judge": True, "human": 0.5, "group": "g", "again": 1, "length": 12},
        {"id": "b", "judge": 0, "human": 0},
    )
    first, second = read_judged(file)
    assert first == Judged(
        id="7", judge=1.0, human=0.5, group="g", again=1.0, swapped=None, length=12.0
    )
    assert (second.group, second.again, second.length) == ("b", None, None)


def test_the_judges_part_may_come_from_another_file(tmp_path):
    labels = write(tmp_path / "l", {"id": "a", "human": 1}, {"id": "b", "human": 0, "judge": 1})
    scores = write(tmp_path / "s", {"id": "a", "score": 0.5, "group": "g"}, {"id": "c", "score": 1})
    assert [r.judge for r in read_judged(labels, scores)] == [0.5, 1.0]


def test_an_unknown_id_is_named(tmp_path):
    labels = write(tmp_path / "l", {"id": "a", "human": 1}, {"id": "x", "human": 0})
    scores = write(tmp_path / "s", {"id": "a", "score": 1})
    with pytest.raises(DataError, match=r"id must have a score in .*s, 'x' has none") as caught:
        read_judged(labels, scores)
    assert caught.value.where == f"{labels}:2"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "a", "judge": NaN, "human": 1}', "NaN is no JSON"),
        ('{"id": "a", "judge": 1.5, "human": 1}', "judge must be a number in .0, 1."),
        ('{"id": "a", "judge": 1}', "human must be a number in .0, 1.*got None"),
        ('{"id": "a", "judge": 1, "humann": 1}', "did you mean human"),
        ('{"judge": 1, "human": 1}', "id must be a text"),
        ('{"id": "ok", "judge": 1, "human": 1}', "id must be given once, 'ok'"),
        ('{"id": "a", "judge": "yes", "human": "no"}', "verdicts of one kind"),
        (
            '{"id": "a", "judge": 1, "human": 1, "swapped": "first"}',
            "swapped belongs to a pairwise",
        ),
        ('{"id": "a", "judge": 1, "human": 1, "length": "long"}', "length must be a number"),
        ("[1]", "a line must be a JSON object"),
        ('{"id": "a"', "one whole JSON object"),
    ],
)
def test_a_broken_line_is_told(tmp_path, line, told):
    file = write(tmp_path / "l", {"id": "ok", "judge": 1, "human": 1}, line)
    with pytest.raises(DataError, match=told):
        read_judged(file)


def test_an_empty_file_a_missing_one_and_too_many_levels(tmp_path):
    with pytest.raises(DataError, match="at least one row, got none"):
        read_judged(write(tmp_path / "l"))
    with pytest.raises(DataError, match="the file must exist"):
        read_judged(tmp_path / "absent")
    rows = [{"id": i, "judge": i / 300, "human": 1} for i in range(300)]
    with pytest.raises(DataError, match=r"at most 101 levels, got 30\d different"):
        read_judged(write(tmp_path / "l", *rows))


def rows(right: int, wrong: int) -> list[Judged]:
    """Half yes, half no by people; the judge is wrong on some of each."""
    return [
        Judged(id=str(i), judge=float(i % 2 == 0) if i >= wrong else float(i % 2), human=float(
            i % 2 == 0), group=str(i))
        for i in range(right + wrong)
    ]  # fmt: skip


def test_calibrated_means_the_lower_end_and_enough_rows():
    good = calibrate(rows(190, 10), Standard())
    assert good.calibrated
    assert good.agreement.kappa == pytest.approx(0.9)
    # Kappa .7 is above .6, and on 60 rows it is not surely so.
    unsure = calibrate(rows(51, 9), Standard())
    assert unsure.agreement.kappa == pytest.approx(0.7, abs=0.01)
    assert not unsure.calibrated
    assert "does not surely agree with people: kappa 0.7" in unsure.why
    assert "on 60 rows in 60 groups, and the lower end must reach 0.6" in unsure.why
    few = calibrate(rows(40, 0), Standard())
    assert not few.calibrated
    assert "Only 40 rows have a human verdict, at least 50 are needed" in few.why


def test_one_class_is_undefined_and_never_calibrated():
    same = [Judged(id=str(i), judge=1.0, human=1.0, group=str(i)) for i in range(100)]
    found = calibrate(same, Standard(min_kappa=-1.0))
    assert not found.calibrated
    assert "Kappa is undefined: judge and people both gave the one verdict 1.0" in found.why


def test_words_have_no_weights():
    words = [Judged(id=str(i), judge="a", human="b", group=str(i)) for i in range(3)]
    with pytest.raises(DataError, match="weights quadratic need verdicts that are numbers"):
        calibrate(words, Standard(weights="quadratic"))
