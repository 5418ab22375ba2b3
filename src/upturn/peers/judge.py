"""Our metric in the form that every optimizer calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy

from upturn.errors import MetricError
from upturn.metrics import Metric
from upturn.peers.halt import Switch
from upturn.peers.recorder import Recorder
from upturn.records import Example, Json


class Judge:
    """Scores rows, records them, and says in words what was wrong where it is asked to.

    An unscored row counts 0 for the optimizer, which knows no third outcome; the record keeps it
    unscored.

    Args:
        metric: the user's.
        outputs: the program's output fields, kept with each row.
        recorder: told of every score.
        switch: ends the run where the metric fails.
    """

    def __init__(
        self, metric: Metric, outputs: Mapping[str, Any], recorder: Recorder, switch: Switch
    ) -> None:
        self._metric, self._outputs = metric, tuple(outputs)
        self._recorder, self._switch = recorder, switch

    def __call__(
        self,
        example: Any,
        prediction: Any,
        trace: Any = None,
        pred_name: str | None = None,
        pred_trace: Any = None,
    ) -> Any:
        """Returns the score; with ``pred_name`` a prediction with ``score`` and ``feedback``.

        Raises:
            Halt: the metric raised or returned what is no score.
        """
        if prediction is None:
            return 0.0  # the call failed, and is recorded as such
        known = self._recorder.example(example)
        try:
            score = self._metric(example, prediction, example_id=known.id if known else "")
        except MetricError as error:
            raise self._switch.off(error) from error
        value = score.value or 0.0
        if pred_name is not None:
            return dspy.Prediction(score=value, feedback=feedback(known, value))
        self._recorder.scored(example, score, self._kept(prediction))
        return value

    def _kept(self, prediction: Any) -> dict[str, Json]:
        return {name: prediction.get(name) for name in self._outputs}


def feedback(example: Example | None, score: float) -> str:
    """What a model that reflects may read: the score, the right answer, and what people wrote."""
    said = [f"This answer got a score of {score:g}."]
    if example is not None and score < 1.0:
        right = ", ".join(f"{name}: {value}" for name, value in example.labels.items())
        said.append(f"The right answer is {right}.")
        said += [f"Somebody wrote: {note}" for note in example.notes]
    return " ".join(said)
