"""What people read: every number with its denominator, and no text that breaks the page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.unit.report.searches import report
from upturn.gate.report import (
    Counts,
    GateReport,
    GuardResult,
    PowerAnalysis,
    Repair,
    SliceResult,
)
from upturn.records import (
    Candidate,
    Evaluation,
    Example,
    FailureKind,
    Outcome,
    PromptState,
    Row,
    Verdict,
)
from upturn.report import (
    TurnCost,
    TurnReport,
    document,
    format,
    render_decision,
    render_page,
    summary_text,
)
from upturn.report.changes import as_patch, changes
from upturn.report.rows import row_changes
from upturn.report.templating import cell, fence

EVIL = "<script>alert('x')</script>"
SEED = Candidate(
    states={"route": PromptState(instruction="Route.\nOne team.", demos=({"m": "a"},))}
)
BETTER = Candidate(
    states={
        "route": PromptState(
            instruction=f"Route well.\nOne team.\n``` {EVIL}", demos=({"m": "a"}, {"m": EVIL})
        )
    }
)
GATE = GateReport(
    verdict=Verdict.PROMOTE,
    reasons=("Better beyond chance.",),
    effect=0.125,
    low=0.04,
    high=0.21,
    confidence=0.95,
    p_value=0.00001,
    test="exact McNemar",
    n=240,
    groups=80,
    rows=242,
    holdout="ab" * 32,
    turn="t1",
    look=2,
    alpha=0.0125,
    baseline_id="000000000000",
    challenger_id=BETTER.id,
    baseline_score=0.5,
    challenger_score=0.625,
    baseline_counts=Counts(scored=236, unscored=2, failed=4, failures={"format": 4}),
    challenger_counts=Counts(scored=240, unscored=2, failed=0, failures={}),
    rows_needed=None,
    repair=Repair(
        rows=3, gain=0.0125, both_answered=236, effect_both_answered=0.11, format_only=False
    ),
    guards=(
        GuardResult(name="p95 latency", baseline=0.2, challenger=0.3, limit=0.45, ok=True),
        GuardResult(name="cost per row", baseline=2e-5, challenger=3e-5, limit=1e-4, ok=True),
        GuardResult(
            name="slice lang=a|b",
            baseline=0.5,
            challenger=0.25,
            limit=0.4,
            ok=False,
            note="30 rows",
        ),
    ),
    slices=(SliceResult(name=f"lang={EVIL}", n=30, baseline=0.5, challenger=0.25),),
)
POWER = PowerAnalysis(
    gain=0.1,
    target=0.8,
    rows=900,
    groups=300,
    for_min_gain=0.5,
    for_effect=0.9,
    days=None,
)
TURN = TurnReport(
    program="triage",
    turn="t1",
    model_id="upturn-mini@00",
    snapshot_id="cd" * 32,
    gate=GATE,
    champion=SEED,
    challenger=BETTER,
    version="2",
    promoted=True,
    trials=30,
    pruned=8,
    finalists=3,
    dev_rows=200,
    cost=TurnCost(calls=5120, cached_calls=1130, cost_usd=0.0, seconds=83.25),
    next_steps=("upturn ui",),
)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (format.percent(0.7346), "73.5 %"),
        (format.percent(None), "–"),
        (format.points(-0.055), "-5.5 pp"),
        (format.p_value(0.06541), "0.0654"),
        (format.p_equals(0.00003), "p < 0.0001"),
        (format.p_equals(0.5), "p = 0.5000"),
        (format.usd(0.0), "$0.00"),
        (format.usd(0.00002), "$0.000020"),
        (format.usd(0.0123), "$0.012"),
        (format.usd(1234.5), "$1,234.50"),
        (format.seconds(0.287), "287 ms"),
        (format.seconds(83.25), "83.2 s"),
        (format.seconds(150), "2 min 30 s"),
        (format.seconds(7260), "2 h 01 min"),
        (format.effect(GATE), "+12.5 pp (95 % interval +4.0 pp to +21.0 pp)"),
        (format.counts(GATE.baseline_counts), "scored 236, unscored 2, failed 4 (4 format)"),
        (format.guard_limit(GATE.guards[0]), "≤ 450 ms"),
        (format.guard_limit(GATE.guards[2]), "≥ 40.0 %"),
        (format.guard_value(replace(GATE.guards[0], unit="tokens"), 1234.56), "1,234.6"),
        (format.guard_finding(GATE.guards[0]), "ok"),
        (format.guard_finding(GATE.guards[2]), "broken"),
        (format.guard_finding(replace(GATE.guards[2], ok=True)), "not sure"),
        (format.guard_finding(replace(GATE.guards[0], challenger=0.5)), "not sure"),
        (format.guard_finding(replace(GATE.guards[0], limit=None)), "not judged"),
    ],
)
def test_numbers_as_people_read_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_the_decision_says_all_it_rests_on() -> None:
    text = render_decision(TURN)
    assert text.startswith("## PROMOTE: triage\n")
    for part in (
        "| score | 50.0 % | 62.5 % | **+12.5 pp (95 % interval +4.0 pp to +21.0 pp)** |",
        "240 compared, in 80 groups",
        "one-sided p < 0.0001, allowed 0.0125 at look 2",
        "+1.2 pp of the difference is repaired format (3 rows",
        "| p95 latency | 200 ms | 300 ms | ≤ 450 ms | ok |",
        "| slice lang=a\\|b | 50.0 % | 25.0 % | ≥ 40.0 % | **broken**, 30 rows |",
        "new instruction, 1 demos added, 0 removed, 1 kept",
        "30 candidates tried (8 stopped early), 3 finalists",
        "5120 model calls, 1130 of them from the cache, $0.00, 83.2 s",
        "version 2 (champion)",
    ):
        assert part in text, part
    assert "````diff" in text, "the fence is longer than any in the instruction"


@pytest.mark.parametrize(
    ("verdict", "headline"),
    [(Verdict.HOLD, "The champion stays."), (Verdict.INCONCLUSIVE, "There is no answer yet.")],
)
def test_other_verdicts_lead_with_themselves(verdict: Verdict, headline: str) -> None:
    gate = replace(GATE, verdict=verdict, rows_needed=900, power=POWER)
    text = render_decision(replace(TURN, gate=gate, promoted=False, version="", challenger=None))
    assert text.startswith(f"## {verdict}: triage\n\n**{headline}")
    assert "900 fresh rows in about 300 groups would find +0.100 with 80%" in text
    assert "Nothing: the search found no candidate" in text
    assert "(champion)" not in text


def test_a_turn_that_never_reached_its_gate_says_why() -> None:
    turn = replace(TURN, gate=None, version="", promoted=False, stopped="The model was down.")
    for text in (render_decision(turn), summary_text(turn), render_page(document(turn))):
        assert "NO DECISION" in text
        assert "The model was down." in text
        assert "holdout |" not in text


def test_the_summary_answers_five_questions_in_ten_lines() -> None:
    lines = summary_text(TURN).splitlines()
    assert lines[0] == "PROMOTE  triage  version 2 is the champion"
    assert lines[1].endswith(
        "30 candidates on 200 dev rows (8 stopped early), 3 finalists re-scored on fresh rows"
    )
    assert lines[2].endswith("50.0 % → 62.5 %, +12.5 pp (95 % interval +4.0 pp to +21.0 pp)")
    assert "240 unseen rows in 80 groups, p < 0.0001" in lines[3]
    assert lines[5].endswith("5,120 model calls (1,130 cached), $0.00, 83.2 s")
    assert lines[6].endswith("next  upturn ui")
    assert len(lines) <= 10


class Tags(HTMLParser):
    """Counts the tags of a page and collects its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def scored(value: float, team: str) -> Row:
    return Row(
        example_id="", group="g", outcome=Outcome.SCORED, score=value, outputs={"team": team}
    )


