"""The search section: what is tried, how, and within which limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from upturn.config.section import Fraction, Positive, Section, did_you_mean
from upturn.propose import PROPOSERS
from upturn.search import SAMPLERS, STRATEGIES


class RaceSection(Section):
    """When a candidate leaves a race; saves calls, never decides a promotion."""

    block_rows: Positive = Field(default=8, description="rows run between two looks")
    level: Fraction = Field(
        default=0.1,
        description="chance that the best candidate is ever called worse, over all looks",
    )


class SpaceSection(Section):
    """What is searched beside the prompt; an empty list leaves it as the config has it."""

    temperature: list[Annotated[float, Field(ge=0.0, le=2.0)]] = Field(default=[])
    adapter: list[Literal["chat", "json", "xml"]] = Field(default=[])
    module: list[Literal["predict", "cot"]] = Field(default=[])
    model: list[str] = Field(default=[], description="names of models under `models`")
    n_demos: list[Annotated[int, Field(ge=0, le=64)]] = Field(default=[])
    order: list[Literal["short_first", "short_last", "reversed"]] = Field(default=[])
    weights: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        description="adapters: names of fine-tune jobs, ids, or folders; none is always tried, too",
    )

    @field_validator("weights", mode="before")
    @classmethod
    def _ids_are_texts(cls, value: Any) -> Any:
        numbers = (
            [v for v in value if isinstance(v, int | float)] if isinstance(value, list) else []
        )
        if numbers:
            raise ValueError(
                f"must be texts, and YAML reads an id of digits alone as a number ({numbers[0]}); "
                'quote it: ["…"]'
            )
        return value


class ConstraintsSection(Section):
    """What a candidate may cost; one that costs more leaves the search."""

    max_usd_per_row: float | None = Field(default=None, gt=0.0)
    max_latency_s: float | None = Field(default=None, gt=0.0, description="mean seconds a row")


class SearchSection(Section):
    """How much is tried, and where the choices come from."""

    strategy: str = "racing"
    sampler: str = "space_filling"
    proposers: list[str] | None = Field(
        default=None,
        min_length=1,
        description="names, or 'file.py:Name' of your own; null takes all that can help",
    )
    evaluations: Positive = Field(
        default=1200, description="rows run by the search, finalists included"
    )
    n_trials: Positive = Field(default=60, description="candidates that may enter")
    generations: Annotated[int, Field(ge=1, le=10)] = 1
    finalists: Annotated[int, Field(ge=1, le=20)] = 3
    max_demos: Annotated[int, Field(ge=0, le=64)] = 16
    max_demo_chars: Positive = 240
    max_prompt_chars: Positive | None = Field(
        default=None, description="a demo set with more characters is cut"
    )
    fresh: Fraction = Field(
        default=0.35, description="share of dev kept for re-scoring the finalists"
    )
    race: RaceSection = RaceSection()
    space: SpaceSection = SpaceSection()
    constraints: ConstraintsSection = ConstraintsSection()
    storage: str | None = Field(
        default=None, description="URL of an Optuna database for the record of the study"
    )

    @field_validator("proposers")
    @classmethod
    def _known_proposers(cls, value: list[str] | None) -> list[str] | None:
        for name in value or ():
            if ":" not in name and name not in PROPOSERS:
                raise ValueError(f"{name!r} is no proposer{did_you_mean(name, PROPOSERS)}")
        return value

    @field_validator("strategy", "sampler")
    @classmethod
    def _known_kind(cls, value: str, info: ValidationInfo) -> str:
        known = {"strategy": STRATEGIES, "sampler": SAMPLERS}[str(info.field_name)]
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}{did_you_mean(value, known)}")
        return value
