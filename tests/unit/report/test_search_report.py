"""The search section: a line a trial, what rows bought, which score is to be had at what cost."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.unit.report.searches import lines, points, report
from tests.unit.report.test_report_texts import EVIL, TURN, Tags
from upturn.report import document, render_page
from upturn.report.charts import reach, standalone, ticks
from upturn.report.figures import TrialPoint, search_figure
from upturn.report.pareto import front, pareto_figures
from upturn.report.search import SearchReport


def page(search: SearchReport | None) -> str:
    return render_page(document(TURN, search=search))


def test_the_table_has_a_line_for_every_trial_and_says_why_it_left():
    text = " ".join(Tags(page(report(points=()))).text.split())
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


def test_a_trial_without_an_estimate_comes_last_and_shows_a_dash():
    last = report().ranked[-1]
    assert (last.name, last.estimate) == ("t011", None)
    assert '<td class="n">–</td>' in page(report())


def test_figures_are_drawn_in_the_page_and_outside_text_is_not_markup():
    with_figures = page(report(trials=tuple(lines(EVIL))))
    seen = Tags(with_figures)
    assert with_figures.count('class="chart"') == 3
    assert "script" not in seen.tags
    assert EVIL in seen.text
    assert 'class="chart"' not in page(report(points=()))


def test_a_turn_without_a_search_has_no_such_section():
    assert "The search" not in Tags(page(None)).text


def test_the_section_survives_its_json():
    assert SearchReport.from_json(report().to_json()) == report()


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


def test_the_pareto_figures_need_two_costs_and_sixteen_rows():
    made = points()
    assert ["input tokens" in f for f in pareto_figures(made)] == [True, False]
    assert pareto_figures([replace(p, input_tokens=9.0) for p in made]) == []
    assert pareto_figures([replace(p, rows=15) for p in made]) == []
    assert pareto_figures([]) == []


def test_money_goes_before_tokens_where_any_was_spent():
    # All cost the same money: the length of the prompts says nothing then.
    assert pareto_figures([replace(p, cost_usd=0.01) for p in points()]) == []
    dear = [replace(p, cost_usd=0.001 * p.number) for p in points()]
    assert "US dollars for 1,000 rows" in pareto_figures(dear)[0]


@pytest.mark.parametrize("count", [2, 12])
def test_the_figure_has_a_dot_for_each_trial_with_a_score(count: int) -> None:
    some = points()[:count]
    svg = search_figure(some, champion=0.5, champion_fresh=0.45)
    root = ElementTree.fromstring(svg)
    dots = [e for e in root.iter("circle") if "trial" in e.get("class", "")]
    assert len(dots) == sum(p.score is not None and p.role != "champion" for p in some)
    for dot in dots:
        assert 0 <= float(dot.get("cx", "").rstrip("%")) <= 100
        assert 0 <= float(dot.get("cy", "")) <= 250
    levels = [e for e in root.iter("line") if "level" in e.get("class", "")]
    assert len(levels) == (2 if dots else 0)


def test_without_a_trial_there_is_no_figure():
    assert search_figure([], champion=0.5) == ""
    assert search_figure(points()[:1], champion=0.5) == ""


def test_the_highest_dot_is_the_highest_score():
    root = ElementTree.fromstring(search_figure(points(), champion=0.31))
    dots = [e for e in root.iter("circle") if "trial" in e.get("class", "")]
    best = min(dots, key=lambda e: float(e.get("cy", "")))
    scores = [p.score for p in points() if p.score is not None]
    assert len([d for d in dots if d.get("cy") == best.get("cy")]) == scores.count(max(scores))
    assert "66.0%" in root.find("svg").get("aria-label", "")


def test_a_figure_alone_is_whole_svg_with_its_title():
    files = report().files
    assert sorted(files) == ["pareto_1.svg", "pareto_2.svg", "search.svg"]
    root = ElementTree.fromstring(files["search.svg"])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root[0].text == "triage"
    assert ElementTree.fromstring(standalone(report().figure, EVIL))[0].text == EVIL


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.13, 0.52, [0.2, 0.3, 0.4, 0.5]),
        (0.0, 224.0, [0.0, 50.0, 100.0, 150.0, 200.0]),
        (3.0, 3.0, [3.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_a_range_has_room_also_for_one_value():
    assert reach([0.2, 0.7]) == pytest.approx((0.17, 0.73))
    assert reach([0.0]) == (-1.0, 1.0)