BEFORE = Evaluation(
    candidate_id="a",
    rows=(
        replace(scored(0.0, EVIL), example_id="r1"),
        replace(scored(1.0, "x"), example_id="r2"),
        replace(scored(0.5, "x"), example_id="r3"),
        Row(example_id="r4", group="g", outcome=Outcome.FAILED, failure=FailureKind.OUTAGE),
        Row(
            example_id="r5",
            group="g",
            outcome=Outcome.FAILED,
            failure=FailureKind.FORMAT,
            message=EVIL,
        ),
    ),
)
AFTER = Evaluation(
    candidate_id="b",
    rows=tuple(
        replace(scored(v, "y"), example_id=f"r{i}")
        for i, v in enumerate([1.0, 0.5, 0.5, 1.0, 0.25], start=1)
    ),
)
EXAMPLES = [
    Example(id=f"r{i}", inputs={"message": f"{EVIL} {i}"}, labels={"team": "y"}, group="g")
    for i in range(1, 6)
]


def test_rows_fixed_and_broken_leave_out_what_is_not_known() -> None:
    fixed, broken = row_changes(BEFORE, AFTER, EXAMPLES)
    assert [(r.example_id, r.gain) for r in fixed] == [("r1", 1.0), ("r5", 0.25)]
    assert [(r.example_id, r.gain) for r in broken] == [("r2", -0.5)]
    assert fixed[1].before == {"failed": f"format: {EVIL}"}
    assert (fixed[0].wanted, fixed[0].after) == ({"team": "y"}, {"team": "y"})
    assert len(row_changes(BEFORE, AFTER, EXAMPLES, limit=1)[0]) == 1


