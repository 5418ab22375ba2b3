"""The suites of a config: rows that a challenger must pass whatever its score is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue

from upturn.config.section import Section


class SuiteSection(Section):
    """One suite."""

    # ``pass`` is what a reader looks for, and no name that Python allows.
    model_config = ConfigDict(serialize_by_alias=True)

    path: str = Field(
        min_length=1,
        description="a .jsonl file, a .yaml file of an Evals registry, or `safety`, which ships",
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="which eval of a registry file; what the suite is called otherwise",
    )
    pass_share: float = Field(
        default=1.0, gt=0.0, le=1.0, alias="pass", description="share of the rows that must pass"
    )
    or_no_worse: bool = Field(
        default=False,
        description="or no row may fail that what runs now passes",
    )
    field: str | None = Field(
        default=None, description="input that takes a row's text; null: the first that takes text"
    )
    inputs: dict[str, JsonValue] = Field(
        default={}, description="values of the program's other inputs, in every row"
    )
    output: str | None = Field(
        default=None, description="output that is judged; null where there is only one"
    )
    chat: Literal["last_user", "all"] = Field(
        default="last_user", description="what of a chat goes into the field"
    )
    judge: str | None = Field(
        default=None, description="a name under `models`, for model-graded evals"
    )


def _written_out(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


#: A suite in a config; its path alone stands for one with nothing else said.
SuiteEntry = Annotated[
    SuiteSection, BeforeValidator(_written_out, json_schema_input_type=str | SuiteSection)
]
