"""What a judge is asked about an answer, and which of its choices passes.

The format is that of model-graded evals in OpenAI's Evals (docs/eval-templates.md there), with one
rule more: a judge whose choice cannot be read passes nothing.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: How a judge is told to end its answer, by the kind of its answer.
_ENDINGS = {
    "classify": "Answer with one choice from {choices} alone, without quotes or punctuation.",
    "classify_cot": (
        "On the first line write one choice from {choices}, without quotes or punctuation. Give "
        "your reasons on the lines after it."
    ),
    "cot_classify": (
        "First reason step by step, and do not name your choice at the beginning. Then write one "
        "choice from {choices} on a line of its own, without quotes or punctuation, as the last "
        "line.\n\nReasoning:"
    ),
}
EVAL_TYPES = tuple(_ENDINGS)
#: How a line of the judge's answer is held against a choice.
MATCHES: Mapping[str, Callable[[str, str], bool]] = {
    "include": lambda line, choice: line in choice,
    "exact": lambda line, choice: line == choice,
    "endswith": lambda line, choice: line.endswith(choice),
    "starts_or_endswith": lambda line, choice: line.startswith(choice) or line.endswith(choice),
}
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """How answers are graded.

    Attributes:
        prompt: the judge's prompt; ``{name}`` stands for a field of the sample or an answer.
        choices: what the judge may choose.
        scores: choice -> score.
        passing: the lowest score that passes.
        eval_type: where in the judge's answer the choice stands: ``classify`` and ``classify_cot``
            on the first line that has one, ``cot_classify`` on the last.
        match: how a line is held against a choice, a key of ``MATCHES``.
        ending: added to the prompt; "" where the prompt says itself how to answer.
        outputs: the answers that are made and graded.
    """

    prompt: str
    choices: tuple[str, ...]
    scores: Mapping[str, float]
    passing: float
    eval_type: str
    match: str
    ending: str
    outputs: tuple[str, ...]

    def passes(self, said: str) -> bool | None:
        """Tells whether a judge's answer lets a row pass; None where no choice can be read."""
        choice = choice_in(said, self.choices, eval_type=self.eval_type, match=self.match)
        return None if choice is None else self.scores[choice] >= self.passing


@dataclass(frozen=True, kw_only=True)
class Grade:
    """The questions about one row: the rubric once for each variant of its ``args``."""

    rubric: Rubric
    fields: Mapping[str, str]
    variants: tuple[Mapping[str, str], ...] = ({},)

    def prompts(self, answers: Mapping[str, str]) -> list[str]:
        """Returns the judge's prompts for a row's answers."""
        rubric = self.rubric
        ending = f"\n\n{rubric.ending}" if rubric.ending else ""
        return [
            filled(rubric.prompt, {**self.fields, **variant, **answers}) + ending
            for variant in self.variants
        ]


def ending(eval_type: str, choices: tuple[str, ...]) -> str:
    """What a judge is told of the form of its answer."""
    return _ENDINGS[eval_type].replace("{choices}", " or ".join(f'"{c}"' for c in choices))


def fields_of(template: str) -> tuple[str, ...]:
    """Names that a prompt has in single braces."""
    return tuple(dict.fromkeys(m[1] for m in _FIELD.finditer(template) if m[1]))


def filled(template: str, values: Mapping[str, str]) -> str:
    """Puts values for names in single braces, in one pass: a value's own braces stay text.

    Doubled braces become single ones. Nothing but a plain name is looked up: neither attributes nor
    items, whatever a template asks for.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return found[0][0] if name is None else values.get(name, found[0])

    return _FIELD.sub(value, template)


def choice_in(
    said: str, choices: tuple[str, ...], *, eval_type: str, match: str = "starts_or_endswith"
) -> str | None:
    """Returns the choice in a judge's answer, None where there is none.

    Lines are read from the first, for ``cot_classify`` from the last, each without its punctuation;
    the first line that fits a choice decides.
    """
    lines = said.strip().split("\n")
    for line in reversed(lines) if eval_type == "cot_classify" else lines:
        bare = line.strip().translate(_PUNCTUATION)
        found = next((c for c in choices if bare and MATCHES[match](bare, c)), None)
        if found is not None:
            return found
    return None
