"""The data card: what it tells, that user text stays text, and that the holdout stays sealed."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from upturn.datasets import Snapshot, SplitRules, Terms, freeze
from upturn.labels.calibration import Bin
from upturn.records import Example
from upturn.report.data_card import (
    Calibration,
    CardEvidence,
    DataCard,
    Rater,
    Selection,
    Week,
    render_card_html,
    render_card_markdown,
)
from upturn.report.data_card_figures import calibration_figure, clusters_figure, weeks_figure
from upturn.report.data_card_source import (
    card_of,
    evidence_from_json,
    evidence_to_json,
    weeks_from_counts,
)

EVIL = "<script>alert('x')</script>"
MARKDOWN = "| [click](javascript:1) `code` **bold** $x$"
EVIDENCE = CardEvidence(
    weeks=tuple(
        Week(week=f"2026-W{n}", requests=900 + 40 * n, feedback=210 + 9 * n, labelled=150 + n)
        for n in range(20, 37)
    ),
    cluster_sizes={2: 41, 3: 12, 5: 4, 17: 2, 240: 1},
    raters=(
        Rater(name=EVIL, judged=41, compared=30, agreement=0.51, low=0.4, high=0.62, trusted=False),
        Rater(name="ann", judged=1200, compared=800, agreement=0.94, low=0.92, high=0.95),
        Rater(name="new", judged=2, compared=0),
    ),
    selection=Selection(
        what="answers that are right",
        naive=0.62,
        naive_range=(0.6, 0.64),
        weighted=0.71,
        weighted_range=(0.67, 0.75),
        judged=2400,
        requests=15000,
        effective=1310.4,
        warning="The requests that get feedback are not like the others.",
    ),
    calibration=Calibration(
        n=310,
        brier=0.081,
        ece=0.034,
        bins=(
            Bin(low=0.5, high=0.6, n=20, stated=0.55, right=0.5),
            Bin(low=0.8, high=0.9, n=90, stated=0.86, right=0.8),
            Bin(low=0.9, high=1.0, n=200, stated=0.97, right=0.95),
        ),
        note="The probabilities are used as they are.",
    ),
)
CARD = DataCard(
    title="ticket_triage",
    snapshot="ab" * 32,
    sizes={
        "train": {"rows": 1426, "groups": 700},
        "dev": {"rows": 371, "groups": 200},
        "holdout": {"rows": 263, "groups": 150},
    },
    holdout_from="2026-08-20T10:00:00+00:00",
    holdout_to="2026-09-03T09:30:00+00:00",
    labels={
        "train": {"team": {"billing": 900, "returns": 300, EVIL: 200, MARKDOWN: 26}},
        "dev": {"team": {"billing": 200, "returns": 171}},
    },
    slices={"language": {"en": 1500, EVIL: 297}},
    consent={"not stated": 1700, "evaluate and train": 97},
    weights={"train": 0.91, "dev": 0.88},
    abstained={"no_feedback": 12000, "too_young": 340, EVIL: 1},
    dropped={"no_consent_to_train": 14, "over_user_cap": 120},
    grouping={
        "rows": 2060,
        "groups": 1050,
        "clusters": 60,
        "clustered_rows": 410,
        "largest_rows": 31,
    },
    rules={"split.holdout": 0.3, "split.order": "time", EVIL: EVIL},
    sources=("log.jsonl: 15,000 lines, sha256 0123456789ab", EVIL),
    evidence=EVIDENCE,
)


class Page(HTMLParser):
    """Every tag and every text of a page; each tag must close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_the_page_tells_everything_and_runs_nothing():
    text = render_card_html(CARD)
    page = Page(text)
    assert "script" not in page.tags
    assert page.texts.count(EVIL) == 7  # label, abstention, rater, slice, source, rule twice
    assert "Content-Security-Policy" in text
    assert "http" not in text.replace("http-equiv", "")
    assert page.tags.count("img") == 3
    for told in ("ticket_triage", "2,060", "no_consent_to_train", "1,310", "Brier 0.081"):
        assert told in text
    assert "the row's group is in train" in text.replace("&#39;", "'")


def test_figures_hold_no_text_of_users_and_are_the_same_each_time():
    drawn = [
        weeks_figure(EVIDENCE.weeks),
        clusters_figure(EVIDENCE.cluster_sizes),
        calibration_figure(EVIDENCE.calibration),
    ]
    assert all(svg.startswith(b"<?xml") for svg in drawn)
    assert drawn[0] == weeks_figure(EVIDENCE.weeks)
    assert clusters_figure(EVIDENCE.cluster_sizes) == drawn[1]
    assert [weeks_figure(()), clusters_figure({}), calibration_figure(None)] == [b"", b"", b""]


