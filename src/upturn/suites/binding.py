"""Fits a suite to a program: which field a text goes into, and which answer is judged."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from upturn.errors import DataError
from upturn.programs import Program
from upturn.records import Example, Json, content_hash
from upturn.suites.messages import Taken, as_text, last_user
from upturn.suites.suite import Ask, Suite, SuiteRow


@dataclass(frozen=True, kw_only=True)
class Filling:
    """How texts become a program's inputs, and which of its outputs is judged.

    Attributes:
        field: the input that a text goes into; None for the first one that takes text.
        inputs: values of the other inputs, the same in every row.
        output: the output that is judged; None for the only one.
        chat: what of a chat goes into the field.
    """

    field: str | None = None
    inputs: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    output: str | None = None
    chat: Taken = "last_user"


@dataclass(frozen=True, kw_only=True)
class BoundRow:
    """A row, ready to be run.

    Attributes:
        row: the row.
        examples: answer's name -> what is run for it.
        outputs: the outputs that its checks judge.
    """

    row: SuiteRow
    examples: Mapping[str, Example]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A suite, ready to be run on one program; ``predictors`` is how many calls a row takes."""

    suite: Suite
    rows: tuple[BoundRow, ...]
    predictors: int

    @property
    def calls(self) -> int:
        """Calls that one candidate takes at most, the judge's included."""
        return self.predictors * self.asks + self.judge_calls

    @property
    def asks(self) -> int:
        """Times that the program is run."""
        return sum(len(r.examples) for r in self.rows)

    @property
    def judge_calls(self) -> int:
        """Questions to the judge."""
        return sum(len(g.variants) for r in self.rows if (g := r.row.grade))


def bind(suite: Suite, program: Program, filling: Filling) -> Bound:
    """Fits a suite to a program.

    Raises:
        DataError: a field that the program does not have, an input without a value, or more than
            one output to judge; says what to write.
    """
    binder = _Binder(suite, program, filling)
    return Bound(
        suite=suite,
        rows=tuple(binder.row(r) for r in suite.rows),
        predictors=len(program.predictors),
    )


class _Binder:
    def __init__(self, suite: Suite, program: Program, filling: Filling) -> None:
        self._suite, self._filling = suite, filling
        self._inputs = program.fields.inputs
        self._outputs = tuple(program.fields.outputs)
        for name in filling.inputs:
            self._known(name, self._inputs, "an input", suite.source)
        if filling.output:
            self._known(filling.output, self._outputs, "an output", suite.source)
        self._field = self._text_field(program)

    def row(self, row: SuiteRow) -> BoundRow:
        several = len(row.asks) > 1
        examples = {
            name: self._example(row, ask, f"/{name}" if several else "")
            for name, ask in row.asks.items()
        }
        return BoundRow(row=row, examples=examples, outputs=self._judged(row))

    def _text_field(self, program: Program) -> str | None:
        if self._filling.field:
            self._known(self._filling.field, self._inputs, "an input", self._suite.source)
            return self._filling.field
        return next((n for n in text_inputs(program) if n not in self._filling.inputs), None)

    def _example(self, row: SuiteRow, ask: Ask, ending: str) -> Example:
        inputs = {**self._filling.inputs, **self._of(ask, row)}
        missing = [name for name in self._inputs if name not in inputs]
        if missing:
            raise self._error(
                f"the program's input {missing[0]!r} must have a value",
                row.where,
                f"{{path: …, inputs: {{{missing[0]}: VALUE}}}} gives all rows the same",
            )
        # By content: the same row filled otherwise is another one to whoever remembers rows.
        name = f"{self._suite.name}:{row.id}{ending}:{content_hash(inputs, length=8)}"
        return Example(id=name, inputs=inputs, labels={}, group=row.id)

    def _of(self, ask: Ask, row: SuiteRow) -> Mapping[str, Json]:
        if ask.inputs is not None:
            for name in ask.inputs:
                self._known(name, self._inputs, "an input", row.where)
            return ask.inputs
        if self._field is None:
            raise self._error(
                f"the program must have an input that takes text, it has {', '.join(self._inputs)}",
                row.where,
                '{path: …, field: NAME}, or rows with "inputs": {…}',
            )
        whole = self._filling.chat == "all"
        return {self._field: as_text(ask.messages) if whole else last_user(ask.messages)}

    def _judged(self, row: SuiteRow) -> tuple[str, ...]:
        named = row.output or self._filling.output
        if named:
            self._known(named, self._outputs, "an output", row.where)
            return (named,)
        if len(self._outputs) > 1 and (
            row.grade is not None or not all(c.any_output for c in row.checks)
        ):
            raise self._error(
                f"one of the program's outputs must be named: {', '.join(self._outputs)}",
                row.where,
                f'{{path: …, output: {self._outputs[0]}}}, or "output": … in the row',
            )
        return self._outputs

    def _known(self, name: str, known: tuple[str, ...], what: str, where: str) -> None:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self._error(
                f"must name {what} of the program, {', '.join(known)}, got {name!r}{hint}", where
            )

    def _error(self, what: str, where: str, fix: str = "") -> DataError:
        return DataError(what, where=f"suite {self._suite.name}: {where}", fix=fix)


def text_inputs(program: Program) -> tuple[str, ...]:
    """Names of a program's inputs that take text, in their order."""
    names = program.fields.inputs
    module = program.build(program.seed)
    signature = getattr(module, "signature", None) or module.named_predictors()[0][1].signature
    found: Mapping[str, Any] = signature.input_fields
    return tuple(n for n in names if _takes_text(found[n].annotation))


def _takes_text(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return str in typing.get_args(annotation)
    return annotation is str
