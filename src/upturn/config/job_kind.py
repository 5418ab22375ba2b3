"""Names in a job that its kinds bring: they are found when a job is read, and not listed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticKnownError

from upturn.finetune.kinds import job_kinds


def _kind(value: str) -> str:
    return _one_of(list(job_kinds()), value)


def _loss(value: str) -> str:
    return _one_of(_losses(), value)


def _losses() -> list[str]:
    """Returns the losses of all kinds, each once; which of them a kind takes, the job checks."""
    return list(dict.fromkeys(loss for kind in job_kinds().values() for loss in kind.losses))


def _one_of(names: Sequence[str], value: str) -> str:
    """Returns a value that is one of the names; refuses others as pydantic does a ``Literal``'s."""
    if value not in names:
        *most, last = map(repr, names)
        listed = f"{', '.join(most)} or {last}" if most else last
        raise PydanticKnownError("literal_error", {"expected": listed})
    return value


def _list_kinds(schema: dict[str, Any]) -> None:
    schema["enum"] = list(job_kinds())


def _list_losses(schema: dict[str, Any]) -> None:
    schema["enum"] = _losses()


def tell_rates(schema: dict[str, Any]) -> None:
    """Describes a learning rate that may be null."""
    rates = [f"{kind.learning_rate:.1e} for {name}" for name, kind in job_kinds().items()]
    schema["description"] = f"null: {', '.join(rates)}"


def tell_losses(schema: dict[str, Any]) -> None:
    """Describes a loss that may be null."""
    losses = [f"{name}: {', '.join(k.losses)}" for name, k in job_kinds().items() if k.losses]
    schema["description"] = f"{'; '.join(losses)}; null: the first of these"


Kind = Annotated[str, AfterValidator(_kind), Field(json_schema_extra=_list_kinds)]
Loss = Annotated[str, AfterValidator(_loss), Field(json_schema_extra=_list_losses)]
