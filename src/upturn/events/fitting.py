"""Makes stored events fit a program: maps their fields, and leaves out, counted, what does not fit.

Events come from anywhere, and name their fields as they like; a program has fields of its own. A
JMESPath expression per program field says where its value stands in a request's inputs or outputs,
such as ``message: messages[-1].content``. A field without an expression is taken by its own name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from upturn.errors import ConfigError
from upturn.events.records import Feedback, FieldRules, Request, Signal
from upturn.events.source import EventSource, Exposure
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class FieldMap:
    """Program field -> JMESPath expression, for inputs and outputs.

    Raises:
        ConfigError: an expression does not compile.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Compiled here, so that a wrong expression is an error of the config and not of a row.
        _ = self._compiled

    @cached_property
    def _compiled(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return _compile(self.inputs), _compile(self.outputs)

    def input_fields(self, value: Mapping[str, Json], names: tuple[str, ...]) -> dict[str, Json]:
        """Returns the program's input fields that a request holds."""
        return _pick(value, names, self._compiled[0])

    def output_fields(self, value: Mapping[str, Json], names: tuple[str, ...]) -> dict[str, Json]:
        """Returns the program's output fields that an answer, or a correction of it, holds."""
        return _pick(value, names, self._compiled[1])


def _compile(expressions: Mapping[str, str]) -> dict[str, Any]:
    compiled: dict[str, Any] = {}
    for name, text in expressions.items():
        try:
            compiled[name] = jmespath.compile(text)
        except JMESPathError as error:
            first = str(error).splitlines()[0]
            raise ConfigError(
                f"must be a JMESPath expression, got {text!r}: {first}", where=name
            ) from error
    return compiled


def _pick(
    value: Mapping[str, Json], names: tuple[str, ...], compiled: Mapping[str, Any]
) -> dict[str, Json]:
    found = {n: compiled[n].search(value) if n in compiled else value.get(n) for n in names}
    # An answer that is one text has no name of its own: a program with one field means that text.
    if len(names) == 1 and found[names[0]] is None and names[0] not in compiled:
        found[names[0]] = _only_value(value)
    return {n: v for n, v in found.items() if v is not None}


def _only_value(value: Mapping[str, Json]) -> Json:
    return value["output"] if set(value) == {"output"} else None


class FittedSource:
    """An event source as one program sees it.

    Args:
        source: the events; program: whose requests are read.
        fields: the program's fields; mapped: where they stand.

    Attributes:
        left_out: reason -> requests, of the last whole walk through ``joined``.
    """

    def __init__(
        self, source: EventSource, program: str, fields: FieldRules, mapped: FieldMap | None = None
    ) -> None:
        self._source = source
        self._program = program
        self._fields = fields
        self._map = mapped or FieldMap()
        self.left_out: Mapping[str, int] = {}

    def requests(self, *, program: str | None = None) -> Iterator[Request]:
        """Yields the requests that fit, by id."""
        for request in self._source.requests(program=program or self._program):
            fitted = self._fit(request)
            if isinstance(fitted, Request):
                yield fitted

    def joined(
        self, *, program: str | None = None
    ) -> Iterator[tuple[Request, tuple[Feedback, ...]]]:
        """Yields the requests that fit and have feedback, by id, with that feedback."""
        left_out = Counter[str]()
        for request, feedback in self._source.joined(program=program or self._program):
            fitted = self._fit(request)
            if isinstance(fitted, str):
                left_out[fitted] += 1
                continue
            kept = tuple(f for f in map(self._fit_feedback, feedback) if f is not None)
            left_out["feedback_unusable"] += len(feedback) - len(kept)
            if kept:
                yield fitted, kept
        self.left_out = {reason: n for reason, n in sorted(left_out.items()) if n}

    def exposures(self, *, program: str | None = None) -> Iterator[Exposure]:
        """Yields all requests of the program in short, whether they fit or not."""
        return self._source.exposures(program=program or self._program)

    def _fit(self, request: Request) -> Request | str:
        """Returns the request with the program's fields, or the reason why it does not fit."""
        inputs = self._map.input_fields(request.inputs, self._fields.inputs)
        if len(inputs) < len(self._fields.inputs):
            return "input_missing"
        outputs: dict[str, Json] = {}
        if request.error is None:
            outputs = self._map.output_fields(request.outputs, tuple(self._fields.outputs))
            if len(outputs) < len(self._fields.outputs):
                return "output_missing"
            if not self._known(outputs):
                return "output_no_label"
        return replace(request, inputs=inputs, outputs=outputs)

    def _fit_feedback(self, feedback: Feedback) -> Feedback | None:
        """Returns feedback in the program's fields; None where it names no field or label of it."""
        value = feedback.value
        if feedback.signal in (Signal.CORRECTION, Signal.EDIT):
            value = self._answer(value)
        elif feedback.signal is Signal.CHOSEN:
            rejected = [r for r in map(self._answer, value["rejected"]) if r]
            chosen = self._answer(value["chosen"])
            value = {"chosen": chosen, "rejected": rejected} if chosen and rejected else {}
        elif feedback.signal is Signal.VERDICT and isinstance(value, dict):
            value = {name: right for name, right in value.items() if name in self._fields.outputs}
        else:
            return feedback
        return replace(feedback, value=value) if value else None

    def _answer(self, value: Mapping[str, Json]) -> dict[str, Json]:
        """Returns what a value says about the output fields; {} where that is no label."""
        fitted = self._map.output_fields(value, tuple(self._fields.outputs))
        return fitted if self._known(fitted) else {}

    def _known(self, outputs: Mapping[str, Json]) -> bool:
        allowed = ((self._fields.outputs[name], value) for name, value in outputs.items())
        return all(labels is None or value in labels for labels, value in allowed)
