"""Reads the specification of a model-graded eval."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upturn.errors import DataError
from upturn.records import Json
from upturn.suites.grading import EVAL_TYPES, MATCHES, Rubric, ending
from upturn.suites.registry_file import RegistryFile

_KEYS = (
    *("prompt", "choice_strings", "choice_scores", "input_outputs", "eval_type", "args"),
    *("description", "disclaimer", "metadata"),
)
_PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class RubricFile:
    """One file of ``modelgraded/``: flat, or under the specification's name.

    Args:
        path: the file.
        name: the specification's name.

    Raises:
        DataError: it is not there, or holds what no specification has.
    """

    def __init__(self, path: Path, name: str) -> None:
        file = RegistryFile.read(path)
        self._where = str(path)
        found = file.content if "prompt" in file.content else file.entry(name)
        self._spec: Mapping[str, Any] = found
        strange = sorted(set(map(str, found)) - set(_KEYS))
        if strange:
            raise self._error(f"unknown key {strange[0]!r}; a specification has {', '.join(_KEYS)}")

    @property
    def inputs(self) -> Mapping[str, str]:
        """Field of the sample that is asked -> name of the answer.

        Raises:
            DataError: there is none.
        """
        found = self._spec.get("input_outputs")
        names: list[Any] = [*found, *found.values()] if isinstance(found, dict) else []
        if not isinstance(found, dict) or not names or not all(isinstance(n, str) for n in names):
            raise self._error("input_outputs must map a sample's field to an answer's name")
        return found

    def rubric(self, *, eval_type: str | None, match: str) -> Rubric:
        """Returns the rubric.

        Args:
            eval_type: as the eval's own file says; then the prompt is told how to end. None takes
                the specification's, whose prompt must say it itself.
            match: a key of ``MATCHES``.

        Raises:
            DataError: a part is missing or wrong.
        """
        prompt = self._spec.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise self._error("prompt must be a text")
        kind = eval_type or self._spec.get("eval_type")
        if kind not in EVAL_TYPES:
            raise self._error(
                f"eval_type must be one of {', '.join(EVAL_TYPES)}, got {kind!r}",
                fix="set it in the args of the eval",
            )
        if match not in MATCHES:
            raise self._error(f"match_fn must be one of {', '.join(MATCHES)}, got {match!r}")
        choices = self._choices()
        scores = self._scores(choices)
        return Rubric(
            prompt=prompt,
            choices=choices,
            scores=scores,
            passing=max(scores.values()),
            eval_type=kind,
            match=match,
            ending=ending(kind, choices) if eval_type else "",
            outputs=tuple(self.inputs.values()),
        )

    def variants(self, given: Json = None) -> tuple[Mapping[str, str], ...]:
        """Returns the values that the prompt is asked with, every combination once.

        Args:
            given: the eval's own ``modelgraded_spec_args``, in place of the specification's.

        Raises:
            DataError: they are not ``name: {label: text}`` or ``name: text``.
        """
        args = given if given is not None else self._spec.get("args")
        if not args:
            return ({},)
        rule = "args must map names to texts, or to labels with a text each"
        if not isinstance(args, dict):
            raise self._error(rule)
        lists: list[list[tuple[str, str]]] = []
        for name, value in args.items():
            listed: list[Any] = list(value.values()) if isinstance(value, dict) else [value]
            if not listed or not all(isinstance(v, str) for v in listed):
                raise self._error(rule)
            lists.append([(str(name), v) for v in listed])
        return tuple(dict(combination) for combination in itertools.product(*lists))

    def _choices(self) -> tuple[str, ...]:
        found = self._spec.get("choice_strings")
        listed: list[Any] = list(found) if isinstance(found, str | list) else []
        if isinstance(found, str) and found.startswith("from_n"):
            raise self._error("choice_strings by the number of answers are not run here")
        wrong = [c for c in listed if not isinstance(c, str) or not c or _PUNCTUATION & set(c)]
        if len(listed) < 2 or len(set(map(str, listed))) < len(listed) or wrong:
            raise self._error(
                "choice_strings must be two or more different texts without punctuation, got "
                f"{found!r}",
                fix='quote words that YAML reads as true or false: ["Yes", "No"]',
            )
        return tuple(listed)

    def _scores(self, choices: tuple[str, ...]) -> Mapping[str, float]:
        found = self._spec.get("choice_scores")
        if found == "from_strings":
            found = {c: _number(c) for c in choices}
        numbers: dict[str, Any] = found if isinstance(found, dict) else {}
        if set(numbers) != set(choices) or not all(map(_is_number, numbers.values())):
            raise self._error(
                f"choice_scores must give each of {', '.join(choices)} a number",
                fix="a row passes where the judge's choice has the highest score",
            )
        scores = {c: float(numbers[c]) for c in choices}
        if len(set(scores.values())) == 1:
            raise self._error("choice_scores must tell good from bad, got one score for all")
        return scores

    def _error(self, what: str, *, fix: str = "") -> DataError:
        return DataError(what, where=self._where, fix=fix)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
