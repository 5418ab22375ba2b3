"""Programs: load ``file.py:Name``, read what may be tuned, apply a candidate, fingerprint.

The only module that knows how DSPy stores a prompt. A program is a ``dspy.Module`` class; its
predictors are what the search may set. The language model is never part of a program: it is passed
by context, so that a candidate is the same on any model.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import json
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from upturn.errors import ProgramError
from upturn.metrics import Metric
from upturn.records import Candidate, Json, PromptState, content_hash


@dataclass(frozen=True, kw_only=True)
class PredictorFields:
    """A predictor's fields; ``outputs`` maps a field to its allowed labels, None for free text."""

    inputs: tuple[str, ...]
    outputs: Mapping[str, tuple[str, ...] | None]


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
    return Metric(function=function, name=ref, fingerprint=_file_hash(path))


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Program:
    """A loaded program class: its fields, its seed candidate, and how to build it with another.

    Args:
        ref: ``file.py:Name`` of a ``dspy.Module`` subclass that needs no constructor arguments.
        root: folder that the reference is relative to.

    Raises:
        ProgramError: it does not load, is no module, has no predictor, or its fields are unclear.
    """

    def __init__(self, ref: str, root: Path) -> None:
        import dspy

        self.ref = ref
        factory, path = load_object(ref, root)
        if not (inspect.isclass(factory) and issubclass(factory, dspy.Module)):
            raise ProgramError(f"{ref} must be a dspy.Module class, got {factory!r}", where=ref)
        self._factory = factory
        self._path = path
        try:
            self._module: Any = factory()
        except Exception as error:  # the user's constructor may raise anything
            raise ProgramError(
                f"{ref} cannot be built without arguments: {type(error).__name__}: {error}",
                where=ref,
            ) from error
        if not self._predictors(self._module):
            raise ProgramError(
                "the program has no predictor to tune (or a compiled sub-module hides it)",
                where=ref,
                fix="give the module at least one dspy.Predict attribute",
            )

    @staticmethod
    def _predictors(module: Any) -> dict[str, Any]:
        return dict(module.named_predictors())

    @cached_property
    def predictors(self) -> dict[str, PredictorFields]:
        """Predictor name -> its fields."""
        return {n: _fields(p.signature) for n, p in self._predictors(self._module).items()}

    @cached_property
    def fields(self) -> PredictorFields:
        """The program's own inputs and outputs: its ``signature``, or its only predictor's."""
        signature = getattr(self._module, "signature", None)
        if signature is not None:
            return _fields(signature)
        if len(self.predictors) == 1:
            return next(iter(self.predictors.values()))
        raise ProgramError(
            f"a program of {len(self.predictors)} predictors must say its own inputs and outputs",
            where=self.ref,
            fix="add a class attribute `signature = dspy.Signature('question -> answer')`",
        )

    @cached_property
    def seed(self) -> Candidate:
        """The program as its author wrote it."""
        states = {
            name: PromptState(
                instruction=p.signature.instructions,
                demos=tuple(dict(d.items()) for d in p.demos),
            )
            for name, p in self._predictors(self._module).items()
        }
        return Candidate(states=states, choices={"origin": "seed"})

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the program's file: another file is another question."""
        return _file_hash(self._path)[:12]

    def build(self, candidate: Candidate) -> Any:
        """Returns a fresh module with the candidate's instructions and demos.

        Raises:
            ProgramError: the candidate names a predictor that the program does not have.
        """
        import dspy

        module: Any = self._factory()
        predictors = self._predictors(module)
        if set(candidate.states) != set(predictors):
            raise ProgramError(
                f"the candidate sets {sorted(candidate.states)}, the program has "
                f"{sorted(predictors)}",
                where=self.ref,
                fix="upturn run again: the program changed since this version was registered",
            )
        for name, state in candidate.states.items():
            predictor = predictors[name]
            predictor.signature = predictor.signature.with_instructions(state.instruction)
            predictor.demos = [dspy.Example(**demo) for demo in state.demos]
            predictor.lm = None
        return module

    def state_json(self, candidate: Candidate) -> str:
        """Returns the candidate as DSPy's own program JSON, for ``program.load``."""
        return json.dumps(self.build(candidate).dump_state(), indent=2, ensure_ascii=False)

    def messages(self, candidate: Candidate, inputs: Mapping[str, Json]) -> list[dict[str, Json]]:
        """Returns the chat messages of the first predictor for one input, without any call."""
        import dspy

        predictor = next(iter(self._predictors(self.build(candidate)).values()))
        known = {k: v for k, v in inputs.items() if k in predictor.signature.input_fields}
        return dspy.ChatAdapter().format(predictor.signature, predictor.demos, known)


def _fields(signature: Any) -> PredictorFields:
    outputs = {n: _labels(f.annotation) for n, f in signature.output_fields.items()}
    return PredictorFields(inputs=tuple(signature.input_fields), outputs=outputs)


def _labels(annotation: Any) -> tuple[str, ...] | None:
    if typing.get_origin(annotation) is Literal:
        return tuple(str(a) for a in typing.get_args(annotation))
    return None
