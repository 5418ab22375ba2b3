"""A config: one optimization, in sections."""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from upturn.config.curation import CurateSection, SplitSection
from upturn.config.data import (
    FeedbackLogSection,
    FeedbackStoreSection,
    LabelledSection,
    LabelsSection,
    PrivacySection,
)
from upturn.config.judge import CanariesSection, JudgeSection
from upturn.config.search import SearchSection
from upturn.config.section import Fraction, Positive, Section, did_you_mean
from upturn.config.suites import SuiteEntry
from upturn.errors import ConfigError
from upturn.gate import design, design_names
from upturn.peers import PEERS


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
    deadline_s: float | None = Field(
        default=None, gt=0.0, description="for one call with all its attempts; null: what they take"
    )
    requests_per_minute: float | None = Field(default=None, gt=0.0)
    tokens_per_minute: float | None = Field(default=None, gt=0.0)
    max_outage_minutes: float = Field(
        default=30.0, ge=0.0, description="how long a turn waits for a server that is away"
    )

    @field_validator("api_key_env")
    @classmethod
    def _a_name_not_a_key(cls, value: str | None) -> str | None:
        if value is not None and not value.replace("_", "").isalnum():
            raise ValueError("must be the NAME of an environment variable, never the key itself")
        return value


class PeerSection(Section):
    """How one of DSPy's optimizers is run, where `optimizer` names one."""

    auto: Literal["light", "medium", "heavy"] = "light"
    our_demos: bool = Field(
        default=True, description="as many demos as search.max_demos; false: its own default"
    )


class RaySection(Section):
    """Where the rows run with ``executor: ray``."""

    address: str | None = Field(default=None, description="of a running cluster; null starts one")
    num_cpus_per_task: float = Field(default=1.0, gt=0.0)
    max_tasks: Positive = Field(default=32, description="blocks of rows in flight")


class BudgetSection(Section):
    """Caps of one turn. What the gate needs is set aside before the search starts."""

    max_calls: Positive | None = None
    max_usd: float | None = Field(default=None, gt=0.0)
    max_minutes: float | None = Field(default=None, gt=0.0)


class ForgettingSection(Section):
    """What an adapter may not unlearn: judged where the challenger has weights."""

    programs: list[str] = Field(
        default=[], description="other configs: their champions' prompts on their dev rows"
    )
    general: bool = Field(default=True, description="short invented tasks, judged by form alone")
    margin: float = Field(
        default=0.05, ge=0.0, le=1.0, description="how far a program's score may fall"
    )
    # An adapter is loaded for its own program alone: what it unlearns of form elsewhere is a sign
    # of a broken model, and some of it is what makes it good here.
    general_margin: float = Field(
        default=0.25, ge=0.0, le=1.0, description="how far the share of right form may fall"
    )
    rows: Positive = Field(default=100, description="dev rows of each program")


class GuardsSection(Section):
    """What may not get worse, and by how much it may."""

    level: float = Field(
        default=0.05,
        gt=0.0,
        lt=0.5,
        description="one-sided: how sure a guard must be of a harm",
    )
    failure_rate_margin: float = Field(default=0.02, ge=0.0)
    failure_rate_cap: float = Field(default=0.2, ge=0.0, le=1.0)
    p95_latency_ratio: float = Field(default=2.0, ge=1.0)
    p95_latency_slack_s: float = Field(default=0.25, ge=0.0)
    cost_ratio: float = Field(default=1.5, ge=1.0)
    cost_slack_usd: float = Field(default=0.0001, ge=0.0)
    output_tokens_ratio: float = Field(default=2.0, ge=1.0)
    output_tokens_slack: float = Field(default=200.0, ge=0.0)
    slice_margin: float = Field(default=0.05, ge=0.0)
    slice_level: float = Field(
        default=0.1, gt=0.0, lt=0.5, description="the same for a family of slices, by Holm"
    )
    slice_min_rows: Positive = 20
    automatic_slices: bool = Field(
        default=True, description="judge parts of the rows that nobody named, too"
    )
    measured_min_rows: Positive = 20
    forgetting: ForgettingSection | None = Field(
        default=ForgettingSection(), description="null: an adapter may forget"
    )


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
    design: str = Field(
        default="fixed",
        description="when the rows are looked at: fixed, group_sequential or betting",
        json_schema_extra={"enum": list(design_names())},
    )
    design_settings: dict[str, int | float | str] = Field(
        default={}, description="the design's own, such as stages, spending or futility"
    )
    challengers: Annotated[int, Field(ge=1, le=20)] = Field(
        default=1, description="most finalists that are judged at one look; they share its alpha"
    )
    replicates: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="runs of each row on each side, for a model that answers by chance"
    )
    row_cost_calls: float = Field(
        default=10.0, ge=0.0, description="what a fresh row is worth in calls, against replicates"
    )
    scores: Literal["ladder", "exact"] = Field(
        default="ladder",
        description="of later looks that promote nothing: withheld, or told as they are",
    )
    guards: GuardsSection = GuardsSection()
    suites: list[SuiteEntry] = Field(
        default=[], description="rows that a challenger must pass whatever its score is"
    )
    judge: JudgeSection | None = Field(
        default=None, description="the metric stands in for people: what it must show first"
    )

    @model_validator(mode="after")
    def _known_design(self) -> GateSection:
        try:
            design(self.design, self.design_settings)
        except ConfigError as error:
            raise ValueError(error.what) from error
        return self