def test_markdown_keeps_text_text():
    text = render_card_markdown(CARD)
    assert "<script" not in text
    assert "&lt;script&gt;alert" in text
    row = next(line for line in text.splitlines() if "click" in line)
    assert row == (
        r"| \| \[click\]\(javascript:1\) \`code\` \*\*bold\*\* \$x\$ | 26 (1.8 %) | 0 (0.0 %) |"
    )


def tables(text: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [t for t in found if t]


def test_markdown_tables_are_whole():
    text = render_card_markdown(CARD)
    made = tables(text)
    assert len(made) == 11
    for table in made:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
        assert len(columns) == 1, table
        assert re.fullmatch(r"(\|-+:?)+\|", table[1])
        assert len(table) >= 3
    assert "\n\n\n\n" not in text
    assert "| no\\_feedback | 12,000 | nobody spoke of the answer" in text
    assert "| new | 2 | 0 | – | yes |" in text


def test_a_card_without_evidence_leaves_its_parts_out():
    bare = replace(CARD, evidence=CardEvidence(), slices={}, grouping={}, labels={}, dropped={})
    for text in (render_card_html(bare), render_card_markdown(bare)):
        for part in ("Raters", "Who gives feedback", "probabilities hold", "Slices", "by week"):
            assert part not in text
        assert "None." in text
    assert Page(render_card_html(bare)).tags.count("img") == 0


def test_more_labels_than_are_shown_are_counted():
    many = {f"label {n:03}": 100 - n for n in range(50)}
    card = replace(CARD, labels={"train": {"team": many}, "dev": {"team": many}})
    assert "and 30 more labels" in render_card_html(card)
    assert "| 30 more | | |" in render_card_markdown(card)
    assert "label 019" in render_card_html(card)
    assert "label 020" not in render_card_html(card)


def test_evidence_survives_json():
    assert evidence_from_json(evidence_to_json(EVIDENCE)) == EVIDENCE
    assert evidence_from_json({}) == CardEvidence()


def test_weeks_are_counted_side_by_side():
    weeks = weeks_from_counts(
        requests={"2026-W02": 5, "2026-W01": 3}, labelled={"2026-W02": 1, "": 9}
    )
    assert weeks == (
        Week(week="2026-W01", requests=3, labelled=0),
        Week(week="2026-W02", requests=5, labelled=1),
    )


def frozen(folder: Path, **provenance: object) -> Snapshot:
    rows = [
        Example(
            id=f"row-{n:03}",
            inputs={"message": f"secret-{n:03}"},
            labels={"team": "billing" if n < 42 else "only-in-holdout"},
            group=f"customer-{n:03}",
            time=f"2026-09-{1 + n // 3:02}T10:00:00+00:00",
            weight=0.5,
            slices={"plan": "pro" if n % 2 else "free"},
            consent=("train", "evaluate") if n % 2 else None,
        )
        for n in range(60)
    ]
    terms = Terms(unstated="allow")
    given = {"config": "triage", "events": {"requests": 4000}, **provenance}
    return freeze(rows, rules=SplitRules(), folder=folder, provenance=given, terms=terms)


def test_the_card_of_a_snapshot_says_nothing_of_the_holdout_but_its_size(tmp_path: Path):
    snapshot = frozen(tmp_path)
    card = card_of(snapshot)
    assert card.title == "triage"
    assert card.sizes["holdout"] == {"rows": 18, "groups": 18}
    assert card.labels["train"] == {"team": {"billing": 21}}
    assert sum(card.slices["plan"].values()) == sum(card.consent.values()) == 42
    assert card.consent == {"evaluate and train": 21, "not stated": 21}
    assert card.weights == {"train": 0.5, "dev": 0.5}
    assert [(w.week, w.requests, w.labelled) for w in card.evidence.weeks] == [
        ("2026-W36", None, 18),
        ("2026-W37", None, 21),
        ("2026-W38", None, 3),
    ]
    assert card.sources == ("config: triage", "requests: 4,000")
    for text in (render_card_html(card), render_card_markdown(card)):
        assert "only-in-holdout" not in text
        assert "secret-" not in text
        assert "customer-" not in text
        assert "2026-09-15" in text


def test_evidence_kept_in_the_provenance_is_told(tmp_path: Path):
    snapshot = frozen(tmp_path, evidence=evidence_to_json(EVIDENCE))
    assert card_of(snapshot).evidence == EVIDENCE
    told = card_of(snapshot, title="mine", evidence=CardEvidence(cluster_sizes={2: 1}))
    assert (told.title, told.evidence.cluster_sizes) == ("mine", {2: 1})


@pytest.mark.parametrize("weeks", [1, 2, 60])
def test_any_number_of_weeks_can_be_drawn(weeks: int):
    made = tuple(Week(week=f"2026-W{n:02}", requests=n, labelled=None) for n in range(weeks))
    assert weeks_figure(made).startswith(b"<?xml")
