"""Evaluations by the GenAI conventions (``gen_ai.evaluation.*``) as feedback.

An evaluation is an event on the span that is judged, a log record that names this span, or a span
of its own: then it speaks of its parent where it is named ``gen_ai.evaluation.result``. Where no
span is named, or the response that is named is another than the span's own, it speaks of that
response: ``gen_ai.response.id``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from upturn.events import Feedback, Role, Signal
from upturn.events.problems import found
from upturn.importers.base import RejectedError
from upturn.importers.fields import derived_id, number, optional_text
from upturn.records import Json

EVENT = "gen_ai.evaluation.result"
_SCORE = "gen_ai.evaluation.score.value"
_LABEL = "gen_ai.evaluation.score.label"
_WHY = "gen_ai.evaluation.explanation"
_NAME = "gen_ai.evaluation.name"


def is_evaluation(attributes: Mapping[str, Json]) -> bool:
    """Whether attributes say something about an answer."""
    return any(key in attributes for key in (_SCORE, _LABEL, _NAME))


def evaluation(
    about: str, time: str, attributes: Mapping[str, Json], raw: Json
) -> Iterator[Feedback]:
    """Yields a score, a category, or both; a comment where there is an explanation only.

    Raises:
        RejectedError: it has no name, or says nothing.
    """
    name = optional_text(attributes, _NAME)
    if name is None:
        raise RejectedError(_NAME, f"must be a non-empty text, got {found(attributes.get(_NAME))}")
    why, said = optional_text(attributes, _WHY), _said(attributes)
    if not said and why:
        said = [(Signal.COMMENT, None)]
    if not said:
        value = attributes.get(_SCORE)
        raise RejectedError(_SCORE, f"must be there, or a label; got {found(value)}")
    base = derived_id("otlp", about, time, name, said[0][1], why)
    for signal, value in said:
        yield Feedback(
            id=base if signal is said[0][0] else f"{base}/{signal}",
            request_id=about,
            time=time,
            signal=signal,
            value=value,
            rater=f"otlp:{name}",
            role=Role.JUDGE,
            comment=why if signal is said[0][0] else None,
            name=name,
            origin="otlp",
            raw=raw,
        )


def _said(attributes: Mapping[str, Json]) -> list[tuple[Signal, Json]]:
    said: list[tuple[Signal, Json]] = []
    score, label = attributes.get(_SCORE), optional_text(attributes, _LABEL)
    if score is not None and score != "":
        said.append((Signal.SCORE, number(score, _SCORE)))
    if label:
        said.append((Signal.CATEGORY, label))
    return said