class CacheSection(Section):
    """The answers that were paid for."""

    max_mb: float | None = Field(
        default=None, gt=0.0, description="oldest unused answers go beyond this; null keeps all"
    )


class TrackingSection(Section):
    """Where runs are tracked; by default a SQLite database in the workspace."""

    uri: str | None = None


class Config(Section):
    """One optimization."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    program: str = Field(description="file.py:ClassName")
    metric: str = Field(description="file.py:function")
    data: Annotated[
        FeedbackLogSection | FeedbackStoreSection | LabelledSection, Field(discriminator="kind")
    ]
    privacy: PrivacySection = PrivacySection()
    labels: LabelsSection = LabelsSection()
    model: ModelSection = ModelSection()
    models: dict[str, ModelSection] = Field(
        default={}, description="further models by name, for search.space.model"
    )
    proposer_model: ModelSection | None = Field(
        default=None, description="a strong model that writes instructions"
    )
    curate: CurateSection = CurateSection()
    split: SplitSection = SplitSection()
    optimizer: str = Field(default="upturn", description="upturn, or one of DSPy's own")
    peer: PeerSection = PeerSection()
    executor: Literal["local", "ray"] = "local"
    ray: RaySection = RaySection()
    search: SearchSection = SearchSection()
    budget: BudgetSection = BudgetSection()
    gate: GateSection = GateSection()
    cache: CacheSection = CacheSection()
    canaries: CanariesSection | None = Field(
        default=None, description="rows that tell another model under the same name; null: none"
    )
    promotion: Literal["auto", "ask"] = Field(
        default="auto", description="ask: stop before the alias moves"
    )
    tracking: TrackingSection = TrackingSection()
    workspace: str = Field(
        default="mlruns", description="database, snapshots, cache and ledger live here"
    )
    seed: int = Field(default=0, ge=0)

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str) -> str:
        known = ("upturn", *PEERS)
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}{did_you_mean(value, known)}")
        return value

    @model_validator(mode="after")
    def _challengers_are_finalists(self) -> Config:
        if self.gate.challengers > self.search.finalists:
            raise ValueError(
                f"gate.challengers must be <= search.finalists ({self.search.finalists}), "
                f"got {self.gate.challengers}"
            )
        return self

    @model_validator(mode="after")
    def _peers_run_here(self) -> Config:
        if self.optimizer != "upturn" and self.executor == "ray":
            raise ValueError(f"optimizer: {self.optimizer} runs in this process, got executor: ray")
        return self

    @model_validator(mode="after")
    def _weights_have_one_base(self) -> Config:
        space = self.search.space
        if space.weights and space.model:
            raise ValueError(
                "search.space.weights and search.space.model exclude each other: an adapter "
                "belongs to one base model"
            )
        return self

    @model_validator(mode="after")
    def _models_are_named(self) -> Config:
        for name in self.search.space.model:
            if name not in self.models:
                raise ValueError(
                    f"search.space.model names {name!r}, which is not under models"
                    f"{did_you_mean(name, self.models)}"
                )
        return self

    def to_yaml(self) -> str:
        """The resolved config, defaults and overrides included."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)
