"""Metrics, catalogues and prompts that are no good: nothing is promoted on them."""

import pytest
from dspy.lm15 import ContextLengthError

from tests.pipeline.conftest import PROGRAM, answer
from tests.pipeline.faults import Faulty, champion, entries, run
from upturn.errors import MetricError
from upturn.ledger import EntryKind
from upturn.records import Outcome
from upturn.testing.engine import FakeEngine
from upturn.tracking import RunKind

HEAD, _, _ = PROGRAM.partition("    return {")


def with_metric(make_project, *lines):
    return make_project(program=HEAD + "".join(f"    {line}\n" for line in lines))


def sides(project):
    """The rows of champion and challenger on the holdout."""
    runs = project.tracker.turn.runs.values()
    return {
        r.record.kind: r.rows
        for r in runs
        if r.record.kind in (RunKind.CHAMPION, RunKind.CHALLENGER)
    }


def test_a_catalogue_of_one_choice_holds_without_a_look(project):
    result = run(project, "search.proposers=[seed]")
    assert (result.verdict, result.looks, result.trials) == ("HOLD", 0, 1)
    assert "no candidate differs" in result.reasons[0]
    assert EntryKind.LOOK not in entries(project)
    assert champion(project) == "1"


def test_a_constant_metric_promotes_nothing(make_project):
    project = with_metric(make_project, "return 1.0")
    result = run(project)
    assert (result.verdict, result.effect) == ("HOLD", 0.0)
    assert champion(project) == "1"


def test_a_metric_that_tosses_a_coin_promotes_nothing(make_project):
    # The coin belongs to message and answer, so that the test is the same every time.
    project = with_metric(
        make_project,
        "import zlib",
        "return zlib.crc32((example.message + str(prediction.team)).encode()) % 2",
    )
    result = run(project)
    assert result.verdict in ("HOLD", "INCONCLUSIVE")
    assert abs(result.baseline_score - 0.5) < 0.2
    assert champion(project) == "1"
    assert EntryKind.PROMOTION not in entries(project)


def test_a_slow_metric_changes_nothing_but_the_time(make_project):
    project = with_metric(
        make_project,
        "import time",
        "time.sleep(0.0005)",
        "return example.team == prediction.team",
    )
    result = run(project)
    assert result.verdict == "PROMOTE"
    assert result.challenger_score > result.baseline_score + 0.1


def test_a_metric_that_raises_on_some_rows_stops_the_turn_and_names_the_row(make_project):
    project = with_metric(
        make_project,
        "if 'exchange' in example.message: raise KeyError('exchange')",
        "return example.team == prediction.team",
    )
    with pytest.raises(
        MetricError, match=r"the metric raised KeyError: 'exchange' \(row req-"
    ) as e:
        run(project)
    assert e.value.exit_code == 2
    assert champion(project) in ("", "1")
    assert EntryKind.LOOK not in entries(project)


@pytest.mark.parametrize("value", ["[1.0]", "{'team': 1.0}", "2", "'1'", "object()"])
def test_a_metric_of_another_type_is_refused_before_a_call(make_project, value):
    project = with_metric(make_project, f"return {value}")
    with pytest.raises(MetricError, match="must return"):
        run(project)
    assert project.engine.calls == 0


def test_demos_longer_than_the_context_lose_and_shorter_ones_win(project):
    limit = 2_600

    def fail(request):
        chars = sum(len(m.text or "") for m in request.messages)
        return ContextLengthError(f"{chars} characters") if chars > limit else None

    project.engine = FakeEngine(answer, fail=fail)
    result = run(project)
    assert result.verdict == "PROMOTE"
    rows = sides(project)
    assert rows[RunKind.CHALLENGER].failures() == 0
    assert rows[RunKind.CHAMPION].failures() == 0
    tried = [r.record for r in project.tracker.turn.runs.values() if r.rows is not None]
    assert any(r.metrics.get("dev/failed") == 0.0 for r in tried)


def test_a_context_too_short_for_any_prompt_promotes_nothing(project):
    project.engine = FakeEngine(
        answer,
        fail=lambda r: ContextLengthError("too long") if "[[ ##" in r.messages[-1].text else None,
    )
    result = run(project)
    assert result.verdict in ("HOLD", "INCONCLUSIVE")
    assert result.baseline_score in (None, 0.0)
    assert champion(project) == "1"


def test_a_model_that_ignores_the_format_scores_nothing_and_promotes_nothing(project):
    project.engine = Faulty(say=lambda request, key: "I would say billing.").engine()
    result = run(project)
    assert result.verdict in ("HOLD", "INCONCLUSIVE")
    assert champion(project) == "1"
    for rows in sides(project).values():
        assert rows.score == 0.0
        assert rows.count(Outcome.FAILED) == len(rows.rows)
        assert {str(r.failure) for r in rows.rows} == {"format"}
