"""The page as people get it: structure, colours, size, and what a browser and axe-core find."""

from __future__ import annotations

import random
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from tests.surface.browser import axe_script, browser
from tests.unit.report.searches import report
from tests.unit.report.test_report_texts import BETTER, EVIL, GATE, SEED, TURN
from upturn.gate.report import Noise, PowerAnalysis, Rival, SliceResult
from upturn.records import Evaluation, Example, Outcome, Row, Verdict
from upturn.report import Origin, document, render_page
from upturn.report.comparison import Side, render_comparison

ROWS = 1_000
_WORDS = ("order", "parcel", "invoice", "login", "was", "not", "late", "again", "please", "refund")


def evaluation(name: str, right: float, seed: int) -> Evaluation:
    """1,000 rows of a chatty program, in 250 groups and six slices."""
    rng = random.Random(seed)
    rows = [
        Row(
            example_id=f"req-{i:04d}",
            group=f"g{i // 4}",
            outcome=Outcome.SCORED,
            score=float(rng.random() < right),
            outputs={"team": rng.choice("abc"), "reply": " ".join(rng.choices(_WORDS, k=60))},
            slices={"lang": ("de", "en", "fr")[i % 3], "length": ("long", "short")[i % 2]},
        )
        for i in range(ROWS)
    ]
    return Evaluation(candidate_id=name, rows=tuple(rows))


def examples() -> list[Example]:
    rng = random.Random(3)
    return [
        Example(
            id=f"req-{i:04d}",
            inputs={"message": f"{EVIL} {' '.join(rng.choices(_WORDS, k=80))}"},
            labels={"team": "a", "reply": " ".join(rng.choices(_WORDS, k=60))},
            group=f"g{i // 4}",
        )
        for i in range(ROWS)
    ]


def full_page() -> str:
    """A page with everything that a page may hold."""
    sides = evaluation("a", 0.5, 1), evaluation("b", 0.6, 2)
    rival = Rival(
        candidate_id="c" * 12,
        verdict=Verdict.HOLD,
        effect=0.01,
        low=-0.02,
        high=0.04,
        p_value=0.3,
        alpha=0.02,
        score=0.51,
        reason="Not better.",
    )
    noise = Noise(
        replicates=2,
        baseline_between=0.2,
        baseline_within=0.05,
        challenger_between=0.2,
        challenger_within=0.05,
        between=0.3,
        within=0.1,
        error=0.02,
        error_twice_rows=0.014,
        error_twice_replicates=0.018,
        best_replicates=1,
        row_cost_calls=1.0,
    )
    power = PowerAnalysis(
        gain=0.1,
        target=0.8,
        rows=900,
        groups=300,
        for_min_gain=0.5,
        for_effect=0.9,
        days=12.0,
    )
    names = ("lang=de", "lang=en", "lang=fr", "length=long", "length=short")
    slices = [SliceResult(name=n, n=333, baseline=0.5, challenger=0.4) for n in names]
    guards = (
        *GATE.guards,
        replace(GATE.guards[2], name="slice lang=de", ok=True, note="may be chance"),
        replace(GATE.guards[0], name="unscored rate", limit=None),
    )
    gate = replace(
        GATE,
        notices=("The metric is a judge that nobody calibrated.",),
        rivals=(rival,),
        noise=noise,
        power=power,
        rows_needed=900,
        slices=tuple(slices),
        guards=guards,
    )
    made = document(
        replace(TURN, gate=gate, weights=("champion: none",), stopped="A server was away."),
        champion=sides[0],
        challenger=sides[1],
        examples=examples(),
        search=report(),
        origin=Origin(
            facts={"snapshot": "ab" * 32},
            config="name: triage\n",
            commands=("upturn run configs/triage.yaml",),
            data_card="data_card.html",
        ),
    )
    return render_page(made, overrides=["version 2 was promoted without the gate's word"])


def comparison_page() -> str:
    sides = [
        Side(name=name, candidate=candidate, evaluation=evaluation(name, right, seed))
        for name, candidate, right, seed in (("seed", SEED, 0.5, 1), ("2", BETTER, 0.6, 2))
    ]
    return render_comparison(sides, examples(), program="triage", model_id="mini")


