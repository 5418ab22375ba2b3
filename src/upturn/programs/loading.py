"""Imports ``file.py:Name``: a program or a metric of the user's, with errors that name the line."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from upturn.errors import ProgramError
from upturn.metrics import Metric
from upturn.records import content_hash


def load_object(ref: str, root: Path) -> tuple[Any, Path]:
    """Imports ``file.py:Name`` relative to ``root``.

    Raises:
        ProgramError: bad reference, no such file, the file does not import, no such name.
    """
    file_name, _, name = ref.partition(":")
    if not name or not file_name.endswith(".py"):
        raise ProgramError(f"a reference must be 'file.py:Name', got {ref!r}")
    path = (root / file_name).resolve()
    if not path.is_file():
        raise ProgramError(f"no such file: {file_name}", where=ref, fix=f"create {path}")
    module = _import_file(path, ref)
    if not hasattr(module, name):
        near = difflib.get_close_matches(name, dir(module), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ProgramError(f"{file_name} has no name {name!r}{hint}", where=ref)
    return getattr(module, name), path


def _import_file(path: Path, ref: str) -> Any:
    # The module's name holds a hash of the path: two files of one name must not share a module.
    module_name = f"upturn_user_{path.stem}_{content_hash(str(path), length=8)}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's file may raise anything while it imports
        del sys.modules[module_name]
        line = _user_line(error, path)
        raise ProgramError(
            f"the file does not import: {type(error).__name__}: {error}",
            where=f"{ref.partition(':')[0]}{line}",
            fix=f"python {ref.partition(':')[0]}",
        ) from error
    return module


def _user_line(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f":{error.lineno}"
    frames = [t for t in _frames(error) if t[0] == str(path)]
    return f":{frames[-1][1]}" if frames else ""


def _frames(error: BaseException) -> list[tuple[str, int]]:
    out, tb = [], error.__traceback__
    while tb is not None:
        out.append((tb.tb_frame.f_code.co_filename, tb.tb_lineno))
        tb = tb.tb_next
    return out


def load_metric(ref: str, root: Path) -> Metric:
    """Loads a metric function from ``file.py:name``.

    Raises:
        ProgramError: it cannot be imported or is not callable with two arguments.
    """
    function, path = load_object(ref, root)
    try:
        inspect.signature(function).bind(object(), object())
    except TypeError as error:
        raise ProgramError(
            f"a metric must be callable as metric(example, prediction): {error}", where=ref
        ) from error
    return Metric(function=function, name=ref, fingerprint=file_hash(path))


def file_hash(path: Path) -> str:
    """Returns the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
