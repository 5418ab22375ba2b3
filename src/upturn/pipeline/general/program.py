"""Rows that ask for a form: invented tasks, each with fields and options of its own.

What is scored is not whether the answer is right but whether a program could read it: every field
that is asked for is there, and where options are given it is one of them. An adapter that was
trained on one task only tends to answer everything in that task's form; this is how it is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import dspy

Options = Mapping[str, Sequence[str] | None]


#: DSPy builds signatures from a text or from fields; its type says that it takes neither.
_signature_of: Any = dspy.Signature


class General(dspy.Module):
    """Answers any row: what is given, what is asked, and what is shown come with the row."""

    signature = _signature_of("task, given, asked, shown -> answer")

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict("request -> answer")

    def forward(
        self,
        task: str,
        given: Mapping[str, str],
        asked: Options,
        shown: Sequence[Mapping[str, str]],
    ) -> Any:
        """Asks the row in its own form; an answer that cannot be read raises."""
        options = tuple((k, None if v is None else tuple(v)) for k, v in asked.items())
        demos = [dspy.Example(**demo) for demo in shown]
        return self.answer(signature=_signature(task, tuple(given), options), demos=demos, **given)


@lru_cache(maxsize=256)
def _signature(
    task: str, inputs: tuple[str, ...], outputs: tuple[tuple[str, tuple[str, ...] | None], ...]
) -> Any:
    # One object for each form: formats are prepared once for a signature.
    fields: dict[str, Any] = {name: (str, dspy.InputField()) for name in inputs}
    for name, options in outputs:
        kind: Any = str if options is None else Literal[options]
        fields[name] = (kind, dspy.OutputField())
    return _signature_of(fields, task)


def metric(example: Any, prediction: Any, trace: object = None) -> float:
    """1.0 where every field asked for has an answer; options were checked when it was read."""
    return float(all(str(prediction.get(name) or "").strip() for name in example.asked))
