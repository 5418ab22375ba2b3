"""Rules as a config changes them: by id, all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from upturn.errors import ConfigError
from upturn.events.records import Role, Signal
from upturn.labels.rule import Rule, Says
from upturn.records import Json


def changed_rules(rules: tuple[Rule, ...], changes: Mapping[str, Json]) -> tuple[Rule, ...]:
    """Returns rules with the changes of a config.

    Args:
        rules: the rules as they are.
        changes: rule id -> ``"off"`` (or false), or a mapping of the rule's attributes. An id
            that is new makes a rule, which needs ``signal``, and is asked before the others.

    Raises:
        ConfigError: every change that does not hold.
    """
    kept, made, problems = {r.id: r for r in rules}, dict[str, Rule](), list[str]()
    for rule_id, change in changes.items():
        try:
            if change is False or change == "off":
                _known(kept, rule_id)
                del kept[rule_id]
            elif rule_id in kept:
                kept[rule_id] = replace(kept[rule_id], **_attributes(change))
            else:
                made[rule_id] = _new(rule_id, change, kept)
        except ConfigError as error:
            problems.append(f"  labels.rules.{rule_id}: {error.what}")
    if problems:
        many = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        raise ConfigError("\n".join([many, *problems]))
    return (*made.values(), *kept.values())


def _known(rules: Mapping[str, Rule], rule_id: str) -> None:
    if rule_id not in rules:
        raise ConfigError(f"is no rule; rules are {', '.join(rules)}")


def _new(rule_id: str, change: Json, rules: Mapping[str, Rule]) -> Rule:
    if not isinstance(change, Mapping) or "signal" not in change:
        _known(rules, rule_id)
    values: dict[str, Json] = {"says": Says.EITHER, **_attributes(change)}
    return Rule(id=rule_id, **values)


def _attributes(change: Json) -> dict[str, Json]:
    """Returns a change of a config as attributes of a rule."""
    if not isinstance(change, Mapping):
        raise ConfigError(f'must be "off" or a mapping of numbers, got {change!r}')
    names = {f.name for f in fields(Rule)} - {"id"}
    values: dict[str, Json] = {}
    for key, value in change.items():
        if key not in names:
            raise ConfigError(f"{key} is no attribute; attributes are {', '.join(sorted(names))}")
        values[key] = _value(key, value)
    return values


def _value(key: str, value: Json) -> Json:
    try:
        if key == "signal":
            return Signal(value)
        if key == "says":
            return Says[str(value).upper()]
        if key == "roles":
            return tuple(Role(v) for v in value)
        if key in ("up", "down"):
            return tuple(str(v) for v in value)
        if key in ("name", "note"):
            return str(value)
        return value if key == "implicit" or value is None else float(value)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{key} does not take {value!r}") from error
