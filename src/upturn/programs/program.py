"""A program: its fields, its seed candidate, and how it is built with another."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from upturn.errors import ProgramError
from upturn.programs.loading import file_hash, load_object
from upturn.programs.settings import Settings
from upturn.programs.shapes import frozen, shaped
from upturn.records import Candidate, Json, PromptState


@dataclass(frozen=True, kw_only=True)
class PredictorFields:
    """A predictor's fields; ``outputs`` maps a field to its allowed labels, None for free text."""

    inputs: tuple[str, ...]
    outputs: Mapping[str, tuple[str, ...] | None]


@dataclass(frozen=True, kw_only=True)
class Built:
    """A program with a candidate's prompt.

    Attributes:
        module: the ``dspy.Module``.
        predictors: its predictors, by the names that the candidate uses.
        settings: how the candidate is run; ``module`` is applied, the rest is the caller's.
    """

    module: Any
    predictors: Mapping[str, Any]
    settings: Settings


class Program:
    """A loaded program class.

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
        if not self._written:
            raise self._nothing_to_tune()

    @property
    def _written(self) -> dict[str, Any]:
        return dict(self._module.named_predictors())

    @cached_property
    def predictors(self) -> dict[str, PredictorFields]:
        """Predictor name -> its fields."""
        return {n: _fields(p.signature) for n, p in self._written.items()}

    @cached_property
    def frozen(self) -> tuple[str, ...]:
        """Sub-modules that stay as they are: DSPy hides the predictors of a compiled one."""
        return frozen(self._module)

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
            for name, p in self._written.items()
        }
        return Candidate(states=states, choices={"origin": "seed"})

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the program's file: another file is another question."""
        return file_hash(self._path)[:12]

    def build(self, candidate: Candidate) -> Any:
        """Returns a fresh module with the candidate's instructions and demos, in its shape.

        Raises:
            ProgramError: the candidate names a predictor that the program does not have, or the
                program cannot take the shape that the setting ``module`` names.
            ConfigError: a setting that is none.
        """
        return self.assemble(candidate).module

    def assemble(self, candidate: Candidate) -> Built:
        """As ``build``; the predictors come with it, under the candidate's names for them."""
        import dspy

        settings = Settings.of(candidate)
        module: Any = self._factory()
        predictors = shaped(module, settings.module, ref=self.ref)
        if set(candidate.states) != set(predictors):
            raise ProgramError(
                f"the candidate sets {sorted(candidate.states)}, the program has "
                f"{sorted(predictors)}",
                where=self.ref,
                fix="upturn run CONFIG: the program changed since this version was registered",
            )
        for name, state in candidate.states.items():
            predictor = predictors[name]
            predictor.signature = predictor.signature.with_instructions(state.instruction)
            predictor.demos = [dspy.Example(**demo) for demo in state.demos]
            predictor.lm = None
        return Built(module=module, predictors=predictors, settings=settings)

    def state_json(self, candidate: Candidate) -> str:
        """Returns the candidate as DSPy's own program JSON.

        ``load`` takes it on a module of the same shape: on the program's own class, or, where the
        candidate sets ``module``, on what ``build`` returns; the class itself refuses it then.
        """
        return json.dumps(self.build(candidate).dump_state(), indent=2, ensure_ascii=False)

    def messages(self, candidate: Candidate, inputs: Mapping[str, Json]) -> list[dict[str, Json]]:
        """Returns the chat messages of the first predictor for one input, without any call."""
        from upturn.lm.adapters import adapter

        built = self.assemble(candidate)
        predictor = next(iter(built.predictors.values()))
        known = {k: v for k, v in inputs.items() if k in predictor.signature.input_fields}
        return adapter(built.settings.adapter).format(predictor.signature, predictor.demos, known)

    def _nothing_to_tune(self) -> ProgramError:
        if self.frozen:
            return ProgramError(
                "the program has no predictor to tune: they are all in compiled sub-modules, which "
                f"DSPy keeps as they are: {', '.join(self.frozen)}",
                where=self.ref,
                fix=f"set `self.{self.frozen[0]}._compiled = False` in the constructor",
            )
        return ProgramError(
            "the program has no predictor to tune",
            where=self.ref,
            fix="give the module at least one dspy.Predict attribute",
        )


def _fields(signature: Any) -> PredictorFields:
    outputs = {n: _labels(f.annotation) for n, f in signature.output_fields.items()}
    return PredictorFields(inputs=tuple(signature.input_fields), outputs=outputs)


def _labels(annotation: Any) -> tuple[str, ...] | None:
    if typing.get_origin(annotation) is Literal:
        return tuple(str(a) for a in typing.get_args(annotation))
    return None
