"""Any format, described in a file: a JMESPath expression for each field of an event.

``requests`` and ``feedback`` of a mapping are rules, one or a list of them; every rule is tried on
every record::

    requests:
      id: trace.id
      time: started_at
      program: {const: support}
      inputs: {message: prompt}
      outputs: {answer: reply.text}
      user: customer.id
    feedback:
      - when: rating != null
        request_id: trace.id
        time: rated_at
        signal: thumbs
        value: rating == 'up'
        rater: customer.id
        role: customer

docs/ingest.md tells all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import jmespath
import yaml
from jmespath.exceptions import JMESPathError

from upturn.errors import ConfigError
from upturn.events import EPOCH, Event, Role, Signal
from upturn.events.problems import did_you_mean, found
from upturn.importers.base import RejectedError, Rejection
from upturn.importers.fields import derived_id, iso_time, number, salvage
from upturn.importers.native import checked
from upturn.records import Json

_MAX_BYTES: Final = 1024**2
_COMMON = ("when", "each", "id", "time", "program", "consent")
_OBJECTS = ("inputs", "outputs", "usage", "slices")
_REQUEST = (
    *_COMMON,
    *_OBJECTS,
    *("user", "version", "model", "session", "parent", "latency_ms", "cost_usd", "error"),
)
_FEEDBACK = (*_COMMON, "request_id", "signal", "value", "rater", "role", "comment", "name")
_NUMBERS = ("latency_ms", "cost_usd")
_NEEDED = {
    "request": ("program", "inputs"),
    "feedback": ("request_id", "signal", "rater", "role"),
}

#: What tells one event from another where the mapping gives no id: no matter what else it reads,
#: the same event keeps its id.
_NAMING = {
    "request": ("program", "time", "inputs", "outputs", "user", "session"),
    "feedback": ("request_id", "time", "signal", "name", "value", "rater"),
}

#: Reads one field out of a record.
Get = Callable[[Json], Json]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one event is read from a record, or from each item of a list in it.

    Attributes:
        kind: ``"request"`` or ``"feedback"``.
        when: the rule is left out where this gives null, false or nothing; None: always used.
        each: gives the list whose items are read; None reads the record.
        fields: field of the event -> how to read it.
        objects: field that is an object -> its keys, and how to read each.
    """

    kind: str
    when: Get | None
    each: Get | None
    fields: Mapping[str, Get]
    objects: Mapping[str, Mapping[str, Get]] = field(default_factory=dict)

    def events(self, record: Mapping[str, Json]) -> Iterator[Event | Rejection]:
        """Yields the events that the rule finds in a record."""
        if self.each is None:
            yield from self._event(record, record)
            return
        items = _asked(self.each, record, "each")
        if items is not None and not isinstance(items, list):
            raise RejectedError("each", f"must give a list, got {found(items)}")
        scopes = [{"item": item, "record": record} for item in items or ()]
        yield from salvage([partial(self._event, scope, record) for scope in scopes])

    def _event(self, scope: Json, record: Mapping[str, Json]) -> Iterator[Event]:
        if self.when is not None and not _asked(self.when, scope, "when"):
            return
        line = {"upturn": 1, "kind": self.kind, **_line(self, scope)}
        if self.kind == "feedback":
            line["by"] = {"id": line.pop("rater", None), "role": line.pop("role", None)}
        yield replace(checked(line), origin="map", raw=dict(record))


