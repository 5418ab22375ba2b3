"""A program of one predictor as chat messages: what its model reads, and the right answer to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from upturn.errors import DataError, ProgramError
from upturn.programs.program import Program
from upturn.records import Candidate, Json

#: ``{"role": …, "content": …}``.
Message = dict[str, Json]


@dataclass(frozen=True, kw_only=True)
class Chat:
    """Writes messages as the program sends them under one candidate, without any call.

    Attributes:
        ref: the program, for errors.
        inputs, outputs: the fields of its one predictor, in order.
        demos: of that predictor.
        signature, adapter: DSPy's, which write the text.
    """

    ref: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    demos: tuple[Any, ...]
    signature: Any
    adapter: Any

    @classmethod
    def of(cls, program: Program, candidate: Candidate) -> Chat:
        """Builds the program.

        Raises:
            ProgramError: it has several predictors: no row holds what passes between them.
        """
        from upturn.lm.adapters import adapter

        built = program.assemble(candidate)
        if len(built.predictors) != 1:
            names = ", ".join(built.predictors)
            raise ProgramError(
                f"the program must have one predictor, got {names}", where=program.ref
            )
        predictor = next(iter(built.predictors.values()))
        return cls(
            ref=program.ref,
            inputs=tuple(predictor.signature.input_fields),
            outputs=tuple(predictor.signature.output_fields),
            demos=tuple(predictor.demos),
            signature=predictor.signature,
            adapter=adapter(built.settings.adapter),
        )

    def prompt(
        self, inputs: Mapping[str, Json], *, shown: Callable[[Any], bool] = lambda demo: True
    ) -> list[Message]:
        """Returns the messages for one row, none of them the answer.

        Args:
            inputs: the row's; what the predictor does not take is left out.
            shown: tells for a demo whether this row may see it.

        Raises:
            DataError: an input field is missing.
        """
        known = self._all(inputs, self.inputs, "input")
        return self.adapter.format(self.signature, [d for d in self.demos if shown(d)], known)

    def answer(self, outputs: Mapping[str, Json]) -> str:
        """Returns what the assistant says where these are the fields of its answer.

        Raises:
            DataError: an output field is missing.
        """
        known = self._all(outputs, self.outputs, "output")
        return str(self.adapter.format_assistant_message_content(self.signature, known))

    def _all(
        self, values: Mapping[str, Json], names: tuple[str, ...], kind: str
    ) -> dict[str, Json]:
        missing = [name for name in names if name not in values]
        if missing:
            raise DataError(
                f"a row must hold the program's {kind} fields, {', '.join(missing)} missing among "
                f"{', '.join(values) or '(none)'}",
                where=self.ref,
                fix="take the snapshot of this program; an export also works without --program",
            )
        return {name: values[name] for name in names}
