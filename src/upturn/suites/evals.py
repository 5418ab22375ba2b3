"""Runs what was written for OpenAI's Evals: a registry's YAML and its samples.

    registry/evals/NAME.yaml      NAME: {id: NAME.dev.v0, metrics: [accuracy]}
                                  NAME.dev.v0: {class: …, args: {samples_jsonl: NAME/samples.jsonl}}
    registry/data/NAME/samples.jsonl      {"input": [{"role": …, "content": …}], "ideal": "…"}
    registry/modelgraded/SPEC.yaml        what a judge is asked

A file that lies in no folder ``evals`` has its samples, and ``modelgraded/``, beside itself.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upturn.errors import DataError
from upturn.records import Json
from upturn.suites.checks import Check, Fuzzy, Includes, JsonEquals, Match
from upturn.suites.grading import Grade, fields_of
from upturn.suites.jsonl import row_id
from upturn.suites.lines import Line, inside, json_lines, texts
from upturn.suites.messages import as_text, read_messages
from upturn.suites.registry_file import RegistryFile
from upturn.suites.rubrics import RubricFile
from upturn.suites.suite import COMPLETION, Ask, Suite, SuiteRow

_BASIC = "evals.elsuite.basic"
_GRADED = "evals.elsuite.modelgraded.classify:ModelBasedClassify"
#: Arguments that every class takes; how long an answer may be is said in the config here.
_SHARED = ("samples_jsonl", "max_tokens")
_GRADED_ARGS = ("modelgraded_spec", "modelgraded_spec_args", "eval_type", "match_fn")


@dataclass(frozen=True, kw_only=True)
class _Basic:
    """One class of ``elsuite/basic``: what it makes of the ideals, and its own arguments."""

    check: Callable[[Line, Mapping[str, Any]], Check]
    args: tuple[str, ...] = ()


def _includes(line: Line, args: Mapping[str, Any]) -> Check:
    ignore = args.get("ignore_case", False)
    if not isinstance(ignore, bool):
        raise DataError(f"ignore_case must be true or false, got {ignore!r}", where=line.where)
    return Includes(ideals=_ideals(line), ignore_case=ignore)


def _json(line: Line, args: Mapping[str, Any]) -> Check:
    try:
        ideals = tuple(json.loads(text) for text in _ideals(line))
    except (ValueError, RecursionError) as error:
        raise DataError(f"ideal must be the text of JSON: {error}", where=line.where) from None
    return JsonEquals(ideals=ideals)


_CLASSES: Mapping[str, _Basic] = {
    f"{_BASIC}.match:Match": _Basic(check=lambda line, args: Match(ideals=_ideals(line))),
    f"{_BASIC}.includes:Includes": _Basic(check=_includes, args=("ignore_case",)),
    f"{_BASIC}.fuzzy_match:FuzzyMatch": _Basic(
        check=lambda line, args: Fuzzy(ideals=_ideals(line, may_be_empty=True))
    ),
    f"{_BASIC}.json_match:JsonMatch": _Basic(check=_json),
}


def read_evals(path: Path, *, name: str | None = None) -> Suite:
    """Reads one eval of a registry file.

    Args:
        path: the YAML file.
        name: the eval, where the file holds several.

    Raises:
        DataError: no such eval, a class or argument that is not run here, or a bad sample.
    """
    file = RegistryFile.read(path)
    chosen, entry_name = _chosen(file, name)
    entry = file.entry(entry_name)
    where = file.where(entry_name)
    kind = _class(entry, where)
    args = entry.get("args") or {}
    if not isinstance(args, dict):
        raise DataError("args must be a mapping", where=where)
    own = _GRADED_ARGS if kind == _GRADED else _CLASSES[kind].args
    strange = sorted(set(map(str, args)) - {*_SHARED, *own})
    if strange:
        raise DataError(
            f"the argument {strange[0]!r} is not run here; {kind} takes "
            f"{', '.join((*_SHARED, *own))}",
            where=file.where(strange[0]),
            fix="take it out, if the eval means the same without it",
        )
    lines = _samples(file, args.get("samples_jsonl"), where)
    rows = _graded(file, args, lines) if kind == _GRADED else _basic(_CLASSES[kind], args, lines)
    return Suite(name=chosen, rows=rows, source=f"{path.name}: {entry_name}")


def _chosen(file: RegistryFile, name: str | None) -> tuple[str, str]:
    """Returns the eval's name, and that of the entry that says how it is run."""
    aliases = {n: v["id"] for n, v in file.content.items() if isinstance(v, dict) and "id" in v}
    found = name or (next(iter(aliases)) if len(aliases) == 1 else None)
    if found is None and not aliases and len(file.content) == 1:
        found = next(iter(file.content))
    if found is None:
        raise DataError(
            f"the file holds {len(aliases) or len(file.content)} evals, so one must be named: "
            f"{', '.join(aliases or file.content)}",
            where=str(file.path),
            fix="gate.suites: [{path: FILE.yaml, name: NAME}]",
        )
    target = str(aliases.get(found, found))
    if found in aliases and target not in file.content:
        raise DataError(
            f"id must name an entry of this file, got {target!r}", where=file.where(found)
        )
    return found, target


