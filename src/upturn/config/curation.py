"""The sections of a config about curation: caps, balance, slices, splits that remember."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from upturn.config.section import Fraction, Positive, Section


class BalanceSection(Section):
    """How the labels of one field of train are balanced; dev and holdout are left as they are."""

    field: str = Field(description="output field")
    method: Literal["weight", "down_sample"] = "weight"
    ratio: float = Field(
        default=1.0, ge=1.0, description="times the rarest label that a frequent one may keep"
    )


class SlicesSection(Section):
    """Named parts of the data that guards and reports look at apart."""

    by_rule: dict[str, str] = Field(
        default={}, description="slice name -> JMESPath over inputs, labels, slices and time"
    )
    clusters: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0, description="clusters of texts, learned from train; 0 makes none"
    )


class CurateSection(Section):
    """What is left out before rows are split, counted by reason; no limits by default."""

    max_per_user: Positive | None = None
    max_per_template: Positive | None = Field(
        default=None, description="rows whose texts differ in digits and names only"
    )
    max_per_week: Positive | None = None
    balance: list[BalanceSection] = Field(default=[])
    slices: SlicesSection = SlicesSection()


class SplitSection(Section):
    """How rows become train, dev and holdout; groups never straddle."""

    holdout: Fraction = 0.3
    dev: Fraction = 0.35
    order: Literal["time", "hash"] = Field(
        default="time", description="time: the newest groups are held out"
    )
    near_duplicate: float = Field(
        default=0.8, gt=0.0, le=1.0, description="Jaccard at which texts are one group"
    )
    remember: bool = Field(
        default=True, description="rows that earlier snapshots tuned on are never held out"
    )
    retired: list[str] = Field(
        default=[], description="sha256 of holdouts whose rows may become dev"
    )

    @model_validator(mode="after")
    def _train_is_left(self) -> SplitSection:
        if self.holdout + self.dev > 0.9:
            raise ValueError(
                f"holdout + dev must leave 0.1 for train, got {self.holdout + self.dev}"
            )
        return self
