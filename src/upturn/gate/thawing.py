"""Frozen records from their JSON, by the types of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from upturn.records import Json


def read_as(kind: Any, value: Json) -> Any:
    """Returns what ``dataclasses.asdict`` was given, after a round trip through JSON.

    A field that the value lacks keeps its default, as with records of an older version.

    Args:
        kind: a dataclass, an enum, a tuple, mapping or union of these, or a plain type.
        value: its JSON.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: the value is none of that kind.
    """
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        known = {f.name for f in fields(kind)}
        if not known.issuperset(value):
            raise ValueError(f"{kind.__name__} has no field {sorted(set(value) - known)[0]!r}")
        return kind(**{name: read_as(hints[name], v) for name, v in value.items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        inner = arguments[0] if arguments[-1:] == (Ellipsis,) else None
        parts = zip(value, arguments, strict=True) if inner is None else ((v, inner) for v in value)
        return tuple(read_as(k, v) for v, k in parts)
    if origin in (Union, UnionType):
        kinds = [k for k in arguments if k is not NoneType]
        return None if value is None else read_as(kinds[0], value)
    if origin is not None and issubclass(origin, Mapping):
        return {name: read_as(arguments[1], v) for name, v in value.items()}
    return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value
