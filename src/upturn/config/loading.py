"""Reads a config file: overrides, and one error that tells every problem with its dotted path.

Relative paths in a config are relative to the project root: the folder that holds ``configs/`` and
``jobs/`` (or the config's own folder where it lies elsewhere), whatever the working directory is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from upturn.config.data import FeedbackLogSection, FeedbackStoreSection, LabelledSection
from upturn.config.section import SECRET, Section, did_you_mean
from upturn.config.sections import Config
from upturn.errors import ConfigError
from upturn.records import Json

_DATA_KINDS: dict[str, type[Section]] = {
    "feedback_log": FeedbackLogSection,
    "feedback_store": FeedbackStoreSection,
    "labelled": LabelledSection,
}
_PROJECT_FOLDERS = ("configs", "jobs")


def project_root(path: Path) -> Path:
    """The folder that a config's relative paths start from."""
    folder = path.resolve().parent
    return folder.parent if folder.name in _PROJECT_FOLDERS else folder


def json_schema() -> dict[str, Json]:
    """JSON Schema of a config file, for editors."""
    return Config.model_json_schema()


def load_config(path: Path, overrides: list[str] | None = None) -> Config:
    """Reads a config and applies ``key.path=value`` overrides.

    Raises:
        ConfigError: all problems of the file and the overrides at once, each with its dotted path.
    """
    value = read_yaml(path, what="config")
    for override in overrides or []:
        set_override(value, override)
    try:
        return Config.model_validate(value)
    except ValidationError as error:
        raise explain(path, value, error) from None


def read_yaml(path: Path, *, what: str) -> dict[str, Any]:
    """Returns a file's mapping.

    Raises:
        ConfigError: there is no such file, or it holds no mapping; ``what`` names it.
    """
    fix = f"upturn init writes a working {what}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no such {what} file", where=str(path), fix=fix) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path)) from None
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"is not YAML: {problem}", where=f"{path}{line}") from None
    if not isinstance(value, dict):
        raise ConfigError(
            f"must be a mapping of sections, got {type(value).__name__}", where=str(path), fix=fix
        )
    return value


def set_override(value: dict[str, Any], override: str) -> None:
    """Applies ``key.path=value``, in place.

    Raises:
        ConfigError: it is none, or a part of the path holds no keys.
    """
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"an override must be key.path=value, got {override!r}")
    *parents, last = key.split(".")
    node: Any = value
    for part in parents:
        node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ConfigError(f"{key}: {part} holds no keys", where="override")
    try:
        node[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{key}: is not YAML: {error}", where="override") from None


def explain(
    path: Path,
    value: dict[str, Any],
    error: ValidationError,
    *,
    model: type[Section] = Config,
    elsewhere: Callable[[str], str] = lambda key: "",
    fix: str = "upturn validate --schema",
) -> ConfigError:
    """Returns all problems of a file as one error.

    Args:
        path: the file.
        value: what it holds, overrides included.
        error: what ``model`` says of it.
        model: of the whole file.
        elsewhere: an unknown key -> where the key belongs that is meant, or "".
        fix: what to type next.
    """
    lines = [_problem(value, e, model, elsewhere) for e in error.errors()]
    plural = "problem" if len(lines) == 1 else "problems"
    text = f"{len(lines)} {plural}\n" + "\n".join(f"  {line}" for line in lines)
    return ConfigError(text, where=str(path), fix=fix)


def _problem(
    value: dict[str, Any], error: Any, model: type[Section], elsewhere: Callable[[str], str]
) -> str:
    # Pydantic names the branch of a tagged union in the path; a reader has no such key.
    location = [p for p in error["loc"] if p not in _DATA_KINDS]
    dotted = ".".join(str(p) for p in location)
    if error["type"] == "extra_forbidden":
        key = str(location[-1])
        meant = elsewhere(key)
        hint = f"; did you mean {meant}?" if meant else ""
        near = hint or did_you_mean(key, _keys_at(location[:-1], value, model))
        return f"{dotted}: unknown key{near}"
    got = error.get("input")
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if error["type"] == SECRET:
        return f"{dotted}: {error['msg']}"
    if error["type"] == "missing":
        return f"{dotted}: is required"
    if isinstance(got, str) and _is_exponent(got):
        return f"{dotted}: {message}, got the text {got!r}; YAML needs a dot: {float(got):.1e}"
    shown = "" if isinstance(got, dict | list) else f", got {got!r}"
    if error["type"] == "literal_error" and isinstance(got, str):
        shown += did_you_mean(got, re.findall("'([^']*)'", error["ctx"]["expected"]))
    return f"{dotted or model.__name__.lower()}: {message}{shown}"


def _is_exponent(text: str) -> bool:
    try:
        return "e" in text.lower() and math.isfinite(float(text))
    except ValueError:
        return False


def _keys_at(location: list[Any], value: dict[str, Any], model: type[Section]) -> list[str]:
    section: Any = model
    node: Any = value
    for part in location:
        node = node.get(part, {}) if isinstance(node, dict) else {}
        section = _section_type(section, str(part), node)
        if section is None:
            return []
    return list(section.model_fields)


def _section_type(section: Any, key: str, node: Any) -> Any:
    if section is Config and key == "data":
        kind = node.get("kind") if isinstance(node, dict) else None
        return _DATA_KINDS.get(str(kind), FeedbackLogSection)
    field = section.model_fields.get(key)
    annotation = field.annotation if field else None
    # A section that may be null is a union with None.
    options = (annotation, *get_args(annotation))
    return next((a for a in options if isinstance(a, type) and issubclass(a, Section)), None)