def _class(entry: Mapping[str, Any], where: str) -> str:
    known = (*_CLASSES, _GRADED)
    found = entry.get("class")
    if found not in known:
        near = difflib.get_close_matches(str(found), known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise DataError(
            f"class must be one of {', '.join(known)}, got {found!r}{hint}",
            where=where,
            fix="an eval with code of its own cannot be run here: write its rows as JSON lines",
        )
    return str(found)


def _folders(file: RegistryFile) -> tuple[Path, Path]:
    """Where samples and where specifications lie."""
    folder = file.path.parent
    if folder.name == "evals":
        return folder.parent / "data", folder.parent / "modelgraded"
    return folder, folder / "modelgraded"


def _samples(file: RegistryFile, name: Any, where: str) -> list[Line]:
    if not isinstance(name, str) or not name:
        raise DataError("args must name samples_jsonl", where=where)
    return json_lines(inside(_folders(file)[0], name, where=file.where("samples_jsonl")))


def _basic(kind: _Basic, args: Mapping[str, Any], lines: list[Line]) -> tuple[SuiteRow, ...]:
    return tuple(
        SuiteRow(
            id=_id(line, number),
            asks={COMPLETION: _ask(line, "input")},
            checks=(kind.check(line, args),),
            where=line.where,
        )
        for number, line in enumerate(lines, start=1)
    )


def _graded(file: RegistryFile, args: Mapping[str, Any], lines: list[Line]) -> tuple[SuiteRow, ...]:
    spec = args.get("modelgraded_spec")
    where = file.where("modelgraded_spec")
    if not isinstance(spec, str) or not spec:
        raise DataError("args must name modelgraded_spec", where=where)
    rubrics = RubricFile(inside(_folders(file)[1], f"{spec}.yaml", where=where), spec)
    rubric = rubrics.rubric(
        eval_type=args.get("eval_type"), match=str(args.get("match_fn", "starts_or_endswith"))
    )
    variants = rubrics.variants(args.get("modelgraded_spec_args"))
    rows: list[SuiteRow] = []
    for number, line in enumerate(lines, start=1):
        fields = {k: _field(v, line.where) for k, v in line.value.items()}
        known = {*fields, *variants[0], *rubric.outputs}
        missing = [name for name in fields_of(rubric.prompt) if name not in known]
        if missing:
            raise DataError(
                f"the sample must have {missing[0]!r}, which the prompt of {spec} asks for",
                where=line.where,
            )
        rows.append(
            SuiteRow(
                id=_id(line, number),
                asks={output: _ask(line, field) for field, output in rubrics.inputs.items()},
                grade=Grade(rubric=rubric, fields=fields, variants=variants),
                where=line.where,
            )
        )
    return tuple(rows)


def _ask(line: Line, field: str) -> Ask:
    if field not in line.value:
        raise DataError(f"a sample must have {field}", where=line.where)
    return Ask(messages=read_messages(line.value[field], where=line.where))


def _field(value: Json, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        return as_text(read_messages(value, where=where))
    return json.dumps(value, ensure_ascii=False)


def _ideals(line: Line, *, may_be_empty: bool = False) -> tuple[str, ...]:
    if "ideal" not in line.value:
        raise DataError(
            "a sample must have ideal",
            where=line.where,
            fix='{"input": [{"role": "user", "content": "…"}], "ideal": "…"}',
        )
    value = line.value["ideal"]
    return texts(value, what="ideal", where=line.where, may_be_empty=may_be_empty)


def _id(line: Line, number: int) -> str:
    named = isinstance(line.value.get("id"), str)
    return row_id(line.value, number, line.where) if named else str(number)
