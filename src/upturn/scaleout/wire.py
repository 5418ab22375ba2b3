"""What crosses between machines: plain JSON values, never objects of ours, never a pickle of them.

Each pair here is a round trip: ``from_json(to_json(x)) == x``. Errors cross too: a worker's mistake
must read as it would on one machine, without a traceback of the machinery in between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from upturn import errors
from upturn.errors import UpturnError
from upturn.lm import Answer
from upturn.records import FailureKind, Json, Outcome, Row

_ERRORS: dict[str, type[UpturnError]] = {
    cls.__name__: cls
    for cls in (
        errors.UpturnError,
        errors.InputError,
        errors.ConfigError,
        errors.DataError,
        errors.ProgramError,
        errors.MetricError,
        errors.ModelError,
        errors.StorageError,
        errors.CorruptionError,
        errors.BudgetExceededError,
        errors.OutageError,
    )
}


def plain(value: Json) -> Json:
    """Returns a value as JSON keeps it: tuples become lists, foreign objects their own dump."""
    return json.loads(json.dumps(value, default=_foreign))


def row_to_json(row: Row) -> dict[str, Json]:
    """Returns a row as JSON."""
    return plain(asdict(row))


def row_from_json(value: Mapping[str, Json]) -> Row:
    """Returns the row that ``row_to_json`` wrote."""
    failure = value["failure"]
    kinds: dict[str, Json] = {
        "outcome": Outcome(value["outcome"]),
        "failure": None if failure is None else FailureKind(failure),
        "runs": tuple(row_from_json(r) for r in value.get("runs", ())),
    }
    return Row(**{**value, **kinds})


def answer_to_json(answer: Answer) -> dict[str, Json]:
    """Returns an answer as JSON."""
    return asdict(answer)


def answer_from_json(value: Mapping[str, Json]) -> Answer:
    """Returns the answer that ``answer_to_json`` wrote."""
    return Answer(**value)


def error_to_json(error: UpturnError) -> dict[str, str]:
    """Returns the name and the three parts of an error; a kind unknown here goes as its parent."""
    name = next(c.__name__ for c in type(error).__mro__ if c.__name__ in _ERRORS)
    return {"kind": name, "what": error.what, "where": error.where, "fix": error.fix}


def error_from_json(value: Mapping[str, str]) -> UpturnError:
    """Returns the error that ``error_to_json`` wrote, to be raised here."""
    return _ERRORS[value["kind"]](value["what"], where=value["where"], fix=value["fix"])


def _foreign(value: Json) -> Json:
    # A field of a signature may be a pydantic model; what is neither is shown as its text.
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)
