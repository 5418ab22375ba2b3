"""A search's records become a table and figures: who is who, what it cost, where it came from."""

from __future__ import annotations

from upturn.pipeline.showing import search_report
from upturn.records import Candidate, Evaluation, Outcome, PromptState, Row
from upturn.search import Finalist, SearchResult, Trial


def candidate(text: str) -> Candidate:
    states = {"route": PromptState(instruction=text)}
    return Candidate(states=states, choices={"route.instruction": f"i-{text}"})


def rows(n: int, score: float, tokens: int) -> Evaluation:
    made = [
        Row(
            example_id=f"r{i}",
            group="g",
            outcome=Outcome.SCORED,
            score=score,
            input_tokens=tokens,
            latency_s=tokens / 1000,
        )
        for i in range(n)
    ]
    return Evaluation(candidate_id="c", rows=tuple(made))


def trial(number: int, text: str, n: int, estimate: float | None, tokens: int) -> Trial:
    return Trial(
        number=number,
        candidate=candidate(text),
        evaluation=rows(n, estimate or 0.0, tokens),
        estimate=estimate,
        finished=n == 40,
        reason=f"ran {n} rows",
    )


START = Finalist(
    name="start", candidate=candidate("seed"), searched=rows(40, 0.3, 100), fresh=rows(8, 0.25, 100)
)
BEST = Finalist(
    name="t001", candidate=candidate("best"), searched=rows(40, 0.8, 300), fresh=rows(8, 0.75, 300)
)
RESULT = SearchResult(
    trials=(
        trial(0, "seed", 40, 0.3, 100),
        trial(1, "best", 40, 0.8, 300),
        trial(2, "poor", 8, None, 200),
    ),
    finalists=(BEST,),
    start=START,
)


def shown(**changes):
    arguments = {
        "program": "triage",
        "origins": lambda t: {"route.instruction": f"contrast:{t.number}"},
        "challenger": BEST.candidate.id,
        **changes,
    }
    return search_report(RESULT, **arguments)


def test_every_trial_is_a_line_with_its_origins_and_its_role():
    lines = {line.name: line for line in shown().trials}
    assert [(n, line.role) for n, line in lines.items()] == [
        ("t000", "champion"),
        ("t001", "challenger"),
        ("t002", ""),
    ]
    best = lines["t001"]
    assert (best.rows, best.estimate, best.fresh_score) == (40, 0.8, 0.75)
    assert best.origins == {"route.instruction": "contrast:1"}
    assert (lines["t002"].estimate, lines["t002"].reason) == (None, "ran 8 rows")
    assert shown().rows == 88


def test_figures_have_a_point_a_trial_and_nobody_is_challenger_before_the_gate():
    made = shown(challenger="")
    assert [(p.number, p.role) for p in made.points] == [(0, "champion"), (1, ""), (2, "")]
    assert (made.points[1].rows, made.points[1].score) == (40, 0.8)
    assert made.program == "triage"
    assert made.figure.startswith('<div class="frame"><svg ')
    assert len(made.pareto) == 2
    assert [line.role for line in made.trials] == ["champion", "", ""]
