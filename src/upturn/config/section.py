"""What every section of a config is: inert, frozen, strict, with no extra keys."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
#: The type of a problem whose value must not be shown: config errors are printed and logged.
SECRET = "secret"


class Section(BaseModel):
    """Base of all sections."""

    # Strict: "5e-6" is text to PyYAML, and text that passes for a number is how a wrong rate gets
    # in.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


def did_you_mean(word: str, known: Any) -> str:
    """Returns ``"; did you mean X?"`` for the nearest key, or ``""``."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
