"""One row: the program runs, the metric scores, and whatever happens becomes a ``Row``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from upturn.errors import MetricError
from upturn.lm import CallRecord, Meter, classify, ours
from upturn.metrics import Metric
from upturn.records import Example, Outcome, Row

_MESSAGE_CHARS = 500


@dataclass(frozen=True, kw_only=True)
class RowRunner:
    """What all rows of a turn need.

    Attributes:
        metric: scores a row.
        meter: asked what each row called.
        outputs: the program's output fields.
        on_rows: told how many rows have just been finished.
    """

    metric: Metric
    meter: Meter
    outputs: tuple[str, ...]
    on_rows: Callable[[int], None]

    def run(self, module: Any, example: Example, prompt_chars: int) -> Row:
        """Runs and scores one example. Belongs in the context that holds model and adapter.

        Args:
            module: the program with a candidate's prompt.
            example: the row.
            prompt_chars: length of that prompt, for a failure's message.

        Raises:
            MetricError: the metric raised or returned what is no score.
            UpturnError: the turn itself cannot go on.
        """
        with self.meter.record() as calls:
            try:
                result = self._scored(example, module(**example.inputs))
            except MetricError:
                raise
            except Exception as error:  # whatever a row raises becomes a failed row with its kind
                result = _failed(error, prompt_chars)
        self.on_rows(1)
        return made_row(example, calls, result)

    def _scored(self, example: Example, prediction: Any) -> dict[str, Any]:
        import dspy

        labelled = dspy.Example(**example.inputs, **example.labels)
        score = self.metric(labelled, prediction, example_id=example.id)
        outcome = Outcome.UNSCORED if score.value is None else Outcome.SCORED
        outputs = {k: prediction.get(k) for k in self.outputs}
        return {"outcome": outcome, "score": score.value, "parts": score.parts, "outputs": outputs}


def made_row(example: Example, calls: Sequence[CallRecord], result: Mapping[str, Any]) -> Row:
    """An example's row: what its calls came to, and the fields that say how it ended."""
    return Row(
        example_id=example.id,
        group=example.group,
        slices=example.slices,
        latency_s=sum(c.latency_s for c in calls),
        cost_usd=sum(c.cost_usd for c in calls),
        input_tokens=sum(c.input_tokens for c in calls),
        output_tokens=sum(c.output_tokens for c in calls),
        calls=len(calls),
        cached_calls=sum(c.cached for c in calls),
        **result,
    )


def _failed(error: Exception, prompt_chars: int) -> dict[str, Any]:
    """The fields of a failed row; raises instead where the turn itself cannot go on."""
    kind = classify(error)
    if kind is None:
        raise ours(error) or error
    message = f"{type(error).__name__}: {error}"
    if _too_long(error):
        message = (
            f"the candidate's prompt ({prompt_chars} characters of instruction and demos) and the "
            f"row must fit the model's context: {message}"
        )
    return {"outcome": Outcome.FAILED, "failure": kind, "message": message[:_MESSAGE_CHARS]}


def _too_long(error: BaseException | None) -> bool:
    from dspy.utils.exceptions import ContextWindowExceededError

    while error is not None and not isinstance(error, ContextWindowExceededError):
        error = error.__cause__
    return error is not None
