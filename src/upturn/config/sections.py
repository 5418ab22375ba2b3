"""The sections of a config: inert, frozen, extra keys forbidden."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from upturn.propose import PROPOSERS

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]


def did_you_mean(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


class Section(BaseModel):
    # Strict: "5e-6" is text to PyYAML, and text that passes for a number is how a wrong rate gets
    # in.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class ModelSection(Section):
    """The language model that runs the program."""

    name: str = Field(
        default="upturn-mini", description="upturn-mini, hf:FOLDER, or any DSPy/LiteLLM string"
    )
    api_base: str | None = Field(
        default=None, description="base URL of an OpenAI-compatible server"
    )
    api_key_env: str | None = Field(
        default=None, description="NAME of the environment variable with the key"
    )
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    max_tokens: Positive = 64
    seed: int | None = None
    usd_per_million_input: float = Field(default=0.0, ge=0.0)
    usd_per_million_output: float = Field(default=0.0, ge=0.0)
    concurrency: Annotated[int, Field(ge=1, le=512)] = 32
    timeout_s: float = Field(default=60.0, gt=0.0)
    num_retries: int = Field(default=3, ge=0)

    @field_validator("api_key_env")
    @classmethod
    def _a_name_not_a_key(cls, value: str | None) -> str | None:
        if value is not None and not value.replace("_", "").isalnum():
            raise ValueError("must be the NAME of an environment variable, never the key itself")
        return value


class FeedbackLogSection(Section):
    """Rows from production feedback in Upturn's native log format."""

    kind: Literal["feedback_log"]
    paths: list[str] = Field(min_length=1, description="JSONL files, .gz allowed")
    program: str | None = Field(
        default=None, description="read only this program's events; all by default"
    )
    min_age_hours: float = Field(
        default=72.0, ge=0.0, description="younger requests wait for corrections"
    )
    now: str | None = Field(
        default=None, description="read the log as of this time (ISO 8601 with zone)"
    )


class LabelledSection(Section):
    """Rows that already carry their labels, such as a public data set."""

    kind: Literal["labelled"]
    path: str | None = Field(default=None, description="JSONL or CSV file")
    hub: str | None = Field(
        default=None, description="Hugging Face data set, used where path is absent"
    )
    inputs: dict[str, str] = Field(description="column -> input field of the program")
    labels: dict[str, str] = Field(description="column -> output field of the program")
    keep: dict[str, list[str]] = Field(default={}, description="column -> values that are kept")

    @model_validator(mode="after")
    def _one_source(self) -> LabelledSection:
        if not self.path and not self.hub:
            raise ValueError("needs a path or a hub name")
        return self


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

    @model_validator(mode="after")
    def _train_is_left(self) -> SplitSection:
        if self.holdout + self.dev > 0.9:
            raise ValueError(
                f"holdout + dev must leave 0.1 for train, got {self.holdout + self.dev}"
            )
        return self


class RaceSection(Section):
    """When a candidate leaves a race; saves calls, never decides a promotion."""

    block_rows: Positive = 32
    min_rows: Positive = 32
    stop_p: Fraction = 0.1


class SearchSection(Section):
    """How much is tried, and where the choices come from."""

    proposers: list[str] = Field(default=list(PROPOSERS), min_length=1)
    n_trials: Positive = 40
    finalists: Annotated[int, Field(ge=1, le=20)] = 4
    max_demos: Annotated[int, Field(ge=0, le=64)] = 16
    max_demo_chars: Positive = 240
    fresh: Fraction = Field(
        default=0.35, description="share of dev kept for re-scoring the finalists"
    )
    startup: Positive = 12
    race: RaceSection = RaceSection()

    @field_validator("proposers")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in PROPOSERS:
                raise ValueError(f"{name!r} is no proposer{did_you_mean(name, PROPOSERS)}")
        return value


class BudgetSection(Section):
    """Caps of one turn. What the gate needs is set aside before the search starts."""

    max_calls: Positive | None = None
    max_usd: float | None = Field(default=None, gt=0.0)
    max_minutes: float | None = Field(default=None, gt=0.0)


class GuardsSection(Section):
    """What may not get worse, and by how much it may."""

    failure_rate_margin: float = Field(default=0.02, ge=0.0)
    failure_rate_cap: float = Field(default=0.2, ge=0.0, le=1.0)
    p95_latency_ratio: float = Field(default=2.0, ge=1.0)
    p95_latency_slack_s: float = Field(default=0.25, ge=0.0)
    cost_ratio: float = Field(default=1.5, ge=1.0)
    cost_slack_usd: float = Field(default=0.0001, ge=0.0)
    slice_margin: float = Field(default=0.1, ge=0.0)
    slice_min_rows: Positive = 20
    measured_min_rows: Positive = 20


class GateSection(Section):
    """What it takes to be promoted."""

    min_gain: float = Field(
        default=0.05, ge=0.0, lt=1.0, description="the smallest gain worth a release"
    )
    alpha: float = Field(
        default=0.05, gt=0.0, lt=0.5, description="one-sided, over all looks at one holdout"
    )
    power: Fraction = 0.8
    max_outage_share: Fraction = 0.02
    guards: GuardsSection = GuardsSection()


class TrackingSection(Section):
    """Where runs are tracked; by default a SQLite database in the workspace."""

    uri: str | None = None


class Config(Section):
    """One optimization."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    program: str = Field(description="file.py:ClassName")
    metric: str = Field(description="file.py:function")
    data: Annotated[FeedbackLogSection | LabelledSection, Field(discriminator="kind")]
    model: ModelSection = ModelSection()
    split: SplitSection = SplitSection()
    search: SearchSection = SearchSection()
    budget: BudgetSection = BudgetSection()
    gate: GateSection = GateSection()
    promotion: Literal["auto", "ask"] = Field(
        default="auto", description="ask: stop before the alias moves"
    )
    tracking: TrackingSection = TrackingSection()
    workspace: str = Field(
        default="mlruns", description="database, snapshots, cache and ledger live here"
    )
    seed: int = Field(default=0, ge=0)

    def to_yaml(self) -> str:
        """The resolved config, defaults and overrides included."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)
