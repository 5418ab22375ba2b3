"""What crosses between machines arrives as it was sent."""

import pytest

from upturn import errors
from upturn.lm import Answer
from upturn.records import FailureKind, Outcome, Row
from upturn.scaleout.wire import (
    answer_from_json,
    answer_to_json,
    error_from_json,
    error_to_json,
    plain,
    row_from_json,
    row_to_json,
)

SCORED = Row(
    example_id="e1",
    group="g1",
    outcome=Outcome.SCORED,
    score=0.5,
    parts={"team": 1.0},
    outputs={"team": "Sales", "tags": ["a", "b"], "sure": None},
    latency_s=0.25,
    cost_usd=1e-6,
    input_tokens=10,
    output_tokens=2,
    calls=2,
    cached_calls=1,
    slices={"lang": "de"},
)
FAILED = Row(
    example_id="e2",
    group="g1",
    outcome=Outcome.FAILED,
    failure=FailureKind.FORMAT,
    message="not parsed",
)


@pytest.mark.parametrize("row", [SCORED, FAILED], ids=["scored", "failed"])
def test_a_row_arrives_as_it_was_sent(row):
    back = row_from_json(row_to_json(row))
    assert back == row
    assert type(back.outcome) is Outcome
    assert back.failure is row.failure


def test_an_answer_arrives_as_it_was_sent():
    answer = Answer(
        text="é\n",
        finish_reason="stop",
        input_tokens=3,
        output_tokens=1,
        latency_s=0.1,
        cost_usd=0.2,
    )
    assert answer_from_json(answer_to_json(answer)) == answer


@pytest.mark.parametrize(
    "kind",
    [
        errors.BudgetExceededError,
        errors.OutageError,
        errors.MetricError,
        errors.ProgramError,
        errors.ModelError,
        errors.StorageError,
        errors.CorruptionError,
        errors.ConfigError,
        errors.DataError,
    ],
)
def test_an_error_keeps_its_kind_and_its_text(kind):
    error = kind("a must be > 0, got -1", where="file.py:3", fix="upturn doctor")
    back = error_from_json(error_to_json(error))
    assert type(back) is kind
    assert str(back) == str(error) == "file.py:3: a must be > 0, got -1\n  next: upturn doctor"
    assert back.exit_code == error.exit_code


def test_a_missing_extra_arrives_as_input_that_can_be_mended():
    error = errors.MissingExtraError("local", "the model upturn-mini")
    back = error_from_json(error_to_json(error))
    assert str(back) == str(error)
    assert type(back) is errors.InputError


class Parcel:
    def __str__(self):
        return "a parcel"


class Model:
    def model_dump(self, mode):
        return {"a": 1, "mode": mode}


def test_what_json_does_not_know_becomes_its_dump_or_its_text():
    assert plain({"x": (1, 2), "y": Parcel(), "z": Model()}) == {
        "x": [1, 2],
        "y": "a parcel",
        "z": {"a": 1, "mode": "json"},
    }
