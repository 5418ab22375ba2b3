"""A metric that is a judge: refused before a call, allowed and said, overruled by people."""

from __future__ import annotations

import json

import pytest

from tests.pipeline.conftest import CONFIG, PROGRAM, Project
from tests.pipeline.faults import champion, run
from upturn.errors import ConfigError, DataError

LABELS = "gate.judge={labels: labels.jsonl}"
ALLOWED = "gate.judge={labels: labels.jsonl, uncalibrated: allow}"

#: The judge prefers what is right. People scored the rows of a third of the messages.
JUDGED = PROGRAM.replace(
    'return {"score": example.team == prediction.team,',
    'seen = sum(map(ord, example.message)) % 3 == 0\n    right = example.team == prediction.team\n'
    '    return {"score": right, "human": PEOPLE if seen else None,',
)  # fmt: skip


def labels(project: Project, *, right: int, wrong: int, **more: object) -> None:
    rows = [
        {"id": i, "judge": float(i % 2 == (i >= wrong)), "human": float(i % 2), **more}
        for i in range(right + wrong)
    ]
    path = project.root / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))


def judged(make_project, people: str) -> Project:
    return make_project(program=JUDGED.replace("PEOPLE", people), config=CONFIG)


def test_a_judge_that_agrees_with_people_gates_without_a_word(project):
    labels(project, right=190, wrong=10)
    result = run(project, LABELS)
    assert result.verdict == "PROMOTE"
    assert "Read first" not in project.tracker.turn.decision


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        (51, 9, "kappa 0.700 [0.5"),
        (40, 0, "Only 40 rows have a human verdict, at least 50 are needed"),
    ],
)
def test_an_uncalibrated_judge_is_refused_before_anything_is_paid(project, right, wrong, why):
    labels(project, right=right, wrong=wrong)
    with pytest.raises(ConfigError) as caught:
        run(project, LABELS)
    assert why in caught.value.what
    assert caught.value.where == "gate.judge"
    assert "upturn judge labels.jsonl" in caught.value.fix
    assert project.engine.calls == 0
    assert not (project.root / "mlruns").exists()


def test_a_judge_that_nobody_compared_with_people_is_refused(project):
    with pytest.raises(ConfigError, match="Nobody compared it with people"):
        run(project, "gate.judge={}")
    with pytest.raises(DataError, match="the file must exist"):
        run(project, LABELS)
    assert project.engine.calls == 0


def test_where_it_is_allowed_the_report_says_so_first(project):
    labels(project, right=51, wrong=9, again=0.0)
    result = run(project, ALLOWED)
    assert result.verdict == "PROMOTE"
    told = project.tracker.turn.decision.split("Read first:")
    assert "The metric is a judge that is not calibrated. The judge does not surely" in told[1]
    assert "Asked the same twice, the judge changed" in told[2]
    assert told[0].count("\n") <= 4  # nothing but the heading comes before


def test_more_labels_are_no_new_question(project):
    labels(project, right=190, wrong=10)
    assert run(project, LABELS).verdict == "PROMOTE"
    settled = run(project, LABELS)
    labels(project, right=191, wrong=10)
    again = run(project, LABELS)
    assert (again.turn, again.repeated, settled.repeated) == (settled.turn, True, False)
    # What people say of rows of the holdout may change the verdict: naming it is a question.
    other = "gate.judge={labels: labels.jsonl, human: gold}"
    assert run(project, other).turn != settled.turn


def test_a_gain_that_people_do_not_see_is_no_release(make_project):
    project = judged(make_project, "not right")
    labels(project, right=190, wrong=10)
    result = run(project, LABELS)
    assert result.verdict == "HOLD"
    assert result.effect > 0.1
    assert "People do not see the judge's gain" in result.reasons[0]
    assert champion(project) == "1"


def test_a_gain_that_people_see_too_is_released(make_project):
    project = judged(make_project, "right")
    labels(project, right=190, wrong=10)
    assert run(project, LABELS).verdict == "PROMOTE"


def test_a_part_called_human_means_nothing_where_the_metric_is_no_judge(make_project):
    assert run(judged(make_project, "not right")).verdict == "PROMOTE"
