"""Seven formats under whatever a record may hold: no part breaks another, and nothing is changed.

What each format gives for records as its platform writes them is in ``tests/contracts/importers``.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from upturn.events import Feedback, Request, Role, Signal
from upturn.events.checks import LineCheck, check_feedback, check_request
from upturn.events.lines import Line
from upturn.events.problems import Problems
from upturn.importers.base import RejectedError, Rejection
from upturn.importers.phoenix import nested
from upturn.importers.registry import importer
from upturn.importers.tensorzero import IMPORTER as TENSORZERO
from upturn.records import Json

FORMATS = ("tensorzero", "humanloop", "opik", "braintrust", "weave", "phoenix", "nvidia")
FIXTURES = Path(__file__).parents[2] / "contracts" / "importers"
ODD: tuple[Json, ...] = (
    *(None, "", " ", "x", "{", '{"a": 1}', "[1]", 0, -1, 1e300, 2**70, True),
    *([], {}, [None], [1], ["a"], [[]], [{}], {"a": 1}, {"": {"": ""}}, {"message": 3}),
)


def records(name: str) -> list[dict]:
    found: list[dict] = []
    for path in sorted((FIXTURES / name).glob("input*.json*")):
        text = path.read_text(encoding="utf-8")
        found += map(json.loads, text.splitlines() if path.suffix == ".jsonl" else [text])
    return found


def places(value: Json, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a record, and the record's own keys as they may be left out."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(children):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def changed(record: dict, path: tuple, value: Json) -> dict:
    """The record with another value at a place; ``...`` leaves the place out."""
    made = copy.deepcopy(record)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = copy.deepcopy(value)
    return made


def outcomes(name: str, record: dict) -> list[Request | Feedback | Rejection]:
    try:
        return list(importer(name).events(record))
    except RejectedError as error:
        return [error.rejection]


def assert_valid(event: Request | Feedback) -> None:
    problems = Problems()
    text = json.dumps(event.to_json())
    line = Line(file="f", number=1, value=json.loads(text), text=text)
    check = LineCheck(line, problems, None)
    read = check_request(check) if isinstance(event, Request) else check_feedback(check)
    problems.raise_if_any()
    assert read is not None


@pytest.mark.parametrize("name", FORMATS)
def test_odd_values_anywhere_give_valid_events_or_rejections(name: str):
    tried = 0
    for record in records(name):
        for path in places(record):
            for value in (*ODD, ...):
                odd = changed(record, path, value)
                before = copy.deepcopy(odd)
                importer(name).recognises(odd)
                for outcome in outcomes(name, odd):
                    if isinstance(outcome, Rejection):
                        assert outcome.rule
                    else:
                        assert outcome.origin == name
                        assert_valid(outcome)
                assert odd == before
                tried += 1
    assert tried > 1000


@pytest.mark.parametrize("name", FORMATS)
def test_a_record_that_is_nothing_of_the_format_is_rejected_or_gives_nothing(name: str):
    for record in ({}, {"a": 1}, {"data": "x"}, {"events": [1]}):
        assert not importer(name).recognises(record)
        assert all(isinstance(o, Rejection) for o in outcomes(name, record))


@pytest.mark.parametrize("name", FORMATS)
def test_a_page_gives_what_its_rows_give(name: str):
    keys = {
        "tensorzero": "inferences",
        "humanloop": "records",
        "opik": "content",
        "braintrust": "events",
        "weave": "calls",
        "phoenix": "data",
    }
    if name not in keys:
        pytest.skip("its log has no pages")
    rows = [r for r in records(name) if keys[name] not in r and "result" not in r]
    page = {keys[name]: rows}
    assert importer(name).recognises(page)
    alone = [o for r in rows for o in outcomes(name, r)]
    together = outcomes(name, page)
    assert [o for o in together if not isinstance(o, Rejection)] == [
        o for o in alone if not isinstance(o, Rejection)
    ]
    assert [o.rule for o in together if isinstance(o, Rejection)] == [
        o.rule for o in alone if isinstance(o, Rejection)
    ]


def test_tensorzero_reads_the_time_in_an_id_and_else_the_timestamp():
    row = {"function_name": "f", "variant_name": "v", "episode_id": None, "output": "x"}
    seven = {**row, "id": "01890a5d-ac96-774b-bcce-b302099a8057", "timestamp": "2020-01-01"}
    four = {**row, "id": "2f1f7f0e-6c63-4d4e-9d5c-111111111111", "timestamp": "2020-01-01"}
    none = {**row, "id": "not-a-uuid"}
    late = {**row, "id": "ffffffff-ffff-7fff-bfff-ffffffffffff"}
    times = [next(iter(TENSORZERO.events(r))) for r in (seven, four, none, late)]
    assert [getattr(t, "time", None) for t in times] == [
        "2023-06-30T03:34:18.518000+00:00",
        "2020-01-01T00:00:00+00:00",
        "1970-01-01T00:00:00+00:00",
        None,
    ]
    assert times[3] == Rejection(
        "id", "must hold a time, got 'ffffffff-ffff-7fff-bfff-ffffffffffff'"
    )


def test_a_correction_names_the_fields_that_the_answer_has():
    inference = {
        **{"id": "i", "function_name": "f", "variant_name": "v", "episode_id": "e"},
        "output": [{"type": "text", "text": "No."}],
    }
    right = {"id": "d", "inference_id": "i", "value": '[{"type": "text", "text": "Yes."}]'}
    request, said = (next(iter(TENSORZERO.events(r))) for r in (inference, right))
    assert (request.outputs, said.value) == ({"output": "No."}, {"output": "Yes."})


def test_opik_gives_each_author_an_own_vote():
    trace = {
        **{"id": "t", "project_id": "p", "start_time": "2026-01-01", "thread_id": None},
        "feedback_scores": [
            {
                **{"name": "ok", "value": 0.5, "source": "ui"},
                "value_by_author": {
                    "ana": {"value": 1, "category_name": "👍", "source": "ui"},
                    "bot": {"value": 0, "source": "online_scoring"},
                    "odd": 3,
                },
            }
        ],
    }
    _, ana, bot, odd = outcomes("opik", trace)
    assert (ana.rater, ana.role, ana.signal, ana.value) == (
        *("ana", Role.REVIEWER, Signal.THUMBS),
        True,
    )
    assert (bot.rater, bot.role, bot.signal, bot.value) == ("bot", Role.JUDGE, Signal.SCORE, 0)
    assert odd == Rejection("feedback_scores[0].value_by_author.odd", "must be an object, got 3")


def test_weave_does_not_take_a_scorers_own_call_for_the_scored_one():
    row = {
        **{"id": "f", "feedback_type": "wandb.runnable.s", "payload": {"output": 1}},
        **{"weave_ref": "weave:///e/p/call/scored/extra", "call_ref": "weave:///e/p/call/scorer"},
    }
    (said,) = outcomes("weave", row)
    assert (said.request_id, said.role, said.rater) == (
        *("scored", Role.SYSTEM),
        "weave:wandb.runnable.s",
    )


def test_flat_columns_are_nested_and_the_record_stays_as_it_is():
    record = {"a": {"b": {"x": 1}}, "a.b.y": 2, "l.0.m": "p", "l.1.m": "q", "s": 1, "s.t": 2}
    before = copy.deepcopy(record)
    assert nested(record) == {"a": {"b": {"x": 1, "y": 2}}, "l": [{"m": "p"}, {"m": "q"}], "s": 1}
    assert record == before
