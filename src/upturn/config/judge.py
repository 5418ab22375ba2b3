"""The sections of a config about what stands in for people, and about models behind a name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from upturn.config.section import Positive, Section


class JudgeSection(Section):
    """The metric is a judge: what shows that it agrees with people."""

    labels: str | None = Field(
        default=None, description="JSONL file with the verdicts of judge and people on some answers"
    )
    scores: str | None = Field(
        default=None, description="JSONL file of id and score, where labels lacks the judge's"
    )
    min_kappa: float = Field(
        default=0.6, ge=-1.0, le=1.0, description="that the lower end of the interval must reach"
    )
    min_rows: Positive = Field(default=50, description="rows with a human verdict, at least")
    weights: Literal["none", "linear", "quadratic"] = Field(
        default="none", description="of disagreement between graded verdicts"
    )
    uncalibrated: Literal["refuse", "allow"] = Field(
        default="refuse", description="allow: gate all the same, and say so first in the report"
    )
    human: str = Field(
        default="human", description="part of the metric's score that is a person's, where known"
    )


class CanariesSection(Section):
    """Rows that are asked again at the start of a turn, to notice another model under one name."""

    rows: Annotated[int, Field(ge=4, le=64)] = Field(
        default=8, description="dev rows; each is asked once a turn, and twice at first"
    )
    level: float = Field(
        default=0.01, gt=0.0, le=0.1, description="chance of a false alarm in one turn, at most"
    )