@dataclass(frozen=True, kw_only=True)
class MappedImporter:
    """The importer that a mapping file describes; ``origin`` of its events is ``map``."""

    name: ClassVar[str] = "map"
    title: ClassVar[str] = "A mapping file"

    rules: tuple[Rule, ...]

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Never: a mapping is asked for."""
        return False

    def events(self, record: Mapping[str, Json]) -> Iterable[Event | Rejection]:
        return salvage([partial(rule.events, record) for rule in self.rules])


def load_mapping(path: Path) -> MappedImporter:
    """Reads a mapping file, YAML or JSON.

    Raises:
        ConfigError: it cannot be read, or breaks rules; all of them are named at once.
    """
    value, problems = _read(path), list[str]()
    if not isinstance(value, dict):
        raise _error(path, [f"must be an object, got {found(value)}"])
    for key in value:
        if key not in ("requests", "feedback"):
            hint = did_you_mean(key, ("requests", "feedback"))
            problems.append(f"{key}: must be requests or feedback{hint}")
    rules = [
        _rule(kind, where, given, problems)
        for key, kind in (("requests", "request"), ("feedback", "feedback"))
        for where, given in _listed(key, value.get(key))
    ]
    if not rules and not problems:
        problems.append("must have requests or feedback, got neither")
    if problems:
        raise _error(path, problems)
    return MappedImporter(rules=tuple(rules))


def _read(path: Path) -> Json:
    fix = "write one as docs/ingest.md shows"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _error(path, [f"must be at most {_MAX_BYTES} bytes long"])
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        what = f"a mapping file must be readable, got: {error}"
        raise ConfigError(what, where=str(path), fix=fix) from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "nested too deep"
        raise ConfigError(f"a mapping must be YAML or JSON: {problem}", where=where) from None


def _error(path: Path, problems: list[str]) -> ConfigError:
    shown = "\n".join(f"  {p}" for p in problems)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigError(f"{count}\n{shown}", where=str(path))


def _listed(key: str, value: Json) -> list[tuple[str, Json]]:
    if value is None:
        return []
    if isinstance(value, list):
        return [(f"{key}[{i}]", item) for i, item in enumerate(value)]
    return [(key, value)]


def _rule(kind: str, where: str, value: Json, problems: list[str]) -> Rule:
    known = _REQUEST if kind == "request" else _FEEDBACK
    if not isinstance(value, dict):
        problems.append(f"{where}: must be an object of fields, got {found(value)}")
        value = {}
    else:
        unknown = [str(key) for key in value if key not in known]
        problems += [f"{where}.{k}: unknown key{did_you_mean(k, known)}" for k in unknown]
        missing = [n for n in _NEEDED[kind] if n not in value]
        problems += [f"{where}.{name}: must be there" for name in missing]
    fields: dict[str, Get] = {}
    objects: dict[str, dict[str, Get]] = {}
    for key, given in value.items():
        at = f"{where}.{key}"
        if key in _OBJECTS and isinstance(given, dict) and "const" not in given:
            parts = {str(k): v for k, v in given.items()}
            objects[key] = {k: _get(f"{at}.{k}", k, v, problems) for k, v in parts.items()}
        elif key in known:
            fields[key] = _get(at, key, given, problems)
    when, each = fields.pop("when", None), fields.pop("each", None)
    return Rule(kind=kind, when=when, each=each, fields=fields, objects=objects)


def _get(where: str, key: str, value: Json, problems: list[str]) -> Get:
    """Returns how a field is read: an expression, or a constant."""
    if isinstance(value, dict) and set(value) == {"const"}:
        return lambda _: value["const"]
    if _is_constant(key, value):
        return lambda _: value
    if not isinstance(value, str):
        rule = "must be a JMESPath expression in quotes, or {const: VALUE}"
        problems.append(f"{where}: {rule}, got {found(value)}")
        return lambda _: None
    try:
        compiled: Any = jmespath.compile(value)
    except JMESPathError as error:
        first = str(error).splitlines()[0]
        problems.append(f"{where}: must be a JMESPath expression, got {value!r}: {first}")
        return lambda _: None
    return compiled.search


def _is_constant(key: str, value: Json) -> bool:
    """Whether a text is the name of a signal or role, which needs no quotes within quotes."""
    names = {"signal": tuple(map(str, Signal)), "role": tuple(map(str, Role))}.get(key, ())
    return value in names


def _line(rule: Rule, scope: Json) -> dict[str, Json]:
    """Returns the native line that a rule reads: foreign times, ids and numbers become ours."""
    line = {key: _asked(get, scope, key) for key, get in rule.fields.items()}
    for key, parts in rule.objects.items():
        made = {k: _asked(get, scope, f"{key}.{k}") for k, get in parts.items()}
        line[key] = {k: v for k, v in made.items() if v is not None}
    for key in ("id", "request_id", "rater", "user", "session", "parent", "version"):
        if isinstance(line.get(key), int) and not isinstance(line[key], bool):
            line[key] = str(line[key])
    for key in _NUMBERS:
        given = line.get(key)
        line[key] = None if given in (None, "") else number(given, key)
    line["time"] = EPOCH if line.get("time") in (None, "") else iso_time(line["time"], "time")
    if rule.kind == "request":
        line.setdefault("user", None)
        line.setdefault("outputs", {})
    else:
        line.setdefault("value", None)
    if "id" not in rule.fields:
        line["id"] = derived_id(rule.kind, *(line.get(name) for name in _NAMING[rule.kind]))
    return line


def _asked(get: Get, scope: Json, key: str) -> Json:
    try:
        return get(scope)
    except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise RejectedError(key, f"must be readable by its expression: {first}") from None