def test_the_page_escapes_everything_and_loads_nothing() -> None:
    page = render_page(
        document(TURN, champion=BEFORE, challenger=AFTER, examples=EXAMPLES, search=report())
    )
    seen = Tags(page)
    assert "script" not in seen.tags
    assert seen.tags.count("img") == 0
    assert f"{EVIL} 1" in seen.text
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    for part in ("+12.5 pp", "240", "Better beyond chance.", "Rows the challenger broke", "broken"):
        assert part in seen.text


def test_what_must_be_read_first_is_first_everywhere():
    turn = replace(TURN, gate=replace(GATE, notices=(f"Nobody checked {EVIL}.",)))
    assert summary_text(turn).splitlines()[0].startswith("READ FIRST: Nobody checked")
    told = render_decision(turn, overrides=["by me"])
    assert [line for line in told.splitlines() if line][:3] == [
        "> **Override:** by me",
        "> **Read first:** Nobody checked &lt;script>alert('x')&lt;/script>.",
        "## PROMOTE: triage",
    ]
    seen = Tags(render_page(document(turn), overrides=["by me"]))
    assert seen.text.index("Override: by me") < seen.text.index("Read first: Nobody")
    assert seen.text.index("Read first: Nobody") < seen.text.index("The challenger is better")


def test_changes_name_what_is_new_and_what_is_kept() -> None:
    (change,) = changes(SEED, BETTER)
    assert (len(change.added), len(change.removed), change.kept) == (1, 0, 1)
    assert as_patch(change.instruction).splitlines()[:3] == [
        "- Route.",
        "+ Route well.",
        "  One team.",
    ]
    assert changes(SEED, SEED) == []


def test_markdown_cannot_be_left() -> None:
    assert cell("a|b\nc\\") == "a\\|b c\\\\"
    assert cell("<img src=x>") == "&lt;img src=x>"
    assert cell("p <= 0.05 and 1<2") == "p <= 0.05 and 1<2"
    assert cell("![x](http://stranger/pixel) [y](z)") == "![x]\\(http://stranger/pixel) [y]\\(z)"
    assert cell("one\r## two\u2028three") == "one ## two three"
    assert fence("plain") == "```"
    assert fence("a\n````` b") == "``````"
