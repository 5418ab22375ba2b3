"""Versions side by side on dev: the numbers of each against the first, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from upturn.gate.designs.fixed import analyse
from upturn.gate.statistics import cluster
from upturn.records import Candidate, Evaluation, Example, Json, pair
from upturn.report.changes import Change, changes, setting_changes
from upturn.report.forest import Bar, bar
from upturn.report.masking import masked_candidate, masked_row
from upturn.report.rows import RowChange, Tally, row_changes, tally
from upturn.report.templating import environment

#: One-sided error level of each end of the interval that is shown.
LEVEL = 0.05
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Side:
    """One version with its rows.

    Attributes:
        name: as it was asked for: a version, ``champion`` or ``seed``.
        candidate: its prompts and settings.
        evaluation: its rows.
    """

    name: str
    candidate: Candidate
    evaluation: Evaluation


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One version against the first.

    Attributes:
        name, candidate_id, score, denominator: of the version.
        effect, low, high: its mean difference to the first with a 90 % interval, clustered by
            group; None where nothing can be compared.
        n, groups: rows with both scores, and the groups they fall in.
        tally: the paired table.
    """

    name: str
    candidate_id: str
    score: float | None
    denominator: str
    effect: float | None
    low: float | None
    high: float | None
    n: int
    groups: int
    tally: Tally

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def contrast(first: Side, other: Side) -> Contrast:
    """Compares a version with the first on the rows on which both have a score."""
    known = [
        (y.value - x.value, x.group)
        for x, y in pair(first.evaluation.rows, other.evaluation.rows)
        if x.value is not None and y.value is not None
    ]
    clusters = cluster([d for d, _ in known], [g for _, g in known]) if known else None
    finding = analyse(clusters, alpha=LEVEL, draws=20_000, seed=0) if clusters else None
    return Contrast(
        name=other.name,
        candidate_id=other.evaluation.candidate_id,
        score=other.evaluation.score,
        denominator=other.evaluation.denominator,
        effect=clusters.effect if clusters else None,
        low=finding.low if finding else None,
        high=finding.high if finding else None,
        n=len(known),
        groups=len(clusters.sums) if clusters else 0,
        tally=tally(first.evaluation, other.evaluation),
    )


@dataclass(frozen=True, kw_only=True)
class _Section:
    """What the page shows of one version but the first."""

    contrast: Contrast
    bar: Bar | None
    changes: Sequence[Change]
    settings: Sequence[str]
    better: Sequence[RowChange]
    worse: Sequence[RowChange]


def render_comparison(
    sides: Sequence[Side], examples: Sequence[Example], *, program: str, model_id: str
) -> str:
    """Returns versions side by side as HTML, personal items masked.

    Args:
        sides: at least two, all on the same rows; the others are compared with the first.
        examples: the rows, whose texts are shown beside the answers.
        program: the config's name.
        model_id: the model that answered.
    """
    first, *others = sides
    found = [contrast(first, other) for other in others]
    ends = [abs(v) for c in found for v in (c.effect, c.low, c.high) if v is not None]
    reach = 1.1 * max([*ends, 0.01])
    return (
        environment(html=True)
        .get_template("comparison.html.j2")
        .render(
            program=program,
            model_id=model_id,
            first=contrast(first, first),
            sections=[
                _section(first, other, made, examples, reach)
                for other, made in zip(others, found, strict=True)
            ],
        )
    )


def _section(
    first: Side, other: Side, found: Contrast, examples: Sequence[Example], reach: float
) -> _Section:
    better, worse = row_changes(first.evaluation, other.evaluation, examples, limit=_SHOWN)
    effect = found.effect
    old, new = masked_candidate(first.candidate), masked_candidate(other.candidate)
    return _Section(
        contrast=found,
        bar=None if effect is None else bar(effect, found.low, found.high, reach),
        changes=changes(old, new),
        settings=setting_changes(old, new),
        better=[masked_row(r) for r in better],
        worse=[masked_row(r) for r in worse],
    )
