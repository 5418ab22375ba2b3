"""The sections of a config about data: where rows come from, and how they are curated."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from upturn.config.section import SECRET, Positive, Section

Consent = Literal["allow", "deny"]


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


class FeedbackStoreSection(Section):
    """Rows from the feedback store, which `upturn ingest` and `upturn collect` fill."""

    kind: Literal["feedback_store"]
    store: str | None = Field(default=None, description="SQLite file, or a URL without a password")
    store_env: str | None = Field(
        default=None, description="NAME of the environment variable with the store's URL"
    )
    program: str = Field(description="whose requests are read, as the events name it")
    inputs: dict[str, str] = Field(
        default={}, description="input field -> JMESPath over a request's inputs; by name if absent"
    )
    outputs: dict[str, str] = Field(
        default={}, description="output field -> JMESPath over its outputs; by name if absent"
    )
    min_age_hours: float = Field(
        default=72.0, ge=0.0, description="younger requests wait for corrections"
    )
    now: str | None = Field(
        default=None, description="read the store as of this time (ISO 8601 with zone)"
    )

    @model_validator(mode="after")
    def _one_store(self) -> FeedbackStoreSection:
        if (self.store is None) == (self.store_env is None):
            raise ValueError("needs either store or store_env")
        return self

    @field_validator("store")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        authority = (value or "").partition("://")[2].partition("/")[0]
        if ":" in authority.rpartition("@")[0]:
            raise PydanticCustomError(
                SECRET, "holds a password; put the URL into a variable and name that as store_env"
            )
        return value


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


class LabelsSection(Section):
    """How feedback becomes labels: changes to the default rules, which docs/labels.md lists."""

    rules: dict[str, Any] = Field(
        default={}, description="rule id -> off, or the attributes that change"
    )
    min_probability: float = Field(
        default=0.51, ge=0.0, le=1.0, description="least probability of a label"
    )
    min_contradicted: float = Field(
        default=0.75, ge=0.0, le=1.0, description="the same where the evidence points both ways"
    )
    min_reviewed: Positive = Field(
        default=100, description="reviewed labels from which probabilities are recalibrated"
    )


class PrivacySection(Section):
    """What is taken out of events before they become rows."""

    scrub: bool = Field(default=True, description="take out e-mails, cards, keys and the like")
    names: bool = Field(default=False, description="take out names too; needs the extra [names]")
    kinds: list[str] | None = Field(
        default=None, description="only these kinds, such as EMAIL; all where absent"
    )
    keep: list[str] = Field(
        default=[], description="items that stay, such as support@example.com or @example.com"
    )
    key_file: str | None = Field(
        default=None, description="key of the pseudonyms, outside the store; made where absent"
    )
    unstated_consent: Consent = Field(
        default="allow", description="whether rows that state no consent may be used"
    )
