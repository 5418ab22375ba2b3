"""The search section: a line a trial, what rows bought, which score is to be had at what cost."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from tests.unit.report.searches import lines, points, report
from tests.unit.report.test_report_texts import EVIL, TURN, Tags
from upturn.report import render_page
from upturn.report.figures import TrialPoint, search_figure
from upturn.report.pareto import front, pareto_figure
from upturn.report.search import SearchReport


def test_the_table_has_a_line_for_every_trial_and_says_why_it_left():
    page = render_page(TURN, search=report())
    text = " ".join(Tags(page).text.split())
    assert "12 trials on 976 rows, the best estimate first" in text
    assert text.index("t006") < text.index("t008") < text.index("t003") < text.index("t011")
    for part in (
        "challenger",
        "champion",
        "contrast:rules:3",
        "worse than t003",
        "66.0 %",
        "60.0 %",
    ):
        assert part in text
    assert Tags(page).tags.count("img") == 0


def test_a_trial_without_an_estimate_comes_last_and_shows_a_dash():
    last = report().ranked[-1]
    assert (last.name, last.estimate) == ("t011", None)
    assert '<td class="n">–</td>' in render_page(TURN, search=report())


def test_the_figures_are_part_of_the_page_and_outside_text_is_not_markup():
    section = SearchReport(trials=lines(EVIL), figure_png=b"\x89PNG-1", pareto_png=b"\x89PNG-2")
    seen = Tags(render_page(TURN, search=section))
    assert seen.tags.count("img") == 2
    assert "script" not in seen.tags
    assert EVIL in seen.text


def test_a_turn_without_a_search_has_no_such_section():
    assert "The search" not in Tags(render_page(TURN)).text


def test_the_front_is_what_nothing_beats_in_score_and_cost():
    made = [
        TrialPoint(number=n, score=score, rows=20, input_tokens=cost)
        for n, (score, cost) in enumerate(
            [(0.5, 100), (0.4, 50), (0.5, 120), (0.7, 300), (0.3, 60)]
        )
    ]
    assert [t.number for t in front(made, lambda t: t.input_tokens)] == [1, 0, 3]


def test_of_equal_trials_the_first_stands_for_all():
    made = [TrialPoint(number=n, score=0.5, rows=20, cost_usd=0.1) for n in (4, 2, 3)]
    assert [t.number for t in front(made, lambda t: t.cost_usd)] == [2]


def test_the_pareto_figure_needs_two_costs_and_sixteen_rows():
    made = points()
    assert pareto_figure(made, title="x").startswith(b"\x89PNG")
    assert pareto_figure([replace(p, input_tokens=9.0) for p in made], title="x") == b""
    assert pareto_figure([replace(p, rows=15) for p in made], title="x") == b""
    assert pareto_figure([], title="x") == b""


def test_money_goes_before_tokens_where_any_was_spent():
    # All cost the same money: the length of the prompts says nothing then.
    assert pareto_figure([replace(p, cost_usd=0.01) for p in points()], title="x") == b""


@pytest.mark.parametrize("count", [0, 1, 12])
def test_the_figure_is_a_picture_however_many_trials(count: int) -> None:
    from matplotlib.image import imread

    png = search_figure(points()[:count], champion=0.5, champion_fresh=0.45, title="triage")
    pixels = imread(io.BytesIO(png))
    assert pixels.shape[:2] == (585, 1170)
    assert pixels[..., :3].min() < 0.2 < 0.99 < pixels[..., :3].max()
