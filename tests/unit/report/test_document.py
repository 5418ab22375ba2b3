"""A report as data: whole after its JSON, without personal items, and silent where it must be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.report.searches import report
from tests.unit.report.test_report_texts import (
    AFTER,
    BEFORE,
    BETTER,
    EVIL,
    EXAMPLES,
    GATE,
    TURN,
    Tags,
)
from upturn.gate.report import SliceResult, Staged
from upturn.records import Candidate, Evaluation, Example, Outcome, PromptState, Row, Verdict
from upturn.report import (
    Document,
    Origin,
    document,
    render_decision,
    render_page,
    summary_text,
)
from upturn.report.forest import forest, slice_limits
from upturn.report.limits import limits
from upturn.report.masking import mask
from upturn.report.quote import Range, Spent
from upturn.report.rows import SHOWN_CHARS, shown, tally
from upturn.report.sentence import sentence
from upturn.report.words import MAX_PAIRS, Part, word_diff

ORIGIN = Origin(
    facts={"seed": "0", "versions": "python 3.11"},
    config="name: triage\n",
    commands=("upturn run configs/triage.yaml",),
    data_card="data_card.html",
)


def whole() -> Document:
    spent = (Spent(name="usd", quoted=Range.of(0.5, 0.1), actual=0.6),)
    return document(
        replace(TURN, spent=spent, weights=("champion: none",)),
        champion=BEFORE,
        challenger=AFTER,
        examples=EXAMPLES,
        search=report(),
        origin=ORIGIN,
    )


def test_a_report_is_the_same_after_its_json():
    made = whole()
    again = Document.from_json(json.loads(json.dumps(made.to_json())))
    assert again == made
    assert render_page(again, stamp="ab") == render_page(made, stamp="ab")
    assert render_decision(again.turn) == render_decision(made.turn)


def test_the_page_says_how_to_get_the_same_again():
    text = Tags(render_page(whole())).text
    for part in ("upturn run configs/triage.yaml", "python 3.11", "name: triage", "data card"):
        assert part in text


def test_the_paired_table_counts_what_is_not_known_apart():
    found = tally(BEFORE, AFTER)
    assert (found.wins, found.losses, found.ties, found.unknown) == (2, 1, 1, 1)
    assert (found.gained, found.lost, found.known) == (1.25, 0.5, 4)


ITEM = "write to jane.roe@example.com or call +49 170 1234567"


def test_personal_items_are_masked_wherever_they_stand():
    rows = [
        Evaluation(
            candidate_id=name,
            rows=(
                Row(
                    example_id="r1",
                    group="g",
                    outcome=Outcome.SCORED,
                    score=score,
                    outputs={"reply": f"{name}: {ITEM}"},
                    slices={"who": "jane.roe@example.com"},
                ),
            ),
        )
        for name, score in (("a", 0.0), ("b", 1.0))
    ]
    asked = Example(id="r1", inputs={"m": ITEM}, labels={"reply": ITEM}, group="g")
    gate = replace(
        GATE,
        reasons=(ITEM,),
        notices=(ITEM,),
        slices=(SliceResult(name=f"who={ITEM}", n=1, baseline=0.0, challenger=1.0),),
        guards=(replace(GATE.guards[0], name=f"slice who={ITEM}", note=ITEM),),
    )
    demo = {"m": ITEM, "parts": [{"deep": ITEM}]}
    rival = Candidate(states={"route": PromptState(instruction=ITEM, demos=(demo,))})
    turn = replace(TURN, gate=gate, challenger=rival, stopped=ITEM)
    made = document(turn, champion=rows[0], challenger=rows[1], examples=[asked])
    for text in (render_page(made), render_decision(made.turn), json.dumps(made.to_json())):
        assert "[EMAIL]" in text
        assert "jane.roe" not in text
        assert "1234567" not in text


def test_a_mask_is_the_same_twice_and_leaves_marks_and_ids_alone():
    masked = mask(ITEM)
    assert masked == "write to [EMAIL] or call [PHONE]"
    assert mask(masked) == masked
    for kept in ("<EMAIL:0123456789ab>", "req-0173ee9137", "ab" * 32):
        assert mask(kept) == kept


def test_nothing_of_the_rows_is_shown_where_scores_are_withheld():
    gate = replace(
        GATE, withheld=True, effect=None, low=None, high=None, verdict=Verdict.INCONCLUSIVE
    )
    made = document(replace(TURN, gate=gate), champion=BEFORE, challenger=AFTER, examples=EXAMPLES)
    assert (made.tally, made.fixed, made.broken, made.slice_limits) == (None, (), (), {})
    text = Tags(render_page(made)).text
    assert "Scores are withheld" in text
    assert f"{EVIL} 1" not in text


def test_a_look_that_withholds_its_scores_says_so_in_place_of_numbers():
    hidden = dict.fromkeys(("effect", "low", "high", "p_value", "baseline_score"))
    gate = replace(GATE, withheld=True, verdict=Verdict.HOLD, look=2, **hidden)
    turn = replace(TURN, gate=gate, promoted=False, version="")
    result, proof = (line.split(maxsplit=1)[1] for line in summary_text(turn).splitlines()[2:4])
    assert result == "withheld: look 2 at this holdout, and nothing is promoted"
    assert proof.startswith("240 unseen rows in 80 groups, allowed 0.0125, look 2")
    page = render_page(document(turn))
    assert page.count("<b>withheld</b>") == 3
    assert "<b>–" not in page
    about = summary_text(replace(turn, gate=replace(gate, effect=0.125)))
    assert "about +12.5 pp: look 2 at this holdout" in about


def test_in_a_row_that_broke_the_old_words_are_the_right_ones():
    page = render_page(document(TURN, champion=BEFORE, challenger=AFTER, examples=EXAMPLES))
    assert page.count('class="example broke"') == 1
    assert page.count('class="example"') >= 2
    assert ".broke ins { background:var(--del) } .broke del { background:var(--add) }" in page


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "The challenger is better by +12.5 pp (95 % interval +4.0 pp to +21.0 pp) on 240 rows",
        ),
        (
            {"verdict": Verdict.HOLD},
            "The challenger broke a guard (slice lang=a|b): +12.5 pp",
        ),
        ({"verdict": Verdict.HOLD, "guards": ()}, "The challenger did not gain enough: +12.5 pp"),
        (
            {"verdict": Verdict.INCONCLUSIVE},
            "It is not known whether the challenger is better: +12",
        ),
        ({"verdict": Verdict.INCONCLUSIVE, "effect": None}, "Nothing could be compared."),
        (
            {"verdict": Verdict.HOLD, "guards": (), "effect": None, "look": 2, "withheld": True},
            "The challenger did not gain enough. Look 2 at this holdout withholds its scores.",
        ),
        (
            {"verdict": Verdict.HOLD, "low": None, "look": 3, "withheld": True},
            "The challenger broke a guard (slice lang=a|b) (about +12.5 pp). Look 3",
        ),
    ],
)
def test_the_verdict_in_one_sentence(changes: dict[str, object], expected: str) -> None:
    assert sentence(replace(TURN, gate=replace(GATE, **changes))).startswith(expected)


def test_limits_follow_from_the_numbers():
    told = " ".join(limits(whole()))
    assert "This holdout was read 2 times" in told
    assert "1 of 1 slices were shown and not judged" in told
    assert "Scores on dev chose the challenger" in told
    assert "2 of 2 rows fixed, 1 of 1 broken" in told
    assert "stopped early" not in told
    staged = Staged(
        design="betting",
        stages=5,
        stages_run=2,
        rows_planned=10,
        rows_saved=5,
        calls_saved=5,
        level=0.01,
    )
    unsure = replace(GATE.guards[0], challenger=0.9, name="p95 latency")
    blind = replace(GATE.guards[1], limit=None)
    gate = replace(GATE, look=1, staged=staged, slices=(), guards=(unsure, blind))
    told = " ".join(limits(document(replace(TURN, gate=gate))))
    assert "The gate stopped early" in told
    assert "Beyond its limit, which may be chance on so few rows: p95 latency" in told
    assert "Not judged, since too little was measured: cost per row." in told
    assert "was read" not in told
    assert "Scores on dev" not in told
    assert "The holdout was not opened" in " ".join(limits(document(replace(TURN, gate=None))))


def side(name: str, scores: list[float]) -> Evaluation:
    return Evaluation(
        candidate_id=name,
        rows=tuple(
            Row(
                example_id=f"r{i}",
                group=f"g{i}",
                outcome=Outcome.SCORED,
                score=score,
                slices={"lang": "de" if i % 2 else "en"},
            )
            for i, score in enumerate(scores)
        ),
    )


def test_every_slice_has_an_interval_about_its_effect_and_the_worst_is_first():
    before = side("a", [0.0] * 40)
    after = side("b", [float(i % 2 == 0 and i % 8 != 0) for i in range(40)])
    found = slice_limits(before, after, confidence=0.9)
    low, high = found["lang=en"]
    assert 0 < low < 0.75 < high <= 1
    assert found["lang=de"] == (0.0, 0.0)
    slices = [
        SliceResult(name="lang=en", n=20, baseline=0.0, challenger=0.75),
        SliceResult(name="lang=de", n=20, baseline=0.0, challenger=0.0),
    ]
    lines = forest(slices, GATE.guards, found)
    assert [line.slice.name for line in lines] == ["lang=de", "lang=en"]
    assert lines[0].bar.effect == 50.0
    assert lines[1].bar.low is not None
    assert 50 < lines[1].bar.low < lines[1].bar.effect < (lines[1].bar.high or 0) <= 100
    assert lines[1].guard is None


def test_a_slice_of_few_groups_has_no_interval():
    assert slice_limits(side("a", [0.0] * 8), side("b", [1.0] * 8), confidence=0.9) == {}


@pytest.mark.parametrize(
    ("old", "new", "left", "right"),
    [
        ("same", "same", [("", "same")], [("", "same")]),
        (
            "send the blue form",
            "send the red form",
            [("", "send the "), ("del", "blue"), ("", " form")],
            [("", "send the "), ("ins", "red"), ("", " form")],
        ),
        ("low", "urgent", [("del", "low")], [("ins", "urgent")]),
        ("", "new", [], [("ins", "new")]),
    ],
)
def test_word_diffs(old: str, new: str, left: object, right: object) -> None:
    before, after = word_diff(old, new)
    assert ([(p.mark, p.text) for p in before], [(p.mark, p.text) for p in after]) == (left, right)


def test_both_texts_are_whole_whatever_is_marked():
    before, after = word_diff(EVIL, "<b>alert</b>('x')")
    assert "".join(p.text for p in before) == EVIL
    assert "".join(p.text for p in after) == "<b>alert</b>('x')"
    long = "word " * (1 + round(MAX_PAIRS**0.5))
    assert word_diff(long, f"{long} more")[0] == [Part(mark="", text=long)]


def test_a_long_text_is_cut_where_it_is_shown_and_says_so():
    assert shown("a" * SHOWN_CHARS) == "a" * SHOWN_CHARS
    assert shown("a" * (SHOWN_CHARS + 1200)).endswith("a… (1,200 more characters)")


def test_the_candidates_of_the_turn_are_not_changed_by_masking():
    assert document(TURN).turn.challenger == BETTER
