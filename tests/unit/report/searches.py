"""A made-up search: twelve trials of different length, price and luck."""

from __future__ import annotations

from upturn.report.figures import TrialPoint
from upturn.report.search import SearchReport, TrialLine

ESTIMATES = (0.31, 0.52, 0.48, 0.61, 0.22, 0.58, 0.66, 0.4, 0.63, 0.35, 0.55, None)


def points() -> list[TrialPoint]:
    """Trial 0 is the champion, trial 6 the challenger; 3, 6 and 8 ran on every row."""
    stayed = {0: 0.3, 3: 0.57, 6: 0.6, 8: 0.55}
    return [
        TrialPoint(
            number=i,
            score=score,
            pruned=i not in stayed,
            fresh_score=stayed.get(i),
            rows=200 if i in stayed else 8 * (1 + i % 5),
            cost_usd=0.0,
            input_tokens=150.0 + 60 * ((7 * i) % 11),
            latency_s=0.2 + 0.03 * ((5 * i) % 7),
            role="champion" if i == 0 else "challenger" if i == 6 else "",
        )
        for i, score in enumerate(ESTIMATES)
    ]


def lines(origin: str = "balanced:12") -> list[TrialLine]:
    """The same as lines of the table."""
    return [
        TrialLine(
            name=p.name,
            origins={"route.instruction": "contrast:rules:3", "route.demos": origin},
            rows=p.rows,
            estimate=p.score,
            reason="worse than t003" if p.pruned else "ran on every row",
            finished=not p.pruned,
            fresh_score=p.fresh_score,
            role=p.role,
        )
        for p in points()
    ]


def report(**changes: object) -> SearchReport:
    made = {"trials": tuple(lines()), "points": tuple(points()), "champion": 0.31}
    return SearchReport(program="triage", **{**made, **changes})
