"""A metric's answer is a score, None, or an error that names the metric; never a silent zero."""

import math
from types import SimpleNamespace

import pytest

from upturn.errors import MetricError
from upturn.metrics import Metric


def judged(answer):
    metric = Metric(function=lambda example, prediction: answer, name="m.py:metric")
    return metric(SimpleNamespace(), SimpleNamespace(), example_id="r1")


@pytest.mark.parametrize(
    ("answer", "value"), [(True, 1.0), (False, 0.0), (0.25, 0.25), (1, 1.0), (None, None)]
)
def test_plain_answers(answer, value):
    assert judged(answer).value == value


def test_a_mapping_gives_parts():
    score = judged({"score": 0.5, "team": True, "priority": 0, "absent": None})
    assert score.value == 0.5
    assert score.parts == {"team": 1.0, "priority": 0.0}


def test_a_mapping_may_leave_the_row_unscored():
    assert judged({"score": None, "team": 1}).value is None


@pytest.mark.parametrize("answer", [math.nan, math.inf, -0.1, 1.5, "0.5", [1.0], object()])
def test_what_is_no_score_names_metric_row_and_value(answer):
    with pytest.raises(MetricError) as caught:
        judged(answer)
    assert caught.value.where == "m.py:metric"
    assert "row r1" in caught.value.what
    assert "finite number in [0, 1]" in caught.value.what
    assert caught.value.exit_code == 2


def test_a_mapping_without_score_lists_its_keys():
    with pytest.raises(MetricError, match=r"got the keys \['team'\]"):
        judged({"team": 1.0})


def test_a_metric_that_raises_keeps_its_reason():
    def metric(example, prediction):
        return example.nope

    with pytest.raises(MetricError, match="AttributeError") as caught:
        Metric(function=metric, name="m.py:metric")(SimpleNamespace(), None, example_id="r7")
    assert isinstance(caught.value.__cause__, AttributeError)
    assert "row r7" in caught.value.what
