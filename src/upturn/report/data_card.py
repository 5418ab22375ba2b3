"""The data card: what a snapshot holds, where it came from, and what was left out and why.

Markdown for repositories and model hubs, HTML for people who look. Every text that may come from
a user is escaped in both. Of the holdout only sizes and times are told: its labels stay sealed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from upturn.labels.calibration import Bin
from upturn.records import Json
from upturn.report import data_card_figures as figures
from upturn.report.data_card_words import reason_in_words
from upturn.report.templating import environment

_SHOWN = 20  # lines of a list; the rest is counted
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#|!~$])")


@dataclass(frozen=True, kw_only=True)
class Week:
    """One week's volume; None is not known.

    Attributes:
        week: such as ``2026-W36``.
        requests: asked in it; feedback: how many of these somebody spoke of; labelled: how many
            of these have a label.
    """

    week: str
    requests: int | None = None
    feedback: int | None = None
    labelled: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rater:
    """One rater's agreement with others.

    Attributes:
        name: who, as the events name them.
        judged: judgements given; compared: those that others' evidence can be held against.
        agreement: share of them that agrees, with its interval; None where none was compared.
        trusted: whether their judgements count; note: why not, or what else is to say.
    """

    name: str
    judged: int
    compared: int
    agreement: float | None = None
    low: float | None = None
    high: float | None = None
    trusted: bool = True
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Who gives feedback is not who uses the product: a share, naive and weighted for that.

    Attributes:
        what: the share that is estimated, such as ``answers that are right``.
        naive, weighted: its two estimates, fractions; each with a 95 % interval (low, high).
        judged, requests: how many requests the naive one stands on, out of how many.
        effective: effective number of judged requests after weighting.
        warning: a sentence where the two differ, else "".
    """

    what: str
    naive: float
    naive_range: tuple[float, float]
    weighted: float
    weighted_range: tuple[float, float]
    judged: int
    requests: int
    effective: float
    warning: str = ""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Whether label probabilities hold where rows were reviewed.

    Attributes:
        n: reviewed labels.
        brier, ece: mean squared error and expected calibration error of the probabilities in use.
        bins: the reliability diagram; empty bins are left out.
        note: what was done about it, in a sentence.
    """

    n: int
    brier: float
    ece: float
    bins: tuple[Bin, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class CardEvidence:
    """What a card tells beyond the snapshot's rows; whatever is not known is left out.

    Attributes:
        weeks: volumes, oldest first.
        cluster_sizes: rows of a near-duplicate cluster -> how many clusters have so many.
        raters: those who judged most, first.
        selection: bias of who gives feedback; calibration: of label probabilities.
    """

    weeks: tuple[Week, ...] = ()
    cluster_sizes: Mapping[int, int] = field(default_factory=dict)
    raters: tuple[Rater, ...] = ()
    selection: Selection | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """Everything a card tells.

    Attributes:
        title: the program, or what the data is called; snapshot: its id.
        sizes: split -> ``rows`` and ``groups``.
        holdout_from, holdout_to: times of the holdout's rows, or "".
        labels: split -> output field -> label -> rows, of train and dev.
        slices: slice name -> value -> rows, of train and dev.
        consent: what was agreed to -> rows, of train and dev.
        weights: mean weight of the rows, by split.
        abstained: reason -> requests without a label; dropped: reason -> rows left out.
        grouping: counts of groups and near-duplicate clusters.
        rules: name -> setting.
        sources: a line each on where rows came from.
        evidence: what else is known.
    """

    title: str
    snapshot: str
    sizes: Mapping[str, Mapping[str, int]]
    holdout_from: str = ""
    holdout_to: str = ""
    labels: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    consent: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    abstained: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    grouping: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, Json] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    evidence: CardEvidence = field(default_factory=CardEvidence)

    @property
    def rows(self) -> int:
        return sum(size["rows"] for size in self.sizes.values())


def render_card_markdown(card: DataCard) -> str:
    """Returns the card as Markdown without figures."""
    template = environment(html=False).get_template("data_card.md.j2")
    return template.render(**_shared(card), t=_markdown_text)


def render_card_html(card: DataCard) -> str:
    """Returns the card as one HTML file that needs nothing else."""
    template = environment(html=True).get_template("data_card.html.j2")
    evidence = card.evidence
    return template.render(
        **_shared(card),
        weeks_figure=figures.as_data_uri(figures.weeks_figure(evidence.weeks)),
        clusters_figure=figures.as_data_uri(figures.clusters_figure(evidence.cluster_sizes)),
        calibration_figure=figures.as_data_uri(figures.calibration_figure(evidence.calibration)),
    )


def _shared(card: DataCard) -> dict[str, Json]:
    return {
        "card": card,
        "evidence": card.evidence,
        "fields": sorted({name for mix in card.labels.values() for name in mix}),
        "mixes": {name: _mix(card, name) for mix in card.labels.values() for name in mix},
        "shown": _SHOWN,
        "words": reason_in_words,
        "by_count": _by_count,
        "number": _number,
    }


def _mix(card: DataCard, name: str) -> list[dict[str, Json]]:
    """Returns a line per label of a field: rows and share in each open split, frequent first."""
    mixes = {split: mix[name] for split, mix in card.labels.items() if name in mix}
    totals = {split: sum(mix.values()) for split, mix in mixes.items()}
    labels = {
        label: sum(mix.get(label, 0) for mix in mixes.values())
        for m in mixes.values()
        for label in m
    }
    return [
        {
            "label": label,
            "splits": [
                {
                    "split": split,
                    "rows": mix.get(label, 0),
                    "share": mix.get(label, 0) / totals[split] if totals[split] else 0.0,
                }
                for split, mix in mixes.items()
            ],
        }
        for label, _ in _by_count(labels)
    ]


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _markdown_text(value: object) -> str:
    """Returns a text that is only text in Markdown: no tag, link, emphasis or table cell of it."""
    plain = html.escape(" ".join(str(value).split()), quote=False)
    return _SPECIAL.sub(r"\\\1", plain)