VIEWS = ((390, "light"), (390, "dark"), (1280, "light"), (1280, "dark"))
PAGES = {"report": full_page, "comparison": comparison_page}


class Structure(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", PAGES)
def test_the_structure_is_one_that_a_screen_reader_can_walk(name: str) -> None:
    tags = Structure(PAGES[name]()).tags
    assert ("html", {"lang": "en"}) in tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    heads = [attrs for tag, attrs in tags if tag == "th"]
    assert len(heads) > 5
    assert all(attrs.get("scope") in ("col", "row") for attrs in heads)
    for tag, attrs in tags:
        if tag == "svg" and "width" in attrs:  # the others are marks inside one
            assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")
        if attrs.get("role") == "region":
            assert attrs.get("tabindex") == "0"
            assert attrs.get("aria-label")


@pytest.mark.parametrize("name", PAGES)
def test_nothing_on_the_page_leads_to_another_place(name: str) -> None:
    page = PAGES[name]()
    tags = Structure(page).tags
    assert not {"script", "img", "link", "iframe", "object", "form"} & {tag for tag, _ in tags}
    links = [v for _, attrs in tags for k, v in attrs.items() if k in ("href", "src", "action")]
    assert links == (["data_card.html"] if name == "report" else [])
    assert "url(" not in page
    assert "@import" not in page
    policy = [a["content"] for t, a in tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy[0] is not None
    assert policy[0].startswith("default-src 'none';")


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * d for d in digits)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast_of(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_formula_is_the_one_of_wcag():
    assert contrast_of("#fff", "#000") == pytest.approx(21)
    assert contrast_of("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_text_is_told_from_what_is_behind_it():
    style = comparison_page().split("<style>")[1].split("</style>")[0]
    themes = [
        dict(re.findall(r"--([a-z]+):(#[0-9a-f]{3,6})", block))
        for block in re.findall(r":root \{([^}]*)\}", style)
    ]
    assert len(themes) == 3  # light, dark, print
    texts = {
        **dict.fromkeys(("back", "face"), ("ink", "soft", "good", "bad", "wait", "blue")),
        **dict.fromkeys(("code", "add", "del"), ("ink",)),
        "note": ("ink", "bad"),
    }
    for theme in themes:
        for behind, inks in texts.items():
            for ink in inks:
                assert contrast_of(theme[ink], theme[behind]) >= 4.5, (ink, behind, theme)
        for badge in ("good", "bad", "wait"):
            assert contrast_of(theme["on"], theme[badge]) >= 4.5, (badge, theme)


def test_a_report_of_a_thousand_rows_is_small_and_quick():
    full_page()  # templates and detectors are loaded once
    started = time.process_time()
    page = full_page()
    assert time.process_time() - started < 5
    assert len(page.encode()) < 1_000_000


def test_also_long_texts_leave_it_small_and_quick():
    rng = random.Random(4)
    sides = [
        Evaluation(
            candidate_id=name,
            rows=tuple(
                replace(row, outputs={"reply": " ".join(rng.choices(_WORDS, k=4_000))})
                for row in evaluation(name, right, seed).rows[:60]
            ),
        )
        for name, right, seed in (("a", 0.2, 1), ("b", 0.8, 2))
    ]
    made = document(TURN, champion=sides[0], challenger=sides[1], examples=examples())
    started = time.process_time()
    page = render_page(made)
    assert time.process_time() - started < 5
    assert len(made.fixed) == 20
    assert "more characters)" in page
    assert len(page.encode()) < 1_000_000


@pytest.mark.parametrize("name", PAGES)
def test_a_browser_shows_it_whole_asks_for_nothing_and_axe_finds_nothing(
    name: str, tmp_path: Path
) -> None:
    axe = axe_script()
    page = tmp_path / "page.html"
    page.write_text(PAGES[name](), encoding="utf-8")
    with browser(tmp_path / "profile") as tab:
        for width, scheme in VIEWS if name == "report" else VIEWS[1:3]:
            tab.open(page, width=width, scheme=scheme)
            assert tab.value("document.documentElement.scrollWidth") <= width
            assert tab.violations(axe) == [], (width, scheme)
    assert set(tab.requests) == {page.as_uri()}
