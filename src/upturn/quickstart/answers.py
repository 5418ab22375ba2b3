"""The champion's answers: a program as its author wrote it, run on the embedded model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from upturn.lm import AnswerCache, Meter, ModelSpec
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.records import Example

#: The embedded model.
MODEL = ModelSpec(model="upturn-mini")


class Champion:
    """Answers messages with the seed of a program; closes its model when left.

    Args:
        program: ``file.py:Name``, relative to ``root``.
        root: the folder of the program.
        spec: the model; the embedded one unless told otherwise.
        on_rows: told how many messages have just been answered.

    Raises:
        ProgramError: the program does not load.
        MissingExtraError: a local model without the [local] extra.
    """

    def __init__(
        self,
        program: str,
        root: Path,
        *,
        spec: ModelSpec = MODEL,
        on_rows: Callable[[int], None] = lambda n: None,
    ) -> None:
        from upturn.evaluate import Evaluator
        from upturn.lm.connect import connect

        self._program = Program(program, root)
        self._folder = tempfile.TemporaryDirectory(prefix="upturn-quickstart-")
        self._cache = AnswerCache(Path(self._folder.name) / "answers.db")
        meter = Meter()
        self._connection = connect(spec, cache=self._cache, meter=meter)
        self._evaluator = Evaluator(
            self._program,
            _UNSCORED,
            self._connection,
            meter,
            concurrency=spec.concurrency,
            on_rows=on_rows,
        )

    @property
    def model_id(self) -> str:
        """The model's name with the hash of its content."""
        return self._connection.model_id

    def __call__(self, messages: list[str]) -> list[Mapping[str, str] | None]:
        """Answers messages in order; None where the answer could not be parsed."""
        rows = [
            Example(id=str(k), inputs={"message": m}, labels={}, group=str(k))
            for k, m in enumerate(messages)
        ]
        done = self._evaluator.evaluate(self._program.seed, rows)
        return [dict(r.outputs) if r.outputs else None for r in done.rows]

    def __enter__(self) -> Champion:
        return self

    def __exit__(self, *_: object) -> None:
        self._evaluator.close()
        self._connection.close()
        self._cache.close()
        self._folder.cleanup()


_UNSCORED = Metric(function=lambda example, prediction: None, name="no metric")
